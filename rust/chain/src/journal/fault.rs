//! Reasons to give a block up that no rule of the chain names.

use alloy_primitives::Address;

use crate::state::StateError;

/// Why a block cannot be executed at all, whatever its gas.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The state could not be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// The Go client's integers have no bound; ours end at 2^256, in both directions.
    #[error("the balance of {0} would exceed 2^256-1")]
    BalanceOverflow(Address),
    /// More memory than any node has; the Go client dies there.
    #[error("a frame asks for more than 4 GiB of memory")]
    Memory,
}
