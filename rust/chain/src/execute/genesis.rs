//! State that no transaction makes: the alloc of the genesis file, the staking contract at its deployment height.

use alloy_primitives::{Address, Bytes, U256};

use crate::state::{AccountChange, AccountFields, EMPTY_CODE_HASH};

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

/// A contract that a block puts into the state without a transaction: the staking contract (§5.6, §6.11).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployment {
    /// Where.
    pub address: Address,
    /// What. If something exists at the address, only its code is replaced.
    pub account: GenesisAccount,
}
