//! An export's chunks: their ends by the rule of the Go client, whatever the sizes; and closing while somebody reads.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use polygon_edge_chain::block::network_form;
use polygon_edge_chain::{B256, U256, rlp};
use polygon_edge_store::data_dir::Tuning;
use polygon_edge_store::{
    Batch, BlockBatch, BlockReader, BlockRecord, Chunker, DataDir, Durability, GenesisRecord, KeyValueStore, OpenMode,
    StoreError, VolatileStore,
};

mod scratch;

use scratch::Scratch;

fn hash(number: u64) -> B256 {
    B256::from(U256::from(number + 1))
}

/// A header of `size` bytes or a few more.
fn header(number: u64, size: usize) -> Vec<u8> {
    let mut header = Vec::new();
    rlp::put_list_with(&mut header, |out| {
        rlp::put_u64(out, number);
        rlp::put_bytes(out, &vec![7; size]);
    });
    header
}

/// A stored body with one transaction of about `size` bytes, none for 0.
fn body(size: usize) -> Vec<u8> {
    let mut body = Vec::new();
    rlp::put_list_with(&mut body, |out| {
        rlp::put_list_with(out, |out| {
            if size > 0 {
                rlp::put_list_with(out, |out| {
                    rlp::put_list_with(out, |out| rlp::put_bytes(out, &vec![9; size]));
                    rlp::put_bytes(out, &[1; 20]);
                });
            }
        });
        rlp::put_list(out, &[]);
    });
    body
}

/// Blocks from 0 whose transactions have the given sizes, and each in its network form.
fn blocks(sizes: &[usize]) -> (Batch, Vec<Vec<u8>>) {
    let mut batch = BlockBatch::new();
    let mut forms = Vec::new();
    for (number, &size) in (0u64..).zip(sizes) {
        let (header, body) = (header(number, 40), body(if number == 0 { 0 } else { size }));
        forms.push(network_form(&header, &body).expect("a stored body"));
        if number == 0 {
            let genesis = GenesisRecord { hash: hash(0), header: &header, difficulty: U256::ONE };
            batch.put_genesis(&genesis).expect("first");
            continue;
        }
        let record = BlockRecord {
            number,
            hash: hash(number),
            header: &header,
            body: &body,
            receipts: &[0xc0],
            total_difficulty: U256::from(number),
            transaction_hashes: &[],
        };
        batch.put_block(&record).expect("in order");
    }
    (batch.into_batch(), forms)
}

fn chunker(batch: &Batch) -> Chunker {
    let store = VolatileStore::new();
    store.write(batch, Durability::Synced).expect("written");
    Chunker::new(BlockReader::new(Arc::new(store)))
}

/// The rule of §1.2, written down once more: flush before a block when 24 + buffered + block >= limit.
fn expected(forms: &[Vec<u8>], first: usize, last: usize, limit: usize) -> Vec<(u64, Vec<u8>)> {
    let mut chunks = Vec::new();
    let mut buffered = Vec::new();
    for (number, form) in forms.iter().enumerate().take(last + 1).skip(first) {
        if !buffered.is_empty() && 24 + buffered.len() + form.len() >= limit {
            chunks.push((number as u64 - 1, std::mem::take(&mut buffered)));
        }
        buffered.extend_from_slice(form);
    }
    if !buffered.is_empty() {
        chunks.push((last.min(forms.len() - 1) as u64, buffered));
    }
    chunks
}

fn all(chunker: &mut Chunker, first: u64, last: u64, limit: usize) -> Vec<(u64, Vec<u8>)> {
    let mut chunks = Vec::new();
    let mut next = first;
    while next <= last
        && let Some(chunk) = chunker.chunk(next, last, limit).expect("whole blocks")
    {
        next = chunk.0 + 1;
        chunks.push(chunk);
    }
    chunks
}

#[test]
fn chunks_end_where_the_go_client_ends_them() {
    let sizes: Vec<usize> = (0..200).map(|number| (number * number * 31) % 700).collect();
    let (batch, forms) = blocks(&sizes);
    let whole: usize = forms.iter().map(Vec::len).sum();
    // Around every sum that decides, and the extremes.
    let pair = 24 + forms[0].len() + forms[1].len();
    for limit in [0, 1, pair - 1, pair, pair + 1, 600, 1000, 4096, whole + 23, whole + 24, whole + 25, 1 << 19] {
        for (first, last) in [(0, 199), (0, 0), (1, 1), (17, 150), (199, 500)] {
            let found = all(&mut chunker(&batch), first as u64, last as u64, limit);
            assert_eq!(found, expected(&forms, first, last, limit), "{first}..={last} by {limit}");
        }
    }
}

#[test]
fn a_large_block_travels_alone() {
    let (batch, forms) = blocks(&[0, 10, 2_000_000, 10, 10]);
    let found = all(&mut chunker(&batch), 0, 4, 1 << 19);
    assert_eq!(found.iter().map(|chunk| chunk.0).collect::<Vec<_>>(), [1, 2, 4]);
    assert_eq!(found[1].1, forms[2]);
}

#[test]
fn a_chunker_may_be_asked_for_any_place_after_any_other() {
    let (batch, forms) = blocks(&[0, 300, 300, 300, 300, 300]);
    let mut chunker = chunker(&batch);
    for first in [0, 3, 1, 1, 5, 2, 4] {
        let last = chunker.chunk(first, 5, 800).expect("whole blocks").expect("a chunk");
        assert_eq!(last, expected(&forms, first as usize, 5, 800)[0]);
    }
    assert_eq!(chunker.chunk(6, 9, 800), Ok(None));
    assert_eq!(chunker.chunk(3, 2, 800), Ok(None));
}

#[test]
fn damage_is_told_after_the_blocks_before_it() {
    let (mut batch, forms) = blocks(&[0, 10, 10, 10]);
    batch.delete(&[b"b".as_slice(), hash(2).as_slice()].concat());
    let mut found = chunker(&batch);
    assert_eq!(found.chunk(0, 3, 1 << 19), Ok(Some((1, forms[..2].concat()))));
    let error = found.chunk(2, 3, 1 << 19).expect_err("no body");
    assert!(error.to_string().contains("the body of block 2 is missing"), "{error}");
    assert_eq!(found.chunk(3, 3, 1 << 19), Ok(Some((3, forms[3].clone()))));

    batch.put(&[b"b".as_slice(), hash(2).as_slice()].concat(), &[0xc1, 0x80]);
    assert!(matches!(chunker(&batch).chunk(2, 3, 1 << 19), Err(StoreError::BadRecord { .. })));
}

#[test]
fn an_export_sees_the_moment_at_which_it_began() {
    let scratch = Scratch::new("export");
    let directory = DataDir::open(scratch.path(), OpenMode::CreateIfMissing, &Tuning::default()).expect("opens");
    let (batch, forms) = blocks(&[0, 100, 200]);
    directory.blockchain().write(&batch, Durability::Buffered).expect("written");
    let before = directory.blocks_for_export();
    let (more, all_forms) = blocks(&[0, 100, 200, 300]);
    directory.blockchain().write(&more, Durability::Buffered).expect("written");
    assert_eq!(before.head().expect("whole").expect("there").number, 2);
    assert_eq!(all(&mut Chunker::new(before), 0, 9, 1 << 19), [(2, forms.concat())]);
    assert_eq!(all(&mut Chunker::new(directory.blocks_for_export()), 0, 9, 1 << 19), [(3, all_forms.concat())]);
    directory.close().expect("nobody reads");
}

#[test]
fn closing_waits_for_who_is_reading_and_no_longer() {
    let scratch = Scratch::new("closing");
    let open = || DataDir::open(scratch.path(), OpenMode::CreateIfMissing, &Tuning::default());
    let directory = open().expect("opens");
    let reader = directory.blocks();
    let (ready, is_ready) = channel();
    let thread = std::thread::spawn(move || {
        ready.send(()).expect("awaited");
        std::thread::sleep(Duration::from_millis(50));
        reader.head().expect("still open")
    });
    is_ready.recv().expect("sent");
    assert_eq!(directory.close_within(Duration::from_secs(30)), Ok(()));
    assert_eq!(thread.join().expect("no panic"), None);

    let directory = open().expect("closed before");
    let reader = directory.blocks();
    let start = Instant::now();
    let closed = directory.close_within(Duration::from_millis(20));
    assert!(matches!(closed, Err(StoreError::InUse { .. })));
    assert!(start.elapsed() >= Duration::from_millis(20));
    assert!(matches!(open(), Err(StoreError::Locked { .. })));
    drop(reader);
    open().expect("closed by the last reader");
}
