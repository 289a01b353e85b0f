//! A safe handle on Google's LevelDB: with the files below it the only place where `unsafe` is allowed.
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
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::ptr::{self, NonNull};
use std::sync::{Arc, Condvar, Mutex, Once, PoisonError};
use std::time::Duration;

use leveldb as _;

use crate::batch::{Batch, Operation};
use crate::error::StoreError;
use crate::key_value::{Durability, KeyValueReader, KeyValueStore, Visitor};
use crate::lock::DirectoryLock;

mod ffi;
mod options;
mod view;

pub use options::Options;
pub use view::{Cursor, Snapshot};

use options::{OptionSet, ReadOptions};

/// The open database and what must go with it, freed when the last database, snapshot or cursor lets go.
struct Handle {
    db: NonNull<ffi::Db>,
    read_options: ReadOptions,
    write_synced: *mut ffi::WriteOptions,
    write_buffered: *mut ffi::WriteOptions,
    verify_checksums: bool,
    path: PathBuf,
    // Fields drop after `Drop::drop` has closed the database, in this order: options first, then the flock, then the news.
    _options: OptionSet,
    _lock: DirectoryLock,
    closed: Announcement,
}

/// Whether a database has closed, for those who wait for it.
#[derive(Default)]
struct Closed {
    is: Mutex<bool>,
    changed: Condvar,
}

/// Makes [`Closed`] true when it is dropped.
struct Announcement(Arc<Closed>);

impl Drop for Announcement {
    fn drop(&mut self) {
        *self.0.is.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.changed.notify_all();
    }
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
            // Compacting a range that holds no key moves the journal into a table and does nothing else. A journal left
            // behind may hold batches with lower sequence numbers than the manifest, written after a compaction: this
            // library reads them, but goleveldb takes them for old and drops them, and with them the last blocks.
            let (key, length) = (pointer(&BEYOND_EVERY_KEY), BEYOND_EVERY_KEY.len());
            ffi::leveldb_compact_range(self.db.as_ptr(), key, length, key, length);
            ffi::leveldb_close(self.db.as_ptr());
            ffi::leveldb_writeoptions_destroy(self.write_synced);
            ffi::leveldb_writeoptions_destroy(self.write_buffered);
        }
    }
}

/// How many tables of all databases together are mapped into memory; the others are read by system calls. Each is of 2 MiB,
/// and what is mapped and was read counts as memory of this process.
const MAPPED_TABLES: c_int = 16;

/// LevelDB takes the limit once, for the whole process.
static MAPPING: Once = Once::new();

/// Greater than any key of the two databases.
const BEYOND_EVERY_KEY: [u8; 64] = [0xff; 64];

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
    /// Calls `take` with the value of `key`, if there is one.
    fn get<T>(
        &self,
        options: &ReadOptions,
        key: &[u8],
        take: impl FnOnce(&[u8]) -> T,
    ) -> Result<Option<T>, StoreError> {
        let mut length = 0;
        let mut error = ptr::null_mut();
        // SAFETY: key pointer and length belong together; the result is null or an allocation of `length` bytes that is
        // lent to `take` and freed here. A panic in `take` would leak it, nothing worse.
        unsafe {
            let value =
                ffi::leveldb_get(self.db.as_ptr(), options.0, pointer(key), key.len(), &raw mut length, &raw mut error);
            let taken = if value.is_null() {
                None
            } else {
                let taken = take(std::slice::from_raw_parts(value.cast::<u8>(), length));
                ffi::leveldb_free(value.cast());
                Some(taken)
            };
            check(&self.path, error)?;
            Ok(taken)
        }
    }

    fn get_into(&self, options: &ReadOptions, key: &[u8], value: &mut Vec<u8>) -> Result<bool, StoreError> {
        value.clear();
        Ok(self.get(options, key, |found| value.extend_from_slice(found))?.is_some())
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
        // SAFETY: once, and before LevelDB looks at it: the first set of options makes its environment.
        MAPPING.call_once(|| unsafe { ffi::leveldb_set_mapped_tables(MAPPED_TABLES) });
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
                closed: Announcement(Arc::default()),
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
        self.view(true)
    }

    /// The same for reading through the whole database: what it reads pushes nothing else out of the cache.
    pub fn uncached_view(&self) -> Snapshot {
        self.view(false)
    }

    fn view(&self, fill_cache: bool) -> Snapshot {
        let read_options = ReadOptions::new(self.handle.verify_checksums, fill_cache);
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
        self.close_within(Duration::ZERO)
    }

    /// The same, but waits up to `patience` for the clones, snapshots and cursors that are still alive in other threads.
    pub fn close_within(self, patience: Duration) -> Result<(), StoreError> {
        let (path, closed) = (self.handle.path.clone(), Arc::clone(&self.handle.closed.0));
        drop(self);
        let is = closed.is.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = closed.changed.wait_timeout_while(is, patience, |is| !*is);
        if *waited.unwrap_or_else(PoisonError::into_inner).0 { Ok(()) } else { Err(StoreError::InUse { path }) }
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
        self.handle.get(&self.handle.read_options, key, <[u8]>::to_vec)
    }

    fn get_into(&self, key: &[u8], value: &mut Vec<u8>) -> Result<bool, StoreError> {
        self.handle.get_into(&self.handle.read_options, key, value)
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
