//! Roots of tries by building them whole from their items: slow, short, and independent of the trie under test.

use std::collections::{BTreeMap, HashMap};

use alloy_primitives::{Address, B256, U256, keccak256};
use polygon_edge_chain::{
    receipt::Receipt,
    rlp,
    state::{Account, EMPTY_ROOT},
};

fn nibbles(key: &[u8]) -> Vec<u8> {
    key.iter().flat_map(|byte| [byte >> 4, byte & 15]).collect()
}

/// Hex-prefix form of a path.
fn compact(path: &[u8], is_leaf: bool) -> Vec<u8> {
    let flag = if is_leaf { 0x20 } else { 0 };
    let (first, rest) = if path.len() % 2 == 1 { (0x10 | path[0], &path[1..]) } else { (0, path) };
    let mut out = vec![flag | first];
    out.extend(rest.chunks(2).map(|pair| pair[0] << 4 | pair[1]));
    out
}

/// The encoding of the node over `items`, which are sorted and agree in their first `depth` nibbles.
fn node(items: &[(Vec<u8>, Vec<u8>)], depth: usize) -> Vec<u8> {
    let mut out = Vec::new();
    if let [(path, value)] = items {
        rlp::put_list_with(&mut out, |out| {
            rlp::put_bytes(out, &compact(&path[depth..], true));
            rlp::put_bytes(out, value);
        });
        return out;
    }
    let (first, last) = (&items[0].0, &items[items.len() - 1].0);
    let shared = first[depth..].iter().zip(&last[depth..]).take_while(|(a, b)| a == b).count();
    rlp::put_list_with(&mut out, |out| {
        if shared > 0 {
            rlp::put_bytes(out, &compact(&first[depth..depth + shared], false));
            return put_reference(out, items, depth + shared);
        }
        for nibble in 0..16 {
            let start = items.partition_point(|(path, _)| path[depth] < nibble);
            let end = items.partition_point(|(path, _)| path[depth] <= nibble);
            match &items[start..end] {
                [] => out.push(0x80),
                children => put_reference(out, children, depth + 1),
            }
        }
        out.push(0x80);
    });
    out
}

fn put_reference(out: &mut Vec<u8>, items: &[(Vec<u8>, Vec<u8>)], depth: usize) {
    let child = node(items, depth);
    if child.len() < 32 {
        out.extend_from_slice(&child);
    } else {
        rlp::put_bytes(out, keccak256(&child).as_slice());
    }
}

fn root(mut items: Vec<(Vec<u8>, Vec<u8>)>) -> B256 {
    items.sort();
    if items.is_empty() { EMPTY_ROOT } else { keccak256(node(&items, 0)) }
}

/// Root of the storage of one account.
pub fn storage_root(storage: &BTreeMap<U256, U256>) -> B256 {
    let item = |(slot, value): (&U256, &U256)| {
        let mut encoded = Vec::new();
        rlp::put_u256(&mut encoded, value);
        (nibbles(keccak256(slot.to_be_bytes::<32>()).as_slice()), encoded)
    };
    root(storage.iter().map(item).collect())
}

/// Root of all accounts.
pub fn state_root(accounts: &HashMap<Address, Account>) -> B256 {
    let item = |(address, account): (&Address, &Account)| {
        let mut encoded = Vec::new();
        rlp::put_list_with(&mut encoded, |out| {
            rlp::put_u64(out, account.nonce);
            rlp::put_u256(out, &account.balance);
            rlp::put_bytes(out, account.storage_root.as_slice());
            rlp::put_bytes(out, account.code_hash.as_slice());
        });
        (nibbles(keccak256(address).as_slice()), encoded)
    };
    root(accounts.iter().map(item).collect())
}

/// Root of the receipts of a block.
pub fn receipts_root(receipts: &[Receipt]) -> B256 {
    let item = |(index, receipt): (usize, &Receipt)| {
        let (mut key, mut encoded) = (Vec::new(), Vec::new());
        rlp::put_u64(&mut key, index as u64);
        receipt.put_consensus(&mut encoded);
        (nibbles(&key), encoded)
    };
    root(receipts.iter().enumerate().map(item).collect())
}
