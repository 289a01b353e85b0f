//! Building a block: a refused candidate leaves no trace, and what is built is what executing the block gives.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Arc;

use polygon_edge_chain::{
    Address, B256, Bytes, U256,
    block::{Block, Header},
    execute::{BlockContext, Candidate, Executor, Fate, GenesisAccount, genesis_changes},
    extra::{Seals, Validator},
    forks::{Forks, Generation, Rules},
    genesis::GenesisFields,
    hash,
    proposal::{Predecessor, Proposal, Terms},
    rlp,
    state::{EMPTY_ROOT, NodeSource, StateError},
    state_trie::{NewState, StateTrie, TrieOptions},
    transaction::{Form, Transaction},
};
use proptest::prelude::*;

const COINBASE: Address = Address::repeat_byte(0xcb);
const COUNTER: Address = Address::repeat_byte(0xc0);
const DESTRUCTIBLE: Address = Address::repeat_byte(0xde);
const FAULTY: Address = Address::repeat_byte(0xfa);
/// Has 2^256-1 wei.
const FULL: Address = Address::repeat_byte(0xff);
const SENDERS: [Address; 3] = [Address::repeat_byte(1), Address::repeat_byte(2), Address::repeat_byte(3)];
const FILLERS: u8 = 21;
const JUNK_SENDERS: u8 = 40;
const GAS: u64 = 150_000;

fn filler(index: u8) -> Address {
    Address::with_last_byte(100 + index)
}

fn junk_sender(index: u8) -> Address {
    Address::with_last_byte(200).create(u64::from(index))
}

/// A database that holds one state.
struct Stored(Arc<NewState>);

impl NodeSource for Stored {
    fn node(&self, hash: &B256) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.0.node(hash).map(<[u8]>::to_vec))
    }

    fn code(&self, hash: &B256) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.0.find_code(hash).map(|code| code.to_vec()))
    }
}

fn push_address(address: &Address) -> Vec<u8> {
    [&[0x73], address.as_slice()].concat()
}

/// Adds one to slot 0 and logs it.
fn counter() -> Vec<u8> {
    vec![0x60, 0, 0x54, 0x60, 1, 0x01, 0x80, 0x60, 0, 0x55, 0x60, 0, 0x52, 0x60, 7, 0x60, 32, 0x60, 0, 0xa1]
}

/// Destroys itself when called with data, else writes slot 0.
fn destructible() -> Vec<u8> {
    vec![0x36, 0x15, 0x60, 7, 0x57, 0x33, 0xff, 0x5b, 0x60, 1, 0x60, 0, 0x55]
}

/// Writes, logs, calls the counter, reads the code of many accounts, then pays where no more can be held.
fn faulty() -> Vec<u8> {
    let mut code = vec![0x60, 1, 0x60, 5, 0x55, 0x60, 0, 0x60, 0, 0xa0];
    code.extend([0x60, 0, 0x60, 0, 0x60, 0, 0x60, 0, 0x60, 0]);
    code.extend(push_address(&COUNTER));
    code.extend([0x5a, 0xf1, 0x50]);
    for index in 0..FILLERS {
        code.extend(push_address(&filler(index)));
        code.extend([0x3b, 0x50]);
    }
    code.extend([0x60, 0, 0x60, 0, 0x60, 0, 0x60, 0, 0x60, 1]);
    code.extend(push_address(&FULL));
    code.extend([0x5a, 0xf1]);
    code
}

struct World {
    rules: Rules,
    parent: Predecessor,
    state: Arc<NewState>,
}

impl World {
    fn new() -> Self {
        let forks = Forks {
            homestead: Some(0),
            eip150: Some(0),
            eip155: Some(0),
            eip158: Some(0),
            byzantium: Some(0),
            constantinople: Some(0),
            petersburg: Some(0),
            istanbul: Some(0),
            ..Forks::default()
        };
        let rules = Rules::new(Generation::G1, 100, forks);
        let rich = |balance: u64| GenesisAccount { balance: Some(U256::from(balance)), ..GenesisAccount::default() };
        let contract = |code: Vec<u8>| GenesisAccount { nonce: 1, code: code.into(), ..GenesisAccount::default() };
        let mut alloc = vec![
            (COUNTER, contract(counter())),
            (DESTRUCTIBLE, contract(destructible())),
            (FAULTY, GenesisAccount { balance: Some(U256::from(1)), ..contract(faulty()) }),
            (FULL, GenesisAccount { balance: Some(U256::MAX), ..GenesisAccount::default() }),
        ];
        alloc.extend(SENDERS.map(|sender| (sender, rich(1 << 50))));
        alloc.extend((0..FILLERS).map(|index| (filler(index), contract(vec![0, index]))));
        alloc.extend((0..JUNK_SENDERS).map(|index| (junk_sender(index), rich(1_000_000))));
        let mut trie = StateTrie::open(EMPTY_ROOT, Arc::new(Empty), TrieOptions::default()).unwrap();
        let root = trie.apply(&genesis_changes(&alloc)).unwrap();
        let header = genesis_header(root);
        let parent = Predecessor { hash: hash::plain(&header, Generation::G1), header };
        Self { rules, parent, state: trie.take_new_state() }
    }

    fn trie(&self) -> StateTrie {
        let database = Arc::new(Stored(Arc::clone(&self.state)));
        StateTrie::open(self.parent.header.state_root, database, TrieOptions::default()).unwrap()
    }

    fn build(&self, candidates: &[Candidate], gas_limit: u64, enough: &mut dyn FnMut() -> bool) -> Proposal {
        let mut executor = Executor::new(&self.rules);
        self.build_by(&mut executor, candidates, gas_limit, enough)
    }

    fn build_by(
        &self,
        executor: &mut Executor,
        candidates: &[Candidate],
        gas_limit: u64,
        enough: &mut dyn FnMut() -> bool,
    ) -> Proposal {
        let terms = Terms {
            coinbase: COINBASE,
            timestamp: 1000,
            gas_limit,
            validators: vec![Validator { address: COINBASE, bls_public_key: None }],
            miner: Bytes::from_static(&[0; 20]),
            nonce: [0; 8],
            base_fee: 0,
        };
        let parent_hash = self.parent.hash;
        let block_hash = |_number| Ok(parent_hash);
        Proposal::build(executor, &self.parent, terms, candidates, enough, &mut self.trie(), block_hash).unwrap()
    }
}

struct Empty;

impl NodeSource for Empty {
    fn node(&self, _: &B256) -> Result<Option<Vec<u8>>, StateError> {
        Ok(None)
    }

    fn code(&self, _: &B256) -> Result<Option<Vec<u8>>, StateError> {
        Ok(None)
    }
}

fn genesis_header(state_root: B256) -> Header {
    let fields = GenesisFields {
        nonce: [0; 8],
        timestamp: 0,
        extra_data: Bytes::new(),
        gas_limit: 1 << 30,
        difficulty: 1,
        mix_hash: B256::ZERO,
        coinbase: Address::ZERO,
        number: 0,
        gas_used: 0,
        parent_hash: B256::ZERO,
        base_fee: 0,
    };
    fields.header(state_root)
}

fn candidate(sender: Option<Address>, nonce: u64, gas_price: u64, gas: u64, to: Address, value: u64) -> Candidate {
    let input: &[u8] = if value == DESTROY { &[1] } else { &[] };
    let value = if value == DESTROY { 0 } else { value };
    let mut payload = Vec::new();
    rlp::put_list_with(&mut payload, |out| {
        for number in [nonce, gas_price, gas] {
            rlp::put_u64(out, number);
        }
        rlp::put_bytes(out, to.as_slice());
        rlp::put_u64(out, value);
        rlp::put_bytes(out, input);
        for number in [27, 1, 1] {
            rlp::put_u64(out, number);
        }
    });
    let whole = Bytes::from(payload);
    let transaction =
        Transaction::decode_submitted(&whole, Form { generation: Generation::G1, hashed_with_type: false }).unwrap();
    Candidate { transaction, sender }
}

/// A value that stands for data instead.
const DESTROY: u64 = u64::MAX;

#[derive(Clone, Copy, Debug)]
enum Good {
    Count,
    Destroy,
    Pay(Target),
    Write,
}

#[derive(Clone, Copy, Debug)]
enum Target {
    Destructible,
    Nobody,
}

impl Good {
    fn candidate(self, sender: Address, nonce: u64) -> Candidate {
        let (to, value) = match self {
            Self::Count => (COUNTER, 0),
            Self::Destroy => (DESTRUCTIBLE, DESTROY),
            Self::Pay(Target::Destructible) => (DESTRUCTIBLE, 5),
            Self::Pay(Target::Nobody) => (Address::repeat_byte(0x99), 1),
            Self::Write => (DESTRUCTIBLE, 0),
        };
        candidate(Some(sender), nonce, 3, GAS, to, value)
    }
}

#[derive(Clone, Copy, Debug)]
enum Junk {
    LowNonce,
    HighNonce,
    NoFunds,
    NoValue,
    NoGas,
    TooLarge,
    NoSender,
    Fault,
}

impl Junk {
    /// Refused, as whoever is next among those who fail once; the nonce is wrong for the sender of the next good one.
    fn candidate(self, gas_limit: u64, failing: Address, next: Address, nonce: u64) -> (Candidate, Fate) {
        let failed = |text: &str| Fate::Failed(text.to_owned());
        let by_failing = |price, gas, to, value| candidate(Some(failing), 0, price, gas, to, value);
        match self {
            Self::LowNonce if nonce > 0 => (candidate(Some(next), nonce - 1, 3, GAS, COUNTER, 0), Fate::NonceTooLow),
            Self::LowNonce | Self::HighNonce => {
                (candidate(Some(next), nonce + 1, 3, GAS, COUNTER, 0), Fate::NonceTooHigh)
            }
            Self::NoFunds => (by_failing(9, GAS, COUNTER, 0), failed("not enough funds to cover gas costs")),
            Self::NoValue => {
                (by_failing(1, GAS, COUNTER, 1_000_000), failed("not enough funds for transfer with given value"))
            }
            Self::NoGas => {
                (by_failing(1, 20_999, COUNTER, 0), failed("not enough gas supplied for intrinsic gas costs"))
            }
            Self::TooLarge => (by_failing(0, gas_limit + 1, COUNTER, 0), Fate::TooLarge),
            Self::NoSender => (candidate(None, 0, 1, GAS, COUNTER, 0), failed("invalid sender")),
            Self::Fault => {
                (by_failing(1, GAS, FAULTY, 3), failed(&format!("the balance of {FULL} would exceed 2^256-1")))
            }
        }
    }
}

fn goods() -> impl Strategy<Value = Good> {
    prop_oneof![
        Just(Good::Count),
        Just(Good::Destroy),
        Just(Good::Pay(Target::Destructible)),
        Just(Good::Pay(Target::Nobody)),
        Just(Good::Write),
    ]
}

fn junk() -> impl Strategy<Value = Junk> {
    prop_oneof![
        Just(Junk::LowNonce),
        Just(Junk::HighNonce),
        Just(Junk::NoFunds),
        Just(Junk::NoValue),
        Just(Junk::NoGas),
        Just(Junk::TooLarge),
        Just(Junk::NoSender),
        Just(Junk::Fault),
    ]
}

/// The good candidates alone, all of them with the junk in between, and what has to become of the latter.
fn interleave(plan: &[(usize, Good, Vec<Junk>)], gas_limit: u64) -> (Vec<Candidate>, Vec<Candidate>, Vec<Fate>) {
    let (mut good, mut all, mut fates) = (Vec::new(), Vec::new(), Vec::new());
    let mut nonces = [0; SENDERS.len()];
    let mut failing = 0;
    for (sender, wanted, junk) in plan {
        let (address, nonce) = (SENDERS[*sender], nonces[*sender]);
        for junk in junk {
            let (candidate, fate) = junk.candidate(gas_limit, junk_sender(failing), address, nonce);
            failing += 1;
            all.push(candidate);
            fates.push(fate);
        }
        let candidate = wanted.candidate(address, nonce);
        nonces[*sender] += 1;
        good.push(candidate.clone());
        all.push(candidate);
        fates.push(Fate::Included);
    }
    (good, all, fates)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn refused_candidates_leave_no_trace(
        plan in prop::collection::vec((0..SENDERS.len(), goods(), prop::collection::vec(junk(), 0..3)), 0..20)
    ) {
        let world = World::new();
        // Room for exactly the good ones, as long as refused ones give back what they took.
        let gas_limit = (plan.len() as u64 + 1) * GAS;
        let (good, all, expected) = interleave(&plan, gas_limit);
        let plain = world.build(&good, gas_limit, &mut || false);
        let mixed = world.build(&all, gas_limit, &mut || false);
        prop_assert_eq!(&mixed.fates, &expected);
        prop_assert!(plain.fates.iter().all(|fate| *fate == Fate::Included));
        prop_assert_eq!(plain.hash, mixed.hash);
        prop_assert_eq!(&plain.block, &mixed.block);

        // Built is executed: gas, receipts and state of the header are those of an ordinary execution.
        let header = &plain.block.header;
        let context = BlockContext {
            number: 1, timestamp: 1000, gas_limit, difficulty: 1, coinbase: COINBASE, base_fee: 0,
        };
        let senders: Vec<_> = good.iter().map(|candidate| candidate.sender).collect();
        let mut trie = world.trie();
        let outcome = Executor::new(&world.rules)
            .execute_block(&context, &plain.block.transactions, &senders, &mut trie.reader(|_| Ok(B256::ZERO)))
            .unwrap();
        prop_assert_eq!(outcome.gas_used, header.gas_used);
        prop_assert_eq!(trie.apply(&outcome.changes).unwrap(), header.state_root);
    }
}

fn fates(proposal: &Proposal) -> Vec<String> {
    proposal.fates.iter().map(Fate::to_string).collect()
}

fn never() -> impl FnMut() -> bool {
    || false
}

#[test]
fn destroyed_code_runs_on_although_a_fault_read_other_code_in_between() {
    let world = World::new();
    let [first, ..] = SENDERS;
    let good = [Good::Destroy, Good::Pay(Target::Destructible), Good::Write]
        .into_iter()
        .zip(0..)
        .map(|(wanted, nonce)| wanted.candidate(first, nonce))
        .collect::<Vec<_>>();
    let plain = world.build(&good, 1 << 30, &mut never());
    let (fault, _) = Junk::Fault.candidate(1 << 30, junk_sender(0), first, 0);
    let mixed = world.build(&[good[0].clone(), good[1].clone(), fault, good[2].clone()], 1 << 30, &mut never());
    assert_eq!(fates(&mixed)[3], "included");
    assert_eq!(plain.block.header.gas_used, mixed.block.header.gas_used);
    assert_eq!(plain.hash, mixed.hash);
    // §6.7.3: the stale code ran, so the last transaction paid for a slot.
    let without = world.build(&good[..2], 1 << 30, &mut never());
    assert!(plain.block.header.gas_used - without.block.header.gas_used > 21_000 + 20_000);
}

#[test]
fn a_sender_that_failed_is_skipped_and_the_others_are_not() {
    let world = World::new();
    let [a, b, _] = SENDERS;
    let candidates = [
        candidate(Some(a), 0, 1, 20_000, COUNTER, 0),
        candidate(Some(a), 0, 1, GAS, COUNTER, 0),
        candidate(Some(b), 0, 1, GAS, COUNTER, 0),
        candidate(Some(b), 1, 1, (1 << 30) + 1, COUNTER, 0),
        candidate(Some(b), 1, 1, GAS, COUNTER, 0),
    ];
    let proposal = world.build(&candidates, 1 << 30, &mut never());
    let failed = "failed: not enough gas supplied for intrinsic gas costs";
    assert_eq!(fates(&proposal), [failed, "skipped", "included", "too large", "skipped"]);
    assert_eq!(proposal.block.transactions.len(), 1);
}

#[test]
fn a_wrong_nonce_does_not_condemn_its_sender() {
    let world = World::new();
    let [a, ..] = SENDERS;
    let nonces = [1, 0, 0, 1, 9, 2];
    let candidates = nonces.map(|nonce| candidate(Some(a), nonce, 1, GAS, COUNTER, 0));
    let proposal = world.build(&candidates, 1 << 30, &mut never());
    let expected = ["nonce too high", "included", "nonce too low", "included", "nonce too high", "included"];
    assert_eq!(fates(&proposal), expected);
}

#[test]
fn the_first_that_the_gas_left_does_not_pay_for_ends_the_block() {
    let world = World::new();
    let [a, b, c] = SENDERS;
    let pay = |sender, gas| candidate(Some(sender), 0, 1, gas, Address::repeat_byte(0x99), 1);
    let candidates = [pay(a, 30_000), pay(b, 29_001), pay(c, 21_000)];
    let proposal = world.build(&candidates, 50_000, &mut never());
    assert_eq!(fates(&proposal), ["included", "skipped", "skipped"]);
    // What the first did not use is there for the second.
    let proposal = world.build(&[pay(a, 30_000), pay(b, 29_000), pay(c, 21_000)], 50_000, &mut never());
    assert_eq!(fates(&proposal), ["included", "included", "skipped"]);
}

#[test]
fn a_refused_candidate_gives_its_gas_back() {
    let world = World::new();
    let [a, ..] = SENDERS;
    for junk in [Junk::NoValue, Junk::Fault, Junk::NoGas] {
        let (refused, fate) = junk.candidate(GAS, junk_sender(0), a, 0);
        let proposal = world.build(&[refused, Good::Count.candidate(a, 0)], GAS, &mut never());
        assert_eq!(proposal.fates, [fate, Fate::Included], "{junk:?}");
    }
}

#[test]
fn the_end_of_the_time_ends_the_block() {
    let world = World::new();
    let candidates = SENDERS.map(|sender| candidate(Some(sender), 0, 1, GAS, COUNTER, 0));
    let mut asked = 0;
    let mut enough = || {
        asked += 1;
        asked > 2
    };
    let proposal = world.build(&candidates, 1 << 30, &mut enough);
    assert_eq!(fates(&proposal), ["included", "included", "skipped"]);
    let header = &proposal.block.header;
    assert_eq!(proposal.block.transactions.len(), 2);
    assert!(header.gas_used > 2 * 21_000);
}

#[test]
fn an_executor_builds_the_same_block_again() {
    let world = World::new();
    let mut executor = Executor::new(&world.rules);
    let candidates = SENDERS.map(|sender| candidate(Some(sender), 0, 1, GAS, COUNTER, 0));
    let first = world.build_by(&mut executor, &candidates, 1 << 30, &mut never());
    executor.release_frames();
    let second = world.build_by(&mut executor, &candidates, 1 << 30, &mut never());
    assert_eq!(first.hash, second.hash);
    let seal = Bytes::from(vec![7; 65]);
    let record = Bytes::from(first.record(seal.clone(), Seals::Ecdsa(vec![seal]), 0));
    let block = Block::decode(&world.rules, &record).unwrap();
    assert_eq!(block.transactions, first.block.transactions);
    assert_ne!(block.header.extra_data, first.block.header.extra_data);
    let unsealed = Header { extra_data: first.block.header.extra_data.clone(), ..block.header };
    assert_eq!(unsealed, first.block.header);
}
