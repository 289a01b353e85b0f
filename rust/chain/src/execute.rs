//! Executes the transactions of a block against the state of its parent (§6.1 to §6.4).
//!
//! Almost every block runs on words without a sign. The few whose header makes the Go client compute with negative
//! numbers run on words with one (§6.6): the same code, compiled a second time.

use alloy_primitives::{Address, B256, Bytes, U256};

use crate::{
    evm::{
        Machine, Message, Status,
        code::CodeCache,
        signed::SignedWord,
        table::Table,
        trace::{NoTracer, Tracer},
        word::Word,
    },
    forks::{Generation, Rules},
    journal::Journal,
    receipt::Receipt,
    state::{AccountChange, StateReader},
    transaction::Transaction,
};

mod building;
mod constructor;
mod error;
mod fees;
mod genesis;
mod transaction;

pub use crate::evm::world::BlockContext;
pub use building::{BuiltBlock, Candidate, Fate};
pub use constructor::{Construction, construct};
pub use error::{ExecutionError, TransactionRule};
pub use genesis::{Deployment, GenesisAccount, genesis_changes};

use fees::GasPrices;
use transaction::{BlockRun, Envelope};

/// What a block does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockOutcome {
    /// One per transaction, in order.
    pub receipts: Vec<Receipt>,
    /// Sum over all transactions, after refunds.
    pub gas_used: u64,
    /// Every account that changed, once.
    pub changes: Vec<AccountChange>,
}

/// A message that is executed without becoming part of a block, as `eth_call` does it.
#[derive(Clone, Debug)]
pub struct CallMessage {
    /// Sender; its balance has to cover gas and value, its nonce is taken from the state.
    pub from: Address,
    /// None creates a contract.
    pub to: Option<Address>,
    /// Moves with the message.
    pub value: U256,
    /// Call data or initialisation code.
    pub input: Bytes,
    /// Gas limit, intrinsic gas included.
    pub gas: u64,
    /// Usually zero.
    pub gas_price: U256,
}

/// What a message without a block comes to.
#[derive(Clone, Debug)]
pub struct CallOutcome {
    /// How it ended.
    pub status: Status,
    /// Output, or the data of a REVERT.
    pub output: Bytes,
    /// After refund.
    pub gas_used: u64,
}

/// Executes blocks of one chain, and keeps from block to block what does not depend on the block: frames, analysed
/// code, the instruction table of the last flags.
#[derive(Debug)]
pub struct Executor {
    rules: Rules,
    machine: Machine<U256>,
    signed: Machine<SignedWord>,
    codes: CodeCache,
    table: Table,
}

impl Executor {
    /// An executor for the chain with these rules.
    pub fn new(rules: &Rules) -> Self {
        Self::with_codes(rules, CodeCache::default())
    }

    /// As [`Executor::new`], with a bound on the bytes of analysed code that it keeps: for one of many.
    pub fn with_code_bound(rules: &Rules, bytes: usize) -> Self {
        Self::with_codes(rules, CodeCache::with_bound(bytes))
    }

    fn with_codes(rules: &Rules, codes: CodeCache) -> Self {
        let table = Table::new(rules.generation, rules.flags(0));
        Self { rules: rules.clone(), machine: Machine::default(), signed: Machine::default(), codes, table }
    }

    /// The rules it executes by.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Frees the frames, which a deep call has made many and large; analysed code is kept.
    pub fn release_frames(&mut self) {
        self.machine = Machine::default();
        self.signed = Machine::default();
    }

    /// See [`execute_block`].
    pub fn execute_block(
        &mut self,
        block: &BlockContext,
        transactions: &[Transaction],
        senders: &[Option<Address>],
        reader: &mut dyn StateReader,
    ) -> Result<BlockOutcome, ExecutionError> {
        self.execute_block_traced(block, transactions, senders, reader, &mut NoTracer)
    }

    /// As [`Executor::execute_block`], watched by `tracer`.
    pub fn execute_block_traced<T: Tracer>(
        &mut self,
        block: &BlockContext,
        transactions: &[Transaction],
        senders: &[Option<Address>],
        reader: &mut dyn StateReader,
        tracer: &mut T,
    ) -> Result<BlockOutcome, ExecutionError> {
        self.prepare(block)?;
        let (rules, table, journal) = (&self.rules, &self.table, Journal::new(reader, &mut self.codes));
        if is_signed(block) {
            run_block(&mut self.signed, table, rules, block, transactions, senders, journal, tracer)
        } else {
            run_block(&mut self.machine, table, rules, block, transactions, senders, journal, tracer)
        }
    }

    /// Executes one message on the state that `reader` shows, keeping nothing. The checks of a transaction apply,
    /// except those of nonce and signature.
    ///
    /// Errors: as [`execute_block`], with index 0 and no hash.
    pub fn call(
        &mut self,
        block: &BlockContext,
        message: &CallMessage,
        reader: &mut dyn StateReader,
    ) -> Result<CallOutcome, ExecutionError> {
        self.call_traced(block, message, reader, &mut NoTracer)
    }

    /// As [`Executor::call`], watched by `tracer`.
    pub fn call_traced<T: Tracer>(
        &mut self,
        block: &BlockContext,
        message: &CallMessage,
        reader: &mut dyn StateReader,
        tracer: &mut T,
    ) -> Result<CallOutcome, ExecutionError> {
        self.prepare(block)?;
        let (rules, table, journal) = (&self.rules, &self.table, Journal::new(reader, &mut self.codes));
        if is_signed(block) {
            run_message(&mut self.signed, table, rules, block, message, journal, tracer)
        } else {
            run_message(&mut self.machine, table, rules, block, message, journal, tracer)
        }
    }

    /// Checks what the header asks for and makes the table fit its flags.
    fn prepare(&mut self, block: &BlockContext) -> Result<(), ExecutionError> {
        let flags = self.rules.flags(block.number);
        if flags.london && self.rules.burn_contract(block.number).is_none() {
            return Err(ExecutionError::Block {
                number: block.number,
                rule: "receiver of the base fee under london (§5.4)",
                expected: "a burnContract in the genesis file".to_owned(),
                found: "none".to_owned(),
            });
        }
        if self.table.flags != flags {
            self.table = Table::new(self.rules.generation, flags);
        }
        Ok(())
    }
}

/// Whether a block brings negative numbers onto the stack: numbers of its header are taken as signed 64-bit (§6.6).
fn is_signed(block: &BlockContext) -> bool {
    [block.gas_limit, block.timestamp, block.number].iter().any(|value| *value >= 1 << 63)
}

#[allow(clippy::too_many_arguments)]
fn run_block<T: Tracer, W: Word>(
    machine: &mut Machine<W>,
    table: &Table,
    rules: &Rules,
    block: &BlockContext,
    transactions: &[Transaction],
    senders: &[Option<Address>],
    mut journal: Journal<'_>,
    tracer: &mut T,
) -> Result<BlockOutcome, ExecutionError> {
    let mut run = BlockRun::new(machine, table, rules, block, &mut journal, tracer);
    let mut receipts = Vec::with_capacity(transactions.len());
    for (index, transaction) in transactions.iter().enumerate() {
        let sender = senders.get(index).copied().flatten();
        let receipt = run.transaction(transaction, sender).map_err(|refusal| refusal.at(index, transaction.hash))?;
        receipts.push(receipt);
    }
    let gas_used = run.gas_used;
    // §6.11: after the transactions.
    if let Some(Deployment { address, account }) = rules.deployment(block.number) {
        let index = journal.index(address);
        let balance = account.balance.unwrap_or_default();
        journal.deploy(index, &account.code, &account.storage, balance, account.nonce);
    }
    if let Some(fault) = journal.take_fault() {
        let (index, hash) = (transactions.len(), B256::ZERO);
        return Err(ExecutionError::Fault { index, hash, fault });
    }
    Ok(BlockOutcome { receipts, gas_used, changes: journal.into_changes(table.flags.eip155) })
}

fn run_message<T: Tracer, W: Word>(
    machine: &mut Machine<W>,
    table: &Table,
    rules: &Rules,
    block: &BlockContext,
    message: &CallMessage,
    mut journal: Journal<'_>,
    tracer: &mut T,
) -> Result<CallOutcome, ExecutionError> {
    let sender = journal.index(&message.from);
    let nonce = journal.nonce(sender);
    let mut run = BlockRun::new(machine, table, rules, block, &mut journal, tracer);
    let envelope = Envelope {
        gas: message.gas,
        prices: GasPrices::plain(message.gas_price),
        pays: rules.generation != Generation::G3,
        message: Message {
            caller: message.from,
            to: message.to,
            value: message.value,
            input: &message.input,
            gas: message.gas,
            nonce,
        },
    };
    let (outcome, gas_used) = run.apply(sender, envelope).map_err(|refusal| refusal.at(0, B256::ZERO))?;
    Ok(CallOutcome { status: outcome.status, output: outcome.output, gas_used })
}

/// Executes one block on the state that `reader` shows, which is the state after its parent.
///
/// `senders` has one entry per transaction; none where the signature does not recover, which makes the block invalid.
/// Errors: the first transaction that breaks a rule of §6.2 to §6.4, london without a burn contract, or a failed read.
/// For runs of blocks an [`Executor`] saves the preparation.
pub fn execute_block(
    rules: &Rules,
    block: &BlockContext,
    transactions: &[Transaction],
    senders: &[Option<Address>],
    reader: &mut dyn StateReader,
) -> Result<BlockOutcome, ExecutionError> {
    Executor::new(rules).execute_block(block, transactions, senders, reader)
}

/// Executes one message without a block; see [`Executor::call`].
pub fn call(
    rules: &Rules,
    block: &BlockContext,
    message: &CallMessage,
    reader: &mut dyn StateReader,
) -> Result<CallOutcome, ExecutionError> {
    Executor::new(rules).call(block, message, reader)
}
