//! A state in which a caller has replaced parts of some accounts, for a message that keeps nothing (`eth_call`).

use alloy_primitives::{
    Address, B256, Bytes, U256, keccak256,
    map::{AddressMap, HashMap},
};

use crate::state::{Account, EMPTY_ROOT, StateError, StateReader};

/// What is replaced of one account; none leaves a field as the state has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountOverride {
    /// Nonce.
    pub nonce: Option<u64>,
    /// Balance in wei.
    pub balance: Option<U256>,
    /// Code; no bytes take it away.
    pub code: Option<Bytes>,
    /// Slots by their values, where zero clears one.
    pub storage: HashMap<U256, U256>,
    /// Whether the account has these slots and no others.
    pub storage_is_whole: bool,
}

impl AccountOverride {
    /// Whether the storage is to be read although the state has none, or not to be read although it has some.
    fn storage_root(&self, stored: B256) -> B256 {
        // Nobody looks a node up by it: what counts is whether it is the root of nothing.
        const SOMETHING: B256 = B256::repeat_byte(0xff);
        match (self.storage.is_empty(), self.storage_is_whole) {
            (true, false) => stored,
            (true, true) => EMPTY_ROOT,
            (false, true) => SOMETHING,
            (false, false) if stored == EMPTY_ROOT => SOMETHING,
            (false, false) => stored,
        }
    }
}

/// The state that `inner` shows, with `overrides` in it.
pub struct OverriddenState<'a> {
    inner: &'a mut dyn StateReader,
    overrides: &'a AddressMap<AccountOverride>,
}

impl<'a> OverriddenState<'a> {
    /// `inner` under `overrides`.
    pub fn new(inner: &'a mut dyn StateReader, overrides: &'a AddressMap<AccountOverride>) -> Self {
        Self { inner, overrides }
    }
}

impl StateReader for OverriddenState<'_> {
    fn account(&mut self, address: &Address) -> Result<Option<Account>, StateError> {
        let stored = self.inner.account(address)?;
        let Some(replaced) = self.overrides.get(address) else { return Ok(stored) };
        let stored = stored.unwrap_or_default();
        Ok(Some(Account {
            nonce: replaced.nonce.unwrap_or(stored.nonce),
            balance: replaced.balance.unwrap_or(stored.balance),
            storage_root: replaced.storage_root(stored.storage_root),
            code_hash: replaced.code.as_ref().map_or(stored.code_hash, keccak256),
        }))
    }

    fn storage(&mut self, address: &Address, slot: &U256) -> Result<U256, StateError> {
        match self.overrides.get(address) {
            Some(replaced) => match replaced.storage.get(slot) {
                Some(value) => Ok(*value),
                None if replaced.storage_is_whole => Ok(U256::ZERO),
                None => self.inner.storage(address, slot),
            },
            None => self.inner.storage(address, slot),
        }
    }

    fn code(&mut self, address: &Address, code_hash: &B256) -> Result<Bytes, StateError> {
        match self.overrides.get(address).and_then(|replaced| replaced.code.as_ref()) {
            Some(code) => Ok(code.clone()),
            None => self.inner.code(address, code_hash),
        }
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, StateError> {
        self.inner.block_hash(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::EMPTY_CODE_HASH;

    /// One contract with one slot, and nothing else.
    struct OneContract;

    const CONTRACT: Address = Address::repeat_byte(1);
    const STRANGER: Address = Address::repeat_byte(2);
    const CODE: B256 = B256::repeat_byte(3);

    impl StateReader for OneContract {
        fn account(&mut self, address: &Address) -> Result<Option<Account>, StateError> {
            let storage_root = B256::repeat_byte(4);
            let account = Account { nonce: 1, balance: U256::from(5), storage_root, code_hash: CODE };
            Ok((*address == CONTRACT).then_some(account))
        }

        fn storage(&mut self, address: &Address, slot: &U256) -> Result<U256, StateError> {
            Ok(if *address == CONTRACT && *slot == U256::from(7) { U256::from(8) } else { U256::ZERO })
        }

        fn code(&mut self, _: &Address, code_hash: &B256) -> Result<Bytes, StateError> {
            assert_eq!(*code_hash, CODE);
            Ok(Bytes::from_static(b"stored"))
        }

        fn block_hash(&mut self, number: u64) -> Result<B256, StateError> {
            Ok(B256::with_last_byte(number as u8))
        }
    }

    fn under<T>(address: Address, replaced: AccountOverride, read: impl FnOnce(&mut OverriddenState<'_>) -> T) -> T {
        let overrides = AddressMap::from_iter([(address, replaced)]);
        read(&mut OverriddenState::new(&mut OneContract, &overrides))
    }

    #[test]
    fn what_is_not_replaced_is_as_stored() {
        under(STRANGER, AccountOverride::default(), |state| {
            assert_eq!(state.account(&CONTRACT), OneContract.account(&CONTRACT));
            assert_eq!(state.storage(&CONTRACT, &U256::from(7)), Ok(U256::from(8)));
            assert_eq!(state.code(&CONTRACT, &CODE), Ok(Bytes::from_static(b"stored")));
            assert_eq!(state.block_hash(9), Ok(B256::with_last_byte(9)));
        });
        let nonce = AccountOverride { nonce: Some(6), ..AccountOverride::default() };
        under(CONTRACT, nonce, |state| {
            let stored = OneContract.account(&CONTRACT).unwrap().unwrap();
            assert_eq!(state.account(&CONTRACT), Ok(Some(Account { nonce: 6, ..stored })));
            assert_eq!(state.code(&CONTRACT, &CODE), Ok(Bytes::from_static(b"stored")));
        });
    }

    #[test]
    fn an_account_comes_into_being_with_what_is_given() {
        let code = Bytes::from_static(b"given");
        let given =
            AccountOverride { code: Some(code.clone()), balance: Some(U256::MAX), ..AccountOverride::default() };
        under(STRANGER, given, |state| {
            let found = state.account(&STRANGER).unwrap().unwrap();
            assert_eq!((found.nonce, found.balance, found.storage_root), (0, U256::MAX, EMPTY_ROOT));
            assert_eq!(found.code_hash, keccak256(&code));
            assert_eq!(state.code(&STRANGER, &found.code_hash), Ok(code));
        });
        let without = AccountOverride { code: Some(Bytes::new()), ..AccountOverride::default() };
        under(CONTRACT, without, |state| {
            assert_eq!(state.account(&CONTRACT).unwrap().unwrap().code_hash, EMPTY_CODE_HASH);
        });
    }

    #[test]
    fn slots_are_replaced_one_by_one_or_all_together() {
        let (seven, nine) = (U256::from(7), U256::from(9));
        let patch = AccountOverride { storage: HashMap::from_iter([(nine, nine)]), ..AccountOverride::default() };
        under(CONTRACT, patch.clone(), |state| {
            assert_eq!(state.storage(&CONTRACT, &seven), Ok(U256::from(8)));
            assert_eq!(state.storage(&CONTRACT, &nine), Ok(nine));
        });
        // A journal reads the storage only of accounts that have some.
        under(STRANGER, patch.clone(), |state| {
            assert_ne!(state.account(&STRANGER).unwrap().unwrap().storage_root, EMPTY_ROOT);
            assert_eq!(state.storage(&STRANGER, &nine), Ok(nine));
        });
        under(CONTRACT, AccountOverride { storage_is_whole: true, ..patch }, |state| {
            assert_eq!(state.storage(&CONTRACT, &seven), Ok(U256::ZERO));
            assert_eq!(state.storage(&CONTRACT, &nine), Ok(nine));
        });
        let nothing = AccountOverride { storage_is_whole: true, ..AccountOverride::default() };
        under(CONTRACT, nothing, |state| {
            assert_eq!(state.account(&CONTRACT).unwrap().unwrap().storage_root, EMPTY_ROOT);
        });
    }
}
