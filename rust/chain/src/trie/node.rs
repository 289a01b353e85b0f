//! Trie nodes in memory: their links, their encoding and decoding.

use std::cell::Cell;

use alloy_primitives::{B256, keccak256};

use super::nibbles::{KEY_NIBBLES, path_length, put_path, read_path, with_nibble};
use crate::rlp::{self, Kind, encoded_length, put_bytes, put_length};
use crate::state::{NodeSource, StateError};

/// What a link knows about the node behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LinkState {
    /// There is no node.
    Empty,
    /// The node has been handed to a sink or was read: `Link::hash` is its hash, it may be out of memory.
    Stored,
    /// The node is shorter than a hash and lives inside its parent; it is in memory.
    Embedded,
    /// The node was changed since the last commit; it is in memory.
    Dirty,
}

/// The place of a node in its parent. The hash stands here, not in the node, so that encoding a branch does not
/// touch the children that did not change.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) hash: B256,
    pub(crate) node: Option<Node>,
    pub(crate) state: LinkState,
    /// When the node was last walked through; never older than that of any node below.
    pub(crate) epoch: u32,
}

/// A node. Paths are absolute: every key holds its nibbles from the root on, so that nodes move up and down without
/// being rewritten.
#[derive(Debug)]
pub(crate) enum Node {
    Leaf(Box<Leaf>),
    Extension(Box<Extension>),
    Branch(Box<Branch>),
}

#[derive(Debug)]
pub(crate) struct Leaf {
    pub(crate) key: B256,
    pub(crate) value: Box<[u8]>,
}

#[derive(Debug)]
pub(crate) struct Extension {
    /// Nibbles before `end` count.
    pub(crate) path: B256,
    pub(crate) end: usize,
    pub(crate) child: Link,
}

/// Keys all have 32 bytes, so no key ends at a branch and branches hold no value.
///
/// Most branches are at the lower end of the trie and have two or three children: only those have a place, which
/// makes a state of many accounts several times smaller than sixteen places each.
#[derive(Debug, Default)]
pub(crate) struct Branch {
    /// Bit n is set when there is a child for nibble n.
    occupied: u16,
    /// The children there are, by nibble.
    pub(crate) children: Vec<Link>,
}

/// New nodes, back to back, in the order in which they were made: children before parents.
#[derive(Debug, Default)]
pub struct NodeBuffer {
    pub(crate) bytes: Vec<u8>,
    pub(crate) entries: Vec<NodeEntry>,
}

/// Where one node of a [`NodeBuffer`] ends, and its hash.
#[derive(Debug)]
pub(crate) struct NodeEntry {
    pub(crate) hash: B256,
    pub(crate) end: usize,
}

impl NodeBuffer {
    /// How many nodes there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The node number `index` and its hash; `index` must be below [`NodeBuffer::len`].
    pub fn get(&self, index: usize) -> (&B256, &[u8]) {
        let start = index.checked_sub(1).map_or(0, |before| self.entries[before].end);
        let entry = &self.entries[index];
        (&entry.hash, &self.bytes[start..entry.end])
    }

    /// All nodes with their hashes, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&B256, &[u8])> {
        (0..self.len()).map(|index| self.get(index))
    }

    /// Forgets all but the first `count` nodes.
    pub fn truncate(&mut self, count: usize) {
        self.entries.truncate(count);
        self.bytes.truncate(self.entries.last().map_or(0, |entry| entry.end));
    }

    /// Moves the nodes of `other` behind these.
    pub(crate) fn append(&mut self, other: &NodeBuffer) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&other.bytes);
        self.entries.extend(other.entries.iter().map(|entry| NodeEntry { hash: entry.hash, end: start + entry.end }));
    }
}

/// Where nodes come from, and under which root they are looked for (for the error only).
pub(crate) struct Loader<'a> {
    pub(crate) source: &'a dyn NodeSource,
    pub(crate) root: B256,
    pub(crate) epoch: u32,
    /// Bytes that the walk added to memory.
    pub(crate) memory: Cell<usize>,
}

impl<'a> Loader<'a> {
    pub(crate) const fn new(source: &'a dyn NodeSource, root: B256, epoch: u32) -> Self {
        Self { source, root, epoch, memory: Cell::new(0) }
    }

    #[inline]
    pub(crate) fn grow(&self, bytes: usize) {
        self.memory.set(self.memory.get() + bytes);
    }

    /// Reads, checks and decodes a node that stands at nibble `depth` under the nibbles of `prefix`.
    fn load(&self, hash: &B256, prefix: &B256, depth: usize) -> Result<Node, StateError> {
        let Some(data) = self.source.node(hash)? else {
            return Err(StateError::MissingNode { hash: *hash, root: self.root });
        };
        let bad = |reason: String| StateError::BadNode { hash: *hash, reason };
        // LevelDB's checksums end at its own border. This costs less than the read and keeps a wrong value out of
        // every block that would be built upon it.
        let found = keccak256(&data);
        if found != *hash {
            return Err(bad(format!("its bytes hash to {found}")));
        }
        let item = rlp::parse(&data).map_err(|error| bad(error.to_string()))?;
        if item.raw.len() != data.len() {
            return Err(bad(format!("{} bytes after it", data.len() - item.raw.len())));
        }
        decode(item, prefix, depth, self.epoch).map_err(bad)
    }
}

fn decode(item: rlp::Item<'_>, prefix: &B256, depth: usize, epoch: u32) -> Result<Node, String> {
    let text = |error: rlp::RlpError| error.to_string();
    let items = item.list("trie node").map_err(text)?;
    match items.clone().count() {
        2 => {
            let mut items = items;
            let path = items.required("path").map_err(text)?.bytes("path").map_err(text)?;
            let content = items.required("value").map_err(text)?;
            let (path, end, is_leaf) = read_path(path, prefix, depth)?;
            if is_leaf {
                let value = content.bytes("leaf value").map_err(text)?;
                if end != KEY_NIBBLES {
                    return Err(format!("leaf ends at nibble {end}, keys have {KEY_NIBBLES}"));
                }
                if value.is_empty() {
                    return Err("leaf without value".into());
                }
                return Ok(Node::Leaf(Box::new(Leaf { key: path, value: value.into() })));
            }
            if end == depth || end >= KEY_NIBBLES {
                return Err(format!("extension from nibble {depth} to {end}"));
            }
            let child = decode_child(content, &path, end, epoch)?;
            let leads_to_branch = !matches!(child.node, Some(Node::Leaf(_) | Node::Extension(_)));
            if child.state == LinkState::Empty || !leads_to_branch {
                return Err("extension that does not lead to a branch".into());
            }
            Ok(Node::Extension(Box::new(Extension { path, end, child })))
        }
        17 => {
            if depth >= KEY_NIBBLES {
                return Err("branch below the end of the keys".into());
            }
            let is_empty = |item: &rlp::Item<'_>| item.kind == Kind::Bytes && item.payload.is_empty();
            let mut branch = Box::new(Branch::with_capacity(items.clone().filter(|item| !is_empty(item)).count()));
            for (index, item) in items.enumerate().filter(|(_, item)| !is_empty(item)) {
                if index == 16 {
                    return Err("branch with a value".into());
                }
                branch.put(index, decode_child(item, &with_nibble(*prefix, depth, index), depth + 1, epoch)?);
            }
            if branch.children.len() < 2 {
                return Err(format!("branch with {} children", branch.children.len()));
            }
            Ok(Node::Branch(branch))
        }
        count => Err(format!("list of {count} items")),
    }
}

fn decode_child(item: rlp::Item<'_>, prefix: &B256, depth: usize, epoch: u32) -> Result<Link, String> {
    match (item.kind, item.payload.len()) {
        (Kind::Bytes, 0) => Ok(Link::empty()),
        (Kind::Bytes, 32) => Ok(Link::stored(B256::from_slice(item.payload))),
        (Kind::Bytes, length) => Err(format!("child hash of {length} bytes")),
        (Kind::List, _) if item.raw.len() >= 32 => Err(format!("embedded child of {} bytes", item.raw.len())),
        (Kind::List, _) => {
            let node = decode(item, prefix, depth, epoch)?;
            Ok(Link { hash: B256::ZERO, node: Some(node), state: LinkState::Embedded, epoch })
        }
    }
}

impl Link {
    pub(crate) const fn empty() -> Self {
        Self { hash: B256::ZERO, node: None, state: LinkState::Empty, epoch: 0 }
    }

    pub(crate) const fn stored(hash: B256) -> Self {
        Self { hash, node: None, state: LinkState::Stored, epoch: 0 }
    }

    pub(crate) const fn dirty(node: Node, epoch: u32) -> Self {
        Self { hash: B256::ZERO, node: Some(node), state: LinkState::Dirty, epoch }
    }

    /// The node behind this link, read if it is not in memory; none when there is no node.
    #[inline]
    pub(crate) fn load(
        &mut self,
        prefix: &B256,
        depth: usize,
        loader: &Loader<'_>,
    ) -> Result<Option<&mut Node>, StateError> {
        if self.node.is_none() && self.state == LinkState::Stored {
            let node = loader.load(&self.hash, prefix, depth)?;
            loader.grow(node.memory());
            self.node = Some(node);
        }
        self.epoch = loader.epoch;
        Ok(self.node.as_mut())
    }

    /// Encodes and hashes what is dirty from here down; `depth` is the nibble at which this node stands.
    pub(crate) fn commit(&mut self, depth: usize, out: &mut NodeBuffer) {
        if self.state != LinkState::Dirty {
            return;
        }
        match &mut self.node {
            Some(Node::Branch(branch)) => branch.children.iter_mut().for_each(|child| child.commit(depth + 1, out)),
            Some(Node::Extension(extension)) => extension.child.commit(extension.end, out),
            Some(Node::Leaf(_)) | None => {}
        }
        self.seal(depth, out);
    }

    /// Encodes and hashes this node alone; its children are clean. The root is kept by hash however short (§4.5).
    pub(crate) fn seal(&mut self, depth: usize, out: &mut NodeBuffer) {
        let Some(node) = &self.node else { return };
        let start = out.bytes.len();
        node.encode(depth, &mut out.bytes);
        if out.bytes.len() - start < 32 && depth != 0 {
            out.bytes.truncate(start);
            self.state = LinkState::Embedded;
            return;
        }
        self.hash = keccak256(&out.bytes[start..]);
        self.state = LinkState::Stored;
        out.entries.push(NodeEntry { hash: self.hash, end: out.bytes.len() });
    }

    /// Drops clean nodes last used before `oldest`; returns the bytes still in memory (an estimate).
    pub(crate) fn unload(&mut self, oldest: u32) -> usize {
        if self.state == LinkState::Stored && self.epoch < oldest {
            self.node = None;
        }
        let Some(node) = &mut self.node else { return 0 };
        let own = node.memory();
        own + match node {
            Node::Leaf(_) => 0,
            Node::Extension(extension) => extension.child.unload(oldest),
            Node::Branch(branch) => branch.children.iter_mut().map(|child| child.unload(oldest)).sum(),
        }
    }

    #[inline]
    fn reference_length(&self, depth: usize) -> usize {
        match (&self.node, self.state) {
            (_, LinkState::Empty) => 1,
            (_, LinkState::Stored) => 33,
            (Some(node), _) => node.encoded_length(depth),
            (None, _) => 1,
        }
    }

    #[inline]
    fn put_reference(&self, depth: usize, out: &mut Vec<u8>) {
        match (&self.node, self.state) {
            (_, LinkState::Stored) => {
                out.push(0xa0);
                out.extend_from_slice(self.hash.as_slice());
            }
            (Some(node), LinkState::Embedded | LinkState::Dirty) => node.encode(depth, out),
            (_, LinkState::Empty) | (None, _) => out.push(0x80),
        }
    }
}

// Allocations and what the allocator adds to them.
pub(crate) const LEAF_BYTES: usize = size_of::<Leaf>() + 32;
pub(crate) const EXTENSION_BYTES: usize = size_of::<Extension>() + 16;

/// Bytes of a branch with room for this many children.
pub(crate) const fn branch_bytes(children: usize) -> usize {
    size_of::<Branch>() + children * size_of::<Link>() + 32
}

impl Branch {
    pub(crate) fn with_capacity(children: usize) -> Self {
        Self { occupied: 0, children: Vec::with_capacity(children) }
    }

    /// Where the child for `nibble` stands among the children, if there is one.
    #[inline]
    fn position(&self, nibble: usize) -> Option<usize> {
        (self.occupied >> nibble & 1 == 1).then(|| self.rank(nibble))
    }

    /// How many children stand before the one for `nibble`.
    #[inline]
    fn rank(&self, nibble: usize) -> usize {
        (self.occupied & ((1 << nibble) - 1)).count_ones() as usize
    }

    #[inline]
    pub(crate) fn child(&self, nibble: usize) -> Option<&Link> {
        self.position(nibble).map(|position| &self.children[position])
    }

    #[inline]
    pub(crate) fn child_mut(&mut self, nibble: usize) -> Option<&mut Link> {
        self.position(nibble).map(|position| &mut self.children[position])
    }

    /// Adds the child for `nibble`, where there is none yet.
    pub(crate) fn put(&mut self, nibble: usize, child: Link) {
        self.children.insert(self.rank(nibble), child);
        self.occupied |= 1 << nibble;
    }

    /// Takes the child for `nibble` out.
    pub(crate) fn remove(&mut self, nibble: usize) -> Option<Link> {
        let position = self.position(nibble)?;
        self.occupied &= !(1 << nibble);
        Some(self.children.remove(position))
    }

    /// The nibbles for which there are children, in order.
    pub(crate) fn nibbles(&self) -> impl DoubleEndedIterator<Item = usize> + use<> {
        let occupied = self.occupied;
        (0..16).filter(move |nibble| occupied >> nibble & 1 == 1)
    }
}

impl Node {
    /// Bytes of this node without those below.
    pub(crate) fn memory(&self) -> usize {
        match self {
            Node::Leaf(leaf) => LEAF_BYTES + leaf.value.len(),
            Node::Extension(_) => EXTENSION_BYTES,
            Node::Branch(branch) => branch_bytes(branch.children.capacity()),
        }
    }

    fn payload_length(&self, depth: usize) -> usize {
        match self {
            Node::Leaf(leaf) => path_length(KEY_NIBBLES - depth) + string_length(&leaf.value),
            Node::Extension(extension) => {
                path_length(extension.end - depth) + extension.child.reference_length(extension.end)
            }
            Node::Branch(branch) => {
                let children = branch.children.iter().map(|child| child.reference_length(depth + 1)).sum::<usize>();
                17 - branch.children.len() + children
            }
        }
    }

    fn encoded_length(&self, depth: usize) -> usize {
        encoded_length(self.payload_length(depth))
    }

    fn encode(&self, depth: usize, out: &mut Vec<u8>) {
        put_length(out, self.payload_length(depth), 0xc0);
        match self {
            Node::Leaf(leaf) => {
                put_path(out, leaf.key.as_slice(), depth, KEY_NIBBLES, true);
                put_bytes(out, &leaf.value);
            }
            Node::Extension(extension) => {
                put_path(out, extension.path.as_slice(), depth, extension.end, false);
                extension.child.put_reference(extension.end, out);
            }
            Node::Branch(branch) => {
                let mut children = branch.children.iter();
                for nibble in 0..16 {
                    match (branch.occupied >> nibble & 1 == 1).then(|| children.next()).flatten() {
                        Some(child) => child.put_reference(depth + 1, out),
                        None => out.push(0x80),
                    }
                }
                out.push(0x80);
            }
        }
    }
}

#[inline]
pub(crate) fn string_length(value: &[u8]) -> usize {
    match value {
        [byte] if *byte < 0x80 => 1,
        _ => encoded_length(value.len()),
    }
}
