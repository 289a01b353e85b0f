//! The access lists of G3: contracts without code that hold roles, and what the roles allow (§6.9).

use alloy_primitives::{Address, Bytes, U256};

use super::{
    Outcome, SYSTEM_CALLER, Status,
    failure::{Failure, ListRefusal},
};
use crate::{
    forks::AccessLists,
    journal::{AccountIndex, Journal},
};

/// Gas of a change.
const WRITE_GAS: u64 = 20_000;
/// Gas of a look-up.
const READ_GAS: u64 = 5_000;

const SET_ADMIN: [u8; 4] = [0x70, 0x4b, 0x6c, 0x02];
const SET_ENABLED: [u8; 4] = [0x0a, 0xaf, 0x70, 0x43];
const SET_NONE: [u8; 4] = [0x8c, 0x6b, 0xfb, 0x3b];
const READ: [u8; 4] = [0xd7, 0x8b, 0xca, 0x69];

const ENABLED: U256 = U256::ONE;
const ADMIN: U256 = U256::from_limbs([2, 0, 0, 0]);

/// One list by its address: 0x02 allows, 0x03 blocks; the last byte says whom.
const fn list(first: u8, last: u8) -> Address {
    let mut bytes = [0; 20];
    bytes[0] = first;
    bytes[19] = last;
    Address::new(bytes)
}

/// Who may create contracts.
pub const DEPLOYER_ALLOW: Address = list(2, 0);
/// Who may not create contracts.
pub const DEPLOYER_BLOCK: Address = list(3, 0);
/// Who may call and create anything.
pub const TRANSACTIONS_ALLOW: Address = list(2, 2);
/// Who may not call and create anything.
pub const TRANSACTIONS_BLOCK: Address = list(3, 2);
/// Of the bridge, which the chains of IBFT do not have; only the list itself works.
pub const BRIDGE_ALLOW: Address = list(2, 4);
/// See [`BRIDGE_ALLOW`].
pub const BRIDGE_BLOCK: Address = list(3, 4);

impl AccessLists {
    /// Whether the chain has any.
    #[inline]
    pub fn any(&self) -> bool {
        *self != Self::default()
    }

    /// Whether `address` is one of the lists that the chain has.
    pub fn is_list(&self, address: &Address) -> bool {
        [
            (self.deployer_allow, DEPLOYER_ALLOW),
            (self.deployer_block, DEPLOYER_BLOCK),
            (self.bridge_allow, BRIDGE_ALLOW),
            (self.bridge_block, BRIDGE_BLOCK),
            (self.transactions_allow, TRANSACTIONS_ALLOW),
            (self.transactions_block, TRANSACTIONS_BLOCK),
        ]
        .iter()
        .any(|(exists, list)| *exists && list == address)
    }

    /// Whether a frame that `caller` starts may run.
    pub fn may_run(&self, journal: &mut Journal<'_>, caller: &Address) -> bool {
        *caller == SYSTEM_CALLER
            || allows(
                journal,
                caller,
                (self.transactions_allow, TRANSACTIONS_ALLOW),
                (self.transactions_block, TRANSACTIONS_BLOCK),
            )
    }

    /// Whether `creator` may create a contract.
    pub fn may_create(&self, journal: &mut Journal<'_>, creator: &Address) -> bool {
        allows(journal, creator, (self.deployer_allow, DEPLOYER_ALLOW), (self.deployer_block, DEPLOYER_BLOCK))
    }
}

/// An allow list takes precedence over a block list. An admin is allowed, and is not blocked.
fn allows(journal: &mut Journal<'_>, who: &Address, allow: (bool, Address), block: (bool, Address)) -> bool {
    if allow.0 {
        let role = role(journal, &allow.1, who);
        role == ENABLED || role == ADMIN
    } else {
        !block.0 || role(journal, &block.1, who) != ENABLED
    }
}

fn key(who: &Address) -> U256 {
    U256::from_be_bytes(who.into_word().0)
}

fn role(journal: &mut Journal<'_>, list: &Address, who: &Address) -> U256 {
    let list = journal.index(list);
    journal.storage(list, &key(who))
}

/// Runs a call of the list at `list`; errors keep the gas that was not used.
pub fn call(
    journal: &mut Journal<'_>,
    list: &Address,
    caller: &Address,
    input: &[u8],
    gas: u64,
    is_static: bool,
) -> Outcome {
    let list = journal.index(list);
    match run(journal, list, caller, input, gas, is_static) {
        Ok((used, output)) => Outcome { status: Status::Success, gas_left: gas - used, output },
        Err((used, failure)) => Outcome::failed(failure, gas - used),
    }
}

fn run(
    journal: &mut Journal<'_>,
    list: AccountIndex,
    caller: &Address,
    input: &[u8],
    gas: u64,
    is_static: bool,
) -> Result<(u64, Bytes), (u64, Failure)> {
    let (selector, argument) =
        input.split_first_chunk::<4>().ok_or((0, Failure::AccessList(ListRefusal::NoSelector)))?;
    let argument: &[u8; 32] = argument.try_into().map_err(|_| (0, Failure::AccessList(ListRefusal::Length)))?;
    let key = key(&Address::from_slice(&argument[12..]));
    let role = match *selector {
        READ => {
            if gas < READ_GAS {
                return Err((0, Failure::OutOfGas));
            }
            let role = journal.storage(list, &key);
            return Ok((READ_GAS, Bytes::copy_from_slice(&role.to_be_bytes::<32>())));
        }
        SET_ADMIN => ADMIN,
        SET_ENABLED => ENABLED,
        SET_NONE => U256::ZERO,
        _ => return Err((0, Failure::AccessList(ListRefusal::Function))),
    };
    if gas < WRITE_GAS {
        return Err((0, Failure::OutOfGas));
    }
    if is_static {
        return Err((WRITE_GAS, Failure::WriteProtection));
    }
    let caller = self::key(caller);
    if journal.storage(list, &caller) != ADMIN {
        return Err((WRITE_GAS, Failure::NotAuthorised));
    }
    if caller == key {
        return Err((WRITE_GAS, Failure::AccessList(ListRefusal::OwnRole)));
    }
    journal.write_slot(list, &key, &role);
    Ok((WRITE_GAS, Bytes::new()))
}
