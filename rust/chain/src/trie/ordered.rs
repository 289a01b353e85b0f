//! The root over an indexed list: transactions and receipts (§2.8).
//!
//! Keys are rlp(index). No such key is the start of another, so every item is a leaf, and the order of the keys is
//! known beforehand: the trie is folded up from the sorted keys and never exists as a whole.

use alloy_primitives::{B256, keccak256};

use super::nibbles::{first_difference, nibble, path_length, put_path};
use super::node::string_length;
use crate::rlp::{put_bytes, put_length, put_u64};
use crate::state::EMPTY_ROOT;

/// The root of the trie that maps rlp(index) to each of `items`; [`EMPTY_ROOT`] when there are none (§2.8).
pub fn ordered_root<T: AsRef<[u8]>>(items: &[T]) -> B256 {
    if items.is_empty() {
        return EMPTY_ROOT;
    }
    // Below 0x80 the key is the index itself, 0 is 0x80, longer keys start above it: that is their order.
    let order = (1..items.len().min(128)).chain([0]).chain(128..items.len());
    let entries: Vec<Entry<'_>> = order.map(|index| Entry::new(index, items[index].as_ref())).collect();
    let mut builder = Builder { scratch: Vec::with_capacity(1024) };
    builder.write(&entries, 0);
    keccak256(&builder.scratch)
}

struct Entry<'a> {
    key: [u8; 9],
    /// Nibbles in `key`.
    end: usize,
    value: &'a [u8],
}

impl<'a> Entry<'a> {
    fn new(index: usize, value: &'a [u8]) -> Self {
        let mut encoded = Vec::with_capacity(9);
        put_u64(&mut encoded, index as u64);
        let mut key = [0; 9];
        key[..encoded.len()].copy_from_slice(&encoded);
        Self { key, end: 2 * encoded.len(), value }
    }
}

/// How a parent refers to a node: its hash as a string, or the node itself when that is shorter.
#[derive(Clone, Copy)]
struct Reference {
    bytes: [u8; 33],
    length: usize,
}

const NO_CHILD: Reference = Reference { bytes: [0x80; 33], length: 1 };

impl Reference {
    fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

struct Builder {
    scratch: Vec<u8>,
}

impl Builder {
    /// The reference to the node over `entries`, which agree in all nibbles before `depth`.
    fn reference(&mut self, entries: &[Entry<'_>], depth: usize) -> Reference {
        let start = self.scratch.len();
        self.write(entries, depth);
        self.take_reference(start)
    }

    /// Takes the node that begins at `start` off the scratch space.
    fn take_reference(&mut self, start: usize) -> Reference {
        let encoded = &self.scratch[start..];
        let mut reference = Reference { bytes: [0xa0; 33], length: 33 };
        if encoded.len() < 32 {
            reference.bytes[..encoded.len()].copy_from_slice(encoded);
            reference.length = encoded.len();
        } else {
            reference.bytes[1..].copy_from_slice(keccak256(encoded).as_slice());
        }
        self.scratch.truncate(start);
        reference
    }

    /// Appends the node over `entries` (at least one) to the scratch space.
    fn write(&mut self, entries: &[Entry<'_>], depth: usize) {
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else { return };
        if entries.len() == 1 {
            let length = path_length(first.end - depth) + string_length(first.value);
            put_length(&mut self.scratch, length, 0xc0);
            put_path(&mut self.scratch, &first.key, depth, first.end, true);
            put_bytes(&mut self.scratch, first.value);
            return;
        }
        // Sorted and prefix-free: what the first and the last share, all share, and both go on after it.
        let fork = first_difference(&first.key, &last.key, depth, first.end.min(last.end));
        if fork == depth {
            self.write_branch(entries, depth);
            return;
        }
        let start = self.scratch.len();
        self.write_branch(entries, fork);
        let child = self.take_reference(start);
        put_length(&mut self.scratch, path_length(fork - depth) + child.length, 0xc0);
        put_path(&mut self.scratch, &first.key, depth, fork, false);
        self.scratch.extend_from_slice(child.as_slice());
    }

    fn write_branch(&mut self, entries: &[Entry<'_>], depth: usize) {
        let mut children = [NO_CHILD; 16];
        for group in entries.chunk_by(|left, right| nibble(&left.key, depth) == nibble(&right.key, depth)) {
            if let Some(entry) = group.first() {
                children[nibble(&entry.key, depth)] = self.reference(group, depth + 1);
            }
        }
        let length = 1 + children.iter().map(|child| child.length).sum::<usize>();
        put_length(&mut self.scratch, length, 0xc0);
        children.iter().for_each(|child| self.scratch.extend_from_slice(child.as_slice()));
        self.scratch.push(0x80);
    }
}
