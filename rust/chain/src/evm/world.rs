//! What an instruction may look at besides its own frame.

use alloy_primitives::{Address, U256};

use super::table::Table;
use crate::{forks::AccessLists, journal::Journal};

/// What a block tells its transactions (§6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockContext {
    /// Height.
    pub number: u64,
    /// Seconds.
    pub timestamp: u64,
    /// Gas limit of the header.
    pub gas_limit: u64,
    /// The header's, which is the height on IBFT.
    pub difficulty: u64,
    /// Receiver of fees: the address recovered from the proposer seal, not `header.miner`.
    pub coinbase: Address,
    /// The header's (G3).
    pub base_fee: u64,
}

/// What a transaction tells its frames.
#[derive(Clone, Copy, Debug)]
pub struct TransactionContext {
    /// Sender.
    pub origin: Address,
    /// Effective gas price.
    pub gas_price: U256,
}

/// Everything around a frame.
pub struct World<'a, 'b, T> {
    /// The state.
    pub journal: &'a mut Journal<'b>,
    /// Instructions and gas.
    pub table: &'a Table,
    /// Chain id.
    pub chain_id: u64,
    /// Which access lists there are.
    pub access_lists: AccessLists,
    /// The block.
    pub block: &'a BlockContext,
    /// The transaction.
    pub transaction: TransactionContext,
    /// Who watches.
    pub tracer: &'a mut T,
}
