//! Transactions tried one after the other on the state of the head, for a block of our own (§6.2).
//!
//! What the block's header and seals are is the business of `proposal`.

use std::{collections::HashSet, fmt};

use alloy_primitives::{Address, B256};

use super::{
    BlockContext, BlockOutcome, Executor,
    error::{ExecutionError, Refusal, TransactionRule},
    is_signed,
    transaction::BlockRun,
};
use crate::{
    evm::{
        Machine,
        code::CodeCache,
        table::Table,
        trace::{NoTracer, Tracer},
        word::Word,
    },
    forks::Rules,
    journal::{Fault, Journal},
    receipt::Receipt,
    state::StateReader,
    transaction::Transaction,
};

/// A transaction that may enter the block, with its sender as the block's height recovers it.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The transaction.
    pub transaction: Transaction,
    /// None where the signature is refused.
    pub sender: Option<Address>,
}

/// What became of a candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is in the block.
    Included,
    /// It was not tried: its sender had failed, the gas of the block was used up, or the time was.
    Skipped,
    /// Its gas exceeds the limit of the whole block.
    TooLarge,
    /// A nonce below that of its sender.
    NonceTooLow,
    /// A nonce above that of its sender.
    NonceTooHigh,
    /// It breaks another rule, or cannot be executed; in the Go client's words where it has any.
    Failed(String),
}

impl fmt::Display for Fate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Included => formatter.write_str("included"),
            Self::Skipped => formatter.write_str("skipped"),
            Self::TooLarge => formatter.write_str("too large"),
            Self::NonceTooLow => formatter.write_str("nonce too low"),
            Self::NonceTooHigh => formatter.write_str("nonce too high"),
            Self::Failed(text) => write!(formatter, "failed: {text}"),
        }
    }
}

/// What the included candidates do.
#[derive(Clone, Debug)]
pub struct BuiltBlock {
    /// As if a block of the included candidates were executed.
    pub outcome: BlockOutcome,
    /// One per candidate, in order.
    pub fates: Vec<Fate>,
}

impl Executor {
    /// Tries `candidates` in their order on the state that `reader` shows, until `enough` says so before one of them.
    ///
    /// A candidate that is refused leaves no trace. Errors: the state cannot be read, or a header value that the client
    /// would take as negative (§6.6).
    pub fn build_block(
        &mut self,
        block: &BlockContext,
        candidates: &[Candidate],
        enough: &mut dyn FnMut() -> bool,
        reader: &mut dyn StateReader,
    ) -> Result<BuiltBlock, ExecutionError> {
        self.prepare(block)?;
        if is_signed(block) {
            build(&mut self.signed, &self.table, &self.rules, &mut self.codes, block, candidates, enough, reader)
        } else {
            build(&mut self.machine, &self.table, &self.rules, &mut self.codes, block, candidates, enough, reader)
        }
    }
}

#[allow(clippy::too_many_arguments)]
fn build<W: Word>(
    machine: &mut Machine<W>,
    table: &Table,
    rules: &Rules,
    codes: &mut CodeCache,
    block: &BlockContext,
    candidates: &[Candidate],
    enough: &mut dyn FnMut() -> bool,
    reader: &mut dyn StateReader,
) -> Result<BuiltBlock, ExecutionError> {
    let mut journal = Journal::new(reader, codes);
    let mut tracer = NoTracer;
    let mut run = BlockRun::new(machine, table, rules, block, &mut journal, &mut tracer);
    let mut receipts = Vec::new();
    let mut fates = Vec::with_capacity(candidates.len());
    let mut failed_senders = HashSet::new();
    for (index, Candidate { transaction, sender }) in candidates.iter().enumerate() {
        if enough() {
            break;
        }
        if sender.is_some_and(|sender| failed_senders.contains(&sender)) {
            fates.push(Fate::Skipped);
            continue;
        }
        let fate = if transaction.gas > block.gas_limit {
            // The Go client v0.6.3 leaves a receipt without a transaction here and spoils its own block.
            Fate::TooLarge
        } else {
            match run.attempt(transaction, *sender) {
                Ok(receipt) => {
                    receipts.push(receipt);
                    Fate::Included
                }
                Err(Refusal::Violation(violation)) if violation.rule == TransactionRule::GasPool => break,
                Err(refusal @ Refusal::Fault(Fault::State(_))) => return Err(refusal.at(index, transaction.hash)),
                Err(Refusal::Nonce { expected, found }) if found < expected => Fate::NonceTooLow,
                Err(Refusal::Nonce { .. }) => Fate::NonceTooHigh,
                Err(Refusal::Violation(violation)) => Fate::Failed(violation.rule.client_text().to_owned()),
                Err(Refusal::Fault(fault)) => Fate::Failed(fault.to_string()),
            }
        };
        if matches!(fate, Fate::TooLarge | Fate::Failed(_)) {
            failed_senders.extend(*sender);
        }
        fates.push(fate);
    }
    fates.resize(candidates.len(), Fate::Skipped);
    let gas_used = run.gas_used;
    if let Some(fault) = journal.take_fault() {
        return Err(ExecutionError::Fault { index: candidates.len(), hash: B256::ZERO, fault });
    }
    let outcome = BlockOutcome { receipts, gas_used, changes: journal.into_changes(table.flags.eip155) };
    Ok(BuiltBlock { outcome, fates })
}

impl<T: Tracer, W: Word> BlockRun<'_, '_, '_, T, W> {
    /// As [`BlockRun::transaction`]; a refusal leaves state and gas of the block as they were.
    fn attempt(&mut self, transaction: &Transaction, sender: Option<Address>) -> Result<Receipt, Refusal> {
        let (checkpoint, gas_pool) = (self.world.journal.checkpoint(), self.gas_pool);
        let attempted = self.transaction(transaction, sender);
        if attempted.is_err() {
            self.world.journal.discard(checkpoint);
            self.gas_pool = gas_pool;
        }
        attempted
    }
}
