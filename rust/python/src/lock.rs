//! How the border locks what threads of Python share.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks `mutex`. No error is made while it is locked, unless all who lock it have let go of the interpreter: that takes the
/// interpreter lock, which another thread may hold while it waits for this one.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic while the lock was held has already reached Python; what the lock guards is replaced as a whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
