//! The account trie and the storage tries of one root, as far as they are in memory.

use alloy_primitives::{Address, B256, U256, keccak256};
use rustc_hash::FxHashMap;

use super::{decode_account, decode_slot};
use crate::state::{Account, EMPTY_ROOT, NodeSource, StateError};
use crate::trie::Trie;

/// Hashed keys kept per kind; a table is emptied when it is full, which costs one hash per key then used again.
const KEY_CACHE: usize = 1 << 16;

/// What an open storage trie costs besides its nodes.
const STORAGE_TRIE_BYTES: usize = size_of::<(Address, StorageTrie)>() * 2;

/// Ages, in blocks, to which unused nodes are cut back, one after the other, until the rest is small enough.
const AGES: [u32; 7] = [1024, 256, 64, 16, 4, 1, 0];

struct StorageTrie {
    trie: Trie,
    /// The block in which it was last used.
    used: u32,
    /// What it contributes to `Tries::storage_bytes`.
    counted: usize,
}

pub(super) struct Tries {
    pub(super) accounts: Trie,
    storage: FxHashMap<Address, StorageTrie>,
    /// Whose storage was used in this block.
    used_storage: Vec<Address>,
    account_keys: FxHashMap<Address, B256>,
    slot_keys: FxHashMap<U256, B256>,
    /// Counts blocks, as the age of nodes; starts high enough to be cut back from.
    epoch: u32,
    /// Bytes of the storage tries, as of the end of the last block.
    storage_bytes: usize,
}

impl Tries {
    /// The tries of `root`. Errors: the root node is not there or is bad.
    pub(super) fn open(root: B256, source: &dyn NodeSource) -> Result<Self, StateError> {
        let mut tries = Self::closed(root);
        // A look at any key reads the root node.
        tries.accounts.get(&B256::ZERO, source)?;
        Ok(tries)
    }

    /// The tries of a root that is known to be there.
    pub(super) fn closed(root: B256) -> Self {
        let epoch = AGES[0];
        let mut accounts = Trie::open(root);
        accounts.set_epoch(epoch);
        Self {
            accounts,
            storage: FxHashMap::default(),
            used_storage: Vec::new(),
            account_keys: FxHashMap::default(),
            slot_keys: FxHashMap::default(),
            epoch,
            storage_bytes: 0,
        }
    }

    pub(super) fn account_key(&mut self, address: &Address) -> B256 {
        if self.account_keys.len() >= KEY_CACHE {
            self.account_keys.clear();
        }
        *self.account_keys.entry(*address).or_insert_with(|| keccak256(address))
    }

    pub(super) fn slot_key(&mut self, slot: &U256) -> B256 {
        if self.slot_keys.len() >= KEY_CACHE {
            self.slot_keys.clear();
        }
        *self.slot_keys.entry(*slot).or_insert_with(|| keccak256(slot.to_be_bytes::<32>()))
    }

    pub(super) fn account(
        &mut self,
        address: &Address,
        source: &dyn NodeSource,
    ) -> Result<Option<Account>, StateError> {
        let key = self.account_key(address);
        self.account_by_key(&key, source)
    }

    pub(super) fn account_by_key(
        &mut self,
        key: &B256,
        source: &dyn NodeSource,
    ) -> Result<Option<Account>, StateError> {
        match self.accounts.get(key, source)?.map(decode_account).transpose() {
            Ok(account) => Ok(account),
            Err(reason) => Err(StateError::BadNode { hash: self.accounts.nearest_hash(key), reason }),
        }
    }

    pub(super) fn storage(
        &mut self,
        address: &Address,
        slot: &U256,
        source: &dyn NodeSource,
    ) -> Result<U256, StateError> {
        let key = self.slot_key(slot);
        let state_root = self.accounts.root();
        let trie = self.storage_trie(address, source)?;
        match trie.get(&key, source).map_err(|error| under(error, state_root))?.map(decode_slot).transpose() {
            Ok(value) => Ok(value.unwrap_or_default()),
            Err(reason) => Err(StateError::BadNode { hash: trie.nearest_hash(&key), reason }),
        }
    }

    /// The storage trie of `address`, opened at the root that its account names; empty when there is no account.
    pub(super) fn storage_trie(&mut self, address: &Address, source: &dyn NodeSource) -> Result<&mut Trie, StateError> {
        if !self.storage.contains_key(address) {
            let root = self.account(address, source)?.map_or(EMPTY_ROOT, |account| account.storage_root);
            self.insert_storage(address, Trie::open(root));
        }
        let entry = self.storage.entry(*address).or_insert_with(|| StorageTrie::new(Trie::empty()));
        if entry.used != self.epoch {
            entry.used = self.epoch;
            entry.trie.set_epoch(self.epoch);
            self.used_storage.push(*address);
        }
        Ok(&mut entry.trie)
    }

    /// Lets the storage of `address` start from the empty trie.
    pub(super) fn clear_storage(&mut self, address: &Address) {
        self.insert_storage(address, Trie::empty());
    }

    pub(super) fn forget_storage(&mut self, address: &Address) {
        if let Some(entry) = self.storage.remove(address) {
            self.storage_bytes -= entry.counted;
        }
    }

    fn insert_storage(&mut self, address: &Address, trie: Trie) {
        self.forget_storage(address);
        self.storage.insert(*address, StorageTrie::new(trie));
    }

    /// Bytes in memory; what storage grew in the block that is not ended yet is not counted.
    pub(super) fn memory(&self) -> usize {
        let keys = self.account_keys.capacity() * size_of::<(Address, B256)>()
            + self.slot_keys.capacity() * size_of::<(U256, B256)>();
        self.accounts.memory() + self.storage_bytes + keys
    }

    /// Ends a block, with all changes committed: nodes grow older by one, and the oldest go when there are too many.
    pub(super) fn end_block(&mut self, budget: usize) {
        for address in self.used_storage.drain(..) {
            if let Some(entry) = self.storage.get_mut(&address) {
                let bytes = STORAGE_TRIE_BYTES + entry.trie.memory();
                self.storage_bytes = self.storage_bytes + bytes - entry.counted;
                entry.counted = bytes;
            }
        }
        if self.memory() > budget {
            // Some room below the budget, so that the next walk over all nodes is many blocks away.
            self.unload(budget - budget / 4);
        }
        self.epoch = self.epoch.saturating_add(1);
        self.accounts.set_epoch(self.epoch);
    }

    fn unload(&mut self, target: usize) {
        for age in AGES {
            let oldest = self.epoch.saturating_add(1).saturating_sub(age);
            self.accounts.unload(oldest);
            let mut storage_bytes = 0;
            self.storage.retain(|_, entry| {
                let is_kept = entry.used >= oldest;
                if is_kept {
                    entry.trie.unload(oldest);
                    entry.counted = STORAGE_TRIE_BYTES + entry.trie.memory();
                    storage_bytes += entry.counted;
                }
                is_kept
            });
            self.storage_bytes = storage_bytes;
            if self.memory() <= target {
                return;
            }
        }
    }
}

/// A storage trie knows only its own root; who reads the error knows states.
pub(super) fn under(error: StateError, state_root: B256) -> StateError {
    match error {
        StateError::MissingNode { hash, .. } => StateError::MissingNode { hash, root: state_root },
        other => other,
    }
}

impl StorageTrie {
    fn new(trie: Trie) -> Self {
        // Used in no block yet: epochs start above zero.
        Self { trie, used: 0, counted: 0 }
    }
}
