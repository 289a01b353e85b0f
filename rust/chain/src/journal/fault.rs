//! Reasons to give a block up that no rule of the chain names.

use alloy_primitives::Address;

use crate::state::StateError;

/// Why a block cannot be executed at all, whatever its gas.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The state could not be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// The Go client's integers have no bound; ours end at 2^256.
    #[error("the balance of {0} would exceed 2^256-1")]
    BalanceOverflow(Address),
    /// More memory than any node has; the Go client dies there.
    #[error("a frame asks for more than 4 GiB of memory")]
    Memory,
    /// The Go client v0.6.3 panics on this instruction, so no block can hold it (§6.7.7).
    #[error("RETURNDATACOPY of length 0 to offset {offset} beyond the memory of {length} bytes (§6.7.7)")]
    ReturnDataCopyPanics {
        /// Memory offset.
        offset: u64,
        /// Memory length.
        length: u64,
    },
    /// A contract of the later generations that this interpreter does not have.
    #[error("precompile {0} of the later generations is not executed by this version (§6.8)")]
    UnknownPrecompile(Address),
}
