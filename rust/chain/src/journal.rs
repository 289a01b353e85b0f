//! The state of one block while it is executed: a cache of reads, an overlay of writes, an undo log for reverts.
//!
//! It follows the Go client's transaction object, whose life is a block and not a transaction: that is where the
//! "original" value of SSTORE (§6.7.1), the stale code (§6.7.3) and the clean-up of empty accounts (§6.7.12) come from.

use std::sync::Arc;

use alloy_primitives::{Address, B256, U256, map::HashMap};

use crate::{
    evm::code::{Code, CodeCache},
    receipt::Log,
    state::{AccountChange, EMPTY_CODE_HASH, EMPTY_ROOT, StateReader},
};

mod account;
mod amount;
mod fault;
mod recent_code;
mod write;

pub use amount::Amount;
pub use fault::Fault;

use account::{Entry, Object, Presence, Slot};
use recent_code::RecentCode;

/// Position of an account in the journal of one block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccountIndex(u32);

#[derive(Debug)]
enum Undo {
    Presence(AccountIndex, Presence),
    Nonce(AccountIndex, u64),
    Balance(AccountIndex, U256),
    Storage(AccountIndex, U256, U256),
    Code(AccountIndex, B256, Option<Arc<Code>>),
    SelfDestructed(AccountIndex),
    Object(AccountIndex, Box<Object>),
}

/// A point that execution can go back to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Snapshot {
    undo: usize,
    logs: usize,
    refund: u64,
}

/// A point between two transactions.
#[derive(Debug)]
pub struct Checkpoint {
    snapshot: Snapshot,
    recent_code: RecentCode,
}

/// What SSTORE did, for its price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StorageStatus {
    /// The slot had this value.
    Unchanged,
    /// First change of a non-zero slot.
    Modified,
    /// Changed before in this block.
    ModifiedAgain,
    /// From zero.
    Added,
    /// To zero.
    Deleted,
}

/// The state of a block under execution.
pub struct Journal<'a> {
    reader: &'a mut dyn StateReader,
    codes: &'a mut CodeCache,
    indices: HashMap<Address, AccountIndex>,
    entries: Vec<Entry>,
    undo: Vec<Undo>,
    logs: Vec<Log>,
    refund: u64,
    recent_code: RecentCode,
    fault: Option<Fault>,
}

impl<'a> Journal<'a> {
    /// An empty overlay on the state that `reader` shows.
    pub fn new(reader: &'a mut dyn StateReader, codes: &'a mut CodeCache) -> Self {
        Self {
            reader,
            codes,
            indices: HashMap::default(),
            entries: Vec::new(),
            undo: Vec::new(),
            logs: Vec::new(),
            refund: 0,
            recent_code: RecentCode::default(),
            fault: None,
        }
    }

    /// The account at `address`, read from the state on its first use. A failed read is a fault.
    pub fn index(&mut self, address: &Address) -> AccountIndex {
        if let Some(index) = self.indices.get(address) {
            return *index;
        }
        self.load(address)
    }

    #[inline(never)]
    fn load(&mut self, address: &Address) -> AccountIndex {
        let base = match self.reader.account(address) {
            Ok(base) => base,
            Err(error) => {
                self.set_fault(error.into());
                None
            }
        };
        let mut object = Object::absent(Presence::Untouched);
        if let Some(account) = &base {
            object.nonce = account.nonce;
            object.balance = account.balance;
            object.code_hash = account.code_hash;
            object.fresh_storage = account.storage_root == EMPTY_ROOT;
        }
        let index = AccountIndex(self.entries.len() as u32);
        self.entries.push(Entry { address: *address, base, object });
        self.indices.insert(*address, index);
        index
    }

    #[inline]
    fn object(&self, account: AccountIndex) -> &Object {
        &self.entries[account.0 as usize].object
    }

    #[inline]
    fn object_mut(&mut self, account: AccountIndex) -> &mut Object {
        &mut self.entries[account.0 as usize].object
    }

    /// The address of an account.
    pub fn address(&self, account: AccountIndex) -> &Address {
        &self.entries[account.0 as usize].address
    }

    /// Remembers the first reason to give the block up.
    pub fn set_fault(&mut self, fault: Fault) {
        self.fault.get_or_insert(fault);
    }

    /// Whether the block has to be given up.
    pub fn has_fault(&self) -> bool {
        self.fault.is_some()
    }

    /// The reason to give the block up, if there is one.
    pub fn take_fault(&mut self) -> Option<Fault> {
        self.fault.take()
    }

    /// In the overlay, or in the trie.
    pub fn exists(&self, account: AccountIndex) -> bool {
        let entry = &self.entries[account.0 as usize];
        match entry.object.presence {
            Presence::Untouched => entry.base.is_some(),
            Presence::Live => true,
            Presence::Deleted => false,
        }
    }

    /// Absent, or without nonce, balance and code.
    pub fn is_empty(&self, account: AccountIndex) -> bool {
        !self.exists(account) || self.object(account).is_empty()
    }

    /// Zero when absent.
    #[inline]
    pub fn balance(&self, account: AccountIndex) -> U256 {
        self.object(account).balance
    }

    /// Zero when absent.
    pub fn nonce(&self, account: AccountIndex) -> u64 {
        self.object(account).nonce
    }

    /// The hash of no code when absent.
    pub fn code_hash(&self, account: AccountIndex) -> B256 {
        self.object(account).code_hash
    }

    /// The code that a call of `account` runs, none when it has none.
    ///
    /// §6.7.3: code not set in this block goes through a cache of 20 accounts which is not told when an account is
    /// destroyed, and which no revert undoes.
    pub fn code(&mut self, account: AccountIndex) -> Option<Arc<Code>> {
        if !self.exists(account) {
            return None;
        }
        if let Some(code) = &self.object(account).fresh_code {
            return if code.bytes().is_empty() { None } else { Some(Arc::clone(code)) };
        }
        if let Some(code) = self.recent_code.get(account) {
            return code;
        }
        let code = self.read_code(account);
        self.recent_code.add(account, code.clone());
        code
    }

    fn read_code(&mut self, account: AccountIndex) -> Option<Arc<Code>> {
        let entry = &self.entries[account.0 as usize];
        let hash = entry.object.code_hash;
        if hash == EMPTY_CODE_HASH {
            return None;
        }
        if let Some(code) = self.codes.get(&hash) {
            return Some(Arc::clone(code));
        }
        match self.reader.code(&entry.address, &hash) {
            Ok(bytes) => {
                let code = Arc::new(Code::new(&bytes));
                self.codes.keep(hash, &code);
                Some(code)
            }
            Err(error) => {
                self.set_fault(error.into());
                None
            }
        }
    }

    /// The hash of an ancestor. A failed read is a fault.
    pub fn block_hash(&mut self, number: u64) -> B256 {
        match self.reader.block_hash(number) {
            Ok(hash) => hash,
            Err(error) => {
                self.set_fault(error.into());
                B256::ZERO
            }
        }
    }

    #[inline]
    fn slot(&mut self, account: AccountIndex, key: &U256) -> &mut Slot {
        let Entry { address, object, .. } = &mut self.entries[account.0 as usize];
        let (reader, fault) = (&mut *self.reader, &mut self.fault);
        let fresh = object.fresh_storage;
        object.storage.entry(*key).or_insert_with(|| {
            let value = if fresh {
                U256::ZERO
            } else {
                reader.storage(address, key).unwrap_or_else(|error| {
                    fault.get_or_insert(error.into());
                    U256::ZERO
                })
            };
            Slot { original: value, current: value }
        })
    }

    /// SLOAD.
    #[inline]
    pub fn storage(&mut self, account: AccountIndex, key: &U256) -> U256 {
        self.slot(account, key).current
    }

    /// A point to go back to.
    #[inline]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot { undo: self.undo.len(), logs: self.logs.len(), refund: self.refund }
    }

    /// A point before a transaction, from which [`Journal::discard`] leaves no trace of it.
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint { snapshot: self.snapshot(), recent_code: self.recent_code.clone() }
    }

    /// Undoes a transaction that was not ended, and forgets its reason to give the block up.
    ///
    /// More than [`Journal::revert`]: also the order of recently read code, which decides what destroyed code still
    /// runs (§6.7.3).
    pub fn discard(&mut self, checkpoint: Checkpoint) {
        self.revert(checkpoint.snapshot);
        self.recent_code = checkpoint.recent_code;
        self.fault = None;
    }

    /// Undoes everything since `snapshot`, touches included (§6.7.11).
    pub fn revert(&mut self, snapshot: Snapshot) {
        self.logs.truncate(snapshot.logs);
        self.refund = snapshot.refund;
        while self.undo.len() > snapshot.undo {
            let Some(undo) = self.undo.pop() else { break };
            match undo {
                Undo::Presence(account, presence) => self.object_mut(account).presence = presence,
                Undo::Nonce(account, nonce) => self.object_mut(account).nonce = nonce,
                Undo::Balance(account, balance) => self.object_mut(account).balance = balance,
                Undo::Storage(account, key, value) => self.slot(account, &key).current = value,
                Undo::Code(account, hash, code) => {
                    let object = self.object_mut(account);
                    object.code_hash = hash;
                    object.fresh_code = code;
                }
                Undo::SelfDestructed(account) => self.object_mut(account).self_destructed = false,
                Undo::Object(account, object) => *self.object_mut(account) = *object,
            }
        }
    }

    /// Ends a transaction: removes what self-destructed and what is empty (§6.2, §6.7.12), clears the refund counter.
    /// Returns the logs.
    ///
    /// Only accounts with an entry in the undo log can have become empty since the last time.
    pub fn end_transaction(&mut self) -> Vec<Log> {
        let mut undo = std::mem::take(&mut self.undo);
        for step in undo.drain(..) {
            let account = match step {
                Undo::Presence(account, _)
                | Undo::Nonce(account, _)
                | Undo::Balance(account, _)
                | Undo::Storage(account, ..)
                | Undo::Code(account, ..)
                | Undo::SelfDestructed(account)
                | Undo::Object(account, _) => account,
            };
            let object = self.object_mut(account);
            if object.presence == Presence::Live && (object.self_destructed || object.is_empty()) {
                *object = Object::absent(Presence::Deleted);
            }
        }
        self.undo = undo;
        self.refund = 0;
        std::mem::take(&mut self.logs)
    }

    /// The slots of `account` that were written since the last transaction ended and not undone, with their values:
    /// also those that have their old value again. In order of the slots.
    pub fn written_slots(&self, account: AccountIndex) -> Vec<(U256, U256)> {
        let object = self.object(account);
        let mut slots: Vec<_> = self
            .undo
            .iter()
            .filter_map(|undo| match undo {
                Undo::Storage(written, key, _) if *written == account => {
                    Some((*key, object.storage.get(key).map_or(U256::ZERO, |slot| slot.current)))
                }
                _ => None,
            })
            .collect();
        slots.sort_unstable();
        slots.dedup();
        slots
    }

    /// Whether the end of the transaction removes the account.
    pub fn will_be_removed(&self, account: AccountIndex) -> bool {
        let object = self.object(account);
        object.self_destructed || object.is_empty()
    }

    /// Ends the block: what it changed, in order of first use. `delete_empty` is the EIP155 flag (§6.2).
    pub fn into_changes(mut self, delete_empty: bool) -> Vec<AccountChange> {
        for entry in &mut self.entries {
            let object = &mut entry.object;
            if object.presence == Presence::Live && (object.self_destructed || delete_empty && object.is_empty()) {
                *object = Object::absent(Presence::Deleted);
            }
        }
        self.entries.into_iter().filter_map(Entry::into_change).collect()
    }
}
