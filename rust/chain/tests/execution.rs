//! What the recorded chains do not show: limits, refusals, failed reads, messages without a block.

#![allow(clippy::unwrap_used, reason = "a test says what went wrong by failing")]

use std::collections::HashMap;

use alloy_primitives::{Address, B256, Bytes, U256, address, keccak256};
use polygon_edge_chain::{
    evm::{Status, failure::Failure},
    execute::{
        BlockContext, BlockOutcome, CallMessage, CallOutcome, Deployment, ExecutionError, GenesisAccount,
        TransactionRule, call, execute_block, genesis_changes,
    },
    forks::{Forks, Generation, Rules},
    journal::Fault,
    state::{Account, EMPTY_CODE_HASH, StateError, StateReader},
    transaction::{Transaction, Type},
};

const SENDER: Address = address!("00000000000000000000000000000000000000aa");
const CONTRACT: Address = address!("0000000000000000000000000000000000c0de01");
const FEES: Address = address!("00000000000000000000000000000000000000fe");

#[derive(Default)]
struct Accounts {
    accounts: HashMap<Address, Account>,
    codes: HashMap<B256, Bytes>,
    /// Reading this account fails.
    broken: Option<Address>,
}

impl Accounts {
    fn with(balance: u64, code: &[u8]) -> Self {
        let mut state = Self::default();
        let plain = Account { nonce: 0, balance: U256::from(balance), ..Account::default() };
        state.accounts.insert(SENDER, plain);
        let contract = Account { nonce: 1, code_hash: keccak256(code), ..Account::default() };
        state.accounts.insert(CONTRACT, contract);
        state.codes.insert(keccak256(code), Bytes::copy_from_slice(code));
        state
    }
}

impl StateReader for Accounts {
    fn account(&mut self, address: &Address) -> Result<Option<Account>, StateError> {
        if self.broken == Some(*address) {
            return Err(StateError::MissingNode { hash: B256::ZERO, root: B256::ZERO });
        }
        Ok(self.accounts.get(address).copied())
    }

    fn storage(&mut self, _address: &Address, _slot: &U256) -> Result<U256, StateError> {
        Ok(U256::ZERO)
    }

    fn code(&mut self, address: &Address, code_hash: &B256) -> Result<Bytes, StateError> {
        let missing = StateError::MissingCode { hash: *code_hash, address: *address };
        self.codes.get(code_hash).cloned().ok_or(missing)
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, StateError> {
        Ok(B256::with_last_byte(number as u8))
    }
}

fn rules(generation: Generation, eip150: bool) -> Rules {
    let forks = Forks {
        homestead: Some(0),
        eip150: eip150.then_some(0),
        eip155: Some(0),
        eip158: Some(0),
        byzantium: Some(0),
        ..Forks::default()
    };
    Rules::new(generation, 100, forks)
}

fn block() -> BlockContext {
    BlockContext { number: 300, timestamp: 1, gas_limit: 1 << 40, difficulty: 300, coinbase: FEES, base_fee: 0 }
}

fn message(gas: u64) -> CallMessage {
    CallMessage { from: SENDER, to: Some(CONTRACT), value: U256::ZERO, input: Bytes::new(), gas, gas_price: U256::ZERO }
}

fn transfer(nonce: u64, gas: u64, value: u64) -> Transaction {
    Transaction {
        kind: Type::Legacy,
        nonce,
        gas_price: U256::from(2),
        gas,
        to: Some(Address::repeat_byte(7)),
        value: U256::from(value),
        input: Bytes::new(),
        v: vec![27],
        r: U256::ZERO,
        s: U256::ZERO,
        hash: B256::repeat_byte(9),
        from: None,
        payload: Bytes::new(),
    }
}

fn run(code: &[u8], generation: Generation, eip150: bool) -> Result<CallOutcome, ExecutionError> {
    call(&rules(generation, eip150), &block(), &message(1 << 39), &mut Accounts::with(0, code))
}

#[test]
fn calls_nest_1025_deep_without_a_native_stack() {
    // Calls itself with all gas but 512, adds one to what comes back, returns it.
    let code = [
        0x60, 32, 0x60, 0, 0x60, 0, 0x60, 0, 0x60, 0, 0x30, 0x61, 2, 0, 0x5a, 0x03, 0xf1, 0x50, 0x60, 0, 0x51, 0x60, 1,
        0x01, 0x60, 0, 0x52, 0x60, 32, 0x60, 0, 0xf3,
    ];
    let outcome = run(&code, Generation::G1, false).unwrap();
    assert_eq!(outcome.status, Status::Success);
    assert_eq!(U256::from_be_slice(&outcome.output), U256::from(1025));
}

#[test]
fn the_stack_holds_1024_items_and_no_more() {
    for (pushes, status) in [(1024, Status::Success), (1025, Status::Failed(Failure::StackOverflow))] {
        let outcome = run(&[0x60, 1].repeat(pushes), Generation::G1, true).unwrap();
        assert_eq!(outcome.status, status, "{pushes} pushes");
    }
}

#[test]
fn what_makes_the_go_client_crash_has_the_result_that_its_rules_imply() {
    // RETURNDATACOPY of nothing to offset 64 of an empty memory.
    for generation in [Generation::G1, Generation::G2, Generation::G3] {
        let outcome = run(&[0x60, 0, 0x60, 0, 0x60, 64, 0x3e], generation, true).unwrap();
        assert_eq!(outcome.status, Status::Success);
    }
    // The identity precompile returns four bytes to no place at offset 2^40, and its size is asked for.
    let code = [
        0x60, 0, 0x65, 1, 0, 0, 0, 0, 0, 0x60, 4, 0x60, 0, 0x60, 4, 0x5a, 0xfa, 0x50, 0x3d, 0x60, 0, 0x52, 0x60, 32,
        0x60, 0, 0xf3,
    ];
    let outcome = run(&code, Generation::G1, true).unwrap();
    assert_eq!((outcome.status, outcome.output.last()), (Status::Success, Some(&4)));
}

#[test]
fn memory_beyond_any_machine_is_a_fault_and_not_an_abort() {
    // MSTORE at 2^33, with gas for it.
    let code = [0x60, 1, 0x64, 2, 0, 0, 0, 0, 0x52];
    let wide = BlockContext { gas_limit: (1 << 63) - 1, ..block() };
    let rules = rules(Generation::G1, true);
    let result = call(&rules, &wide, &message(1 << 62), &mut Accounts::with(0, &code));
    assert!(matches!(result, Err(ExecutionError::Fault { fault: Fault::Memory, .. })), "{result:?}");
    let poor = call(&rules, &wide, &message(1 << 30), &mut Accounts::with(0, &code)).unwrap();
    assert_eq!(poor.status, Status::Failed(Failure::OutOfGas));
}

#[test]
fn block_hash_reaches_256_blocks_back() {
    for (number, expected) in [(300u16, 0), (299, 43), (44, 44), (43, 0)] {
        let [high, low] = number.to_be_bytes();
        let code = [0x61, high, low, 0x40, 0x60, 0, 0x52, 0x60, 32, 0x60, 0, 0xf3];
        let outcome = run(&code, Generation::G1, true).unwrap();
        assert_eq!(U256::from_be_slice(&outcome.output), U256::from(expected), "{number}");
    }
}

#[test]
fn a_failed_read_is_told_as_such_whatever_rule_it_would_break() {
    for broken in [SENDER, CONTRACT, FEES] {
        let mut state = Accounts::with(1_000_000, &[]);
        state.broken = Some(broken);
        let transaction = Transaction { to: Some(CONTRACT), ..transfer(0, 21_000, 0) };
        let result = execute_block(&rules(Generation::G1, true), &block(), &[transaction], &[Some(SENDER)], &mut state);
        let Err(ExecutionError::Fault { fault: Fault::State(_), index: 0, hash }) = result else {
            panic!("{broken}: {result:?}")
        };
        assert_eq!(hash, B256::repeat_byte(9));
    }
}

#[test]
fn a_transfer_moves_value_pays_the_proposer_and_leaves_no_empty_account() {
    let mut state = Accounts::with(42_005, &[]);
    let outcome =
        execute_block(&rules(Generation::G1, true), &block(), &[transfer(0, 21_000, 5)], &[Some(SENDER)], &mut state)
            .unwrap();
    assert_eq!(outcome.gas_used, 21_000);
    assert!(outcome.receipts[0].success);
    let balances: Vec<_> = outcome
        .changes
        .iter()
        .map(|change| (change.address, change.account.map(|account| (account.nonce, account.balance))))
        .collect();
    assert_eq!(
        balances,
        [
            (FEES, Some((0, U256::from(42_000)))),
            (SENDER, Some((1, U256::ZERO))),
            (Address::repeat_byte(7), Some((0, U256::from(5)))),
        ]
    );
}

#[test]
fn each_rule_of_6_2_names_itself() {
    let one = |transaction: Transaction, sender, gas_limit| {
        let context = BlockContext { gas_limit, ..block() };
        let rules = rules(Generation::G1, true);
        let mut state = Accounts::with(50_000, &[]);
        match execute_block(&rules, &context, &[transaction], &[sender], &mut state) {
            Err(ExecutionError::Transaction { rule, expected, found, .. }) => format!("{rule}|{expected}|{found}"),
            other => format!("{other:?}"),
        }
    };
    let wide = 1 << 40;
    let known = Some(SENDER);
    assert_eq!(one(transfer(1, 21_000, 0), known, wide), "nonce of the sender (§6.2)|0|1");
    assert_eq!(one(transfer(0, 30_000, 0), known, wide), "balance for gas (§6.2)|30000 * 2 wei|50000");
    assert_eq!(one(transfer(0, 20_000, 0), known, wide), "intrinsic gas (§6.2)|at least 21000|20000");
    assert_eq!(one(transfer(0, 21_000, 9_000), known, wide), "balance for the value (§6.2)|at least 9000|8000");
    assert!(one(transfer(0, 21_000, 0), None, wide).starts_with("sender (§2.5)"));
    let receipt = one(transfer(7, 21_001, 0), known, 21_000);
    assert!(receipt.contains("success: false") && receipt.contains("changes: []"), "{receipt}");
}

#[test]
fn the_gas_of_a_block_is_shared_by_its_transactions() {
    let mut state = Accounts::with(1_000_000, &[]);
    let context = BlockContext { gas_limit: 60_000, ..block() };
    let transactions = [transfer(0, 40_000, 1), transfer(1, 39_001, 1)];
    let senders = [Some(SENDER); 2];
    let rules = rules(Generation::G1, true);
    let result = execute_block(&rules, &context, &transactions, &senders, &mut state);
    let Err(ExecutionError::Transaction { index: 1, rule, expected, .. }) = result else { panic!("{result:?}") };
    assert_eq!((rule, expected.as_str()), (TransactionRule::GasPool, "at most 39000"));
}

#[test]
fn genesis_keeps_empty_accounts_and_drops_zero_slots() {
    let code = Bytes::from_static(&[1]);
    let alloc = [
        (SENDER, GenesisAccount { balance: Some(U256::ZERO), ..GenesisAccount::default() }),
        (FEES, GenesisAccount::default()),
        (
            CONTRACT,
            GenesisAccount {
                balance: None,
                nonce: 3,
                code: code.clone(),
                storage: vec![(U256::from(1), U256::ZERO), (U256::from(2), U256::from(5))],
            },
        ),
    ];
    let changes = genesis_changes(&alloc);
    assert_eq!(changes.len(), 2);
    let premine = changes[0].account.unwrap();
    assert_eq!((premine.nonce, premine.balance, premine.code_hash), (0, U256::ZERO, EMPTY_CODE_HASH));
    let contract = &changes[1];
    assert_eq!(contract.account.unwrap().code_hash, keccak256(&code));
    assert_eq!(
        (contract.storage.as_slice(), contract.code.as_ref()),
        (&[(U256::from(2), U256::from(5))][..], Some(&code))
    );
}

#[test]
fn a_deployment_fills_an_empty_address_and_only_replaces_code_elsewhere() {
    let account = GenesisAccount {
        balance: Some(U256::from(10)),
        nonce: 0,
        code: Bytes::from_static(&[0x5b]),
        storage: vec![(U256::from(1), U256::from(2))],
    };
    let deploy = |address, transactions: &[Transaction]| {
        let deployment = Deployment { address, account: account.clone() };
        let rules = Rules { deployments: vec![(300, deployment)], ..rules(Generation::G1, true) };
        let senders = vec![Some(SENDER); transactions.len()];
        let mut state = Accounts::with(1_000_000, &[1]);
        let outcome = execute_block(&rules, &block(), transactions, &senders, &mut state).unwrap();
        let later = BlockContext { number: 301, ..block() };
        let after =
            execute_block(&rules, &later, transactions, &senders, &mut Accounts::with(1_000_000, &[1])).unwrap();
        assert!(after.changes.iter().all(|change| change.code.is_none()));
        outcome.changes.into_iter().find(|change| change.address == address).unwrap()
    };
    let empty = Address::repeat_byte(7);
    let fresh = deploy(empty, &[]);
    assert_eq!((fresh.account.unwrap().balance, fresh.storage.len()), (U256::from(10), 1));
    // A plain transfer in the same block is enough to count as existing.
    let paid = deploy(empty, &[transfer(0, 21_000, 3)]);
    assert_eq!((paid.account.unwrap().balance, paid.storage.len()), (U256::from(3), 0));
    let replaced = deploy(CONTRACT, &[]);
    assert_eq!((replaced.account.unwrap().nonce, replaced.storage.len()), (1, 0));
    for change in [fresh, paid, replaced] {
        assert_eq!(change.account.unwrap().code_hash, keccak256([0x5b]));
        assert_eq!(change.code, Some(Bytes::from_static(&[0x5b])));
    }
}

#[test]
fn a_block_without_burn_contract_under_london_is_refused_by_name() {
    let mut rules = rules(Generation::G3, true);
    rules.forks.london = Some(300);
    let execute = |rules: &Rules, number| {
        execute_block(rules, &BlockContext { number, ..block() }, &[], &[], &mut Accounts::default())
    };
    let Err(ExecutionError::Block { number: 300, rule, .. }) = execute(&rules, 300) else { panic!("not refused") };
    assert!(rule.contains("§5.4"));
    assert!(execute(&rules, 299).is_ok());
    // A generation that does not know london has no burn contract either.
    rules.generation = Generation::G2;
    assert!(execute(&rules, 300).is_ok());
}

#[test]
fn each_generation_has_its_way_with_what_exceeds_block_and_balance() {
    let one = |generation, transaction: Transaction| {
        let context = BlockContext { gas_limit: 30_000, ..block() };
        let mut state = Accounts::with(50_000, &[]);
        execute_block(&rules(generation, true), &context, &[transaction], &[Some(SENDER)], &mut state)
    };
    for generation in [Generation::G1, Generation::G2] {
        let outcome = one(generation, transfer(0, 30_001, 0)).unwrap();
        assert!(!outcome.receipts[0].success && outcome.changes.is_empty());
    }
    let Err(ExecutionError::Transaction { rule, .. }) = one(Generation::G3, transfer(0, 30_001, 0)) else {
        panic!("accepted")
    };
    assert_eq!(rule, TransactionRule::BlockGasLimit);
    // Value above the balance: no block in G1, a failed transaction after it.
    assert!(one(Generation::G1, transfer(0, 21_000, 9_000)).is_err());
    for generation in [Generation::G2, Generation::G3] {
        let outcome = one(generation, transfer(0, 21_000, 9_000)).unwrap();
        assert!(!outcome.receipts[0].success);
        assert_eq!(outcome.gas_used, 21_000);
    }
}

#[test]
fn the_last_nonce_wraps_fails_the_creation_or_breaks_the_block() {
    let one = |generation, to| {
        let mut state = Accounts::with(1_000_000, &[]);
        state.accounts.get_mut(&SENDER).unwrap().nonce = u64::MAX;
        let transaction = Transaction { to, ..transfer(u64::MAX, 60_000, 0) };
        execute_block(&rules(generation, true), &block(), &[transaction], &[Some(SENDER)], &mut state)
    };
    let nonce = |outcome: &BlockOutcome| {
        outcome.changes.iter().find(|change| change.address == SENDER).unwrap().account.unwrap().nonce
    };
    for generation in [Generation::G1, Generation::G2] {
        for to in [None, Some(FEES)] {
            let outcome = one(generation, to).unwrap();
            assert!(outcome.receipts[0].success);
            assert_eq!(nonce(&outcome), 0);
        }
    }
    let outcome = one(Generation::G3, None).unwrap();
    assert!(!outcome.receipts[0].success);
    assert_eq!((outcome.gas_used, nonce(&outcome)), (60_000, u64::MAX));
    let Err(ExecutionError::Transaction { rule, .. }) = one(Generation::G3, Some(FEES)) else { panic!("accepted") };
    assert_eq!(rule, TransactionRule::LastNonce);
}

const SYSTEM: Address = address!("fffffffffffffffffffffffffffffffffffffffe");

#[test]
fn a_state_transaction_pays_nothing_and_is_held_to_its_form() {
    let good = Transaction {
        kind: Type::State,
        gas_price: U256::ZERO,
        from: Some(SYSTEM),
        to: Some(CONTRACT),
        ..transfer(77, 1_000_000, 0)
    };
    let one = |transaction: Transaction| {
        let sender = transaction.from;
        execute_block(
            &rules(Generation::G2, true),
            &block(),
            &[transaction],
            &[sender],
            &mut Accounts::with(0, &[0x00]),
        )
    };
    let outcome = one(good.clone()).unwrap();
    assert!(outcome.receipts[0].success);
    assert_eq!(outcome.gas_used, 21_000);
    let caller = outcome.changes.iter().find(|change| change.address == SYSTEM).unwrap();
    assert_eq!(caller.account.unwrap().nonce, 1, "raised, though not looked at");
    for bad in [
        Transaction { gas_price: U256::from(1), ..good.clone() },
        Transaction { gas: 999_999, ..good.clone() },
        Transaction { from: Some(SENDER), ..good.clone() },
        Transaction { to: None, ..good.clone() },
        Transaction { to: Some(Address::ZERO), ..good },
    ] {
        let Err(ExecutionError::Transaction { rule, .. }) = one(bad) else { panic!("accepted") };
        assert_eq!(rule, TransactionRule::State);
    }
}

fn dynamic_fee(tip: Option<u64>, cap: Option<u64>) -> Transaction {
    let [gas_tip_cap, gas_fee_cap] = [tip, cap].map(|cap| cap.map(U256::from));
    let kind = Type::DynamicFee { chain_id: U256::ZERO, gas_tip_cap, gas_fee_cap };
    Transaction { kind, gas_price: U256::ZERO, ..transfer(0, 21_000, 0) }
}

/// Balances after a block with one dynamic fee: of its sender, the proposer, the burn contract.
fn after_dynamic_fee(fixed: bool, base_fee: u64, transaction: Transaction) -> Result<[u64; 3], ExecutionError> {
    let burn = Address::repeat_byte(0xb0);
    let mut rules = rules(Generation::G3, true);
    (rules.forks.london, rules.forks.london_fix) = (Some(0), fixed.then_some(0));
    rules.burn_contracts = vec![(0, burn)];
    let context = BlockContext { base_fee, ..block() };
    let mut state = Accounts::with(10_000_000, &[]);
    let outcome = execute_block(&rules, &context, &[transaction], &[Some(SENDER)], &mut state)?;
    Ok([SENDER, FEES, burn].map(|address| {
        let change = outcome.changes.iter().find(|change| change.address == address);
        change.map_or(0, |change| change.account.unwrap().balance.to())
    }))
}

#[test]
fn fees_of_london_without_a_base_fee_burn_or_mint_coins() {
    // Before the fix the sender loses the whole cap, the proposer gets the tip; from it on nobody pays the tip.
    assert_eq!(after_dynamic_fee(false, 0, dynamic_fee(Some(3), Some(10))), Ok([10_000_000 - 210_000, 63_000, 0]));
    assert_eq!(after_dynamic_fee(true, 0, dynamic_fee(Some(3), Some(10))), Ok([10_000_000, 63_000, 0]));
    assert_eq!(after_dynamic_fee(true, 0, transfer(0, 21_000, 0)), Ok([10_000_000 - 42_000, 42_000, 0]));
}

#[test]
fn fees_of_london_with_a_base_fee_go_to_proposer_and_burn_contract() {
    // Before the fix the whole cap is paid, from it on base fee and tip.
    for (fixed, price) in [(false, 10), (true, 8)] {
        let transaction = dynamic_fee(Some(3), Some(10));
        let expected = [10_000_000 - 21_000 * price, 63_000, 105_000];
        assert_eq!(after_dynamic_fee(fixed, 5, transaction), Ok(expected), "{fixed}");
    }
    // Without caps nothing is asked: the proposer's balance of zero falls below it, and is its absolute value then.
    for fixed in [false, true] {
        let transaction = dynamic_fee(Some(0), Some(0));
        assert_eq!(after_dynamic_fee(fixed, 5, transaction), Ok([10_000_000, 105_000, 105_000]), "{fixed}");
    }
}

#[test]
fn each_rule_of_caps_names_itself() {
    let refused = |transaction| match after_dynamic_fee(true, 5, transaction) {
        Err(ExecutionError::Transaction { rule, .. }) => rule,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(dynamic_fee(Some(1), None)), TransactionRule::FeeCapWidth);
    assert_eq!(refused(dynamic_fee(None, Some(9))), TransactionRule::TipCapWidth);
    assert_eq!(refused(dynamic_fee(Some(10), Some(9))), TransactionRule::TipCap);
    assert_eq!(refused(dynamic_fee(Some(1), Some(4))), TransactionRule::FeeCap);
    assert_eq!(refused(transfer(0, 21_000, 0)), TransactionRule::FeeCap);
    assert_eq!(refused(dynamic_fee(Some(1_000_000), Some(1_000_000))), TransactionRule::GasFunds);
    // Before the fix, a legacy transaction is not asked.
    assert!(after_dynamic_fee(false, 5, transfer(0, 21_000, 0)).is_ok());
}

#[test]
fn a_call_of_the_last_generation_need_not_pay_for_its_gas() {
    let message = CallMessage { gas_price: U256::from(1), ..message(100_000) };
    let call = |generation| call(&rules(generation, true), &block(), &message, &mut Accounts::with(0, &[0x00]));
    assert!(call(Generation::G1).is_err());
    assert_eq!(call(Generation::G3).unwrap().status, Status::Success);
}

#[test]
fn a_gas_limit_from_two_to_the_63_on_is_a_negative_number() {
    // GASLIMIT, PUSH 0, LT: is zero less than it? Then the same against the number itself, stored and loaded again.
    let less = [0x45, 0x60, 0, 0x10, 0x60, 0, 0x52, 0x60, 32, 0x60, 0, 0xf3];
    let stored = [0x45, 0x60, 0, 0x52, 0x60, 32, 0x60, 0, 0xf3];
    for (gas_limit, is_positive, magnitude) in
        [((1 << 63) - 1, 1, (1u64 << 63) - 1), (1 << 63, 0, 1 << 63), (u64::MAX, 0, 1), (u64::MAX - 4, 0, 5)]
    {
        let context = BlockContext { gas_limit, ..block() };
        let rules = rules(Generation::G1, true);
        let run = |code: &[u8]| call(&rules, &context, &message(1 << 30), &mut Accounts::with(0, code)).unwrap().output;
        assert_eq!(U256::from_be_slice(&run(&less)), U256::from(is_positive), "{gas_limit}");
        assert_eq!(U256::from_be_slice(&run(&stored)), U256::from(magnitude), "{gas_limit}");
    }
}

#[test]
fn a_negative_value_moves_coins_backwards() {
    // CALL with GASLIMIT as value, which is -5, to an account with two wei: it is left with three.
    let code = [0x60, 0, 0x60, 0, 0x60, 0, 0x60, 0, 0x45, 0x60, 0xfe, 0x5a, 0xf1, 0x00];
    let mut state = Accounts::with(1_000_000, &code);
    state.accounts.insert(FEES, Account { balance: U256::from(2), ..Account::default() });
    let context = BlockContext { gas_limit: u64::MAX - 4, coinbase: Address::repeat_byte(0xcb), ..block() };
    let transaction = Transaction { to: Some(CONTRACT), ..transfer(0, 100_000, 0) };
    let rules = rules(Generation::G1, true);
    let outcome = execute_block(&rules, &context, &[transaction], &[Some(SENDER)], &mut state).unwrap();
    let balance =
        |address| outcome.changes.iter().find(|change| change.address == address).unwrap().account.unwrap().balance;
    assert_eq!((balance(FEES), balance(CONTRACT)), (U256::from(3), U256::from(5)));
}
