//! One transaction of a block: the steps of §6.2.

use std::fmt;

use alloy_primitives::{Address, U256};

use super::{
    BlockContext,
    error::{Refusal, TransactionRule},
    fees::GasPrices,
};
use crate::{
    evm::{
        Machine, Message, Outcome, SYSTEM_CALLER, Status, create_address,
        table::Table,
        trace::Tracer,
        word::Word,
        world::{TransactionContext, World},
    },
    forks::{ForkFlags, Generation, Rules},
    journal::{AccountIndex, Amount, Fault, Journal},
    receipt::Receipt,
    transaction::{Transaction, Type},
};

/// A message and what it pays for gas.
pub(super) struct Envelope<'m> {
    pub(super) gas: u64,
    pub(super) prices: GasPrices,
    /// Whether the gas is paid before execution; a state transaction and a call of G3 pay nothing.
    pub(super) pays: bool,
    pub(super) message: Message<'m>,
}

/// The gas that a state transaction has.
const STATE_TRANSACTION_GAS: u64 = 1_000_000;

/// A block between two transactions.
pub(super) struct BlockRun<'m, 'a, 'b, T, W> {
    pub(super) world: World<'a, 'b, T>,
    pub(super) machine: &'m mut Machine<W>,
    pub(super) coinbase: AccountIndex,
    /// Receiver of the base fee, under london.
    pub(super) burn_contract: Option<AccountIndex>,
    pub(super) gas_pool: u64,
    pub(super) gas_used: u64,
}

impl<'m, 'a, 'b, T: Tracer, W: Word> BlockRun<'m, 'a, 'b, T, W> {
    /// `block` before its first transaction.
    pub(super) fn new(
        machine: &'m mut Machine<W>,
        table: &'a Table,
        rules: &Rules,
        block: &'a BlockContext,
        journal: &'a mut Journal<'b>,
        tracer: &'a mut T,
    ) -> Self {
        let coinbase = journal.index(&block.coinbase);
        let burn_contract = if table.flags.london {
            rules.burn_contract(block.number).map(|address| journal.index(&address))
        } else {
            None
        };
        let (chain_id, access_lists) = (rules.chain_id, rules.access_lists);
        let transaction = TransactionContext { origin: Address::ZERO, gas_price: U256::ZERO };
        Self {
            world: World { journal, table, chain_id, access_lists, block, transaction, tracer },
            machine,
            coinbase,
            burn_contract,
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
        let too_large = transaction.gas > self.world.block.gas_limit;
        if too_large && self.world.table.generation == Generation::G3 {
            // The client leaves it out and then misses its receipt.
            let expected = format!("at most {}", self.world.block.gas_limit);
            return Err(Refusal::breaks(TransactionRule::BlockGasLimit, expected, transaction.gas));
        }
        // The client recovers the sender of a transaction that is too large as well, for its receipt.
        let sender = sender.ok_or_else(|| {
            Refusal::breaks(TransactionRule::Sender, "a signature that recovers", "one that does not")
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
        let is_state = transaction.kind == Type::State;
        if is_state {
            check_state_transaction(transaction, &sender)?;
        } else if nonce != transaction.nonce {
            return Err(Refusal::Nonce { expected: nonce, found: transaction.nonce });
        }
        let envelope = Envelope {
            gas: transaction.gas,
            prices: GasPrices::of(transaction, self.world.block, &self.world.table.flags)?,
            pays: !is_state,
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
        let Envelope { gas, prices, pays, message } = envelope;
        let generation = self.world.table.generation;
        let journal = &mut *self.world.journal;
        if pays {
            let balance = journal.balance(sender);
            let cost = prices.upfront.and_then(|price| price.checked_mul(U256::from(gas)));
            if !cost.is_some_and(|cost| journal.subtract_balance(sender, &cost.into())) {
                let price = prices.upfront.map_or_else(|| "more than 2^256".to_owned(), |price| price.to_string());
                let expected = format!("{gas} * {price} wei");
                return Err(Refusal::breaks(TransactionRule::GasFunds, expected, balance));
            }
        }
        self.gas_pool = self.gas_pool.checked_sub(gas).ok_or_else(|| {
            let expected = format!("at most {}", self.gas_pool);
            Refusal::breaks(TransactionRule::GasPool, expected, gas)
        })?;
        let intrinsic = intrinsic_gas(message.to.is_none(), message.input, &self.world.table.flags);
        let execution_gas = gas.checked_sub(intrinsic).ok_or_else(|| {
            let expected = format!("at least {intrinsic}");
            Refusal::breaks(TransactionRule::IntrinsicGas, expected, gas)
        })?;
        // §6.2 step 8: generations from v0.7.1 on let the transfer itself fail.
        let balance = journal.balance(sender);
        if generation == Generation::G1 && balance < message.value {
            let expected = format!("at least {}", message.value);
            return Err(Refusal::breaks(TransactionRule::ValueFunds, expected, balance));
        }
        // A creation is included as failed instead: there the same refusal ends the frame.
        if generation == Generation::G3 && message.nonce == u64::MAX && message.to.is_some() {
            return Err(Refusal::breaks(TransactionRule::LastNonce, "below 2^64-1", message.nonce));
        }
        self.world.transaction = TransactionContext { origin: message.caller, gas_price: prices.effective };
        let message = Message { gas: execution_gas, ..message };
        let outcome = self.machine.execute(&mut self.world, &message).map_err(Refusal::Fault)?;

        let journal = &mut *self.world.journal;
        // §6.7.2, §6.7.15: both the refund and the gas left may have wrapped.
        let used = gas.wrapping_sub(outcome.gas_left);
        let refund = journal.refund().min(used / 2);
        let (left, used) = (outcome.gas_left.wrapping_add(refund), used - refund);
        pay(journal, sender, prices.effective.into(), left)?;
        pay(journal, self.coinbase, prices.tip, used)?;
        if let (Some(burn_contract), Some(price)) = (self.burn_contract, prices.burnt) {
            pay(journal, burn_contract, price.into(), used)?;
        }
        self.check_reads()?;
        self.gas_pool = self.gas_pool.wrapping_add(left);
        Ok((outcome, used))
    }
}

/// Credits `units` of gas at a price; a price of zero touches the account.
#[inline]
fn pay(journal: &mut Journal<'_>, account: AccountIndex, price: Amount, units: u64) -> Result<(), Refusal> {
    let amount = price.magnitude.checked_mul(U256::from(units));
    let amount = amount.ok_or_else(|| Refusal::Fault(Fault::BalanceOverflow(*journal.address(account))))?;
    journal.add_balance(account, &Amount { magnitude: amount, negative: price.negative });
    Ok(())
}

/// What a state transaction has to be (§6.4); its nonce is not looked at.
fn check_state_transaction(transaction: &Transaction, sender: &Address) -> Result<(), Refusal> {
    let refuse = |expected: &dyn fmt::Display, found: &dyn fmt::Display| {
        Err(Refusal::breaks(TransactionRule::State, expected, found))
    };
    if !transaction.gas_price.is_zero() {
        return refuse(&"a gas price of 0", &transaction.gas_price);
    }
    if transaction.gas != STATE_TRANSACTION_GAS {
        return refuse(&format_args!("{STATE_TRANSACTION_GAS} gas"), &transaction.gas);
    }
    if *sender != SYSTEM_CALLER {
        return refuse(&format_args!("sender {SYSTEM_CALLER}"), sender);
    }
    if transaction.to.is_none_or(|to| to.is_zero()) {
        return refuse(&"a receiver", &"none");
    }
    Ok(())
}

/// The gas that a transaction costs before anything is executed (§6.2). Cannot overflow: the input is in memory.
fn intrinsic_gas(creates: bool, input: &[u8], flags: &ForkFlags) -> u64 {
    let base = if creates && flags.homestead { 53_000 } else { 21_000 };
    let zeros = input.iter().filter(|byte| **byte == 0).count() as u64;
    let per_non_zero = if flags.istanbul { 16 } else { 68 };
    base + zeros * 4 + (input.len() as u64 - zeros) * per_non_zero
}
