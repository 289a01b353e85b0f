//! The state trie: blocks of changes against a plain model, runs, undoing, budgets, broken leaves.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod twin;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use polygon_edge_chain::state::{
    Account, AccountChange, AccountFields, EMPTY_CODE_HASH, EMPTY_ROOT, NodeSource, StateError, StateReader,
};
use polygon_edge_chain::state_trie::{StateTrie, StateView, TrieOptions, decode_account, encode_account};
use polygon_edge_chain::trie::{NodeBuffer, Trie};
use polygon_edge_chain::{Address, B256, Bytes, U256, keccak256};
use proptest::prelude::*;
use twin::{Memory, slow_root, slow_string};

#[derive(Clone, Debug, Default, PartialEq)]
struct ModelAccount {
    nonce: u64,
    balance: U256,
    code_hash: B256,
    storage: BTreeMap<U256, U256>,
}

type Model = BTreeMap<Address, ModelAccount>;

fn storage_root(storage: &BTreeMap<U256, U256>) -> B256 {
    let pairs = storage.iter().map(|(slot, value)| {
        (keccak256(slot.to_be_bytes::<32>()).to_vec(), slow_string(&value.to_be_bytes_trimmed_vec()))
    });
    slow_root(&pairs.collect())
}

fn state_root(model: &Model) -> B256 {
    let pairs = model.iter().map(|(address, account)| {
        let fields = [
            slow_string(&U256::from(account.nonce).to_be_bytes_trimmed_vec()),
            slow_string(&account.balance.to_be_bytes_trimmed_vec()),
            slow_string(storage_root(&account.storage).as_slice()),
            slow_string(account.code_hash.as_slice()),
        ];
        (keccak256(address).to_vec(), twin::slow_list(&fields))
    });
    slow_root(&pairs.collect())
}

fn address(number: u8) -> Address {
    Address::repeat_byte(number)
}

fn fields(nonce: u64, balance: u64) -> AccountFields {
    AccountFields { nonce, balance: U256::from(balance), code_hash: EMPTY_CODE_HASH }
}

fn change(number: u8, account: Option<AccountFields>) -> AccountChange {
    AccountChange { address: address(number), account, storage_cleared: false, storage: vec![], code: None }
}

fn block() -> impl Strategy<Value = Vec<AccountChange>> {
    let account = prop_oneof![
        1 => Just(None),
        6 => (0u64..3, prop_oneof![Just(U256::ZERO), Just(U256::MAX), any::<u64>().prop_map(U256::from)]).prop_map(
            |(nonce, balance)| Some(AccountFields { nonce, balance, code_hash: EMPTY_CODE_HASH })
        ),
    ];
    let slots = prop::collection::btree_map(0u8..12, 0u64..3, 0..6);
    let one = (account, prop::bool::weighted(0.1), slots);
    prop::collection::btree_map(0u8..10, one, 0..6).prop_map(|changes| {
        let changes = changes.into_iter().map(|(number, (account, storage_cleared, slots))| AccountChange {
            address: address(number),
            account,
            storage_cleared,
            storage: slots.into_iter().map(|(slot, value)| (U256::from(slot), U256::from(value))).collect(),
            code: None,
        });
        changes.collect()
    })
}

fn apply_to_model(model: &mut Model, changes: &[AccountChange]) {
    for change in changes {
        let Some(fields) = change.account else {
            model.remove(&change.address);
            continue;
        };
        let account = model.entry(change.address).or_default();
        (account.nonce, account.balance, account.code_hash) = (fields.nonce, fields.balance, fields.code_hash);
        if change.storage_cleared {
            account.storage.clear();
        }
        for (slot, value) in &change.storage {
            account.storage.insert(*slot, *value);
        }
        account.storage.retain(|_, value| !value.is_zero());
    }
}

#[derive(Clone, Debug)]
enum Step {
    Block(Vec<AccountChange>),
    UndoneBlock(Vec<AccountChange>),
    EndRun,
    Write,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => block().prop_map(Step::Block),
        2 => block().prop_map(Step::UndoneBlock),
        2 => Just(Step::EndRun),
        2 => Just(Step::Write),
        1 => Just(Step::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn blocks_give_the_state_of_the_model_however_they_are_run_and_written(
        steps in prop::collection::vec(step(), 1..25),
        memory_budget in prop_oneof![Just(0usize), Just(20_000), Just(1 << 24)],
    ) {
        let database = Arc::new(Memory::default());
        let options = TrieOptions { memory_budget, parallel: false };
        let mut state = StateTrie::open(EMPTY_ROOT, database.clone(), options).unwrap();
        let mut model = Model::new();
        let mut runs = Vec::new();
        let write = |state: &mut StateTrie, run: Arc<_>| {
            database.add(polygon_edge_chain::state_trie::NewState::nodes(&run));
            state.committed(&run);
        };
        for step in steps {
            match step {
                Step::Block(changes) => {
                    apply_to_model(&mut model, &changes);
                    prop_assert_eq!(state.apply(&changes).unwrap(), state_root(&model));
                }
                Step::UndoneBlock(changes) => {
                    let before = (state.root(), state.new_state().mark());
                    state.apply(&changes).unwrap();
                    prop_assert!(state.undo_last());
                    prop_assert!(!state.undo_last());
                    prop_assert_eq!((state.root(), state.new_state().mark()), before);
                }
                Step::EndRun => runs.push(state.take_new_state()),
                Step::Write => {
                    if !runs.is_empty() {
                        write(&mut state, runs.remove(0));
                    }
                }
                Step::Restart => {
                    let root = state.root();
                    state.reset(root).unwrap();
                }
            }
            let mut reader = state.reader(|number| Ok(B256::with_last_byte(number as u8)));
            for number in 0..10 {
                let expected = model.get(&address(number));
                let account = reader.account(&address(number)).unwrap();
                prop_assert_eq!(account.map(|a| (a.nonce, a.balance)), expected.map(|a| (a.nonce, a.balance)));
                for slot in (0..12).map(U256::from) {
                    let value = expected.and_then(|a| a.storage.get(&slot)).copied().unwrap_or_default();
                    prop_assert_eq!(reader.storage(&address(number), &slot).unwrap(), value);
                }
            }
            prop_assert_eq!(reader.block_hash(7).unwrap(), B256::with_last_byte(7));
        }
        runs.push(state.take_new_state());
        runs.into_iter().for_each(|run| write(&mut state, run));

        let mut view = StateView::open(state.root(), database).unwrap();
        let mut by_key = HashMap::new();
        for (address, account) in &model {
            by_key.insert(keccak256(address), account.clone());
            for (slot, value) in &account.storage {
                prop_assert_eq!(view.storage(address, slot).unwrap(), *value);
            }
        }
        let accounts: Vec<_> = view.accounts().map(|entry| entry.unwrap()).collect();
        prop_assert_eq!(accounts.len(), model.len());
        prop_assert!(accounts.is_sorted_by_key(|(key, _)| *key));
        for (key, account) in accounts {
            let expected = &by_key[&key];
            prop_assert_eq!((account.nonce, account.balance), (expected.nonce, expected.balance));
            let slots: BTreeMap<_, _> = view.slots(account.storage_root).map(|entry| entry.unwrap()).collect();
            let hashed = expected.storage.iter().map(|(slot, value)| (keccak256(slot.to_be_bytes::<32>()), *value));
            prop_assert_eq!(slots, hashed.collect::<BTreeMap<_, _>>());
        }
    }

    #[test]
    fn account_leaves_written_are_account_leaves_read(nonce: u64, balance: [u8; 32], skip in 0usize..32, a: [u8; 32], b: [u8; 32]) {
        let balance = U256::from_be_slice(&balance[skip..]);
        let account = Account { nonce, balance, storage_root: B256::new(a), code_hash: B256::new(b) };
        prop_assert_eq!(decode_account(&encode_account(&account)).unwrap(), account);
    }

    #[test]
    fn no_bytes_of_an_account_leaf_make_it_panic(data in prop::collection::vec(any::<u8>(), 0..120)) {
        if let Ok(account) = decode_account(&data) {
            prop_assert!(encode_account(&account).len() <= data.len());
        }
    }
}

fn open(database: &Arc<Memory>, root: B256) -> StateTrie {
    StateTrie::open(root, database.clone(), TrieOptions::default()).unwrap()
}

#[test]
fn an_account_touched_and_not_changed_leaves_the_root_and_writes_nothing() {
    let database = Arc::new(Memory::default());
    let mut state = open(&database, EMPTY_ROOT);
    let mut first = change(1, Some(fields(1, 5)));
    first.storage = vec![(U256::from(1), U256::from(2))];
    let root = state.apply(&[first.clone(), change(2, Some(fields(0, 0)))]).unwrap();
    let mark = state.new_state().mark();
    assert_eq!(state.apply(&[first, change(2, Some(fields(0, 0)))]).unwrap(), root);
    assert_eq!(state.apply(&[change(3, None)]).unwrap(), root);
    assert_eq!(state.apply(&[]).unwrap(), root);
    assert_eq!(state.new_state().mark(), mark);
}

#[test]
fn code_is_stored_under_its_hash_and_so_is_empty_code() {
    let database = Arc::new(Memory::default());
    let mut state = open(&database, EMPTY_ROOT);
    let code = Bytes::from_static(&[0x60, 0x00]);
    let hash = keccak256(&code);
    let mut deployed = change(1, Some(AccountFields { code_hash: hash, ..fields(1, 0) }));
    deployed.code = Some(code.clone());
    let mut empty = change(2, Some(fields(1, 0)));
    empty.code = Some(Bytes::new());
    state.apply(&[deployed, empty]).unwrap();
    assert_eq!(state.new_state().code(), [(hash, code.clone()), (EMPTY_CODE_HASH, Bytes::new())]);

    let run = state.take_new_state();
    let no_ancestors = |_| Err(StateError::Database("no ancestors here".into()));
    assert_eq!(state.reader(no_ancestors).code(&address(1), &hash).unwrap(), code, "readable before it is written");
    assert!(state.committed(&run));
    assert!(!state.committed(&run));
    let missing = state.reader(no_ancestors).code(&address(1), &hash).unwrap_err();
    assert_eq!(missing, StateError::MissingCode { hash, address: address(1) });
    database.code.lock().unwrap().extend(run.code().iter().map(|(hash, code)| (*hash, code.to_vec())));
    assert_eq!(state.reader(no_ancestors).code(&address(1), &hash).unwrap(), code);
}

#[test]
fn what_a_run_holds_is_readable_until_it_is_reported_as_written() {
    let database = Arc::new(Memory::default());
    let mut state = open(&database, EMPTY_ROOT);
    let first = state.apply(&[change(1, Some(fields(1, 1)))]).unwrap();
    let first_run = state.take_new_state();
    let second = state.apply(&[change(1, Some(fields(2, 2)))]).unwrap();
    state.reset(first).unwrap();
    state.reset(second).unwrap();
    state.committed(&first_run);
    // Reported, but not in the database of this test: now it is gone, and the state stays where it was.
    assert_eq!(state.reset(first).unwrap_err(), StateError::MissingNode { hash: first, root: first });
    assert_eq!(state.root(), second);
    assert_eq!(state.apply(&[change(2, None)]).unwrap(), second);
}

#[test]
fn an_undone_block_leaves_no_nodes_and_keeps_those_of_the_block_before() {
    let database = Arc::new(Memory::default());
    let mut state = open(&database, EMPTY_ROOT);
    let good = state.apply(&[change(1, Some(fields(1, 1)))]).unwrap();
    let nodes: Vec<_> = state.new_state().nodes().map(|(hash, node)| (*hash, node.to_vec())).collect();
    let mut contract = change(2, Some(fields(1, 1)));
    contract.code = Some(Bytes::from_static(&[1]));
    contract.storage = vec![(U256::ZERO, U256::MAX)];
    // Deleting brings the old root about again: its node now stands twice in the run.
    state.apply(&[contract]).unwrap();
    assert_eq!(state.apply(&[change(2, None)]).unwrap(), good);
    assert!(state.undo_last());
    state.reset(good).unwrap();
    let second_block = state.apply(&[change(1, None)]).unwrap();
    assert_eq!(second_block, EMPTY_ROOT);
    assert!(state.undo_last());
    assert_eq!(state.root(), good);
    let run = state.take_new_state();
    assert!(!state.undo_last(), "a run handed out is final");
    assert!(nodes.iter().all(|(hash, node)| run.node(hash) == Some(node)));
}

#[test]
fn an_error_in_a_block_leaves_the_state_before_it() {
    let database = Arc::new(Memory::default());
    let mut state = open(&database, EMPTY_ROOT);
    let root = state.apply(&(1..40).map(|n| change(n, Some(fields(1, 1)))).collect::<Vec<_>>()).unwrap();
    let run = state.take_new_state();
    database.add(run.nodes());
    state.committed(&run);
    state.reset(root).unwrap();
    // Take away one leaf: a block that reaches it fails, after other accounts have been changed.
    let victim = run.nodes().map(|(hash, _)| *hash).find(|hash| *hash != root).unwrap();
    let node = database.nodes.lock().unwrap().remove(&victim).unwrap();
    let changes: Vec<_> = (1..40).map(|n| change(n, Some(fields(2, 2)))).collect();
    assert_eq!(state.apply(&changes).unwrap_err(), StateError::MissingNode { hash: victim, root });
    assert_eq!(state.root(), root);
    assert!(state.new_state().is_empty());
    database.nodes.lock().unwrap().insert(victim, node);
    let whole = state.apply(&changes).unwrap();
    let mut other = open(&database, EMPTY_ROOT);
    assert_eq!(other.apply(&changes).unwrap(), whole);
}

#[test]
fn a_state_that_is_not_there_cannot_be_opened() {
    let database = Arc::new(Memory::default());
    let root = B256::repeat_byte(1);
    let expected = StateError::MissingNode { hash: root, root };
    assert_eq!(StateTrie::open(root, database.clone(), TrieOptions::default()).err(), Some(expected.clone()));
    assert_eq!(StateView::open(root, database).err(), Some(expected));
}

#[test]
fn leaves_that_are_no_accounts_or_values_are_bad_nodes() {
    let database = Arc::new(Memory::default());
    let mut trie = Trie::empty();
    let mut out = NodeBuffer::default();
    trie.insert(&keccak256(address(1)), &[0xc2, 1, 2], &*database).unwrap();
    let root = trie.commit(&mut out, false);
    database.add(out.iter());
    let mut view = StateView::open(root, database.clone()).unwrap();
    let error = view.account(&address(1)).unwrap_err();
    assert!(matches!(error, StateError::BadNode { hash, .. } if hash == root), "{error}");
    assert!(view.accounts().next().unwrap().is_err());
    assert!(open(&database, root).apply(&[change(1, Some(fields(1, 1)))]).is_err());

    // A slot of 33 bytes.
    let mut slots = Trie::empty();
    let mut out = NodeBuffer::default();
    slots.insert(&keccak256([0; 32]), &slow_string(&[1; 33]), &*database).unwrap();
    let storage_root = slots.commit(&mut out, false);
    let mut accounts = Trie::empty();
    let account = Account { storage_root, ..Account::default() };
    accounts.insert(&keccak256(address(1)), &encode_account(&account), &*database).unwrap();
    let root = accounts.commit(&mut out, false);
    database.add(out.iter());
    let mut view = StateView::open(root, database).unwrap();
    let error = view.storage(&address(1), &U256::ZERO).unwrap_err();
    assert!(matches!(error, StateError::BadNode { hash, .. } if hash == storage_root), "{error}");
    assert!(view.slots(storage_root).next().unwrap().is_err());
}

struct Failing;

impl NodeSource for Failing {
    fn node(&self, _hash: &B256) -> Result<Option<Vec<u8>>, StateError> {
        Err(StateError::Database("disk on fire".into()))
    }

    fn code(&self, _hash: &B256) -> Result<Option<Vec<u8>>, StateError> {
        Err(StateError::Database("disk on fire".into()))
    }
}

#[test]
fn an_error_of_the_database_is_not_an_absent_account() {
    let root = B256::repeat_byte(1);
    let error = StateView::open(root, Arc::new(Failing)).err();
    assert_eq!(error, Some(StateError::Database("disk on fire".into())));
    let view = StateView::open(EMPTY_ROOT, Arc::new(Failing)).unwrap();
    assert!(matches!(view.code(&address(1), &root), Err(StateError::Database(_))));
}

#[test]
fn memory_stays_near_its_budget() {
    let database = Arc::new(Memory::default());
    let options = TrieOptions { memory_budget: 4 << 20, parallel: false };
    let mut state = StateTrie::open(EMPTY_ROOT, database.clone(), options).unwrap();
    let mut highest = 0;
    for block in 0..60u64 {
        let changes: Vec<_> = (0..300u64)
            .map(|number| AccountChange {
                address: Address::from_word(keccak256((block * 300 + number).to_be_bytes())),
                account: Some(fields(1, number)),
                storage_cleared: false,
                storage: if number % 50 == 0 { vec![(U256::from(number), U256::from(1))] } else { vec![] },
                code: None,
            })
            .collect();
        state.apply(&changes).unwrap();
        highest = highest.max(state.memory());
        let run = state.take_new_state();
        database.add(run.nodes());
        state.committed(&run);
    }
    assert!(highest <= 4 << 20, "{highest} bytes");
    let reopened = StateView::open(state.root(), database).unwrap();
    assert_eq!(reopened.accounts().filter(Result::is_ok).count(), 60 * 300);
}

#[test]
fn a_wide_block_hashed_on_threads_gives_the_same_state() {
    let changes: Vec<_> = (0..2000u64)
        .map(|number| AccountChange {
            address: Address::from_word(keccak256(number.to_be_bytes())),
            account: Some(fields(number, 1)),
            storage_cleared: false,
            storage: if number == 3 { (1..600).map(|n| (U256::from(n), U256::from(n))).collect() } else { vec![] },
            code: None,
        })
        .collect();
    let outcomes = [false, true].map(|parallel| {
        let options = TrieOptions { parallel, ..TrieOptions::default() };
        let mut state = StateTrie::open(EMPTY_ROOT, Arc::new(Memory::default()), options).unwrap();
        let root = state.apply(&changes).unwrap();
        let run = state.take_new_state();
        assert!(run.nodes().all(|(hash, node)| run.node(hash) == Some(node)));
        (root, run.nodes().len(), run.node_bytes())
    });
    assert_eq!(outcomes[0], outcomes[1]);
}

#[test]
fn a_missing_node_of_a_storage_trie_is_reported_under_the_state_root() {
    let database = Arc::new(Memory::default());
    let mut state = open(&database, EMPTY_ROOT);
    let mut contract = change(1, Some(fields(1, 1)));
    contract.storage = vec![(U256::ZERO, U256::from(5))];
    let root = state.apply(std::slice::from_ref(&contract)).unwrap();
    database.add(state.take_new_state().nodes());
    let missing = storage_root(&BTreeMap::from([(U256::ZERO, U256::from(5))]));
    database.nodes.lock().unwrap().remove(&missing).unwrap();
    let expected = StateError::MissingNode { hash: missing, root };
    let mut view = StateView::open(root, database.clone()).unwrap();
    assert_eq!(view.storage(&address(1), &U256::ZERO).unwrap_err(), expected);
    contract.storage[0].1 = U256::ZERO;
    assert_eq!(open(&database, root).apply(&[contract]).unwrap_err(), expected);
}
