//! Executes the transactions of a block against the state of its parent (§6.1 to §6.3).
//!
//! Of generation 3, what came with forks and configuration is not here yet: London fees, dynamic-fee and state
//! transactions, access lists. Blocks that need them are refused by name, never executed in another way.

use alloy_primitives::{Address, B256, Bytes, U256};

use crate::{
    evm::{
        Machine, Message, Status,
        code::CodeCache,
        table::Table,
        trace::{NoTracer, Tracer},
    },
    forks::{ForkFlags, Generation, Rules},
    journal::Journal,
    receipt::Receipt,
    state::{AccountChange, StateReader},
    transaction::Transaction,
};

mod building;
mod error;
mod genesis;
mod transaction;

pub use crate::evm::world::BlockContext;
pub use building::{BuiltBlock, Candidate, Fate};
pub use error::{ExecutionError, TransactionRule};
pub use genesis::{Deployment, GenesisAccount, genesis_changes};

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
    machine: Machine,
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
        let table = Table::new(rules.generation, rules.forks.at(0));
        Self { rules: rules.clone(), machine: Machine::default(), codes, table }
    }

    /// The rules it executes by.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Frees the frames, which a deep call has made many and large; analysed code is kept.
    pub fn release_frames(&mut self) {
        self.machine = Machine::default();
    }

    /// See [`execute_block`].
    pub fn execute_block(
        &mut self,
        block: &BlockContext,
        transactions: &[Transaction],
        senders: &[Option<Address>],
        reader: &mut dyn StateReader,
    ) -> Result<BlockOutcome, ExecutionError> {
        self.execute_block_traced(block, transactions, senders, None, reader, &mut NoTracer)
    }

    /// As [`Executor::execute_block`], with the staking contract put into the state after the transactions, as a PoS
    /// fork does at its `deployment` height (§6.11).
    pub fn execute_block_with_deployment(
        &mut self,
        block: &BlockContext,
        transactions: &[Transaction],
        senders: &[Option<Address>],
        deployment: &Deployment,
        reader: &mut dyn StateReader,
    ) -> Result<BlockOutcome, ExecutionError> {
        self.execute_block_traced(block, transactions, senders, Some(deployment), reader, &mut NoTracer)
    }

    /// As the other two, watched by `tracer`.
    pub fn execute_block_traced<T: Tracer>(
        &mut self,
        block: &BlockContext,
        transactions: &[Transaction],
        senders: &[Option<Address>],
        deployment: Option<&Deployment>,
        reader: &mut dyn StateReader,
        tracer: &mut T,
    ) -> Result<BlockOutcome, ExecutionError> {
        let flags = self.prepare(block)?;
        let mut journal = Journal::new(reader, &mut self.codes);
        let chain_id = self.rules.chain_id;
        let mut run = BlockRun::new(&mut self.machine, &self.table, chain_id, block, &mut journal, tracer);
        let mut receipts = Vec::with_capacity(transactions.len());
        for (index, transaction) in transactions.iter().enumerate() {
            let sender = senders.get(index).copied().flatten();
            let receipt =
                run.transaction(transaction, sender).map_err(|refusal| refusal.at(index, transaction.hash))?;
            receipts.push(receipt);
        }
        let gas_used = run.gas_used;
        if let Some(Deployment { address, account }) = deployment {
            let index = journal.index(address);
            let balance = account.balance.unwrap_or_default();
            journal.deploy(index, &account.code, &account.storage, balance, account.nonce);
        }
        if let Some(fault) = journal.take_fault() {
            let (index, hash) = (transactions.len(), B256::ZERO);
            return Err(ExecutionError::Fault { index, hash, fault });
        }
        Ok(BlockOutcome { receipts, gas_used, changes: journal.into_changes(flags.eip155) })
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
        let mut journal = Journal::new(reader, &mut self.codes);
        let sender = journal.index(&message.from);
        let nonce = journal.nonce(sender);
        let chain_id = self.rules.chain_id;
        let mut run = BlockRun::new(&mut self.machine, &self.table, chain_id, block, &mut journal, tracer);
        let envelope = Envelope {
            gas: message.gas,
            gas_price: message.gas_price,
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

    /// Checks what the header asks for and makes the table fit its flags.
    fn prepare(&mut self, block: &BlockContext) -> Result<ForkFlags, ExecutionError> {
        let flags = self.rules.forks.at(block.number);
        let refuse = |rule, expected: &str, found: String| {
            Err(ExecutionError::Block { number: block.number, rule, expected: expected.into(), found })
        };
        for (rule, value) in [
            ("gas limit as a signed 64-bit number (§6.6)", block.gas_limit),
            ("timestamp as a signed 64-bit number (§6.6)", block.timestamp),
        ] {
            if value >= 1 << 63 {
                return refuse(rule, "below 2^63", value.to_string());
            }
        }
        if flags.london && self.rules.generation == Generation::G3 {
            return refuse("fees under london (§6.3)", "a block before london", "london is active".into());
        }
        if self.table.flags != flags {
            self.table = Table::new(self.rules.generation, flags);
        }
        Ok(flags)
    }
}

/// Executes one block on the state that `reader` shows, which is the state after its parent.
///
/// `senders` has one entry per transaction; none where the signature does not recover, which makes the block invalid.
/// Errors: the first transaction that breaks a rule of §6.2, a header value that the client would take as negative
/// (§6.6), or a failed read. For runs of blocks an [`Executor`] saves the preparation.
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
