//! Heads that a Go v0.6.x node left half-written: recognised by every record that may be missing, and never a whole one.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use polygon_edge_chain::block::Header;
use polygon_edge_chain::forks::Generation;
use polygon_edge_chain::state::EMPTY_ROOT;
use polygon_edge_chain::{B256, Bytes, U256, keccak256};
use polygon_edge_chain::{block::EMPTY_UNCLES_HASH, verify::ISTANBUL_DIGEST};
use polygon_edge_store::data_dir::Tuning;
use polygon_edge_store::repair::{FURTHEST, Missing, Repair, repair_head};
use polygon_edge_store::schema::{HEAD_HASH, HEAD_NUMBER, Prefix, canonical_key, hash_key};
use polygon_edge_store::{
    Batch, BlockBatch, BlockRecord, DataDir, Durability, GenesisRecord, Head, KeyValueReader, KeyValueStore, OpenMode,
    StoreError, state_batch,
};

mod scratch;

use scratch::Scratch;

/// The highest block of [`Chain::new`].
const HEAD: u64 = 3;

fn node(number: u64) -> Vec<u8> {
    format!("root node of the state after block {number}").into_bytes()
}

fn header(number: u64, state_root: B256) -> Vec<u8> {
    let header = Header {
        parent_hash: B256::ZERO,
        uncles_hash: EMPTY_UNCLES_HASH,
        miner: Bytes::from_static(&[0; 20]),
        state_root,
        transactions_root: EMPTY_ROOT,
        receipts_root: EMPTY_ROOT,
        logs_bloom: Box::new([0; 256]),
        difficulty: number,
        number,
        gas_limit: 1,
        gas_used: 0,
        timestamp: number,
        extra_data: Bytes::new(),
        mix_hash: ISTANBUL_DIGEST,
        nonce: [0; 8],
        base_fee: 0,
    };
    let mut out = Vec::new();
    header.put(Generation::G1, &mut out);
    out
}

fn hash(number: u64) -> B256 {
    B256::from(U256::from(number + 1))
}

/// A data directory with blocks 0 to [`HEAD`], whole until something is taken away.
struct Chain {
    directory: DataDir,
    _scratch: Scratch,
}

impl Chain {
    fn empty() -> Self {
        let scratch = Scratch::new("repairs");
        let directory = DataDir::open(scratch.path(), OpenMode::CreateIfMissing, &Tuning::default()).expect("opens");
        Self { directory, _scratch: scratch }
    }

    fn new() -> Self {
        let chain = Self::empty();
        let mut blocks = BlockBatch::new();
        let genesis = header(0, keccak256(node(0)));
        let genesis = GenesisRecord { hash: hash(0), header: &genesis, difficulty: U256::ONE };
        blocks.put_genesis(&genesis).expect("first");
        for number in 1..=HEAD {
            put_block(&mut blocks, number, keccak256(node(number)));
        }
        let state = state_batch((0..=HEAD).map(|number| (keccak256(node(number)), node(number))), [(B256::ZERO, b"")]);
        chain.directory.committer().commit(&state, &blocks.into_batch()).expect("commits");
        chain
    }

    fn delete(&self, key: &[u8]) -> &Self {
        let mut batch = Batch::new();
        batch.delete(key);
        self.directory.blockchain().write(&batch, Durability::Synced).expect("writes");
        self
    }

    fn put(&self, key: &[u8], value: &[u8]) -> &Self {
        let mut batch = Batch::new();
        batch.put(key, value);
        self.directory.blockchain().write(&batch, Durability::Synced).expect("writes");
        self
    }

    fn delete_state(&self, number: u64) -> &Self {
        let mut batch = Batch::new();
        batch.delete(keccak256(node(number)).as_slice());
        self.directory.trie().write(&batch, Durability::Synced).expect("writes");
        self
    }

    fn repair(&self) -> Option<Repair> {
        repair_head(&self.directory).expect("repairs")
    }

    fn head(&self) -> Option<u64> {
        self.directory.blocks().head().expect("both pointers name one canonical block").map(|head| head.number)
    }

    fn records(&self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let mut records = BTreeMap::new();
        let mut keep = |key: &[u8], value: &[u8]| {
            records.insert(key.to_vec(), value.to_vec());
            ControlFlow::Continue(())
        };
        self.directory.blockchain().visit(&[], &mut keep).expect("reads");
        records
    }
}

fn put_block(blocks: &mut BlockBatch, number: u64, state_root: B256) {
    let block = BlockRecord {
        number,
        hash: hash(number),
        header: &header(number, state_root),
        body: &[0xc2, 0xc0, 0xc0],
        receipts: &[0xc0],
        total_difficulty: U256::from(number) + U256::ONE,
        transaction_hashes: &[],
    };
    blocks.put_block(&block).expect("in order");
}

/// What a repair that goes back to block `number` says.
fn back_to(named: u64, missing: Missing, number: u64) -> Option<Repair> {
    Some(Repair { named, missing, head: Some(Head { number, hash: hash(number) }) })
}

#[test]
fn a_whole_head_and_no_head_at_all_are_left_alone() {
    for chain in [Chain::new(), Chain::empty()] {
        let before = chain.records();
        assert_eq!(chain.repair(), None);
        assert_eq!(chain.records(), before);
    }
}

#[test]
fn a_head_without_one_of_its_records_goes_back_by_one_block_and_says_what_is_missing() {
    type Damage = fn(&Chain);
    let damages: [(Missing, Damage); 7] = [
        (Missing::CanonicalHash, |chain| _ = chain.delete(&canonical_key(HEAD))),
        (Missing::Header, |chain| _ = chain.delete(&hash_key(Prefix::Header, &hash(HEAD)))),
        (Missing::Header, |chain| _ = chain.put(&hash_key(Prefix::Header, &hash(HEAD)), &[0xc1])),
        (Missing::Body, |chain| _ = chain.delete(&hash_key(Prefix::Body, &hash(HEAD)))),
        (Missing::TotalDifficulty, |chain| _ = chain.delete(&hash_key(Prefix::TotalDifficulty, &hash(HEAD)))),
        (Missing::Receipts, |chain| _ = chain.delete(&hash_key(Prefix::Receipts, &hash(HEAD)))),
        (Missing::State, |chain| _ = chain.delete_state(HEAD)),
    ];
    for (missing, damage) in damages {
        let chain = Chain::new();
        damage(&chain);
        let mut expected = chain.records();
        assert_eq!(chain.repair(), back_to(HEAD, missing, HEAD - 1), "{missing}");
        assert_eq!(chain.head(), Some(HEAD - 1), "{missing}");
        // Nothing but the pointers and the canonical hash above them has changed.
        expected.remove(&canonical_key(HEAD)[..]);
        expected.insert(HEAD_HASH.to_vec(), hash(HEAD - 1).to_vec());
        expected.insert(HEAD_NUMBER.to_vec(), (HEAD - 1).to_be_bytes().to_vec());
        assert_eq!(chain.records(), expected, "{missing}");
        assert_eq!(chain.repair(), None, "a second start finds nothing to repair");
    }
}

#[test]
fn pointers_that_do_not_name_one_whole_block_are_set_to_the_highest_that_is() {
    let third = HEAD.to_be_bytes();
    let second = (HEAD - 1).to_be_bytes();
    let unknown = B256::repeat_byte(0xee);
    for (hash_pointer, number_pointer) in [
        (None, Some(third)),
        (Some(hash(HEAD)), None),
        // The order in which that client writes them: the hash first.
        (Some(hash(HEAD)), Some(second)),
        (Some(hash(HEAD - 1)), Some(third)),
        (Some(unknown), Some(third)),
    ] {
        let chain = Chain::new();
        chain.delete(HEAD_HASH).delete(HEAD_NUMBER);
        hash_pointer.iter().for_each(|value| _ = chain.put(HEAD_HASH, value.as_slice()));
        number_pointer.iter().for_each(|value| _ = chain.put(HEAD_NUMBER, value));
        assert_eq!(chain.repair(), back_to(HEAD, Missing::HeadPointers, HEAD));
        assert_eq!(chain.head(), Some(HEAD));
    }
}

#[test]
fn a_block_that_is_missing_below_the_head_is_passed_over_as_well() {
    let chain = Chain::new();
    chain.delete(&hash_key(Prefix::Receipts, &hash(HEAD))).delete_state(HEAD - 1);
    assert_eq!(chain.repair(), back_to(HEAD, Missing::Receipts, HEAD - 2));
    for gone in [HEAD - 1, HEAD] {
        assert_eq!(chain.directory.blocks().canonical_hash(gone), Ok(None));
    }
}

#[test]
fn a_header_of_another_number_is_none() {
    let chain = Chain::new();
    chain.put(&canonical_key(HEAD + 1), hash(HEAD).as_slice()).put(HEAD_NUMBER, &(HEAD + 1).to_be_bytes());
    assert_eq!(chain.repair(), back_to(HEAD + 1, Missing::Header, HEAD));
}

#[test]
fn the_empty_state_needs_no_node() {
    let chain = Chain::new();
    chain.put(&hash_key(Prefix::Header, &hash(HEAD)), &header(HEAD, EMPTY_ROOT)).delete_state(HEAD);
    assert_eq!(chain.repair(), None);
}

#[test]
fn a_genesis_block_that_is_not_whole_leaves_databases_without_a_head() {
    let genesis_only = || {
        let chain = Chain::new();
        for number in 1..=HEAD {
            chain.delete(&canonical_key(number));
        }
        chain.put(HEAD_NUMBER, &[0; 8]);
        chain.put(HEAD_HASH, hash(0).as_slice());
        chain
    };
    assert_eq!(genesis_only().repair(), None, "neither body nor receipts belong to it");
    let chain = genesis_only();
    chain.delete(&hash_key(Prefix::TotalDifficulty, &hash(0)));
    assert_eq!(chain.repair(), Some(Repair { named: 0, missing: Missing::TotalDifficulty, head: None }));
    assert_eq!((chain.head(), chain.directory.blocks().canonical_hash(0)), (None, Ok(None)));

    let chain = Chain::empty();
    chain.put(HEAD_HASH, hash(0).as_slice());
    assert_eq!(chain.repair(), Some(Repair { named: 0, missing: Missing::CanonicalHash, head: None }));
    assert_eq!(chain.records(), BTreeMap::new());
}

#[test]
fn a_repair_looks_back_so_far_and_no_further_and_changes_nothing_then() {
    let named = |number: u64| {
        let chain = Chain::new();
        chain.delete(HEAD_HASH).put(HEAD_NUMBER, &number.to_be_bytes());
        chain
    };
    let furthest = HEAD + FURTHEST;
    assert_eq!(named(furthest).repair(), back_to(furthest, Missing::CanonicalHash, HEAD));

    for beyond in [furthest + 1, u64::MAX] {
        let chain = named(beyond);
        let before = chain.records();
        let found = repair_head(&chain.directory);
        let Err(StoreError::Corruption { detail, .. }) = found else { panic!("{found:?}") };
        assert!(detail.contains(&format!("block {beyond} lacks its canonical hash")), "{detail}");
        assert_eq!(chain.records(), before);
    }
}

#[test]
fn the_highest_number_there_is_has_nothing_above_it_to_take_away() {
    let chain = Chain::new();
    let mut blocks = BlockBatch::new();
    let number = u64::MAX - 1;
    put_block(&mut blocks, number, EMPTY_ROOT);
    chain.directory.blockchain().write(&blocks.into_batch(), Durability::Synced).expect("writes");
    chain.put(&canonical_key(u64::MAX), hash(number).as_slice());
    chain.put(&hash_key(Prefix::Header, &hash(number)), &header(u64::MAX, EMPTY_ROOT));
    chain.delete(HEAD_HASH).put(HEAD_NUMBER, &u64::MAX.to_be_bytes());
    let head = Some(Head { number: u64::MAX, hash: hash(number) });
    assert_eq!(chain.repair(), Some(Repair { named: u64::MAX, missing: Missing::HeadPointers, head }));
}
