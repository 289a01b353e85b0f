//! A store in memory that can lose power: proves which writes a commit had synced, and in which order.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::batch::{Batch, Operation};
use crate::error::StoreError;
use crate::key_value::{Durability, KeyValueReader, KeyValueStore, Visitor};

type Entries = BTreeMap<Vec<u8>, Vec<u8>>;

#[derive(Default)]
struct Contents {
    current: Entries,
    durable: Entries,
    unsynced: Vec<Batch>,
    writes: Vec<Durability>,
    writes_until_failure: Option<usize>,
}

/// An ordered store in memory with a model of the disk behind it. Clones share it, as programs share a disk.
///
/// Modelled as LevelDB's journal: batches reach the disk in order, a synced batch takes all earlier ones along.
#[derive(Clone, Default)]
pub struct VolatileStore {
    contents: Arc<Mutex<Contents>>,
}

impl VolatileStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Power loss: what is left is what was synced plus the first `surviving` batches that were not.
    pub fn lose_power(&self, surviving: usize) {
        let mut contents = self.contents();
        let unsynced = std::mem::take(&mut contents.unsynced);
        for batch in unsynced.iter().take(surviving) {
            apply(&mut contents.durable, batch);
        }
        contents.current = contents.durable.clone();
    }

    /// Number of batches that a power loss could take.
    pub fn unsynced(&self) -> usize {
        self.contents().unsynced.len()
    }

    /// How each write so far was asked for, in order.
    pub fn writes(&self) -> Vec<Durability> {
        self.contents().writes.clone()
    }

    /// Lets `successes` more writes through and fails all later ones without effect.
    pub fn fail_after(&self, successes: usize) {
        self.contents().writes_until_failure = Some(successes);
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn apply(entries: &mut Entries, batch: &Batch) {
    for operation in batch.iter() {
        match operation {
            Operation::Put(key, value) => {
                entries.insert(key.to_vec(), value.to_vec());
            }
            Operation::Delete(key) => {
                entries.remove(key);
            }
        }
    }
}

fn visit_entries(entries: &Entries, start: &[u8], visitor: &mut Visitor<'_>) {
    for (key, value) in entries.range::<[u8], _>((std::ops::Bound::Included(start), std::ops::Bound::Unbounded)) {
        if let ControlFlow::Break(()) = visitor(key, value) {
            return;
        }
    }
}

impl KeyValueReader for VolatileStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.contents().current.get(key).cloned())
    }

    fn visit(&self, start: &[u8], visitor: &mut Visitor<'_>) -> Result<(), StoreError> {
        // On a copy: the visitor may call back into the store.
        let entries = self.contents().current.clone();
        visit_entries(&entries, start, visitor);
        Ok(())
    }
}

impl KeyValueStore for VolatileStore {
    fn write(&self, batch: &Batch, durability: Durability) -> Result<(), StoreError> {
        let mut contents = self.contents();
        match contents.writes_until_failure {
            Some(0) => return Err(StoreError::Stopped("the simulated disk is full".to_owned())),
            Some(left) => contents.writes_until_failure = Some(left - 1),
            None => {}
        }
        contents.writes.push(durability);
        apply(&mut contents.current, batch);
        match durability {
            Durability::Buffered => contents.unsynced.push(batch.clone()),
            Durability::Synced => {
                for earlier in std::mem::take(&mut contents.unsynced) {
                    apply(&mut contents.durable, &earlier);
                }
                apply(&mut contents.durable, batch);
            }
        }
        Ok(())
    }

    fn snapshot(&self) -> Arc<dyn KeyValueReader> {
        Arc::new(VolatileSnapshot { entries: self.contents().current.clone() })
    }
}

struct VolatileSnapshot {
    entries: Entries,
}

impl KeyValueReader for VolatileSnapshot {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.entries.get(key).cloned())
    }

    fn visit(&self, start: &[u8], visitor: &mut Visitor<'_>) -> Result<(), StoreError> {
        visit_entries(&self.entries, start, visitor);
        Ok(())
    }
}
