//! The narrow face of a database: all that blocks, state and commits need. LevelDB could be replaced behind it.

use std::ops::ControlFlow;
use std::sync::Arc;

use crate::batch::Batch;
use crate::error::StoreError;

/// When a write counts as done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// After the operating system says that the disk has it: survives a power loss, and so do all earlier writes.
    Synced,
    /// After the operating system has it: survives the end of the process, not a power loss.
    Buffered,
}

/// What [`KeyValueReader::visit`] calls for every entry; `Break` ends the walk.
pub type Visitor<'a> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'a;

/// Ordered keys that can be read.
pub trait KeyValueReader: Send + Sync {
    /// The value of `key`, or none. An empty value is some.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Puts the value of `key` into `value` in place of what is there; false, with nothing in it, when there is none.
    fn get_into(&self, key: &[u8], value: &mut Vec<u8>) -> Result<bool, StoreError> {
        value.clear();
        let found = self.get(key)?;
        value.extend_from_slice(found.as_deref().unwrap_or_default());
        Ok(found.is_some())
    }

    /// Calls `visitor` for the entries from `start` on in ascending byte order, until it breaks or they end.
    ///
    /// A read error is an error and never looks like the end. The walk sees one moment of the database.
    fn visit(&self, start: &[u8], visitor: &mut Visitor<'_>) -> Result<(), StoreError>;
}

/// Ordered keys that can be read and written.
pub trait KeyValueStore: KeyValueReader {
    /// Applies all of `batch` or nothing of it.
    fn write(&self, batch: &Batch, durability: Durability) -> Result<(), StoreError>;

    /// The database as it is now, whatever is written later.
    fn snapshot(&self) -> Arc<dyn KeyValueReader>;
}
