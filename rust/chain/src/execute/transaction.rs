//! One transaction of a block: the steps of §6.2.

use alloy_primitives::{Address, U256};

use super::{
    BlockContext,
    error::{Refusal, TransactionRule, Violation},
};
use crate::{
    evm::{
        Machine, Message, Outcome, Status, create_address,
        table::Table,
        trace::Tracer,
        world::{TransactionContext, World},
    },
    forks::{ForkFlags, Generation},
    journal::{AccountIndex, Fault, Journal},
    receipt::Receipt,
    transaction::{Transaction, Type},
};

/// A message and what it pays for gas.
pub(super) struct Envelope<'m> {
    pub(super) gas: u64,
    pub(super) gas_price: U256,
    pub(super) message: Message<'m>,
}

/// A block between two transactions.
pub(super) struct BlockRun<'m, 'a, 'b, T> {
    pub(super) world: World<'a, 'b, T>,
    pub(super) machine: &'m mut Machine,
    pub(super) coinbase: AccountIndex,
    pub(super) gas_pool: u64,
    pub(super) gas_used: u64,
}

impl<'m, 'a, 'b, T: Tracer> BlockRun<'m, 'a, 'b, T> {
    /// `block` before its first transaction.
    pub(super) fn new(
        machine: &'m mut Machine,
        table: &'a Table,
        chain_id: u64,
        block: &'a BlockContext,
        journal: &'a mut Journal<'b>,
        tracer: &'a mut T,
    ) -> Self {
        let coinbase = journal.index(&block.coinbase);
        let transaction = TransactionContext { origin: Address::ZERO, gas_price: U256::ZERO };
        Self {
            world: World { journal, table, chain_id, block, transaction, tracer },
            machine,
            coinbase,
            gas_pool: block.gas_limit,
            gas_used: 0,
        }
    }

    /// Steps 1, 2, 3 and 11 of §6.2; the rest is [`Self::apply`].
    pub(super) fn transaction(
        &mut self,
        transaction: &Transaction,
        sender: Option<Address>,
    ) -> Result<Receipt, Refusal> {
        let violation = |rule, expected: String, found: String| Refusal::Violation(Violation { rule, expected, found });
        if transaction.kind != Type::Legacy {
            return Err(violation(TransactionRule::Type, "legacy".into(), format!("{:?}", transaction.kind)));
        }
        let too_large = transaction.gas > self.world.block.gas_limit;
        if too_large && self.world.table.generation == Generation::G3 {
            // The client leaves it out and then misses its receipt.
            let expected = format!("at most {}", self.world.block.gas_limit);
            return Err(violation(TransactionRule::BlockGasLimit, expected, transaction.gas.to_string()));
        }
        // The client recovers the sender of a transaction that is too large as well, for its receipt.
        let sender = sender.ok_or_else(|| {
            violation(TransactionRule::Sender, "a signature that recovers".into(), "one that does not".into())
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
            return Err(Refusal::Nonce { expected: nonce, found: transaction.nonce });
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
    pub(super) fn apply(&mut self, sender: AccountIndex, envelope: Envelope<'_>) -> Result<(Outcome, u64), Refusal> {
        self.check_reads()?;
        let Envelope { gas, gas_price, message } = envelope;
        let generation = self.world.table.generation;
        let journal = &mut *self.world.journal;
        let balance = journal.balance(sender);
        let paid = gas_price.checked_mul(U256::from(gas)).is_some_and(|cost| journal.subtract_balance(sender, &cost));
        if !paid {
            let expected = format!("{gas} * {gas_price} wei");
            return Err(Refusal::Violation(Violation::new(TransactionRule::GasFunds, expected, balance)));
        }
        self.gas_pool = self.gas_pool.checked_sub(gas).ok_or_else(|| {
            let expected = format!("at most {}", self.gas_pool);
            Refusal::Violation(Violation::new(TransactionRule::GasPool, expected, gas))
        })?;
        let intrinsic = intrinsic_gas(message.to.is_none(), message.input, &self.world.table.flags);
        let execution_gas = gas.checked_sub(intrinsic).ok_or_else(|| {
            let expected = format!("at least {intrinsic}");
            Refusal::Violation(Violation::new(TransactionRule::IntrinsicGas, expected, gas))
        })?;
        // §6.2 step 8: generations from v0.7.1 on let the transfer itself fail.
        let balance = journal.balance(sender);
        if generation == Generation::G1 && balance < message.value {
            let expected = format!("at least {}", message.value);
            return Err(Refusal::Violation(Violation::new(TransactionRule::ValueFunds, expected, balance)));
        }
        if generation == Generation::G3 && message.nonce == u64::MAX {
            return Err(Refusal::Violation(Violation::new(TransactionRule::LastNonce, "below 2^64-1", message.nonce)));
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
