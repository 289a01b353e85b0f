//! An ordered list of puts and deletes that is written atomically.

/// One entry of a [`Batch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation<'a> {
    /// Set `key` to a value.
    Put(&'a [u8], &'a [u8]),
    /// Remove `key`; nothing happens when it is absent.
    Delete(&'a [u8]),
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    start: usize,
    key_length: usize,
    value_length: Option<usize>,
}

/// Puts and deletes in the order in which they were added; a later one wins over an earlier one of the same key.
///
/// All bytes stand in one buffer: a run of blocks has tens of thousands of trie nodes, and one allocation each would show.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a put.
    pub fn put(&mut self, key: &[u8], value: &[u8]) {
        self.entries.push(Entry { start: self.bytes.len(), key_length: key.len(), value_length: Some(value.len()) });
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(value);
    }

    /// Adds a delete.
    pub fn delete(&mut self, key: &[u8]) {
        self.entries.push(Entry { start: self.bytes.len(), key_length: key.len(), value_length: None });
        self.bytes.extend_from_slice(key);
    }

    /// Number of operations.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes of all keys and values, without the database's own overhead.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Removes all operations and keeps the memory for the next run.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.entries.clear();
    }

    /// The operations in order.
    pub fn iter(&self) -> impl Iterator<Item = Operation<'_>> {
        self.entries.iter().map(|entry| {
            let value_start = entry.start + entry.key_length;
            let key = &self.bytes[entry.start..value_start];
            match entry.value_length {
                Some(length) => Operation::Put(key, &self.bytes[value_start..value_start + length]),
                None => Operation::Delete(key),
            }
        })
    }
}
