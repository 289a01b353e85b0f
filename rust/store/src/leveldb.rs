//! A safe handle on Google's LevelDB: the only file of the project where `unsafe` is allowed.
//!
//! The C++ library comes from the `leveldb` build crate; its Rust types are not used, because its iterator hands out
//! slices that outlive the position. What makes this wrapper sound:
//! - every pointer is owned by one struct and freed in its `Drop`, in the order LevelDB demands (cursors and snapshots
//!   before the database, the database before cache and options): cursors and snapshots hold the [`Handle`] by `Arc`;
//! - LevelDB's database object is safe for concurrent use, so [`Handle`] is `Send` and `Sync`; a cursor is not, so moving
//!   it takes `&mut self`, and the slices it lends end with the borrow.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char, c_int};
use std::fmt;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::ptr::{self, NonNull};
use std::sync::Arc;

use leveldb as _;

use crate::batch::{Batch, Operation};
use crate::error::StoreError;
use crate::key_value::{Durability, KeyValueReader, KeyValueStore, Visitor};
use crate::lock::DirectoryLock;

/// The part of LevelDB's C interface (`leveldb/c.h`) that is used, declared by hand.
mod ffi {
    use std::ffi::{c_char, c_int};

    macro_rules! opaque {
        ($($name:ident),*) => {
            $(#[repr(C)] pub struct $name { _private: [u8; 0] })*
        };
    }
    opaque!(Db, Cache, FilterPolicy, CursorState, OptionSet, ReadOptions, SnapshotState, WriteBatch, WriteOptions);

    unsafe extern "C" {
        pub fn leveldb_open(options: *const OptionSet, name: *const c_char, error: *mut *mut c_char) -> *mut Db;
        pub fn leveldb_close(db: *mut Db);
        pub fn leveldb_write(
            db: *mut Db,
            options: *const WriteOptions,
            batch: *mut WriteBatch,
            error: *mut *mut c_char,
        );
        pub fn leveldb_get(
            db: *mut Db,
            options: *const ReadOptions,
            key: *const c_char,
            key_length: usize,
            value_length: *mut usize,
            error: *mut *mut c_char,
        ) -> *mut c_char;
        pub fn leveldb_create_iterator(db: *mut Db, options: *const ReadOptions) -> *mut CursorState;
        pub fn leveldb_create_snapshot(db: *mut Db) -> *const SnapshotState;
        pub fn leveldb_release_snapshot(db: *mut Db, snapshot: *const SnapshotState);
        pub fn leveldb_property_value(db: *mut Db, name: *const c_char) -> *mut c_char;
        pub fn leveldb_approximate_sizes(
            db: *mut Db,
            count: c_int,
            starts: *const *const c_char,
            start_lengths: *const usize,
            limits: *const *const c_char,
            limit_lengths: *const usize,
            sizes: *mut u64,
        );
        pub fn leveldb_compact_range(
            db: *mut Db,
            start: *const c_char,
            start_length: usize,
            limit: *const c_char,
            limit_length: usize,
        );
        pub fn leveldb_iter_destroy(cursor: *mut CursorState);
        pub fn leveldb_iter_valid(cursor: *const CursorState) -> u8;
        pub fn leveldb_iter_seek_to_first(cursor: *mut CursorState);
        pub fn leveldb_iter_seek_to_last(cursor: *mut CursorState);
        pub fn leveldb_iter_seek(cursor: *mut CursorState, key: *const c_char, key_length: usize);
        pub fn leveldb_iter_next(cursor: *mut CursorState);
        pub fn leveldb_iter_prev(cursor: *mut CursorState);
        pub fn leveldb_iter_key(cursor: *const CursorState, length: *mut usize) -> *const c_char;
        pub fn leveldb_iter_value(cursor: *const CursorState, length: *mut usize) -> *const c_char;
        pub fn leveldb_iter_get_error(cursor: *const CursorState, error: *mut *mut c_char);
        pub fn leveldb_writebatch_create() -> *mut WriteBatch;
        pub fn leveldb_writebatch_destroy(batch: *mut WriteBatch);
        pub fn leveldb_writebatch_put(
            batch: *mut WriteBatch,
            key: *const c_char,
            key_length: usize,
            value: *const c_char,
            value_length: usize,
        );
        pub fn leveldb_writebatch_delete(batch: *mut WriteBatch, key: *const c_char, key_length: usize);
        pub fn leveldb_options_create() -> *mut OptionSet;
        pub fn leveldb_options_destroy(options: *mut OptionSet);
        pub fn leveldb_options_set_create_if_missing(options: *mut OptionSet, value: u8);
        pub fn leveldb_options_set_paranoid_checks(options: *mut OptionSet, value: u8);
        pub fn leveldb_options_set_write_buffer_size(options: *mut OptionSet, bytes: usize);
        pub fn leveldb_options_set_max_open_files(options: *mut OptionSet, count: c_int);
        pub fn leveldb_options_set_cache(options: *mut OptionSet, cache: *mut Cache);
        pub fn leveldb_options_set_filter_policy(options: *mut OptionSet, policy: *mut FilterPolicy);
        pub fn leveldb_options_set_max_file_size(options: *mut OptionSet, bytes: usize);
        pub fn leveldb_options_set_compression(options: *mut OptionSet, kind: c_int);
        pub fn leveldb_cache_create_lru(bytes: usize) -> *mut Cache;
        pub fn leveldb_cache_destroy(cache: *mut Cache);
        pub fn leveldb_filterpolicy_create_bloom(bits_per_key: c_int) -> *mut FilterPolicy;
        pub fn leveldb_filterpolicy_destroy(policy: *mut FilterPolicy);
        pub fn leveldb_readoptions_create() -> *mut ReadOptions;
        pub fn leveldb_readoptions_destroy(options: *mut ReadOptions);
        pub fn leveldb_readoptions_set_verify_checksums(options: *mut ReadOptions, value: u8);
        pub fn leveldb_readoptions_set_fill_cache(options: *mut ReadOptions, value: u8);
        pub fn leveldb_readoptions_set_snapshot(options: *mut ReadOptions, snapshot: *const SnapshotState);
        pub fn leveldb_writeoptions_create() -> *mut WriteOptions;
        pub fn leveldb_writeoptions_destroy(options: *mut WriteOptions);
        pub fn leveldb_writeoptions_set_sync(options: *mut WriteOptions, value: u8);
        pub fn leveldb_free(pointer: *mut std::ffi::c_void);
    }
}

/// How a database is opened. The sizes are bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Make the database, not its parent folders, when there is none.
    pub create_if_missing: bool,
    /// Refuse to open over a journal or manifest that fails its checksums, instead of dropping what cannot be read.
    pub paranoid_checks: bool,
    /// Verify the checksum of every block that is read from disk.
    pub verify_checksums: bool,
    /// Memory table size; two of them can exist at a time.
    pub write_buffer_size: usize,
    /// Cache of decompressed blocks.
    pub block_cache_size: usize,
    /// Target size of a table file; LevelDB accepts 1 MiB to 1 GiB.
    pub max_file_size: usize,
    /// Open files; LevelDB accepts 74 to 50,000. Open tables are mapped, so this bounds mapped memory as well.
    pub max_open_files: u16,
    /// Snappy-compress the blocks of new tables.
    pub compression: bool,
    /// Bits per key of the Bloom filter in new tables; none writes no filter, like the Go client.
    pub bloom_bits_per_key: Option<u8>,
}

impl Default for Options {
    /// LevelDB's own sizes, strict about checksums.
    fn default() -> Self {
        Self {
            create_if_missing: false,
            paranoid_checks: true,
            verify_checksums: true,
            write_buffer_size: 4 << 20,
            block_cache_size: 8 << 20,
            max_file_size: 2 << 20,
            max_open_files: 1000,
            compression: true,
            bloom_bits_per_key: None,
        }
    }
}

/// Options, cache and filter of an open database; they must outlive it.
struct OptionSet {
    options: *mut ffi::OptionSet,
    cache: *mut ffi::Cache,
    filter: *mut ffi::FilterPolicy,
}

impl OptionSet {
    fn new(options: &Options) -> Self {
        // SAFETY: constructors without preconditions; the setters get a live options object. Cache and filter are
        // freed after the database, see the field order of `Handle`.
        unsafe {
            let set = ffi::leveldb_options_create();
            let cache = ffi::leveldb_cache_create_lru(options.block_cache_size);
            let filter = match options.bloom_bits_per_key {
                Some(bits) => ffi::leveldb_filterpolicy_create_bloom(c_int::from(bits)),
                None => ptr::null_mut(),
            };
            ffi::leveldb_options_set_create_if_missing(set, u8::from(options.create_if_missing));
            ffi::leveldb_options_set_paranoid_checks(set, u8::from(options.paranoid_checks));
            ffi::leveldb_options_set_write_buffer_size(set, options.write_buffer_size);
            ffi::leveldb_options_set_max_open_files(set, c_int::from(options.max_open_files));
            ffi::leveldb_options_set_max_file_size(set, options.max_file_size);
            ffi::leveldb_options_set_compression(set, c_int::from(options.compression));
            ffi::leveldb_options_set_cache(set, cache);
            if !filter.is_null() {
                ffi::leveldb_options_set_filter_policy(set, filter);
            }
            Self { options: set, cache, filter }
        }
    }
}

impl Drop for OptionSet {
    fn drop(&mut self) {
        // SAFETY: all three were created in `new` and are freed once; no database uses them any more.
        unsafe {
            ffi::leveldb_options_destroy(self.options);
            ffi::leveldb_cache_destroy(self.cache);
            if !self.filter.is_null() {
                ffi::leveldb_filterpolicy_destroy(self.filter);
            }
        }
    }
}

/// Read options, owned. Without a snapshot they read the newest state.
struct ReadOptions(*mut ffi::ReadOptions);

impl ReadOptions {
    fn new(verify_checksums: bool, fill_cache: bool) -> Self {
        // SAFETY: plain constructor and setters on the object just made.
        unsafe {
            let options = ffi::leveldb_readoptions_create();
            ffi::leveldb_readoptions_set_verify_checksums(options, u8::from(verify_checksums));
            ffi::leveldb_readoptions_set_fill_cache(options, u8::from(fill_cache));
            Self(options)
        }
    }
}

impl Drop for ReadOptions {
    fn drop(&mut self) {
        // SAFETY: created in `new`, freed once.
        unsafe { ffi::leveldb_readoptions_destroy(self.0) }
    }
}

/// The open database and what must go with it, freed when the last database, snapshot or cursor lets go.
struct Handle {
    db: NonNull<ffi::Db>,
    read_options: ReadOptions,
    write_synced: *mut ffi::WriteOptions,
    write_buffered: *mut ffi::WriteOptions,
    verify_checksums: bool,
    path: PathBuf,
    // Fields drop after `Drop::drop` has closed the database, in this order: options first, the flock last.
    _options: OptionSet,
    _lock: DirectoryLock,
}

// SAFETY: LevelDB documents its DB object as safe for concurrent use without external synchronization. The option objects
// are only read after construction.
unsafe impl Send for Handle {}
// SAFETY: as above.
unsafe impl Sync for Handle {}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: cursors and snapshots hold the handle by `Arc`, so none is left; each object is freed once.
        unsafe {
            ffi::leveldb_close(self.db.as_ptr());
            ffi::leveldb_writeoptions_destroy(self.write_synced);
            ffi::leveldb_writeoptions_destroy(self.write_buffered);
        }
    }
}

/// Takes over an error text of LevelDB, if there is one.
fn check(path: &Path, error: *mut c_char) -> Result<(), StoreError> {
    if error.is_null() {
        return Ok(());
    }
    // SAFETY: a non-null error is a NUL-terminated text allocated by LevelDB, ours to free.
    let status = unsafe {
        let text = CStr::from_ptr(error).to_string_lossy().into_owned();
        ffi::leveldb_free(error.cast());
        text
    };
    Err(StoreError::from_status(path, &status))
}

/// A pointer that C may read `len` bytes from.
fn pointer(bytes: &[u8]) -> *const c_char {
    bytes.as_ptr().cast()
}

impl Handle {
    fn get(&self, options: &ReadOptions, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let mut length = 0;
        let mut error = ptr::null_mut();
        // SAFETY: key pointer and length belong together; the result is null or an allocation of `length` bytes that is
        // copied and freed here.
        unsafe {
            let value =
                ffi::leveldb_get(self.db.as_ptr(), options.0, pointer(key), key.len(), &raw mut length, &raw mut error);
            let copy = if value.is_null() {
                None
            } else {
                let copy = std::slice::from_raw_parts(value.cast::<u8>(), length).to_vec();
                ffi::leveldb_free(value.cast());
                Some(copy)
            };
            check(&self.path, error)?;
            Ok(copy)
        }
    }
}

/// An open LevelDB database with both of its locks; clones share it. It closes when the last clone, snapshot and cursor
/// is gone, or tells why not in [`Database::close`].
#[derive(Clone)]
pub struct Database {
    handle: Arc<Handle>,
}

impl fmt::Debug for Database {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Database").field("path", &self.handle.path).finish_non_exhaustive()
    }
}

impl Database {
    /// Opens the database in directory `path`: first the flock of the Go client, then LevelDB and its fcntl lock (§4.1).
    ///
    /// Errors: `NotFound` without `create_if_missing` when there is no database, `Locked`, `Corruption`,
    /// `InvalidArgument` for a path that is a file or has a NUL, `Io`.
    pub fn open(path: &Path, options: &Options) -> Result<Self, StoreError> {
        let name = CString::new(path.as_os_str().as_bytes()).map_err(|_| StoreError::InvalidArgument {
            path: path.to_owned(),
            detail: "a path with a NUL byte".to_owned(),
        })?;
        Self::check_directory(path, options.create_if_missing)?;
        let lock = DirectoryLock::acquire(path)?;
        let option_set = OptionSet::new(options);
        let mut error = ptr::null_mut();
        // SAFETY: options and name live through the call; on an error the result is null and nothing stays open.
        let db = unsafe { ffi::leveldb_open(option_set.options, name.as_ptr(), &raw mut error) };
        check(path, error)?;
        let Some(db) = NonNull::new(db) else {
            return Err(StoreError::Io { path: path.to_owned(), detail: "LevelDB gave no database".to_owned() });
        };
        // SAFETY: plain constructors and setters on the objects just made.
        let (write_synced, write_buffered) = unsafe {
            let synced = ffi::leveldb_writeoptions_create();
            ffi::leveldb_writeoptions_set_sync(synced, 1);
            let buffered = ffi::leveldb_writeoptions_create();
            ffi::leveldb_writeoptions_set_sync(buffered, 0);
            (synced, buffered)
        };
        Ok(Self {
            handle: Arc::new(Handle {
                db,
                read_options: ReadOptions::new(options.verify_checksums, true),
                write_synced,
                write_buffered,
                verify_checksums: options.verify_checksums,
                path: path.to_owned(),
                _options: option_set,
                _lock: lock,
            }),
        })
    }

    /// Looks before anything is written: a wrong path must not leave a LOCK or a folder behind.
    fn check_directory(path: &Path, create_if_missing: bool) -> Result<(), StoreError> {
        match std::fs::metadata(path) {
            Ok(metadata) if !metadata.is_dir() => {
                return Err(StoreError::InvalidArgument {
                    path: path.to_owned(),
                    detail: "a file stands where the database directory belongs".to_owned(),
                });
            }
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && create_if_missing => {
                std::fs::create_dir(path).map_err(|error| StoreError::from_io(path, "making the directory", &error))?;
            }
            Err(error) => return Err(StoreError::from_io(path, "looking for the database directory", &error)),
        }
        if path.join("CURRENT").exists() {
            return Ok(());
        }
        // LevelDB would make a new database here and delete the files of the old one.
        if let Some(remnant) = Self::find_data(path)? {
            return Err(StoreError::Corruption {
                path: path.to_owned(),
                detail: format!("the CURRENT file is missing although there is data in {remnant}"),
            });
        }
        if !create_if_missing {
            return Err(StoreError::NotFound {
                path: path.to_owned(),
                detail: "the directory holds no LevelDB database (no CURRENT file)".to_owned(),
            });
        }
        Ok(())
    }

    /// The name of a journal or table file in `directory`, if there is one.
    fn find_data(directory: &Path) -> Result<Option<String>, StoreError> {
        let failed = |error| StoreError::from_io(directory, "listing the directory", &error);
        for entry in std::fs::read_dir(directory).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
            if [".log", ".ldb", ".sst"].iter().any(|ending| name.ends_with(ending)) {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }

    /// The directory as it was given to [`Database::open`].
    pub fn path(&self) -> &Path {
        &self.handle.path
    }

    /// Sets one key. For more than one use a [`Batch`].
    pub fn put(&self, key: &[u8], value: &[u8], durability: Durability) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        batch.put(key, value);
        self.write(&batch, durability)
    }

    /// Removes one key, if it is there.
    pub fn delete(&self, key: &[u8], durability: Durability) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        batch.delete(key);
        self.write(&batch, durability)
    }

    /// A fixed view of the database as it is now; it keeps the database open.
    pub fn fixed_view(&self) -> Snapshot {
        let read_options = ReadOptions::new(self.handle.verify_checksums, true);
        // SAFETY: the database is open; the snapshot is released in `Drop` while the handle still holds it open.
        let state = unsafe {
            let state = ffi::leveldb_create_snapshot(self.handle.db.as_ptr());
            ffi::leveldb_readoptions_set_snapshot(read_options.0, state);
            state
        };
        Snapshot { state, read_options, handle: Arc::clone(&self.handle) }
    }

    /// A cursor over the database as it is now, not yet on an entry. It keeps the database open.
    pub fn cursor(&self) -> Cursor {
        Cursor::new(&self.handle, ptr::null())
    }

    /// A property text of LevelDB, such as `leveldb.stats`; none when the name is unknown.
    pub fn property(&self, name: &str) -> Option<String> {
        let name = CString::new(name).ok()?;
        // SAFETY: the result is null or a NUL-terminated allocation that is copied and freed here.
        unsafe {
            let value = ffi::leveldb_property_value(self.handle.db.as_ptr(), name.as_ptr());
            if value.is_null() {
                return None;
            }
            let text = CStr::from_ptr(value).to_string_lossy().into_owned();
            ffi::leveldb_free(value.cast());
            Some(text)
        }
    }

    /// Bytes of table files that hold the keys from `start` to before `limit`; what is only in the journal is not counted.
    pub fn approximate_size(&self, start: &[u8], limit: &[u8]) -> u64 {
        let mut size = 0;
        let (start_pointer, limit_pointer) = (pointer(start), pointer(limit));
        let (start_length, limit_length) = (start.len(), limit.len());
        // SAFETY: one range, every array has one element that lives through the call.
        unsafe {
            ffi::leveldb_approximate_sizes(
                self.handle.db.as_ptr(),
                1,
                &raw const start_pointer,
                &raw const start_length,
                &raw const limit_pointer,
                &raw const limit_length,
                &raw mut size,
            );
        }
        size
    }

    /// Rewrites the tables between two keys into the lowest level; none means from the first or to the last key.
    pub fn compact_range(&self, start: Option<&[u8]>, limit: Option<&[u8]>) {
        let part = |bound: Option<&[u8]>| bound.map_or((ptr::null(), 0), |bytes| (pointer(bytes), bytes.len()));
        let ((start, start_length), (limit, limit_length)) = (part(start), part(limit));
        // SAFETY: null means an open bound; otherwise pointer and length belong together.
        unsafe { ffi::leveldb_compact_range(self.handle.db.as_ptr(), start, start_length, limit, limit_length) }
    }

    /// Closes the database and releases both locks now.
    ///
    /// Errors: [`StoreError::InUse`] when a clone, snapshot or cursor is still alive; the database then closes with the last.
    pub fn close(self) -> Result<(), StoreError> {
        let path = self.handle.path.clone();
        match Arc::into_inner(self.handle) {
            Some(handle) => {
                drop(handle);
                Ok(())
            }
            None => Err(StoreError::InUse { path }),
        }
    }
}

/// LevelDB's own batch, for the time of one write.
struct NativeBatch(*mut ffi::WriteBatch);

impl NativeBatch {
    fn new(batch: &Batch) -> Self {
        // SAFETY: constructor without preconditions; LevelDB copies keys and values, whose lengths belong to them.
        unsafe {
            let native = Self(ffi::leveldb_writebatch_create());
            for operation in batch.iter() {
                match operation {
                    Operation::Put(key, value) => {
                        ffi::leveldb_writebatch_put(native.0, pointer(key), key.len(), pointer(value), value.len());
                    }
                    Operation::Delete(key) => ffi::leveldb_writebatch_delete(native.0, pointer(key), key.len()),
                }
            }
            native
        }
    }
}

impl Drop for NativeBatch {
    fn drop(&mut self) {
        // SAFETY: created in `new`, freed once.
        unsafe { ffi::leveldb_writebatch_destroy(self.0) }
    }
}

impl KeyValueReader for Database {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.handle.get(&self.handle.read_options, key)
    }

    fn visit(&self, start: &[u8], visitor: &mut Visitor<'_>) -> Result<(), StoreError> {
        self.cursor().visit(start, visitor)
    }
}

impl KeyValueStore for Database {
    fn write(&self, batch: &Batch, durability: Durability) -> Result<(), StoreError> {
        let native = NativeBatch::new(batch);
        let options = match durability {
            Durability::Synced => self.handle.write_synced,
            Durability::Buffered => self.handle.write_buffered,
        };
        let mut error = ptr::null_mut();
        // SAFETY: database, options and batch are alive; the batch is used by this thread only.
        unsafe { ffi::leveldb_write(self.handle.db.as_ptr(), options, native.0, &raw mut error) };
        check(&self.handle.path, error)
    }

    fn snapshot(&self) -> Arc<dyn KeyValueReader> {
        Arc::new(self.fixed_view())
    }
}

/// A fixed view of a [`Database`]; safe to share between threads.
pub struct Snapshot {
    state: *const ffi::SnapshotState,
    read_options: ReadOptions,
    handle: Arc<Handle>,
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
        self.handle.get(&self.read_options, key)
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
    fn new(handle: &Arc<Handle>, snapshot: *const ffi::SnapshotState) -> Self {
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

    fn visit(&mut self, start: &[u8], visitor: &mut Visitor<'_>) -> Result<(), StoreError> {
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
