//! One suite that every store must pass, and what only LevelDB has.

use std::ops::ControlFlow;
use std::sync::Arc;

use polygon_edge_store::data_dir::Tuning;
use polygon_edge_store::{
    Batch, DataDir, Database, Durability, KeyValueReader, KeyValueStore, OpenMode, Options, StoreError, VolatileStore,
};

mod scratch;

use scratch::Scratch;

fn create() -> Options {
    Options { create_if_missing: true, ..Options::default() }
}

fn entries(reader: &dyn KeyValueReader, start: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut found = Vec::new();
    let visited = reader.visit(start, &mut |key, value| {
        found.push((key.to_vec(), value.to_vec()));
        ControlFlow::Continue(())
    });
    visited.expect("readable");
    found
}

fn suite(store: &dyn KeyValueStore) {
    assert_eq!(store.get(b"a"), Ok(None));
    let mut batch = Batch::new();
    for (key, value) in [("b", "2"), ("a", ""), ("c", "3"), ("b", "two")] {
        batch.put(key.as_bytes(), value.as_bytes());
    }
    batch.put(b"gone", b"1");
    batch.delete(b"gone");
    assert_eq!((batch.len(), batch.size()), (6, 4 + 5 + 4 + 5));
    store.write(&batch, Durability::Synced).expect("writes");
    assert_eq!(store.get(b"a"), Ok(Some(Vec::new())), "an empty value is a value");
    assert_eq!(store.get(b"b"), Ok(Some(b"two".to_vec())), "the later put wins");
    assert_eq!(store.get(b"gone"), Ok(None));

    let snapshot = store.snapshot();
    let mut later = Batch::new();
    later.delete(b"b");
    later.put(b"d", b"4");
    store.write(&later, Durability::Buffered).expect("writes");
    let pair = |key: &str, value: &str| (key.as_bytes().to_vec(), value.as_bytes().to_vec());
    assert_eq!(entries(&*snapshot, b""), [pair("a", ""), pair("b", "two"), pair("c", "3")]);
    assert_eq!(snapshot.get(b"b"), Ok(Some(b"two".to_vec())));
    assert_eq!(entries(store, b""), [pair("a", ""), pair("c", "3"), pair("d", "4")]);
    assert_eq!(entries(store, b"b"), [pair("c", "3"), pair("d", "4")]);
    assert_eq!(entries(store, b"e"), []);

    let mut calls = 0;
    let visited = store.visit(b"", &mut |_, _| {
        calls += 1;
        ControlFlow::Break(())
    });
    assert_eq!((visited, calls), (Ok(()), 1), "a break ends the walk");
}

#[test]
fn leveldb_passes_the_suite() {
    let scratch = Scratch::new("suite");
    suite(&Database::open(&scratch.path().join("db"), &create()).expect("opens"));
}

#[test]
fn the_store_in_memory_passes_the_suite() {
    suite(&VolatileStore::new());
}

#[test]
fn cursors_move_both_ways_and_outlive_their_makers() {
    let scratch = Scratch::new("cursor");
    let database = Database::open(&scratch.path().join("db"), &create()).expect("opens");
    for key in [b"a", b"b", b"c"] {
        database.put(key, key, Durability::Buffered).expect("writes");
    }
    let mut cursor = database.fixed_view().cursor();
    database.delete(b"b", Durability::Buffered).expect("writes");
    drop(database);
    assert_eq!(cursor.entry(), None, "not on an entry before the first move");
    assert_eq!(cursor.advance(), Ok(false));
    assert_eq!(cursor.last(), Ok(true));
    assert_eq!(cursor.retreat(), Ok(true));
    assert_eq!(cursor.entry(), Some((b"b".as_slice(), b"b".as_slice())));
    assert_eq!(cursor.first(), Ok(true));
    assert_eq!(cursor.retreat(), Ok(false));
    assert_eq!(cursor.seek(b"bb"), Ok(true));
    assert_eq!(cursor.entry(), Some((b"c".as_slice(), b"c".as_slice())));
    assert_eq!(cursor.advance(), Ok(false));
    assert_eq!(cursor.entry(), None);
}

#[test]
fn writes_survive_reopening_under_a_name_that_is_not_text() {
    use std::os::unix::ffi::OsStrExt;
    let scratch = Scratch::new("name");
    let path = scratch.path().join(std::ffi::OsStr::from_bytes(b"db-\xff\xfe"));
    let database = Database::open(&path, &create()).expect("opens");
    database.put(b"key", &[7; 100_000], Durability::Synced).expect("writes");
    database.compact_range(None, None);
    assert!(database.approximate_size(b"", b"z") > 0);
    assert!(database.property("leveldb.stats").is_some_and(|text| text.contains("Level")));
    assert_eq!(database.property("no such"), None);
    database.close().expect("closes");
    let database = Database::open(&path, &Options::default()).expect("opens");
    assert_eq!(database.get(b"key"), Ok(Some(vec![7; 100_000])));
}

#[test]
fn closing_leaves_nothing_in_the_journal() {
    let scratch = Scratch::new("journal");
    let path = scratch.path().join("db");
    for round in 0..3_u8 {
        let database = Database::open(&path, &create()).expect("opens");
        database.put(&[round], &[round; 1000], Durability::Synced).expect("writes");
        database.close().expect("closes");
        let journals: Vec<u64> = std::fs::read_dir(&path)
            .expect("lists")
            .map(|entry| entry.expect("is there"))
            .filter(|entry| entry.path().extension().is_some_and(|extension| extension == "log"))
            .map(|entry| entry.metadata().expect("is there").len())
            .collect();
        // goleveldb drops what it takes for old in a journal; it finds nothing to drop.
        assert_eq!(journals, [0], "round {round}");
    }
    let database = Database::open(&path, &Options::default()).expect("opens");
    for round in 0..3_u8 {
        assert_eq!(database.get(&[round]), Ok(Some(vec![round; 1000])));
    }
}

#[test]
fn readers_and_a_writer_share_a_database() {
    let scratch = Scratch::new("threads");
    let database = Database::open(&scratch.path().join("db"), &create()).expect("opens");
    let shared: Arc<dyn KeyValueStore> = Arc::new(database);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..2_000_u32 {
                let mut batch = Batch::new();
                batch.put(b"left", &number.to_be_bytes());
                batch.put(b"right", &number.to_be_bytes());
                shared.write(&batch, Durability::Buffered).expect("writes");
            }
        });
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..500 {
                    let view = shared.snapshot();
                    assert_eq!(view.get(b"left"), view.get(b"right"), "a batch is seen whole");
                }
            });
        }
    });
    assert_eq!(shared.get(b"left"), Ok(Some(1_999_u32.to_be_bytes().to_vec())));
}

#[test]
fn data_directories_say_what_is_missing() {
    let scratch = Scratch::new("missing");
    let path = scratch.path().join("data");
    let open = |mode| DataDir::open(&path, mode, &Tuning::default());
    assert!(matches!(open(OpenMode::MustExist), Err(StoreError::NotFound { path: named, .. }) if named == path));
    assert!(!path.exists(), "looking leaves nothing behind");

    open(OpenMode::CreateIfMissing).expect("makes").close().expect("closes");
    open(OpenMode::MustExist).expect("opens").close().expect("closes");

    let trie = path.join("trie");
    std::fs::remove_dir_all(&trie).expect("removes");
    for mode in [OpenMode::MustExist, OpenMode::CreateIfMissing] {
        assert!(matches!(open(mode), Err(StoreError::NotFound { path: named, .. }) if named == trie));
    }
    std::fs::write(&trie, b"a file").expect("writes");
    assert!(matches!(open(OpenMode::MustExist), Err(StoreError::InvalidArgument { path: named, .. }) if named == trie));
}

/// LevelDB itself would make a new database there and delete the old tables.
#[test]
fn a_database_that_lost_its_current_file_is_not_made_anew() {
    let scratch = Scratch::new("current");
    let path = scratch.path().join("db");
    let database = Database::open(&path, &create()).expect("opens");
    database.put(b"key", b"value", Durability::Synced).expect("writes");
    database.close().expect("closes");
    let current = std::fs::read(path.join("CURRENT")).expect("reads");
    std::fs::remove_file(path.join("CURRENT")).expect("removes");
    assert!(matches!(Database::open(&path, &create()), Err(StoreError::Corruption { .. })));
    std::fs::write(path.join("CURRENT"), current).expect("writes");
    let database = Database::open(&path, &create()).expect("opens");
    assert_eq!(database.get(b"key"), Ok(Some(b"value".to_vec())), "nothing was touched");
}

#[test]
fn a_state_without_blocks_may_begin_anew_but_blocks_without_their_state_may_not() {
    let scratch = Scratch::new("halves");
    let open = |mode| DataDir::open(scratch.path(), mode, &Tuning::default());
    open(OpenMode::CreateIfMissing).expect("makes").close().expect("closes");
    let (blockchain, trie) = (scratch.path().join("blockchain"), scratch.path().join("trie"));
    std::fs::remove_dir_all(&blockchain).expect("removes");
    std::fs::create_dir(&blockchain).expect("makes");
    assert!(matches!(open(OpenMode::MustExist), Err(StoreError::NotFound { path, .. }) if path == blockchain));
    let directory = open(OpenMode::CreateIfMissing).expect("goes on");
    directory.trie().put(b"key", b"value", Durability::Synced).expect("writes");
    directory.close().expect("closes");
    std::fs::remove_dir_all(&blockchain).expect("removes");
    assert!(matches!(open(OpenMode::MustExist), Err(StoreError::NotFound { path, .. }) if path == blockchain));
    let directory = open(OpenMode::CreateIfMissing).expect("begins anew");
    assert_eq!(directory.trie().get(b"key"), Ok(Some(b"value".to_vec())), "the state that is there stays");
    directory.close().expect("closes");
    std::fs::remove_dir_all(&trie).expect("removes");
    for mode in [OpenMode::MustExist, OpenMode::CreateIfMissing] {
        assert!(matches!(open(mode), Err(StoreError::NotFound { path, .. }) if path == trie));
        assert!(!trie.join("CURRENT").exists());
    }
}
