//! The state of one block while it is executed: a cache of reads, an overlay of writes, an undo log for reverts.
//!
//! It follows the Go client's transaction object, whose life is a block and not a transaction: that is where the
//! "original" value of SSTORE (§6.7.1), the stale code (§6.7.3) and the clean-up of empty accounts (§6.7.12) come from.

use std::sync::Arc;

use alloy_primitives::{Address, B256, Bytes, U256, keccak256, map::HashMap};

use crate::{
    evm::code::{Code, CodeCache},
    evm::table::StorageMetering,
    receipt::Log,
    state::{Account, AccountChange, AccountFields, EMPTY_CODE_HASH, EMPTY_ROOT, StateError, StateReader},
};

/// Position of an account in the journal of one block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccountIndex(u32);

/// Why a block cannot be executed at all, whatever its gas.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The state could not be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// The Go client's integers have no bound; ours end at 2^256.
    #[error("the balance of {0} would exceed 2^256-1")]
    BalanceOverflow(Address),
    /// More memory than any node has; the Go client dies there.
    #[error("a frame asks for more than 4 GiB of memory")]
    Memory,
    /// The Go client v0.6.3 panics on this instruction, so no block can hold it (§6.7.7).
    #[error("RETURNDATACOPY of length 0 to offset {offset} beyond the memory of {length} bytes (§6.7.7)")]
    ReturnDataCopyPanics {
        /// Memory offset.
        offset: u64,
        /// Memory length.
        length: u64,
    },
    /// A contract of the later generations that this interpreter does not have.
    #[error("precompile {0} of the later generations is not executed by this version (§6.8)")]
    UnknownPrecompile(Address),
}

/// Where the overlay stands for an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Presence {
    /// Not written in this block: the trie decides.
    Untouched,
    /// Written or touched.
    Live,
    /// Removed at the end of a transaction of this block.
    Deleted,
}

/// One storage slot.
#[derive(Clone, Copy, Debug)]
struct Slot {
    /// At the start of the block (§6.7.1).
    original: U256,
    current: U256,
}

#[derive(Debug)]
struct Object {
    presence: Presence,
    nonce: u64,
    balance: U256,
    code_hash: B256,
    /// Code set in this block; it wins over the cache of read code.
    fresh_code: Option<Arc<Code>>,
    self_destructed: bool,
    /// Storage starts from the empty trie: nothing is to be read.
    fresh_storage: bool,
    storage: HashMap<U256, Slot>,
}

impl Object {
    fn absent(presence: Presence) -> Self {
        Self {
            presence,
            nonce: 0,
            balance: U256::ZERO,
            code_hash: EMPTY_CODE_HASH,
            fresh_code: None,
            self_destructed: false,
            fresh_storage: true,
            storage: HashMap::default(),
        }
    }

    fn is_empty(&self) -> bool {
        self.nonce == 0 && self.balance.is_zero() && self.code_hash == EMPTY_CODE_HASH
    }
}

#[derive(Debug)]
struct Entry {
    address: Address,
    base: Option<Account>,
    object: Object,
}

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

/// The most recently read codes of a block, by account, whatever has become of the account (§6.7.3).
#[derive(Debug, Default)]
struct RecentCode {
    /// Most recent last.
    entries: Vec<(AccountIndex, Option<Arc<Code>>)>,
}

impl RecentCode {
    const CAPACITY: usize = 20;

    fn get(&mut self, account: AccountIndex) -> Option<Option<Arc<Code>>> {
        let last = self.entries.len().checked_sub(1)?;
        let found = self.entries.iter().rposition(|(index, _)| *index == account)?;
        if found != last {
            self.entries[found..].rotate_left(1);
        }
        Some(self.entries[last].1.clone())
    }

    fn add(&mut self, account: AccountIndex, code: Option<Arc<Code>>) {
        if self.entries.len() == Self::CAPACITY {
            self.entries.remove(0);
        }
        self.entries.push((account, code));
    }
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

    // --- reading

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

    // --- writing

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
    pub fn add_balance(&mut self, account: AccountIndex, amount: &U256) {
        if amount.is_zero() {
            return self.touch(account);
        }
        match self.balance(account).checked_add(*amount) {
            Some(balance) => self.set_balance(account, balance),
            None => self.set_fault(Fault::BalanceOverflow(self.entries[account.0 as usize].address)),
        }
    }

    /// Takes from a balance, or says that it is too small; taking zero does not touch the account.
    #[must_use]
    pub fn subtract_balance(&mut self, account: AccountIndex, amount: &U256) -> bool {
        if amount.is_zero() {
            return true;
        }
        match self.balance(account).checked_sub(*amount) {
            Some(balance) => {
                self.set_balance(account, balance);
                true
            }
            None => false,
        }
    }

    /// Moves an amount, or says that there is not enough. Touches the receiver.
    #[must_use]
    pub fn transfer(&mut self, from: AccountIndex, to: AccountIndex, amount: &U256) -> bool {
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
            self.add_balance(beneficiary, &balance);
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

    // --- undoing and ending

    /// A point to go back to.
    #[inline]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot { undo: self.undo.len(), logs: self.logs.len(), refund: self.refund }
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

    /// Ends the block: what it changed, in order of first use. `delete_empty` is the EIP155 flag (§6.2).
    pub fn into_changes(mut self, delete_empty: bool) -> Vec<AccountChange> {
        for entry in &mut self.entries {
            let object = &mut entry.object;
            if object.presence == Presence::Live && (object.self_destructed || delete_empty && object.is_empty()) {
                *object = Object::absent(Presence::Deleted);
            }
        }
        self.entries.into_iter().filter_map(change).collect()
    }
}

fn change(entry: Entry) -> Option<AccountChange> {
    let Entry { address, base, object } = entry;
    let removed = AccountChange { address, account: None, storage_cleared: true, storage: Vec::new(), code: None };
    match object.presence {
        Presence::Untouched => return None,
        Presence::Deleted => return base.map(|_| removed),
        Presence::Live => {}
    }
    let mut storage: Vec<(U256, U256)> = object
        .storage
        .iter()
        .filter(|(_, slot)| slot.current != slot.original)
        .map(|(key, slot)| (*key, slot.current))
        .collect();
    storage.sort_unstable();
    // Also code of no bytes, and also where nothing else changed: the Go client stores an empty value for it, without
    // which its eth_getCode fails for every plain account.
    let code = object.fresh_code;
    let unchanged = base.is_some_and(|base| {
        base.nonce == object.nonce
            && base.balance == object.balance
            && base.code_hash == object.code_hash
            && (!object.fresh_storage || base.storage_root == EMPTY_ROOT)
    });
    if unchanged && storage.is_empty() && code.is_none() {
        return None;
    }
    Some(AccountChange {
        address,
        account: Some(AccountFields { nonce: object.nonce, balance: object.balance, code_hash: object.code_hash }),
        storage_cleared: object.fresh_storage && base.is_none_or(|base| base.storage_root != EMPTY_ROOT),
        storage,
        code: code.map(|code| Bytes::copy_from_slice(code.bytes())),
    })
}
