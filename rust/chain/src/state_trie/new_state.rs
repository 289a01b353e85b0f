//! What a run of blocks adds to the state database, until it is written there.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};

use alloy_primitives::{B256, Bytes};

use crate::trie::NodeBuffer;

/// New trie nodes and code of a run of blocks, in the order in which they came to be, findable by hash.
///
/// One batch of the database: nodes under their hash, code under `code` and its hash (§4.5). The same node can occur
/// more than once (as in the Go client's commits); what a hash names is always the same.
#[derive(Debug, Default)]
pub struct NewState {
    pub(crate) nodes: NodeBuffer,
    code: Vec<(B256, Bytes)>,
    /// The first occurrence of each node.
    index: HashMap<B256, usize, BuildHasherDefault<HashPrefix>>,
}

/// A point in a [`NewState`] to which it can be cut back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    nodes: usize,
    code: usize,
}

impl NewState {
    /// All new nodes with their hashes, children before parents.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = (&B256, &[u8])> {
        self.nodes.iter()
    }

    /// All new code with its hash.
    pub fn code(&self) -> &[(B256, Bytes)] {
        &self.code
    }

    /// Bytes of all nodes together.
    pub fn node_bytes(&self) -> usize {
        self.nodes.bytes.len()
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty() && self.code.is_empty()
    }

    /// The RLP of the node with this hash, if it is one of these.
    pub fn node(&self, hash: &B256) -> Option<&[u8]> {
        self.index.get(hash).map(|&index| self.nodes.get(index).1)
    }

    /// The code with this hash, if it is among these.
    pub fn find_code(&self, hash: &B256) -> Option<&Bytes> {
        self.code.iter().rev().find(|(found, _)| found == hash).map(|(_, code)| code)
    }

    /// Where the state stands now.
    pub fn mark(&self) -> Mark {
        Mark { nodes: self.nodes.len(), code: self.code.len() }
    }

    /// Forgets what was added after `mark`.
    pub fn truncate(&mut self, mark: Mark) {
        for index in mark.nodes..self.nodes.len() {
            if let Entry::Occupied(entry) = self.index.entry(*self.nodes.get(index).0)
                && *entry.get() >= mark.nodes
            {
                entry.remove();
            }
        }
        self.nodes.truncate(mark.nodes);
        self.code.truncate(mark.code);
    }

    /// Nothing, with room for as much as `run` has: runs are much alike, and growing copies every node several times.
    pub(crate) fn with_room_of(run: &Self) -> Self {
        let nodes = NodeBuffer {
            bytes: Vec::with_capacity(run.nodes.bytes.len()),
            entries: Vec::with_capacity(run.nodes.len()),
        };
        Self { nodes, code: Vec::new(), index: HashMap::with_capacity_and_hasher(run.index.len(), <_>::default()) }
    }

    pub(crate) fn add_code(&mut self, hash: B256, code: Bytes) {
        self.code.push((hash, code));
    }

    /// Makes the nodes appended after `mark` findable.
    pub(crate) fn index_from(&mut self, mark: Mark) {
        for index in mark.nodes..self.nodes.len() {
            self.index.entry(*self.nodes.get(index).0).or_insert(index);
        }
    }
}

/// Keys that are Keccak hashes need no hashing of their own. Whoever could choose them to collide in these bits
/// would have to grind trie nodes for it, and would gain a slow run.
#[derive(Default)]
struct HashPrefix(u64);

impl Hasher for HashPrefix {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Some(prefix) = bytes.first_chunk() {
            self.0 = u64::from_le_bytes(*prefix);
        }
    }

    fn write_usize(&mut self, _length: usize) {}
}
