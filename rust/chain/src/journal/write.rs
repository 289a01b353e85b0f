//! Changes of state, each with its entry in the undo log.

use std::sync::Arc;

use alloy_primitives::{U256, keccak256};

use super::{
    AccountIndex, Amount, Fault, Journal, StorageStatus, Undo,
    account::{Object, Presence, Slot},
};
use crate::{
    evm::{code::Code, table::StorageMetering},
    receipt::Log,
};

impl Journal<'_> {
    /// Puts the account into the overlay, and so before the clean-up of empty accounts.
    #[inline]
    pub fn touch(&mut self, account: AccountIndex) {
        let presence = self.object(account).presence;
        if presence != Presence::Live {
            self.undo.push(Undo::Presence(account, presence));
            self.object_mut(account).presence = Presence::Live;
        }
    }

    fn set_balance(&mut self, account: AccountIndex, balance: U256) {
        self.touch(account);
        let before = std::mem::replace(&mut self.object_mut(account).balance, balance);
        self.undo.push(Undo::Balance(account, before));
    }

    /// Adds to a balance; adding zero touches the account.
    pub fn add_balance(&mut self, account: AccountIndex, amount: &Amount) {
        if amount.is_zero() {
            return self.touch(account);
        }
        match amount.added_to(self.balance(account)) {
            Some(balance) => self.set_balance(account, balance),
            None => self.set_fault(Fault::BalanceOverflow(self.entries[account.0 as usize].address)),
        }
    }

    /// Takes from a balance, or says that it is too small; taking zero does not touch the account.
    #[must_use]
    pub fn subtract_balance(&mut self, account: AccountIndex, amount: &Amount) -> bool {
        if amount.is_zero() {
            return true;
        }
        let before = self.balance(account);
        if !amount.is_covered_by(&before) {
            return false;
        }
        match amount.taken_from(before) {
            Some(balance) => self.set_balance(account, balance),
            None => self.set_fault(Fault::BalanceOverflow(self.entries[account.0 as usize].address)),
        }
        true
    }

    /// Moves an amount, or says that there is not enough. Touches the receiver.
    #[must_use]
    pub fn transfer(&mut self, from: AccountIndex, to: AccountIndex, amount: &Amount) -> bool {
        let enough = self.subtract_balance(from, amount);
        if enough {
            self.add_balance(to, amount);
        }
        enough
    }

    /// Sets the nonce.
    pub fn set_nonce(&mut self, account: AccountIndex, nonce: u64) {
        self.touch(account);
        let before = std::mem::replace(&mut self.object_mut(account).nonce, nonce);
        self.undo.push(Undo::Nonce(account, before));
    }

    /// Sets the code.
    pub fn set_code(&mut self, account: AccountIndex, bytes: &[u8]) {
        self.touch(account);
        let object = &mut self.entries[account.0 as usize].object;
        let hash = std::mem::replace(&mut object.code_hash, keccak256(bytes));
        let code = object.fresh_code.replace(Arc::new(Code::new(bytes)));
        self.undo.push(Undo::Code(account, hash, code));
    }

    /// Replaces whatever is there by a new account which keeps the balance only.
    pub fn create_account(&mut self, account: AccountIndex) {
        let mut object = Object::absent(Presence::Live);
        object.balance = self.balance(account);
        let before = std::mem::replace(self.object_mut(account), object);
        self.undo.push(Undo::Object(account, Box::new(before)));
    }

    /// Puts a contract into the state outside of any transaction; where something exists, only its code is replaced
    /// (§6.11).
    pub fn deploy(&mut self, account: AccountIndex, code: &[u8], storage: &[(U256, U256)], balance: U256, nonce: u64) {
        let existed = self.exists(account);
        self.set_code(account, code);
        if existed {
            return;
        }
        for (key, value) in storage {
            self.set_storage(account, key, value, StorageMetering::Simple);
        }
        self.set_balance(account, balance);
        self.set_nonce(account, nonce);
    }

    /// SSTORE: writes a slot, adjusts the refund counter, and tells the kind of change.
    ///
    /// §6.7.1: "original" is the value at the start of the block. §6.7.2: the refund counter wraps.
    pub fn set_storage(
        &mut self,
        account: AccountIndex,
        key: &U256,
        value: &U256,
        metering: StorageMetering,
    ) -> StorageStatus {
        let slot = self.slot(account, key);
        let Slot { original, current } = *slot;
        if current == *value {
            return StorageStatus::Unchanged;
        }
        slot.current = *value;
        self.touch(account);
        self.undo.push(Undo::Storage(account, *key, current));
        let (zero_before, zero_after) = (current.is_zero(), value.is_zero());
        if metering == StorageMetering::Simple || original == current {
            return match (zero_before, zero_after) {
                (true, _) => StorageStatus::Added,
                (_, true) => {
                    self.add_refund(15_000);
                    StorageStatus::Deleted
                }
                _ => StorageStatus::Modified,
            };
        }
        if !original.is_zero() {
            if zero_before {
                self.refund = self.refund.wrapping_sub(15_000);
            } else if zero_after {
                self.add_refund(15_000);
            }
        }
        if original == *value {
            let istanbul = metering == StorageMetering::Net2200;
            self.add_refund(match (original.is_zero(), istanbul) {
                (true, true) => 19_200,
                (true, false) => 19_800,
                (false, true) => 4_200,
                (false, false) => 4_800,
            });
        }
        StorageStatus::ModifiedAgain
    }

    /// Writes a slot outside of SSTORE: without price and refund.
    pub fn write_slot(&mut self, account: AccountIndex, key: &U256, value: &U256) {
        self.touch(account);
        let slot = self.slot(account, key);
        let before = std::mem::replace(&mut slot.current, *value);
        self.undo.push(Undo::Storage(account, *key, before));
    }

    /// SELFDESTRUCT: 24000 of refund once per account, the balance to the beneficiary, gone at the end of the
    /// transaction. A beneficiary that is the account itself burns the balance.
    pub fn self_destruct(&mut self, account: AccountIndex, beneficiary: AccountIndex) {
        let balance = self.balance(account);
        if !self.object(account).self_destructed {
            self.add_refund(24_000);
        }
        if account == beneficiary {
            self.touch(account);
        } else {
            self.add_balance(beneficiary, &balance.into());
        }
        self.set_balance(account, U256::ZERO);
        if !self.object(account).self_destructed {
            self.object_mut(account).self_destructed = true;
            self.undo.push(Undo::SelfDestructed(account));
        }
    }

    /// Appends a log.
    pub fn log(&mut self, log: Log) {
        self.logs.push(log);
    }

    fn add_refund(&mut self, gas: u64) {
        self.refund = self.refund.wrapping_add(gas);
    }

    /// The refund counter, modulo 2^64.
    pub fn refund(&self) -> u64 {
        self.refund
    }
}
