//! Directories made by the Go client open, and every record reads as the Go client meant it.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

use polygon_edge_chain::state::NodeSource;
use polygon_edge_chain::{B256, U256, keccak256};
use polygon_edge_store::data_dir::Tuning;
use polygon_edge_store::{DataDir, KeyValueReader, OpenMode, StoreError};

mod golden;
mod scratch;

use scratch::Scratch;

/// The RLP list payload starting at `bytes[0]`, as its items with their headers: enough of RLP to look into a header.
fn items(bytes: &[u8]) -> Vec<&[u8]> {
    let span = |bytes: &[u8]| -> (usize, usize) {
        let long = |base: u8| {
            let count = usize::from(bytes[0] - base);
            (1 + count, bytes[1..=count].iter().fold(0, |length, byte| length << 8 | usize::from(*byte)))
        };
        match bytes[0] {
            0..0x80 => (0, 1),
            0x80..0xb8 => (1, usize::from(bytes[0] - 0x80)),
            0xb8..0xc0 => long(0xb7),
            0xc0..0xf8 => (1, usize::from(bytes[0] - 0xc0)),
            0xf8.. => long(0xf7),
        }
    };
    let (start, length) = span(bytes);
    assert_eq!(bytes.len(), start + length, "one whole item");
    let mut rest = &bytes[start..];
    let mut found = Vec::new();
    while !rest.is_empty() {
        let (start, length) = span(rest);
        found.push(&rest[..start + length]);
        rest = &rest[start + length..];
    }
    found
}

fn prefixes(reader: &dyn KeyValueReader) -> BTreeMap<u8, u64> {
    let mut counts = BTreeMap::new();
    reader
        .visit(&[], &mut |key, _| {
            *counts.entry(key[0]).or_insert(0) += 1;
            ControlFlow::Continue(())
        })
        .expect("the whole database can be read");
    counts
}

struct Expected {
    archive: &'static str,
    head: u64,
    /// Length in bytes of the RLP body of one block, at least.
    large_body: Option<(u64, usize)>,
}

fn check(expected: &Expected) {
    let scratch = Scratch::new("go");
    let Some(path) = golden::unpack(expected.archive, scratch.path()) else { return };
    let directory = DataDir::open(&path, OpenMode::MustExist, &Tuning::default()).expect("opens");
    let blocks = directory.blocks_snapshot();
    let head = blocks.head().expect("head is whole").expect("there is a head");
    assert_eq!(head.number, expected.head);

    let mut parent = B256::ZERO;
    let mut total_difficulty = U256::ZERO;
    let mut transactions = 0;
    let mut state_root = B256::ZERO;
    for number in 0..=head.number {
        let hash = blocks.canonical_hash(number).expect("reads").expect("every number has a hash");
        let header = blocks.header(&hash).expect("reads").expect("every hash has a header");
        let fields = items(&header);
        assert_eq!(&fields[0][1..], parent.as_slice(), "parent of {number}");
        state_root = B256::from_slice(&fields[3][1..]);
        let difficulty = if number == 0 {
            blocks.total_difficulty(&hash).expect("reads").expect("genesis has a difficulty")
        } else {
            U256::from(number)
        };
        total_difficulty += difficulty;
        assert_eq!(blocks.total_difficulty(&hash), Ok(Some(total_difficulty)), "total difficulty of {number}");
        let body = blocks.body(&hash).expect("reads");
        let receipts = blocks.receipts(&hash).expect("reads");
        if number == 0 {
            assert_eq!((body, receipts), (None, None), "genesis has neither body nor receipts");
        } else {
            let body = body.expect("every other block has a body");
            let receipts = receipts.expect("every other block has receipts");
            let stored = items(items(&body)[0]).len();
            assert_eq!(items(&receipts).len(), stored, "receipts of {number}");
            for receipt in items(&receipts) {
                let transaction_hash = B256::from_slice(&items(receipt)[3][1..]);
                assert_eq!(blocks.transaction_block(&transaction_hash), Ok(Some(hash)));
            }
            transactions += stored as u64;
            if let Some((large, length)) = expected.large_body
                && large == number
            {
                assert!(body.len() >= length, "body of {number} has {} bytes", body.len());
            }
        }
        parent = hash;
    }
    assert_eq!(parent, head.hash);

    let number = head.number;
    let mut counts = BTreeMap::from([
        (b'b', number),
        (b'c', number + 1),
        (b'd', number + 1),
        (b'h', number + 1),
        (b'o', 2),
        (b'r', number),
    ]);
    if transactions > 0 {
        counts.insert(b'l', transactions);
    }
    assert_eq!(prefixes(directory.blockchain()), counts, "nothing but the known records");

    let state = directory.state();
    let root = state.node(&state_root).expect("reads").expect("the head's state root is there");
    assert_eq!(keccak256(&root), state_root);
    let mut codes = Vec::new();
    directory
        .trie()
        .visit(&[], &mut |key, value| {
            match key.strip_prefix(b"code") {
                Some(hash) if key.len() == 36 => codes.push(B256::from_slice(hash)),
                _ => assert_eq!(keccak256(value), B256::from_slice(key), "a node is stored under its hash"),
            }
            ControlFlow::Continue(())
        })
        .expect("the whole trie can be read");
    assert!(!codes.is_empty(), "contracts were deployed");
    for hash in codes {
        assert_eq!(keccak256(state.code(&hash).expect("reads").expect("is there")), hash);
    }

    drop((blocks, state));
    directory.close().expect("nothing holds it");
}

#[test]
fn poa_ecdsa_reads_to_its_head() {
    check(&Expected { archive: "poa-ecdsa/data-dir.tar.zst", head: 150, large_body: None });
}

#[test]
fn poa_ecdsa_in_tables_reads_to_its_head() {
    check(&Expected { archive: "poa-ecdsa/data-dir-50.tar.zst", head: 50, large_body: None });
}

#[test]
fn single_reads_to_its_head_with_a_body_of_six_megabytes() {
    check(&Expected { archive: "single/data-dir.tar.zst", head: 118, large_body: Some((95, 5 << 20)) });
}

/// Every file of a database cut and flipped in turn: an error or the right head, never a panic, never a wrong head.
#[test]
fn damaged_databases_are_errors() {
    let scratch = Scratch::new("damage");
    let Some(path) = golden::unpack("poa-ecdsa/data-dir-50.tar.zst", scratch.path()) else { return };
    let database = path.join("blockchain");
    let originals: Vec<_> = Scratch::files(&database)
        .into_iter()
        .map(|(file, _)| (file.clone(), std::fs::read(&file).expect("readable")))
        .collect();
    let restore = || {
        for (file, _) in Scratch::files(&database) {
            std::fs::remove_file(file).expect("removable");
        }
        for (file, bytes) in &originals {
            std::fs::write(file, bytes).expect("writable");
        }
    };
    let (mut errors, mut corruptions) = (0, 0);
    for (file, bytes) in &originals {
        let name = file.file_name().and_then(|name| name.to_str()).expect("a plain name");
        if name.starts_with("LO") || bytes.is_empty() {
            continue; // LOCK and LOG carry no data.
        }
        let mut flipped = bytes.clone();
        flipped[bytes.len() / 2] ^= 0xff;
        for damaged in [&flipped[..], &bytes[..bytes.len() / 2], &[][..]] {
            restore();
            std::fs::write(file, damaged).expect("writable");
            match read_everything(&path) {
                Ok(head) => assert!(head.is_none_or(|head| head <= 50), "{name} damaged: head {head:?}"),
                Err(error) => {
                    errors += 1;
                    corruptions += u32::from(matches!(error, StoreError::Corruption { .. }));
                }
            }
        }
    }
    assert!(corruptions >= 3, "{corruptions} corruptions among {errors} errors");
}

fn read_everything(path: &Path) -> Result<Option<u64>, StoreError> {
    let directory = DataDir::open(path, OpenMode::MustExist, &Tuning::default())?;
    directory.blockchain().visit(&[], &mut |_, _| ControlFlow::Continue(()))?;
    Ok(directory.blocks().head()?.map(|head| head.number))
}
