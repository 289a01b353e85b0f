//! The Merkle-Patricia trie over 32-byte keys, in memory, loaded from a [`NodeSource`] as it is walked (§4.5).
//!
//! Nodes stay decoded in memory, with their hashes, until [`Trie::unload`]; [`Trie::commit`] encodes and hashes only
//! what changed. Hashing keys (the "secure" part) and what values mean is the business of `state_trie`.

use alloy_primitives::B256;
use rayon::prelude::*;

use crate::state::{EMPTY_ROOT, NodeSource, StateError};

pub(crate) mod nibbles;
mod node;
mod ordered;

pub use node::NodeBuffer;
pub use ordered::ordered_root;

use nibbles::{KEY_NIBBLES, first_difference, nibble, with_nibble};
use node::{Branch, EXTENSION_BYTES, Extension, LEAF_BYTES, Leaf, Link, LinkState, Loader, Node, branch_bytes};

/// Below this many changed keys the threads' hand-over costs more than it saves.
const PARALLEL_THRESHOLD: usize = 256;

/// A trie at some root, with the changes made since.
///
/// Every walk names the source that nodes not in memory come from; a trie must always be given the same one. After an
/// error from `insert` or `delete` the trie may hold half a change: open it again at a committed root.
#[derive(Debug)]
pub struct Trie {
    top: Link,
    /// The root that `top` was last committed or opened at.
    root: B256,
    epoch: u32,
    changed_keys: usize,
    /// Estimate of the bytes in memory, too high between two calls of `unload`.
    memory: usize,
}

impl Trie {
    /// The trie with this root; nothing is read yet.
    pub fn open(root: B256) -> Self {
        let top = if root == EMPTY_ROOT { Link::empty() } else { Link::stored(root) };
        Self { top, root, epoch: 0, changed_keys: 0, memory: 0 }
    }

    /// The trie without keys.
    pub fn empty() -> Self {
        Self::open(EMPTY_ROOT)
    }

    /// The root as of the last commit.
    pub fn root(&self) -> B256 {
        self.root
    }

    /// Whether the trie differs from what its root says.
    pub fn is_dirty(&self) -> bool {
        self.top.state == LinkState::Dirty || (self.top.state == LinkState::Empty && self.root != EMPTY_ROOT)
    }

    /// Bytes of nodes in memory: an estimate, exact only after [`Trie::unload`], too high otherwise.
    pub fn memory(&self) -> usize {
        self.memory
    }

    /// Sets the time that nodes walked through from now on are marked with, for [`Trie::unload`].
    pub fn set_epoch(&mut self, epoch: u32) {
        self.epoch = epoch;
    }

    /// The value of `key`, or none. Errors: a node on the way is missing or bad, the source failed.
    pub fn get(&mut self, key: &B256, source: &dyn NodeSource) -> Result<Option<&[u8]>, StateError> {
        let loader = Loader::new(source, self.root, self.epoch);
        let value = find(&mut self.top, key, &loader)?;
        self.memory += loader.memory.get();
        Ok(value)
    }

    /// Sets the value of `key`; `value` must not be empty (an empty value means no key: it deletes).
    ///
    /// Returns whether anything changed: the value that is there already leaves the trie clean.
    pub fn insert(&mut self, key: &B256, value: &[u8], source: &dyn NodeSource) -> Result<bool, StateError> {
        if value.is_empty() {
            return self.delete(key, source);
        }
        let loader = Loader::new(source, self.root, self.epoch);
        let mut walk = Walk { key, loader };
        let changed = walk.insert(&mut self.top, value, 0)?;
        self.memory += walk.loader.memory.get();
        self.changed_keys += usize::from(changed);
        Ok(changed)
    }

    /// Removes `key`. Returns whether it was there.
    pub fn delete(&mut self, key: &B256, source: &dyn NodeSource) -> Result<bool, StateError> {
        let loader = Loader::new(source, self.root, self.epoch);
        let mut walk = Walk { key, loader };
        let changed = walk.delete(&mut self.top, 0)?;
        self.memory += walk.loader.memory.get();
        self.changed_keys += usize::from(changed);
        Ok(changed)
    }

    /// Encodes and hashes what changed since the last commit, appends every new node to `out`, returns the new root.
    ///
    /// `parallel` lets the children of the root be hashed on rayon's threads when many keys changed.
    pub fn commit(&mut self, out: &mut NodeBuffer, parallel: bool) -> B256 {
        match (self.top.state, &mut self.top.node) {
            (LinkState::Dirty, Some(Node::Branch(branch))) if parallel && self.changed_keys >= PARALLEL_THRESHOLD => {
                let parts: Vec<NodeBuffer> = branch
                    .children
                    .par_iter_mut()
                    .map(|child| {
                        let mut part = NodeBuffer::default();
                        child.commit(1, &mut part);
                        part
                    })
                    .collect();
                parts.iter().for_each(|part| out.append(part));
                self.top.seal(0, out);
            }
            _ => self.top.commit(0, out),
        }
        self.changed_keys = 0;
        self.root = if self.top.state == LinkState::Empty { EMPTY_ROOT } else { self.top.hash };
        self.root
    }

    /// Drops from memory the unchanged nodes that were last walked through before epoch `oldest`.
    pub fn unload(&mut self, oldest: u32) {
        self.memory = self.top.unload(oldest);
    }

    /// The hash of the stored node nearest to `key`'s leaf among those in memory, to name in an error.
    pub(crate) fn nearest_hash(&self, key: &B256) -> B256 {
        let (mut link, mut depth, mut hash) = (&self.top, 0, self.root);
        loop {
            if link.state == LinkState::Stored {
                hash = link.hash;
            }
            (link, depth) = match &link.node {
                Some(Node::Branch(branch)) => match branch.child(nibble(key.as_slice(), depth)) {
                    None => return hash,
                    Some(child) => (child, depth + 1),
                },
                Some(Node::Extension(extension)) => (&extension.child, extension.end),
                Some(Node::Leaf(_)) | None => return hash,
            };
        }
    }
}

/// The value of `key` below the root node behind `top`.
fn find<'a>(top: &'a mut Link, key: &B256, loader: &Loader<'_>) -> Result<Option<&'a [u8]>, StateError> {
    let (mut link, mut depth) = (top, 0);
    loop {
        match link.load(key, depth, loader)? {
            None => return Ok(None),
            Some(Node::Leaf(leaf)) => return Ok((leaf.key == *key).then_some(&*leaf.value)),
            Some(Node::Extension(extension)) => {
                let end = extension.end;
                if first_difference(key.as_slice(), extension.path.as_slice(), depth, end) < end {
                    return Ok(None);
                }
                (link, depth) = (&mut extension.child, end);
            }
            Some(Node::Branch(branch)) => match branch.child_mut(nibble(key.as_slice(), depth)) {
                None => return Ok(None),
                Some(child) => (link, depth) = (child, depth + 1),
            },
        }
    }
}

/// One change on its way down to its key.
struct Walk<'a> {
    key: &'a B256,
    loader: Loader<'a>,
}

impl Walk<'_> {
    fn leaf(&self, value: &[u8]) -> Link {
        self.loader.grow(LEAF_BYTES + value.len());
        Link::dirty(Node::Leaf(Box::new(Leaf { key: *self.key, value: value.into() })), self.loader.epoch)
    }

    fn insert(&mut self, link: &mut Link, value: &[u8], depth: usize) -> Result<bool, StateError> {
        let changed = match link.load(self.key, depth, &self.loader)? {
            None => {
                *link = self.leaf(value);
                return Ok(true);
            }
            Some(Node::Leaf(leaf)) if leaf.key == *self.key => {
                if *leaf.value == *value {
                    return Ok(false);
                }
                if leaf.value.len() == value.len() {
                    leaf.value.copy_from_slice(value);
                } else {
                    leaf.value = value.into();
                }
                true
            }
            Some(Node::Leaf(leaf)) => {
                let fork = first_difference(self.key.as_slice(), leaf.key.as_slice(), depth, KEY_NIBBLES);
                self.split(link, value, depth, fork);
                true
            }
            Some(Node::Extension(extension)) => {
                let end = extension.end;
                let fork = first_difference(self.key.as_slice(), extension.path.as_slice(), depth, end);
                if fork == end {
                    self.insert(&mut extension.child, value, end)?
                } else {
                    self.split(link, value, depth, fork);
                    true
                }
            }
            Some(Node::Branch(branch)) => {
                let index = nibble(self.key.as_slice(), depth);
                match branch.child_mut(index) {
                    Some(child) => self.insert(child, value, depth + 1)?,
                    None => {
                        branch.put(index, self.leaf(value));
                        self.loader.grow(2 * size_of::<Link>());
                        true
                    }
                }
            }
        };
        if changed {
            link.state = LinkState::Dirty;
        }
        Ok(changed)
    }

    /// Puts a branch at nibble `fork` between `link` (at nibble `depth`) and its leaf or extension, which parts from
    /// the key there, and hangs both into it.
    fn split(&mut self, link: &mut Link, value: &[u8], depth: usize, fork: usize) {
        let epoch = self.loader.epoch;
        let mut branch = Box::new(Branch::with_capacity(2));
        match link.node.take() {
            Some(Node::Leaf(leaf)) => {
                let index = nibble(leaf.key.as_slice(), fork);
                branch.put(index, Link::dirty(Node::Leaf(leaf), epoch));
            }
            Some(Node::Extension(extension)) => {
                let index = nibble(extension.path.as_slice(), fork);
                let is_used_up = extension.end == fork + 1;
                branch.put(
                    index,
                    if is_used_up { extension.child } else { Link::dirty(Node::Extension(extension), epoch) },
                );
            }
            // The callers split leaves and extensions only; a branch or nothing has no path to be split.
            Some(Node::Branch(_)) | None => {}
        }
        branch.put(nibble(self.key.as_slice(), fork), self.leaf(value));
        self.loader.grow(branch_bytes(2) + EXTENSION_BYTES);
        let branch = Node::Branch(branch);
        link.node = Some(if fork == depth {
            branch
        } else {
            let child = Link::dirty(branch, epoch);
            Node::Extension(Box::new(Extension { path: *self.key, end: fork, child }))
        });
    }

    fn delete(&mut self, link: &mut Link, depth: usize) -> Result<bool, StateError> {
        match link.load(self.key, depth, &self.loader)? {
            None => return Ok(false),
            Some(Node::Leaf(leaf)) => {
                let is_there = leaf.key == *self.key;
                if is_there {
                    *link = Link::empty();
                }
                return Ok(is_there);
            }
            Some(Node::Extension(extension)) => {
                let end = extension.end;
                if first_difference(self.key.as_slice(), extension.path.as_slice(), depth, end) < end
                    || !self.delete(&mut extension.child, end)?
                {
                    return Ok(false);
                }
                // A branch that collapsed below has become a leaf or an extension: it takes this one's place.
                // Paths are absolute, so it needs no change for that.
                match extension.child.node.take() {
                    Some(node @ Node::Branch(_)) => extension.child.node = Some(node),
                    replacement => link.node = replacement,
                }
            }
            Some(Node::Branch(branch)) => {
                let index = nibble(self.key.as_slice(), depth);
                let Some(child) = branch.child_mut(index) else { return Ok(false) };
                if !self.delete(child, depth + 1)? {
                    return Ok(false);
                }
                if child.state == LinkState::Empty {
                    branch.remove(index);
                    self.collapse(link, depth)?;
                }
            }
        }
        link.state = if link.node.is_some() { LinkState::Dirty } else { LinkState::Empty };
        Ok(true)
    }

    /// Replaces the branch behind `link` by its child when only one is left.
    fn collapse(&mut self, link: &mut Link, depth: usize) -> Result<(), StateError> {
        let Some(Node::Branch(branch)) = &mut link.node else { return Ok(()) };
        let mut occupied = branch.nibbles();
        let (Some(index), None) = (occupied.next(), occupied.next()) else { return Ok(()) };
        let path = with_nibble(*self.key, depth, index);
        let Some(mut child) = branch.remove(index) else { return Ok(()) };
        // The last child must be known: a leaf or an extension grows by this nibble, a branch gets an extension.
        child.load(&path, depth + 1, &self.loader)?;
        link.node = match child.node.take() {
            Some(node @ Node::Branch(_)) => {
                child.node = Some(node);
                Some(Node::Extension(Box::new(Extension { path, end: depth + 1, child })))
            }
            replacement => replacement,
        };
        Ok(())
    }
}

/// A key and its value.
pub type KeyValue = (B256, Box<[u8]>);

/// All keys and values below a root, in order of the keys, read node by node without being kept.
pub struct Entries<'a> {
    source: &'a dyn NodeSource,
    root: B256,
    /// Nodes still to be visited: the next one last; with the nibbles that lead to them and how many those are.
    stack: Vec<(Link, B256, usize)>,
}

impl<'a> Entries<'a> {
    /// The entries of the trie with this root.
    pub fn new(root: B256, source: &'a dyn NodeSource) -> Self {
        Self { source, root, stack: vec![(Trie::open(root).top, B256::ZERO, 0)] }
    }

    fn advance(&mut self) -> Result<Option<KeyValue>, StateError> {
        let loader = Loader::new(self.source, self.root, 0);
        while let Some((mut link, prefix, depth)) = self.stack.pop() {
            link.load(&prefix, depth, &loader)?;
            match link.node {
                None => {}
                Some(Node::Leaf(leaf)) => return Ok(Some((leaf.key, leaf.value))),
                Some(Node::Extension(extension)) => self.stack.push((extension.child, extension.path, extension.end)),
                Some(Node::Branch(branch)) => {
                    let nibbles = branch.nibbles();
                    let children = nibbles.zip(branch.children);
                    let start = self.stack.len();
                    self.stack
                        .extend(children.map(|(nibble, child)| (child, with_nibble(prefix, depth, nibble), depth + 1)));
                    self.stack[start..].reverse();
                }
            }
        }
        Ok(None)
    }
}

impl Iterator for Entries<'_> {
    /// Key and value, or why the next could not be read; after an error there are no more.
    type Item = Result<KeyValue, StateError>;

    fn next(&mut self) -> Option<Self::Item> {
        let entry = self.advance();
        if entry.is_err() {
            self.stack.clear();
        }
        entry.transpose()
    }
}
