//! A constructor run outside of any block, on an empty state: what `genesis predeploy` puts into a genesis file.

use alloy_primitives::{Address, B256, Bytes, U256};

use crate::{
    evm::{
        Machine, Outcome, Status,
        code::CodeCache,
        table::Table,
        trace::NoTracer,
        world::{BlockContext, TransactionContext, World},
    },
    forks::Rules,
    journal::{Fault, Journal},
    state::{Account, StateError, StateReader},
};

/// Gas that the client gives: the largest number of its signed word.
const GAS: u64 = i64::MAX as u64;

/// What a constructor leaves behind.
#[derive(Clone, Debug)]
pub struct Construction {
    /// How it ended.
    pub status: Status,
    /// The code it returned, or the data of a REVERT.
    pub output: Bytes,
    /// Of the address, after all: above zero where the constructor created contracts.
    pub nonce: u64,
    /// Wei of the address.
    pub balance: U256,
    /// Every slot of the address that was written, zeros included, in order of the slots.
    pub storage: Vec<(U256, U256)>,
}

/// Runs `code` as the constructor of `address` by the rules of block 0, in a block of zeros, sent by the address zero.
///
/// Errors: a fault, such as more memory than there is.
pub fn construct(rules: &Rules, address: Address, code: &[u8]) -> Result<Construction, Fault> {
    let block =
        BlockContext { number: 0, timestamp: 0, gas_limit: 0, difficulty: 0, coinbase: Address::ZERO, base_fee: 0 };
    let table = Table::new(rules.generation, rules.flags(0));
    let (mut reader, mut codes, mut tracer) = (Nothing, CodeCache::default(), NoTracer);
    let mut journal = Journal::new(&mut reader, &mut codes);
    let mut world = World {
        journal: &mut journal,
        table: &table,
        chain_id: rules.chain_id,
        access_lists: rules.access_lists,
        block: &block,
        transaction: TransactionContext { origin: Address::ZERO, gas_price: U256::ZERO },
        tracer: &mut tracer,
    };
    let Outcome { status, output, .. } = Machine::<U256>::default().construct(&mut world, address, code, GAS)?;
    let account = journal.index(&address);
    let storage = journal.written_slots(account);
    let (nonce, balance) = if journal.will_be_removed(account) {
        (0, U256::ZERO)
    } else {
        (journal.nonce(account), journal.balance(account))
    };
    Ok(Construction { status, output, nonce, balance, storage })
}

/// The state before anything.
struct Nothing;

impl StateReader for Nothing {
    fn account(&mut self, _: &Address) -> Result<Option<Account>, StateError> {
        Ok(None)
    }

    fn storage(&mut self, _: &Address, _: &U256) -> Result<U256, StateError> {
        Ok(U256::ZERO)
    }

    fn code(&mut self, _: &Address, _: &B256) -> Result<Bytes, StateError> {
        Ok(Bytes::new())
    }

    fn block_hash(&mut self, _: u64) -> Result<B256, StateError> {
        Ok(B256::ZERO)
    }
}
