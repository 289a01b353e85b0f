//! A head never points at a state that was not written: by order, by sync, and by one batch.

use std::sync::{Arc, Mutex};

use polygon_edge_chain::state::NodeSource;
use polygon_edge_chain::{B256, U256, keccak256};
use polygon_edge_store::data_dir::Tuning;
use polygon_edge_store::key_value::Visitor;
use polygon_edge_store::{
    Batch, BlockBatch, BlockReader, BlockRecord, CommitStep, Committer, DataDir, Durability, GenesisRecord, Head,
    KeyValueReader, KeyValueStore, OpenMode, Operation, StateStore, StoreError, VolatileStore, state_batch,
};

mod scratch;

use scratch::Scratch;

/// A stand-in header: its bytes are the state root, so that a head leads to its state.
fn root(number: u64) -> B256 {
    keccak256(node(number))
}

fn node(number: u64) -> Vec<u8> {
    format!("node of block {number}").into_bytes()
}

fn hash(number: u64) -> B256 {
    keccak256(root(number))
}

fn run(numbers: std::ops::RangeInclusive<u64>) -> (Batch, Batch) {
    let nodes: Vec<_> = numbers.clone().map(|number| (root(number), node(number))).collect();
    let mut blocks = BlockBatch::new();
    for number in numbers {
        let header = root(number);
        if number == 0 {
            let genesis = GenesisRecord { hash: hash(0), header: header.as_slice(), difficulty: U256::ONE };
            blocks.put_genesis(&genesis).expect("first");
            continue;
        }
        let block = BlockRecord {
            number,
            hash: hash(number),
            header: header.as_slice(),
            body: &[0xc2, 0xc0, 0xc0],
            receipts: &[0xc0],
            total_difficulty: U256::from(1 + number * (number + 1) / 2),
            transaction_hashes: &[B256::with_last_byte(number as u8)],
        };
        blocks.put_block(&block).expect("in order");
    }
    (state_batch(nodes, [(keccak256(b"code"), b"code")]), blocks.into_batch())
}

/// The head, after a look that its state is there.
fn head(trie: &Arc<dyn KeyValueStore>, blockchain: &Arc<dyn KeyValueStore>) -> Option<u64> {
    let blocks = BlockReader::new(blockchain.clone());
    let head = blocks.head().expect("whole")?;
    let header = blocks.header(&head.hash).expect("reads").expect("there");
    let found = StateStore::new(trie.clone()).node(&B256::from_slice(&header)).expect("reads");
    assert_eq!(found, Some(node(head.number)), "the head's state");
    Some(head.number)
}

#[test]
fn keys_stand_in_the_order_of_the_go_client_with_the_head_last() {
    let (_, blocks) = run(0..=2);
    let keys: Vec<_> = blocks
        .iter()
        .map(|operation| match operation {
            Operation::Put(key, _) => key[0] as char,
            Operation::Delete(_) => '-',
        })
        .collect();
    assert_eq!(keys.iter().collect::<String>(), "hcdblhcdrblhcdroo");
    let last: Vec<_> = blocks.iter().skip(keys.len() - 2).collect();
    let number = 2_u64.to_be_bytes();
    assert_eq!(last, [Operation::Put(b"ohash", hash(2).as_slice()), Operation::Put(b"onumber", &number)]);
}

#[test]
fn a_run_with_a_gap_is_refused() {
    let mut blocks = BlockBatch::new();
    let genesis = GenesisRecord { hash: hash(0), header: &[], difficulty: U256::ZERO };
    blocks.put_genesis(&genesis).expect("first");
    assert!(matches!(blocks.put_genesis(&genesis), Err(StoreError::InvalidArgument { .. })));
    assert_eq!(blocks.head(), Some(Head { number: 0, hash: hash(0) }));
    assert!(BlockBatch::new().into_batch().is_empty(), "an empty run moves no head");
}

#[test]
fn power_lost_at_any_step_leaves_a_head_with_its_state() {
    for (step, expected) in
        [(CommitStep::BeforeState, 0), (CommitStep::BetweenStateAndBlocks, 0), (CommitStep::AfterBlocks, 3)]
    {
        let (trie, blockchain) = (VolatileStore::new(), VolatileStore::new());
        let stores: (Arc<dyn KeyValueStore>, Arc<dyn KeyValueStore>) =
            (Arc::new(trie.clone()), Arc::new(blockchain.clone()));
        let committer = Committer::new(stores.0.clone(), stores.1.clone());
        let (state, blocks) = run(0..=0);
        committer.commit(&state, &blocks).expect("genesis");
        let stop = Arc::new(
            move |reached| {
                if reached == step { Err(StoreError::Stopped(format!("{reached:?}"))) } else { Ok(()) }
            },
        );
        let (state, blocks) = run(1..=3);
        let stopped = committer.clone().with_fail_point(stop).commit(&state, &blocks);
        assert_eq!(stopped, Err(StoreError::Stopped(format!("{step:?}"))));
        assert_eq!((trie.unsynced(), blockchain.unsynced()), (0, 0), "nothing that was written can be lost");
        trie.lose_power(0);
        blockchain.lose_power(0);
        assert_eq!(head(&stores.0, &stores.1), Some(expected), "after a power loss at {step:?}");
        committer.commit(&state, &blocks).expect("the same run again");
        assert_eq!(head(&stores.0, &stores.1), Some(3));
        assert!(trie.writes().iter().chain(&blockchain.writes()).all(|write| *write == Durability::Synced));
    }
}

/// A disk on which the power goes in the middle of a write: the batch was handed over and its sync never returned.
#[derive(Clone)]
struct Interrupted {
    disk: VolatileStore,
    writes_left: Arc<Mutex<usize>>,
}

impl KeyValueReader for Interrupted {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.disk.get(key)
    }

    fn visit(&self, start: &[u8], visitor: &mut Visitor<'_>) -> Result<(), StoreError> {
        self.disk.visit(start, visitor)
    }
}

impl KeyValueStore for Interrupted {
    fn write(&self, batch: &Batch, durability: Durability) -> Result<(), StoreError> {
        let mut left = self.writes_left.lock().expect("one thread");
        if *left == 0 {
            self.disk.write(batch, Durability::Buffered)?;
            return Err(StoreError::Stopped("the power went".to_owned()));
        }
        *left -= 1;
        self.disk.write(batch, durability)
    }

    fn snapshot(&self) -> Arc<dyn KeyValueReader> {
        self.disk.snapshot()
    }
}

/// The height that a power loss in write number `write` of ten runs left, and the last one that was reported before it.
fn head_after_power_loss(write: usize, survives: bool, is_state_first: bool) -> (Option<u64>, Option<u64>, bool) {
    let writes_left = Arc::new(Mutex::new(write));
    let disks = (VolatileStore::new(), VolatileStore::new());
    let stores = [&disks.0, &disks.1].map(|disk| Interrupted { disk: disk.clone(), writes_left: writes_left.clone() });
    let [trie, blockchain] = stores.map(|store| Arc::new(store) as Arc<dyn KeyValueStore>);
    let committer = Committer::new(trie.clone(), blockchain.clone());
    let mut reported = None;
    for index in 0..10_u64 {
        let (state, blocks) = if index == 0 { run(0..=0) } else { run(index * 3 - 2..=index * 3) };
        let done = if is_state_first {
            committer.commit(&state, &blocks)
        } else {
            // The order that must not be: it is here to see that this test can fail.
            blockchain.write(&blocks, Durability::Synced).and_then(|()| trie.write(&state, Durability::Synced))
        };
        if done.is_err() {
            break;
        }
        reported = Some(index * 3);
    }
    for disk in [&disks.0, &disks.1] {
        disk.lose_power(usize::from(survives));
    }
    let blocks = BlockReader::new(blockchain);
    let head = blocks.head().expect("whole");
    let has_state = head.is_none_or(|head| {
        let root = blocks.header(&head.hash).expect("reads").expect("there");
        StateStore::new(trie).node(&B256::from_slice(&root)).expect("reads") == Some(node(head.number))
    });
    (head.map(|head| head.number), reported, has_state)
}

#[test]
fn power_lost_inside_any_write_loses_nothing_reported_and_no_state_of_a_head() {
    for write in 0..20 {
        for survives in [false, true] {
            let (head, reported, has_state) = head_after_power_loss(write, survives, true);
            assert!(has_state, "write {write}, survives: {survives}: head {head:?} without its state");
            assert!(head >= reported, "write {write}, survives: {survives}: head {head:?}, reported {reported:?}");
            let next = reported.map_or(0, |number| number + 3);
            assert!(head == reported || survives && head == Some(next), "write {write}: a run is there or it is not");
        }
    }
    let wrong_order = (0..20).any(|write| !head_after_power_loss(write, false, false).2);
    assert!(wrong_order, "blocks before state must be found out");
}

#[test]
fn a_write_that_fails_leaves_the_old_head() {
    for trie_fails in [true, false] {
        let (trie, blockchain) = (VolatileStore::new(), VolatileStore::new());
        let stores: (Arc<dyn KeyValueStore>, Arc<dyn KeyValueStore>) =
            (Arc::new(trie.clone()), Arc::new(blockchain.clone()));
        let committer = Committer::new(stores.0.clone(), stores.1.clone());
        let (state, blocks) = run(0..=5);
        committer.commit(&state, &blocks).expect("the disk has room");
        if trie_fails {
            trie.fail_after(0)
        } else {
            blockchain.fail_after(0)
        }
        let (state, blocks) = run(6..=9);
        assert!(matches!(committer.commit(&state, &blocks), Err(StoreError::Stopped(_))));
        assert_eq!(head(&stores.0, &stores.1), Some(5));
    }
}

/// The model itself: what was not synced can be lost, in order and no other way.
#[test]
fn the_store_in_memory_loses_what_was_not_synced() {
    for surviving in 0..=2 {
        let store = VolatileStore::new();
        let write = |key: &[u8], durability| {
            let mut batch = Batch::new();
            batch.put(key, b"1");
            store.write(&batch, durability).expect("writes");
        };
        write(b"a", Durability::Buffered);
        write(b"b", Durability::Synced);
        write(b"c", Durability::Buffered);
        write(b"d", Durability::Buffered);
        store.lose_power(surviving);
        let present = |key: &[u8]| polygon_edge_store::KeyValueReader::get(&store, key).expect("reads").is_some();
        assert_eq!([b"a", b"b", b"c", b"d"].map(|key| present(key)), [true, true, surviving >= 1, surviving >= 2]);
    }
}

#[test]
fn leveldb_keeps_what_was_committed_and_says_when_heads_disagree() {
    let scratch = Scratch::new("commit");
    let open = || DataDir::open(scratch.path(), OpenMode::CreateIfMissing, &Tuning::default()).expect("opens");
    let directory = open();
    assert_eq!(directory.blocks().head(), Ok(None));
    let steps = Arc::new(Mutex::new(Vec::new()));
    let seen = steps.clone();
    let committer = directory.committer().with_fail_point(Arc::new(move |step| {
        seen.lock().expect("one thread").push(step);
        Ok(())
    }));
    let (state, blocks) = run(0..=4);
    committer.commit(&state, &blocks).expect("commits");
    let order = [CommitStep::BeforeState, CommitStep::BetweenStateAndBlocks, CommitStep::AfterBlocks];
    assert_eq!(*steps.lock().expect("one thread"), order);
    drop(committer);
    directory.close().expect("closes");

    let directory = open();
    let blocks = directory.blocks();
    assert_eq!(blocks.head(), Ok(Some(Head { number: 4, hash: hash(4) })));
    assert_eq!(blocks.transaction_block(&B256::with_last_byte(3)), Ok(Some(hash(3))));
    assert_eq!(blocks.total_difficulty(&hash(4)), Ok(Some(U256::from(11))));
    assert_eq!(directory.state().code(&keccak256(b"code")), Ok(Some(b"code".to_vec())));
    let view = directory.blocks_snapshot();
    directory.blockchain().put(b"onumber", &3_u64.to_be_bytes(), Durability::Buffered).expect("writes");
    let error = blocks.head().expect_err("the pointers disagree");
    assert_eq!(error, StoreError::HeadMismatch { number: 3, hash: hash(4), canonical: Some(hash(3)) });
    assert!(error.to_string().contains(&hash(4).to_string()) && error.to_string().contains('3'));
    directory.blockchain().delete(b"onumber", Durability::Buffered).expect("writes");
    assert_eq!(blocks.head(), Err(StoreError::HalfHead { present: "ohash", missing: "onumber" }));
    assert_eq!(view.head(), Ok(Some(Head { number: 4, hash: hash(4) })), "a snapshot does not move");
}
