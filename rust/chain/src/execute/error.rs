//! Why a block is not executed.

use std::fmt;

use alloy_primitives::B256;

use crate::journal::Fault;

/// The rules of §6.2 that a transaction may break, in the order of the checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionRule {
    /// Gas within the block's limit.
    BlockGasLimit,
    /// A signature that recovers.
    Sender,
    /// What a state transaction has to be (G2, G3).
    State,
    /// The nonce of the sender.
    Nonce,
    /// A fee cap of at most 256 bits (G3).
    FeeCapWidth,
    /// A tip cap of at most 256 bits (G3).
    TipCapWidth,
    /// A tip cap that is not above the fee cap (G3).
    TipCap,
    /// A fee cap, or gas price, that is not below the base fee (G3).
    FeeCap,
    /// Balance for the gas.
    GasFunds,
    /// Gas left in the block.
    GasPool,
    /// Gas before anything is executed.
    IntrinsicGas,
    /// Balance for the value.
    ValueFunds,
    /// A nonce that can be raised (G3).
    LastNonce,
}

impl TransactionRule {
    /// The rule's name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::BlockGasLimit => "gas within the block's limit (§6.2)",
            Self::Sender => "sender (§2.5)",
            Self::State => "state transaction (§6.4)",
            Self::Nonce => "nonce of the sender (§6.2)",
            Self::FeeCapWidth => "width of the fee cap (§6.3)",
            Self::TipCapWidth => "width of the tip cap (§6.3)",
            Self::TipCap => "tip cap (§6.3)",
            Self::FeeCap => "fee cap (§6.3)",
            Self::GasFunds => "balance for gas (§6.2)",
            Self::GasPool => "gas left in the block (§6.2)",
            Self::IntrinsicGas => "intrinsic gas (§6.2)",
            Self::ValueFunds => "balance for the value (§6.2)",
            Self::LastNonce => "nonce (§6.2)",
        }
    }

    /// What breaking it is called by the Go client, whose words tools compare.
    pub fn client_text(self) -> &'static str {
        match self {
            Self::BlockGasLimit => "exceeds block gas limit",
            Self::Sender => "invalid sender",
            Self::State => "invalid state transaction",
            Self::Nonce => "incorrect nonce",
            Self::FeeCapWidth => "max fee per gas higher than 2^256-1",
            Self::TipCapWidth => "max priority fee per gas higher than 2^256-1",
            Self::TipCap => "max priority fee per gas higher than max fee per gas",
            Self::FeeCap => "max fee per gas less than block base fee",
            Self::GasFunds => "not enough funds to cover gas costs",
            Self::GasPool => "gas limit reached in the pool",
            Self::IntrinsicGas => "not enough gas supplied for intrinsic gas costs",
            Self::ValueFunds => "not enough funds for transfer with given value",
            Self::LastNonce => "nonce uint64 overflow",
        }
    }
}

impl fmt::Display for TransactionRule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// Why a block cannot be executed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExecutionError {
    /// The header asks for something that the genesis file does not give.
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
        rule: TransactionRule,
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
    pub(super) rule: TransactionRule,
    pub(super) expected: String,
    pub(super) found: String,
}

/// Why one transaction is not executed.
#[derive(Debug)]
pub(super) enum Refusal {
    Violation(Violation),
    Nonce { expected: u64, found: u64 },
    Fault(Fault),
}

impl Refusal {
    /// The refusal of a transaction that breaks `rule`.
    pub(super) fn breaks(rule: TransactionRule, expected: impl ToString, found: impl ToString) -> Self {
        Self::Violation(Violation { rule, expected: expected.to_string(), found: found.to_string() })
    }

    /// The same with the place of the transaction.
    pub(super) fn at(self, index: usize, hash: B256) -> ExecutionError {
        match self {
            Self::Violation(Violation { rule, expected, found }) => {
                ExecutionError::Transaction { index, hash, rule, expected, found }
            }
            Self::Nonce { expected, found } => Self::breaks(TransactionRule::Nonce, expected, found).at(index, hash),
            Self::Fault(fault) => ExecutionError::Fault { index, hash, fault },
        }
    }
}
