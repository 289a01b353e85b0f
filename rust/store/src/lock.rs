//! Both locks of a database directory: flock(2) of the Go client and fcntl(2) of Google's LevelDB (§4.1).
//!
//! The two kinds do not see each other, so a database is safe only with both. This module takes flock; LevelDB takes
//! fcntl when it opens. Closing *any* descriptor of LOCK drops the process's fcntl lock, hence two rules: the flock
//! descriptor outlives the open database, and LOCK is never opened a second time meanwhile, not even to look at it.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::{LockHolder, StoreError};

static OPEN_DIRECTORIES: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

fn open_directories() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    OPEN_DIRECTORIES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Entry of this process's list of open databases, taken out again on drop.
#[derive(Debug)]
struct Registration(PathBuf);

impl Drop for Registration {
    fn drop(&mut self) {
        open_directories().remove(&self.0);
    }
}

/// A held flock on `LOCK` of a database directory, with the directory's place in this process's list.
///
/// Drop it after the database is closed, never before. Fields are dropped in order: first the lock, then the entry.
#[derive(Debug)]
pub struct DirectoryLock {
    _file: File,
    registration: Registration,
}

impl DirectoryLock {
    /// Takes the flock of `directory`, creating `LOCK` when it is missing, as LevelDB does.
    ///
    /// Errors: [`StoreError::Locked`] when this process (found before LOCK is touched) or another one holds it,
    /// [`StoreError::NotFound`] or [`StoreError::Io`] when the directory or LOCK cannot be opened.
    pub fn acquire(directory: &Path) -> Result<Self, StoreError> {
        let canonical = directory
            .canonicalize()
            .map_err(|error| StoreError::from_io(directory, "resolving the directory", &error))?;
        if !open_directories().insert(canonical.clone()) {
            return Err(StoreError::Locked { path: directory.to_owned(), holder: LockHolder::ThisProcess });
        }
        let registration = Registration(canonical);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(registration.0.join("LOCK"))
            .map_err(|error| StoreError::from_io(directory, "opening LOCK", &error))?;
        // The standard library documents flock(LOCK_EX | LOCK_NB) here; tests/locks.rs proves it against a foreign flock.
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file, registration }),
            Err(TryLockError::WouldBlock) => {
                Err(StoreError::Locked { path: directory.to_owned(), holder: LockHolder::Flock })
            }
            Err(TryLockError::Error(error)) => Err(StoreError::from_io(directory, "flock on LOCK", &error)),
        }
    }

    /// The canonical path of the locked directory.
    pub fn directory(&self) -> &Path {
        &self.registration.0
    }
}
