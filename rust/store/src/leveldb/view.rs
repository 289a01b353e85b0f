//! What looks at a database without changing it: fixed views and cursors.

use std::ffi::c_char;
use std::ops::ControlFlow;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use super::{Handle, ReadOptions, check, ffi, pointer};
use crate::error::StoreError;
use crate::key_value::{KeyValueReader, Visitor};

/// A fixed view of a [`Database`]; safe to share between threads.
pub struct Snapshot {
    pub(super) state: *const ffi::SnapshotState,
    pub(super) read_options: ReadOptions,
    pub(super) handle: Arc<Handle>,
}

// SAFETY: the snapshot is an immutable mark in the database, which may be used from any thread.
unsafe impl Send for Snapshot {}
// SAFETY: as above; the read options are only read after construction.
unsafe impl Sync for Snapshot {}

impl Snapshot {
    /// A cursor over this view, not yet on an entry; it outlives the snapshot.
    pub fn cursor(&self) -> Cursor {
        Cursor::new(&self.handle, self.state)
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        // SAFETY: created by this database, which `handle` keeps open, and released once.
        unsafe { ffi::leveldb_release_snapshot(self.handle.db.as_ptr(), self.state) }
    }
}

impl KeyValueReader for Snapshot {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.handle.get(&self.read_options, key, <[u8]>::to_vec)
    }

    fn get_into(&self, key: &[u8], value: &mut Vec<u8>) -> Result<bool, StoreError> {
        self.handle.get_into(&self.read_options, key, value)
    }

    fn visit(&self, start: &[u8], visitor: &mut Visitor<'_>) -> Result<(), StoreError> {
        self.cursor().visit(start, visitor)
    }
}

/// A position in an ordered walk. Moves tell whether they reached an entry; an error never looks like the end.
pub struct Cursor {
    state: NonNull<ffi::CursorState>,
    handle: Arc<Handle>,
}

// SAFETY: a LevelDB iterator may be used from any thread, one at a time, which `&mut self` on every move ensures.
unsafe impl Send for Cursor {}

impl Cursor {
    pub(super) fn new(handle: &Arc<Handle>, snapshot: *const ffi::SnapshotState) -> Self {
        // A walk would push everything else out of the cache, so it does not fill it.
        let read_options = ReadOptions::new(handle.verify_checksums, false);
        // SAFETY: LevelDB copies what it needs of the options and, for a snapshot, its sequence number, so neither must
        // outlive the call. A null snapshot means the newest state.
        let state = unsafe {
            ffi::leveldb_readoptions_set_snapshot(read_options.0, snapshot);
            ffi::leveldb_create_iterator(handle.db.as_ptr(), read_options.0)
        };
        let state = NonNull::new(state).expect("LevelDB's constructor is a C++ `new`, which does not give null");
        Self { state, handle: Arc::clone(handle) }
    }

    /// Whether the cursor is on an entry after a move; LevelDB's status otherwise.
    fn arrived(&self) -> Result<bool, StoreError> {
        // SAFETY: the iterator is alive.
        if unsafe { ffi::leveldb_iter_valid(self.state.as_ptr()) } != 0 {
            return Ok(true);
        }
        let mut error = ptr::null_mut();
        // SAFETY: as above.
        unsafe { ffi::leveldb_iter_get_error(self.state.as_ptr(), &raw mut error) };
        check(&self.handle.path, error)?;
        Ok(false)
    }

    /// Moves to the first entry.
    pub fn first(&mut self) -> Result<bool, StoreError> {
        // SAFETY: the iterator is alive.
        unsafe { ffi::leveldb_iter_seek_to_first(self.state.as_ptr()) };
        self.arrived()
    }

    /// Moves to the last entry.
    pub fn last(&mut self) -> Result<bool, StoreError> {
        // SAFETY: the iterator is alive.
        unsafe { ffi::leveldb_iter_seek_to_last(self.state.as_ptr()) };
        self.arrived()
    }

    /// Moves to the first entry whose key is `key` or greater.
    pub fn seek(&mut self, key: &[u8]) -> Result<bool, StoreError> {
        // SAFETY: the iterator is alive, the key is only read during the call.
        unsafe { ffi::leveldb_iter_seek(self.state.as_ptr(), pointer(key), key.len()) };
        self.arrived()
    }

    /// Moves to the next entry; stays beyond the end when it is there.
    pub fn advance(&mut self) -> Result<bool, StoreError> {
        if self.arrived()? {
            // SAFETY: the iterator is alive and valid, as LevelDB demands.
            unsafe { ffi::leveldb_iter_next(self.state.as_ptr()) };
        }
        self.arrived()
    }

    /// Moves to the entry before; stays beyond the end when it is there.
    pub fn retreat(&mut self) -> Result<bool, StoreError> {
        if self.arrived()? {
            // SAFETY: the iterator is alive and valid, as LevelDB demands.
            unsafe { ffi::leveldb_iter_prev(self.state.as_ptr()) };
        }
        self.arrived()
    }

    /// Key and value of the entry under the cursor, lent until the next move; none beyond an end.
    pub fn entry(&self) -> Option<(&[u8], &[u8])> {
        // SAFETY: the slices point into the iterator and stay good until it moves, which needs `&mut self`.
        unsafe {
            if ffi::leveldb_iter_valid(self.state.as_ptr()) == 0 {
                return None;
            }
            let (mut key_length, mut value_length) = (0, 0);
            let key = ffi::leveldb_iter_key(self.state.as_ptr(), &raw mut key_length);
            let value = ffi::leveldb_iter_value(self.state.as_ptr(), &raw mut value_length);
            Some((lend(key, key_length), lend(value, value_length)))
        }
    }

    pub(super) fn visit(&mut self, start: &[u8], visitor: &mut Visitor<'_>) -> Result<(), StoreError> {
        let mut present = self.seek(start)?;
        while present {
            if let Some((key, value)) = self.entry()
                && let ControlFlow::Break(()) = visitor(key, value)
            {
                return Ok(());
            }
            present = self.advance()?;
        }
        Ok(())
    }
}

/// A slice over LevelDB's memory.
///
/// # Safety
/// `pointer` must be good for `length` bytes as long as the caller's borrow lasts; it may be null when `length` is zero.
unsafe fn lend<'a>(pointer: *const c_char, length: usize) -> &'a [u8] {
    if length == 0 {
        return &[];
    }
    // SAFETY: as the function demands.
    unsafe { std::slice::from_raw_parts(pointer.cast(), length) }
}

impl Drop for Cursor {
    fn drop(&mut self) {
        // SAFETY: created by this database, which `handle` keeps open, and freed once.
        unsafe { ffi::leveldb_iter_destroy(self.state.as_ptr()) }
    }
}
