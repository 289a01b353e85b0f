//! The trie as the Yellow Paper writes it: built anew from all pairs, one byte per nibble. And a node database.
#![allow(dead_code, reason = "each test program uses its part of it")]

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use polygon_edge_chain::state::{NodeSource, StateError};
use polygon_edge_chain::{B256, keccak256};

/// The root over `pairs`, whose keys must not be starts of each other.
pub fn slow_root(pairs: &BTreeMap<Vec<u8>, Vec<u8>>) -> B256 {
    if pairs.is_empty() {
        return keccak256([0x80]);
    }
    let nibbles = |key: &Vec<u8>| key.iter().flat_map(|byte| [byte >> 4, byte & 15]).collect::<Vec<u8>>();
    let pairs: Vec<(Vec<u8>, Vec<u8>)> = pairs.iter().map(|(key, value)| (nibbles(key), value.clone())).collect();
    keccak256(slow_node(&pairs, 0))
}

fn slow_node(pairs: &[(Vec<u8>, Vec<u8>)], depth: usize) -> Vec<u8> {
    if let [(key, value)] = pairs {
        return slow_list(&[slow_string(&hex_prefix(&key[depth..], true)), slow_string(value)]);
    }
    let shared =
        (depth..).take_while(|&at| pairs.iter().all(|(key, _)| key.len() > at && key[at] == pairs[0].0[at])).count();
    if shared > 0 {
        let path = hex_prefix(&pairs[0].0[depth..depth + shared], false);
        return slow_list(&[slow_string(&path), slow_reference(pairs, depth + shared)]);
    }
    let mut items = Vec::new();
    for nibble in 0..16 {
        let group: Vec<_> = pairs.iter().filter(|(key, _)| key[depth] == nibble).cloned().collect();
        items.push(if group.is_empty() { vec![0x80] } else { slow_reference(&group, depth + 1) });
    }
    items.push(vec![0x80]);
    slow_list(&items)
}

fn slow_reference(pairs: &[(Vec<u8>, Vec<u8>)], depth: usize) -> Vec<u8> {
    let node = slow_node(pairs, depth);
    if node.len() < 32 { node } else { slow_string(keccak256(&node).as_slice()) }
}

fn hex_prefix(nibbles: &[u8], is_leaf: bool) -> Vec<u8> {
    let flag = if is_leaf { 2 } else { 0 };
    let all = if nibbles.len() % 2 == 1 { [&[flag + 1], nibbles].concat() } else { [&[flag, 0], nibbles].concat() };
    all.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

pub fn slow_string(bytes: &[u8]) -> Vec<u8> {
    if bytes.len() == 1 && bytes[0] < 0x80 {
        bytes.to_vec()
    } else {
        [slow_prefix(bytes.len(), 0x80), bytes.to_vec()].concat()
    }
}

pub fn slow_list(items: &[Vec<u8>]) -> Vec<u8> {
    let payload = items.concat();
    [slow_prefix(payload.len(), 0xc0), payload].concat()
}

fn slow_prefix(length: usize, base: usize) -> Vec<u8> {
    if length < 56 {
        return vec![(base + length) as u8];
    }
    let bytes: Vec<u8> = length.to_be_bytes().into_iter().skip_while(|&byte| byte == 0).collect();
    [vec![(base + 55 + bytes.len()) as u8], bytes].concat()
}

/// Nodes and code in memory, with a count of the reads.
#[derive(Default)]
pub struct Memory {
    pub nodes: Mutex<HashMap<B256, Vec<u8>>>,
    pub code: Mutex<HashMap<B256, Vec<u8>>>,
    pub reads: AtomicUsize,
}

impl Memory {
    pub fn add<'a>(&self, nodes: impl Iterator<Item = (&'a B256, &'a [u8])>) {
        self.nodes.lock().unwrap().extend(nodes.map(|(hash, node)| (*hash, node.to_vec())));
    }

    pub fn reads(&self) -> usize {
        self.reads.load(Ordering::Relaxed)
    }
}

impl NodeSource for Memory {
    fn node(&self, hash: &B256) -> Result<Option<Vec<u8>>, StateError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        Ok(self.nodes.lock().unwrap().get(hash).cloned())
    }

    fn code(&self, hash: &B256) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.code.lock().unwrap().get(hash).cloned())
    }
}
