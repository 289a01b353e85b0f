//! One account in the overlay of a block.

use std::sync::Arc;

use alloy_primitives::{Address, B256, Bytes, U256, map::HashMap};

use crate::{
    evm::code::Code,
    state::{Account, AccountChange, AccountFields, EMPTY_CODE_HASH, EMPTY_ROOT},
};

/// Where the overlay stands for an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    /// Not written in this block: the trie decides.
    Untouched,
    /// Written or touched.
    Live,
    /// Removed at the end of a transaction of this block.
    Deleted,
}

/// One storage slot.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    /// At the start of the block (§6.7.1).
    pub(super) original: U256,
    pub(super) current: U256,
}

#[derive(Debug)]
pub(super) struct Object {
    pub(super) presence: Presence,
    pub(super) nonce: u64,
    pub(super) balance: U256,
    pub(super) code_hash: B256,
    /// Code set in this block; it wins over the cache of read code.
    pub(super) fresh_code: Option<Arc<Code>>,
    pub(super) self_destructed: bool,
    /// Storage starts from the empty trie: nothing is to be read.
    pub(super) fresh_storage: bool,
    pub(super) storage: HashMap<U256, Slot>,
}

impl Object {
    pub(super) fn absent(presence: Presence) -> Self {
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

    pub(super) fn is_empty(&self) -> bool {
        self.nonce == 0 && self.balance.is_zero() && self.code_hash == EMPTY_CODE_HASH
    }
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) address: Address,
    pub(super) base: Option<Account>,
    pub(super) object: Object,
}

impl Entry {
    /// What the block did to this account, none if nothing.
    pub(super) fn into_change(self) -> Option<AccountChange> {
        let Entry { address, base, object } = self;
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
        // Also code of no bytes, and also where nothing else changed: the Go client stores an empty value for it,
        // without which its eth_getCode fails for every plain account.
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
}
