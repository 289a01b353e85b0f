//! Executes the transactions of a block against the state of its parent (§6.1 to §6.3).
//!
//! Of generation 3, what came with forks and configuration is not here yet: London fees, dynamic-fee and state
//! transactions, access lists. Blocks that need them are refused by name, never executed in another way.

use alloy_primitives::{Address, B256, Bytes, U256};

use crate::{
    evm::{
        Machine, Message, Outcome, Status,
        code::CodeCache,
        create_address,
        table::Table,
        trace::{NoTracer, Tracer},
        world::{TransactionContext, World},
    },
    forks::{ForkFlags, Generation, Rules},
    journal::{AccountIndex, Fault, Journal},
    receipt::Receipt,
    state::{AccountChange, AccountFields, EMPTY_CODE_HASH, StateReader},
    transaction::{Transaction, Type},
};

pub use crate::evm::world::BlockContext;

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
struct Violation {
    rule: &'static str,
    expected: String,
    found: String,
}

impl Violation {
    fn new(rule: &'static str, expected: impl ToString, found: impl ToString) -> Self {
        Self { rule, expected: expected.to_string(), found: found.to_string() }
    }
}

#[derive(Debug)]
enum Refusal {
    Violation(Violation),
    Fault(Fault),
}

impl Refusal {
    fn at(self, index: usize, hash: B256) -> ExecutionError {
        match self {
            Self::Violation(Violation { rule, expected, found }) => {
                ExecutionError::Transaction { index, hash, rule, expected, found }
            }
            Self::Fault(fault) => ExecutionError::Fault { index, hash, fault },
        }
    }
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
        let table = Table::new(rules.generation, rules.forks.at(0));
        Self { rules: rules.clone(), machine: Machine::default(), codes: CodeCache::default(), table }
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
        let coinbase = journal.index(&block.coinbase);
        let mut run = BlockRun {
            world: World {
                journal: &mut journal,
                table: &self.table,
                chain_id: self.rules.chain_id,
                block,
                transaction: TransactionContext { origin: Address::ZERO, gas_price: U256::ZERO },
                tracer,
            },
            machine: &mut self.machine,
            coinbase,
            gas_pool: block.gas_limit,
            gas_used: 0,
        };
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
        let coinbase = journal.index(&block.coinbase);
        let sender = journal.index(&message.from);
        let nonce = journal.nonce(sender);
        let mut run = BlockRun {
            world: World {
                journal: &mut journal,
                table: &self.table,
                chain_id: self.rules.chain_id,
                block,
                transaction: TransactionContext { origin: Address::ZERO, gas_price: U256::ZERO },
                tracer,
            },
            machine: &mut self.machine,
            coinbase,
            gas_pool: block.gas_limit,
            gas_used: 0,
        };
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

/// A message and what it pays for gas.
struct Envelope<'m> {
    gas: u64,
    gas_price: U256,
    message: Message<'m>,
}

/// A block between two transactions.
struct BlockRun<'m, 'a, 'b, T> {
    world: World<'a, 'b, T>,
    machine: &'m mut Machine,
    coinbase: AccountIndex,
    gas_pool: u64,
    gas_used: u64,
}

impl<T: Tracer> BlockRun<'_, '_, '_, T> {
    /// Steps 1, 2, 3 and 11 of §6.2; the rest is [`Self::apply`].
    fn transaction(&mut self, transaction: &Transaction, sender: Option<Address>) -> Result<Receipt, Refusal> {
        let violation = |rule, expected: String, found: String| Refusal::Violation(Violation { rule, expected, found });
        if transaction.kind != Type::Legacy {
            return Err(violation("transaction type (§6.3, §6.4)", "legacy".into(), format!("{:?}", transaction.kind)));
        }
        let too_large = transaction.gas > self.world.block.gas_limit;
        if too_large && self.world.table.generation == Generation::G3 {
            // The client leaves it out and then misses its receipt.
            let expected = format!("at most {}", self.world.block.gas_limit);
            return Err(violation("gas within the block's limit (§6.2)", expected, transaction.gas.to_string()));
        }
        // The client recovers the sender of a transaction that is too large as well, for its receipt.
        let sender = sender.ok_or_else(|| {
            violation("sender (§2.5)", "a signature that recovers".into(), "one that does not".into())
        })?;
        let contract_address = transaction.to.is_none().then(|| create_address(&sender, transaction.nonce));
        let mut receipt = Receipt {
            success: false,
            cumulative_gas_used: self.gas_used,
            logs: Vec::new(),
            contract_address,
            gas_used: 0,
            transaction_hash: transaction.hash,
        };
        if too_large {
            return Ok(receipt);
        }
        let account = self.world.journal.index(&sender);
        self.check_reads()?;
        let nonce = self.world.journal.nonce(account);
        if nonce != transaction.nonce {
            let rule = "nonce of the sender (§6.2)";
            return Err(Refusal::Violation(Violation::new(rule, nonce, transaction.nonce)));
        }
        let envelope = Envelope {
            gas: transaction.gas,
            gas_price: transaction.gas_price,
            message: Message {
                caller: sender,
                to: transaction.to,
                value: transaction.value,
                input: &transaction.input,
                gas: transaction.gas,
                nonce,
            },
        };
        let (outcome, gas_used) = self.apply(account, envelope)?;
        self.gas_used = self.gas_used.wrapping_add(gas_used);
        receipt.success = outcome.status == Status::Success;
        receipt.gas_used = gas_used;
        receipt.cumulative_gas_used = self.gas_used;
        receipt.logs = self.world.journal.end_transaction();
        Ok(receipt)
    }

    /// What could not be read shows as zero: no rule may be judged by it.
    fn check_reads(&mut self) -> Result<(), Refusal> {
        self.world.journal.take_fault().map_or(Ok(()), |fault| Err(Refusal::Fault(fault)))
    }

    /// Steps 4 to 10 of §6.2: pays for the gas, executes, pays back. Returns the gas used after refund.
    fn apply(&mut self, sender: AccountIndex, envelope: Envelope<'_>) -> Result<(Outcome, u64), Refusal> {
        self.check_reads()?;
        let Envelope { gas, gas_price, message } = envelope;
        let generation = self.world.table.generation;
        let journal = &mut *self.world.journal;
        let balance = journal.balance(sender);
        let paid = gas_price.checked_mul(U256::from(gas)).is_some_and(|cost| journal.subtract_balance(sender, &cost));
        if !paid {
            let expected = format!("{gas} * {gas_price} wei");
            return Err(Refusal::Violation(Violation::new("balance for gas (§6.2)", expected, balance)));
        }
        self.gas_pool = self.gas_pool.checked_sub(gas).ok_or_else(|| {
            let rule = "gas left in the block (§6.2)";
            Refusal::Violation(Violation::new(rule, format!("at most {}", self.gas_pool), gas))
        })?;
        let intrinsic = intrinsic_gas(message.to.is_none(), message.input, &self.world.table.flags);
        let execution_gas = gas.checked_sub(intrinsic).ok_or_else(|| {
            Refusal::Violation(Violation::new("intrinsic gas (§6.2)", format!("at least {intrinsic}"), gas))
        })?;
        // §6.2 step 8: generations from v0.7.1 on let the transfer itself fail.
        let balance = journal.balance(sender);
        if generation == Generation::G1 && balance < message.value {
            let expected = format!("at least {}", message.value);
            return Err(Refusal::Violation(Violation::new("balance for the value (§6.2)", expected, balance)));
        }
        if generation == Generation::G3 && message.nonce == u64::MAX {
            return Err(Refusal::Violation(Violation::new("nonce (§6.2)", "below 2^64-1", message.nonce)));
        }
        self.world.transaction = TransactionContext { origin: message.caller, gas_price };
        let message = Message { gas: execution_gas, ..message };
        let outcome = self.machine.execute(&mut self.world, &message).map_err(Refusal::Fault)?;

        let journal = &mut *self.world.journal;
        // §6.7.2, §6.7.15: both the refund and the gas left may have wrapped.
        let used = gas.wrapping_sub(outcome.gas_left);
        let refund = journal.refund().min(used / 2);
        let (left, used) = (outcome.gas_left.wrapping_add(refund), used - refund);
        for (account, units) in [(sender, left), (self.coinbase, used)] {
            let amount = gas_price
                .checked_mul(U256::from(units))
                .ok_or(Refusal::Fault(Fault::BalanceOverflow(message.caller)))?;
            journal.add_balance(account, &amount);
        }
        self.check_reads()?;
        self.gas_pool = self.gas_pool.wrapping_add(left);
        Ok((outcome, used))
    }
}

/// The gas that a transaction costs before anything is executed (§6.2). Cannot overflow: the input is in memory.
fn intrinsic_gas(creates: bool, input: &[u8], flags: &ForkFlags) -> u64 {
    let base = if creates && flags.homestead { 53_000 } else { 21_000 };
    let zeros = input.iter().filter(|byte| **byte == 0).count() as u64;
    let per_non_zero = if flags.istanbul { 16 } else { 68 };
    base + zeros * 4 + (input.len() as u64 - zeros) * per_non_zero
}

/// One account of `genesis.alloc` (§5.3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GenesisAccount {
    /// None when the key is absent.
    pub balance: Option<U256>,
    /// Zero when absent.
    pub nonce: u64,
    /// Empty when absent.
    pub code: Bytes,
    /// Slots and values.
    pub storage: Vec<(U256, U256)>,
}

/// A contract that a block puts into the state without a transaction: the staking contract (§5.6, §6.11).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployment {
    /// Where.
    pub address: Address,
    /// What. If something exists at the address, only its code is replaced.
    pub account: GenesisAccount,
}

/// The state of the genesis block (§5.5): accounts stay even when they are empty, slots of value zero do not exist.
pub fn genesis_changes(alloc: &[(Address, GenesisAccount)]) -> Vec<AccountChange> {
    alloc.iter().filter_map(|(address, account)| genesis_change(*address, account)).collect()
}

fn genesis_change(address: Address, account: &GenesisAccount) -> Option<AccountChange> {
    let GenesisAccount { balance, nonce, code, storage } = account;
    if balance.is_none() && *nonce == 0 && code.is_empty() && storage.is_empty() {
        return None;
    }
    let code_hash = if code.is_empty() { EMPTY_CODE_HASH } else { alloy_primitives::keccak256(code) };
    Some(AccountChange {
        address,
        account: Some(AccountFields { nonce: *nonce, balance: balance.unwrap_or_default(), code_hash }),
        storage_cleared: true,
        storage: storage.iter().filter(|(_, value)| !value.is_zero()).copied().collect(),
        code: (!code.is_empty()).then(|| code.clone()),
    })
}
