//! The access lists of G3 and the native transfer: who may do what, at what price, and what is left of a refusal.

#![allow(clippy::unwrap_used, reason = "a test says what went wrong by failing")]

use std::collections::HashMap;

use alloy_primitives::{Address, B256, Bytes, U256, address, keccak256};
use polygon_edge_chain::{
    evm::{
        Status,
        access_list::{BRIDGE_ALLOW, DEPLOYER_ALLOW, DEPLOYER_BLOCK, TRANSACTIONS_ALLOW, TRANSACTIONS_BLOCK},
    },
    execute::{BlockContext, CallMessage, CallOutcome, call},
    forks::{AccessLists, Forks, Generation, Rules},
    state::{Account, StateError, StateReader},
};

const NOBODY: Address = Address::repeat_byte(0x10);
const ENABLED: Address = Address::repeat_byte(0x11);
const ADMIN: Address = Address::repeat_byte(0x12);
const SYSTEM: Address = address!("fffffffffffffffffffffffffffffffffffffffe");
const NATIVE_TOKEN: Address = address!("0000000000000000000000000000000000001010");
const NATIVE_TRANSFER: Address = address!("0000000000000000000000000000000000002020");
const CONTRACT: Address = Address::repeat_byte(0xc0);

const READ: [u8; 4] = [0xd7, 0x8b, 0xca, 0x69];
const SET_ADMIN: [u8; 4] = [0x70, 0x4b, 0x6c, 0x02];
const SET_ENABLED: [u8; 4] = [0x0a, 0xaf, 0x70, 0x43];
const SET_NONE: [u8; 4] = [0x8c, 0x6b, 0xfb, 0x3b];

const GAS: u64 = 1_000_000;
/// A call without input.
const BASE: u64 = 21_000;

/// Every list knows one account of each role; each account has 1000 coins.
struct Roles {
    codes: HashMap<Address, Bytes>,
}

impl StateReader for Roles {
    fn account(&mut self, address: &Address) -> Result<Option<Account>, StateError> {
        let code_hash = self.codes.get(address).map_or(Account::default().code_hash, keccak256);
        // Storage that is not empty, so that it is read.
        let storage_root = B256::repeat_byte(1);
        Ok(Some(Account { nonce: 0, balance: U256::from(1000), storage_root, code_hash }))
    }

    fn storage(&mut self, _: &Address, slot: &U256) -> Result<U256, StateError> {
        let is = |address: Address| *slot == U256::from_be_bytes(address.into_word().0);
        Ok(U256::from(u64::from(is(ENABLED)) + 2 * u64::from(is(ADMIN))))
    }

    fn code(&mut self, address: &Address, _: &B256) -> Result<Bytes, StateError> {
        Ok(self.codes[address].clone())
    }

    fn block_hash(&mut self, _: u64) -> Result<B256, StateError> {
        Ok(B256::ZERO)
    }
}

fn rules(generation: Generation, access_lists: AccessLists) -> Rules {
    let first = Some(0);
    let forks = Forks {
        homestead: first,
        eip150: first,
        eip155: first,
        eip158: first,
        byzantium: first,
        constantinople: first,
        petersburg: first,
        istanbul: first,
        ..Forks::default()
    };
    Rules { access_lists, ..Rules::new(generation, 100, forks) }
}

fn send(rules: &Rules, from: Address, to: Option<Address>, input: Vec<u8>, code: &[u8], gas: u64) -> CallOutcome {
    let block = BlockContext { number: 1, timestamp: 1, gas_limit: GAS, difficulty: 1, coinbase: NOBODY, base_fee: 0 };
    let message = CallMessage { from, to, value: U256::ZERO, input: input.into(), gas, gas_price: U256::ZERO };
    let codes = HashMap::from([(CONTRACT, Bytes::copy_from_slice(code))]);
    call(rules, &block, &message, &mut Roles { codes }).unwrap()
}

fn text(outcome: &CallOutcome) -> &'static str {
    match outcome.status {
        Status::Success => "success",
        Status::Reverted => "revert",
        Status::Failed(failure) => failure.client_text(),
    }
}

fn asking(selector: [u8; 4], about: Address) -> Vec<u8> {
    [&selector[..], about.into_word().as_slice()].concat()
}

/// What a transaction with this input costs before anything runs.
fn intrinsic(input: &[u8]) -> u64 {
    BASE + input.iter().map(|byte| if *byte == 0 { 4 } else { 16 }).sum::<u64>()
}

#[test]
fn a_list_tells_roles_to_everybody_and_takes_changes_from_admins_about_others() {
    let lists = AccessLists { deployer_allow: true, ..AccessLists::default() };
    let rules = rules(Generation::G3, lists);
    for (about, role) in [(NOBODY, 0), (ENABLED, 1), (ADMIN, 2)] {
        let input = asking(READ, about);
        let outcome = send(&rules, NOBODY, Some(DEPLOYER_ALLOW), input.clone(), &[], GAS);
        assert_eq!((text(&outcome), U256::from_be_slice(&outcome.output)), ("success", U256::from(role)));
        assert_eq!(outcome.gas_used, intrinsic(&input) + 5_000);
    }
    let own = asking(SET_NONE, ADMIN);
    for (caller, input, expected, gas) in [
        (ADMIN, asking(SET_ENABLED, NOBODY), "success", 20_000),
        (ADMIN, asking(SET_ADMIN, ENABLED), "success", 20_000),
        (ADMIN, asking(SET_NONE, ENABLED), "success", 20_000),
        (ADMIN, own, "cannot remove admin role from caller", 20_000),
        (ENABLED, asking(SET_ENABLED, NOBODY), "not in allow list", 20_000),
        (NOBODY, asking(SET_ENABLED, NOBODY), "not in allow list", 20_000),
        (ADMIN, asking([1, 2, 3, 4], NOBODY), "function not found", 0),
        (ADMIN, asking(READ, NOBODY)[..35].to_vec(), "wrong input size, expected 32", 0),
        (ADMIN, [asking(READ, NOBODY), vec![0]].concat(), "wrong input size, expected 32", 0),
        (ADMIN, vec![0xd7, 0x8b, 0xca], "input is too short for a function call", 0),
        (ADMIN, Vec::new(), "input is too short for a function call", 0),
    ] {
        let outcome = send(&rules, caller, Some(DEPLOYER_ALLOW), input.clone(), &[], GAS);
        assert_eq!((text(&outcome), outcome.gas_used), (expected, intrinsic(&input) + gas), "{input:?}");
    }
}

#[test]
fn a_list_asks_for_its_gas_before_it_looks_at_who_calls() {
    let rules = rules(Generation::G3, AccessLists { bridge_allow: true, ..AccessLists::default() });
    for (selector, price) in [(READ, 5_000), (SET_ENABLED, 20_000)] {
        let input = asking(selector, ENABLED);
        let enough = intrinsic(&input) + price;
        let outcomes = [enough, enough - 1].map(|gas| send(&rules, ADMIN, Some(BRIDGE_ALLOW), input.clone(), &[], gas));
        assert_eq!(outcomes.each_ref().map(text), ["success", "out of gas"]);
    }
}

/// Code that calls `to` by `opcode` with `input`, and returns what the call pushed.
fn calling(opcode: u8, to: Address, input: &[u8]) -> Vec<u8> {
    let mut code = Vec::new();
    for (chunk, offset) in input.chunks(32).zip((0u8..).step_by(32)) {
        let mut word = [0; 32];
        word[..chunk.len()].copy_from_slice(chunk);
        code.push(0x7f);
        code.extend_from_slice(&word);
        code.extend_from_slice(&[0x60, offset, 0x52]);
    }
    let length = u8::try_from(input.len()).unwrap();
    code.extend_from_slice(&[0x60, 0, 0x60, 0, 0x60, length, 0x60, 0]);
    if opcode == 0xf1 {
        code.extend_from_slice(&[0x60, 0]);
    }
    code.push(0x73);
    code.extend_from_slice(to.as_slice());
    code.extend_from_slice(&[0x5a, opcode, 0x60, 0, 0x52, 0x60, 0x20, 0x60, 0, 0xf3]);
    code
}

#[test]
fn a_static_call_reads_a_list_and_does_not_change_it() {
    let rules = rules(Generation::G3, AccessLists { deployer_block: true, ..AccessLists::default() });
    for (selector, expected) in [(READ, 1), (SET_ENABLED, 0)] {
        let code = calling(0xfa, DEPLOYER_BLOCK, &asking(selector, NOBODY));
        let outcome = send(&rules, NOBODY, Some(CONTRACT), Vec::new(), &code, GAS);
        assert_eq!((text(&outcome), U256::from_be_slice(&outcome.output)), ("success", U256::from(expected)));
    }
}

#[test]
fn an_allow_list_lets_the_listed_in_and_a_block_list_keeps_the_enabled_out() {
    let none = AccessLists::default();
    let allow = AccessLists { transactions_allow: true, ..none };
    let block = AccessLists { transactions_block: true, ..none };
    let both = AccessLists { transactions_allow: true, transactions_block: true, ..none };
    for (lists, nobody, enabled, admin) in
        [(none, true, true, true), (allow, false, true, true), (block, true, false, true), (both, false, true, true)]
    {
        let rules = rules(Generation::G3, lists);
        for (caller, runs) in [(NOBODY, nobody), (ENABLED, enabled), (ADMIN, admin), (SYSTEM, true)] {
            // Both a call and a creation; what is stopped keeps no gas.
            for (to, used) in [(Some(CONTRACT), BASE), (None, 53_000)] {
                let outcome = send(&rules, caller, to, Vec::new(), &[], GAS);
                let expected = if runs { ("success", used) } else { ("not in allow list", GAS) };
                assert_eq!((text(&outcome), outcome.gas_used), expected, "{lists:?} {caller} {to:?}");
            }
        }
    }
    // The list itself stays within reach of those it stops.
    for list in [TRANSACTIONS_ALLOW, TRANSACTIONS_BLOCK] {
        let outcome = send(&rules(Generation::G3, both), NOBODY, Some(list), asking(READ, NOBODY), &[], GAS);
        assert_eq!(text(&outcome), "success");
    }
}

#[test]
fn the_lists_of_deployers_stop_creations_only() {
    let none = AccessLists::default();
    for (lists, stopped) in [
        (AccessLists { deployer_allow: true, ..none }, NOBODY),
        (AccessLists { deployer_block: true, ..none }, ENABLED),
    ] {
        let rules = rules(Generation::G3, lists);
        let send = |caller, to| send(&rules, caller, to, Vec::new(), &[], GAS);
        assert_eq!(text(&send(stopped, None)), "not in allow list");
        assert_eq!(text(&send(ADMIN, None)), "success");
        assert_eq!(text(&send(stopped, Some(CONTRACT))), "success");
    }
}

#[test]
fn coins_are_moved_for_the_native_token_only_and_not_in_the_first_generation() {
    let words = |amount: u64| [ENABLED.into_word(), ADMIN.into_word(), B256::from(U256::from(amount))].concat();
    for (generation, caller, input, expected) in [
        (Generation::G2, NATIVE_TOKEN, words(1000), "success"),
        (Generation::G3, NATIVE_TOKEN, words(1000), "success"),
        (Generation::G3, NATIVE_TOKEN, words(1001), "insufficient balance for transfer"),
        (Generation::G3, NATIVE_TOKEN, words(1)[..95].to_vec(), "invalid input data"),
        (Generation::G3, NOBODY, words(1), "unauthorized caller"),
    ] {
        let rules = rules(generation, AccessLists::default());
        let outcome = send(&rules, caller, Some(NATIVE_TRANSFER), input.clone(), &[], GAS);
        assert_eq!(text(&outcome), expected);
        let paid = if expected == "success" { intrinsic(&input) + 21_000 } else { GAS };
        assert_eq!(outcome.gas_used, paid, "{expected}");
    }
    let first = rules(Generation::G1, AccessLists::default());
    let input = words(1);
    let outcome = send(&first, NATIVE_TOKEN, Some(NATIVE_TRANSFER), input.clone(), &[], GAS);
    assert_eq!((text(&outcome), outcome.gas_used, outcome.output.len()), ("success", intrinsic(&input), 0));
}
