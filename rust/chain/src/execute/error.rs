//! Why a block is not executed.

use alloy_primitives::B256;

use crate::journal::Fault;

/// Why a block cannot be executed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExecutionError {
    /// The header asks for rules that we do not have.
    #[error("block {number}: {rule}: expected {expected}, found {found}")]
    Block {
        /// Height.
        number: u64,
        /// The rule.
        rule: &'static str,
        /// What the rule asks for.
        expected: String,
        /// What the block has.
        found: String,
    },
    /// A transaction makes the block invalid.
    #[error("transaction {index} ({hash}): {rule}: expected {expected}, found {found}")]
    Transaction {
        /// Position in the block.
        index: usize,
        /// Hash of the transaction.
        hash: B256,
        /// The rule.
        rule: &'static str,
        /// What the rule asks for.
        expected: String,
        /// What the transaction has.
        found: String,
    },
    /// Execution could not go on, whatever the rules.
    #[error("transaction {index} ({hash}): {fault}")]
    Fault {
        /// Position in the block; the number of transactions for what comes after them.
        index: usize,
        /// Hash of the transaction; zero for what comes after them.
        hash: B256,
        /// What happened.
        fault: Fault,
    },
}

/// A rule of §6.2 that one transaction breaks.
#[derive(Debug)]
pub(super) struct Violation {
    pub(super) rule: &'static str,
    pub(super) expected: String,
    pub(super) found: String,
}

impl Violation {
    pub(super) fn new(rule: &'static str, expected: impl ToString, found: impl ToString) -> Self {
        Self { rule, expected: expected.to_string(), found: found.to_string() }
    }
}

/// Why one transaction is not executed.
#[derive(Debug)]
pub(super) enum Refusal {
    Violation(Violation),
    Fault(Fault),
}

impl Refusal {
    /// The same with the place of the transaction.
    pub(super) fn at(self, index: usize, hash: B256) -> ExecutionError {
        match self {
            Self::Violation(Violation { rule, expected, found }) => {
                ExecutionError::Transaction { index, hash, rule, expected, found }
            }
            Self::Fault(fault) => ExecutionError::Fault { index, hash, fault },
        }
    }
}
