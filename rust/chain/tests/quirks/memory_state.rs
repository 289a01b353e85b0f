//! A state in memory; its roots are built anew for every block.

use std::collections::{BTreeMap, HashMap};

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use polygon_edge_chain::state::{Account, AccountChange, AccountFields, StateError, StateReader};

use crate::slow_trie;

#[derive(Default)]
pub struct MemoryState {
    pub accounts: HashMap<Address, Account>,
    storage: HashMap<Address, BTreeMap<U256, U256>>,
    codes: HashMap<B256, Bytes>,
    pub hashes: HashMap<u64, B256>,
}

impl MemoryState {
    pub fn apply(&mut self, changes: &[AccountChange]) {
        for change in changes {
            let storage = self.storage.entry(change.address).or_default();
            if change.storage_cleared || change.account.is_none() {
                storage.clear();
            }
            storage.extend(change.storage.iter().copied());
            storage.retain(|_, value| !value.is_zero());
            if let Some(code) = &change.code {
                self.codes.insert(keccak256(code), code.clone());
            }
            let Some(AccountFields { nonce, balance, code_hash }) = change.account else {
                self.accounts.remove(&change.address);
                continue;
            };
            let storage_root = slow_trie::storage_root(storage);
            self.accounts.insert(change.address, Account { nonce, balance, storage_root, code_hash });
        }
    }

    pub fn root(&self) -> B256 {
        slow_trie::state_root(&self.accounts)
    }
}

impl StateReader for MemoryState {
    fn account(&mut self, address: &Address) -> Result<Option<Account>, StateError> {
        Ok(self.accounts.get(address).copied())
    }

    fn storage(&mut self, address: &Address, slot: &U256) -> Result<U256, StateError> {
        let value = self.storage.get(address).and_then(|storage| storage.get(slot));
        Ok(value.copied().unwrap_or_default())
    }

    fn code(&mut self, address: &Address, code_hash: &B256) -> Result<Bytes, StateError> {
        let missing = StateError::MissingCode { hash: *code_hash, address: *address };
        self.codes.get(code_hash).cloned().ok_or(missing)
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, StateError> {
        Ok(self.hashes[&number])
    }
}
