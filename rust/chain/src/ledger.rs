//! Execution of verified blocks on top of a head: state in, receipts and new state out, nothing written.

use std::{collections::VecDeque, ops::Range, sync::Arc};

use alloy_primitives::{Address, B256, U256};

use crate::{
    block::put_stored_body,
    execute::{BlockContext, CallMessage, CallOutcome, ExecutionError, Executor},
    forks::Rules,
    journal::Fault,
    receipt::Receipt,
    rlp,
    run::{Prepared, PreparedBlock},
    state::StateError,
    state_trie::{NewState, StateTrie},
    trie::ordered_root,
    verify::{Parent, Rule, Violation},
};

/// How many ancestors BLOCKHASH can see (§6.6).
pub const VISIBLE_ANCESTORS: usize = 256;

/// The block on which the next one is executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Number, hash and gas limit, as the header rules need them.
    pub parent: Parent,
    /// State after the block.
    pub state_root: B256,
    /// Sum of all difficulties up to the block; a number of the header's width does not hold it.
    pub total_difficulty: U256,
}

/// A block that was executed and agrees with its header.
#[derive(Debug)]
pub struct ExecutedBlock {
    /// Position in the run.
    pub index: usize,
    /// Receipts, in order, beside their consensus encoding.
    pub receipts: Vec<(Receipt, Vec<u8>)>,
    /// Up to and with this block.
    pub total_difficulty: U256,
}

/// What an execution of part of a run leaves: blocks and state that can be committed, and why it ended early.
#[derive(Debug)]
pub struct ExecutedRun {
    /// Position of the first block in the run.
    pub start: usize,
    /// Blocks that hold, in order.
    pub blocks: Vec<ExecutedBlock>,
    /// Trie nodes and code of exactly these blocks.
    pub new_state: Arc<NewState>,
    /// The rule that the next block broke.
    pub violation: Option<Violation>,
    /// The head after the last of `blocks`.
    pub head: Head,
}

/// The chain's moving end: head, state, and the hashes that BLOCKHASH can see.
pub struct Ledger {
    executor: Executor,
    state: StateTrie,
    head: Head,
    /// Hashes of the last blocks, the head's last.
    ancestors: VecDeque<B256>,
    /// The head, where it was executed here.
    context: Option<BlockContext>,
}

impl Ledger {
    /// A ledger at `head`; `ancestors` are the hashes of up to 256 last blocks in ascending order, the head's last.
    pub fn new(rules: &Rules, state: StateTrie, head: Head, ancestors: impl IntoIterator<Item = B256>) -> Self {
        let ancestors = ancestors.into_iter().collect();
        Self { executor: Executor::new(rules), state, head, ancestors, context: None }
    }

    /// The last executed block.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// Executes a message on the state of the head, in the context of the head under another `coinbase`, keeping nothing;
    /// none where the head was not executed here, so that its header is in the database.
    pub fn call(&mut self, coinbase: Address, message: &CallMessage) -> Option<Result<CallOutcome, ExecutionError>> {
        let context = BlockContext { coinbase, ..self.context? };
        let (ancestors, head) = (&self.ancestors, self.head.parent.number);
        let mut reader = self.state.reader(|number| Ok(ancestor(ancestors, head, number)));
        Some(self.executor.call(&context, message, &mut reader))
    }

    /// Reports that the new state of a run is in the database, so that the ledger need not keep it readable.
    pub fn committed(&mut self, new_state: &Arc<NewState>) {
        self.state.committed(new_state);
    }

    /// Executes the blocks `range` of a verified run in order, and stops before the first that breaks a rule.
    ///
    /// Errors: the state cannot be read. Nothing of the range is handed out then and the ledger must be opened anew.
    pub fn execute(&mut self, run: &[Prepared], range: Range<usize>) -> Result<ExecutedRun, StateError> {
        let mut executed = Vec::with_capacity(range.len());
        let mut violation = None;
        for (index, prepared) in run.iter().enumerate().take(range.end).skip(range.start) {
            let Ok(block) = prepared else { break };
            match self.execute_one(index, block) {
                Ok(block) => executed.push(block),
                Err(Failure::Broken(broken)) => {
                    violation = Some(broken);
                    break;
                }
                Err(Failure::State(error)) => return Err(error),
            }
        }
        let new_state = self.state.take_new_state();
        Ok(ExecutedRun { start: range.start, blocks: executed, new_state, violation, head: self.head.clone() })
    }

    fn execute_one(&mut self, index: usize, prepared: &PreparedBlock) -> Result<ExecutedBlock, Failure> {
        let header = &prepared.block.header;
        let broken = |what: &str, expected: String, found: String| {
            Failure::Broken(Violation::new(Rule::Execution, what, expected, found))
        };
        let Some(coinbase) = prepared.proposer else {
            return Err(broken("fee receiver", "a proposer seal that recovers".into(), "none".into()));
        };
        let context = BlockContext {
            number: header.number,
            timestamp: header.timestamp,
            gas_limit: header.gas_limit,
            difficulty: header.difficulty,
            coinbase,
            base_fee: header.base_fee,
        };
        let (ancestors, head) = (&self.ancestors, self.head.parent.number);
        let mut reader = self.state.reader(|number| Ok(ancestor(ancestors, head, number)));
        let outcome =
            self.executor.execute_block(&context, &prepared.block.transactions, &prepared.senders, &mut reader)?;

        if outcome.gas_used != header.gas_used {
            return Err(broken("gas used", outcome.gas_used.to_string(), header.gas_used.to_string()));
        }
        let receipts: Vec<(Receipt, Vec<u8>)> = outcome
            .receipts
            .into_iter()
            .map(|receipt| {
                let mut encoded = Vec::with_capacity(320);
                receipt.put_consensus(&mut encoded);
                (receipt, encoded)
            })
            .collect();
        let encoded: Vec<&[u8]> = receipts.iter().map(|(_, encoded)| encoded.as_slice()).collect();
        let receipts_root = ordered_root(&encoded);
        if receipts_root != header.receipts_root {
            return Err(broken("receipts root", receipts_root.to_string(), header.receipts_root.to_string()));
        }
        let state_root = self.state.apply(&outcome.changes)?;
        if state_root != header.state_root {
            self.state.undo_last();
            return Err(broken("state root", state_root.to_string(), header.state_root.to_string()));
        }
        if self.ancestors.len() == VISIBLE_ANCESTORS {
            self.ancestors.pop_front();
        }
        self.ancestors.push_back(prepared.hash);
        self.context = Some(context);
        self.head = Head {
            parent: Parent::of(prepared),
            state_root,
            total_difficulty: self.head.total_difficulty + U256::from(header.difficulty),
        };
        Ok(ExecutedBlock { index, receipts, total_difficulty: self.head.total_difficulty })
    }
}

/// The records of one block as the `blockchain` database holds them (§4.2).
#[derive(Debug)]
#[allow(missing_docs)]
pub struct StoredBlock {
    pub number: u64,
    pub hash: B256,
    pub header: Vec<u8>,
    pub body: Vec<u8>,
    pub receipts: Vec<u8>,
    pub total_difficulty: U256,
    pub transaction_hashes: Vec<B256>,
}

impl StoredBlock {
    /// Encodes what is stored of an executed block.
    pub fn encode(rules: &Rules, prepared: &PreparedBlock, executed: &ExecutedBlock) -> Self {
        let transactions = &prepared.block.transactions;
        let senders: Vec<Address> = prepared.senders.iter().map(|sender| sender.unwrap_or_default()).collect();
        let mut header = Vec::with_capacity(1024);
        prepared.block.header.put(rules.generation, &mut header);
        let mut body = Vec::new();
        put_stored_body(transactions, &senders, &mut body);
        let mut receipts = Vec::new();
        rlp::put_list_with(&mut receipts, |out| {
            for ((receipt, consensus), transaction) in executed.receipts.iter().zip(transactions) {
                receipt.put_stored(transaction.kind.byte(), consensus, out);
            }
        });
        Self {
            number: prepared.block.header.number,
            hash: prepared.hash,
            header,
            body,
            receipts,
            total_difficulty: executed.total_difficulty,
            transaction_hashes: transactions.iter().map(|transaction| transaction.hash).collect(),
        }
    }
}

enum Failure {
    Broken(Violation),
    State(StateError),
}

impl From<StateError> for Failure {
    fn from(error: StateError) -> Self {
        Self::State(error)
    }
}

impl From<ExecutionError> for Failure {
    fn from(error: ExecutionError) -> Self {
        let broken = |what, expected, found| Self::Broken(Violation { rule: Rule::Execution, what, expected, found });
        match error {
            ExecutionError::Fault { fault: Fault::State(error), .. } => Self::State(error),
            ExecutionError::Block { rule, expected, found, .. } => broken(rule.to_owned(), expected, found),
            ExecutionError::Transaction { index, hash, rule, expected, found } => {
                broken(format!("transaction {index} ({hash}): {rule}"), expected, found)
            }
            ExecutionError::Fault { index, hash, fault } => broken(
                format!("transaction {index} ({hash})"),
                "one that can be executed".to_owned(),
                fault.to_string(),
            ),
        }
    }
}

/// The hash of block `number`, zero where it is not among the ancestors; `head` is the number of the last of them.
fn ancestor(ancestors: &VecDeque<B256>, head: u64, number: u64) -> B256 {
    let back = head.checked_sub(number).and_then(|back| usize::try_from(back).ok());
    let position = back.and_then(|back| ancestors.len().checked_sub(back.checked_add(1)?));
    position.map_or(B256::ZERO, |position| ancestors[position])
}
