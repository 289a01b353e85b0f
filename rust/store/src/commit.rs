//! The one place that writes: state first and synced, then all blocks of the run with the head, in one synced batch.
//!
//! Hence a head never points at a state that was not written, also after a power loss. The Go client syncs neither
//! (§4.3, §4.4); v0.6.x does not even write a block atomically.

use std::sync::Arc;

use crate::batch::Batch;
use crate::error::StoreError;
use crate::key_value::{Durability, KeyValueStore};

/// The moments of a commit at which a crash makes a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitStep {
    /// Nothing of this run is written.
    BeforeState,
    /// The state is on disk, the blocks are not.
    BetweenStateAndBlocks,
    /// Everything is on disk.
    AfterBlocks,
}

/// Called at every [`CommitStep`]; an error stops the commit there.
pub type FailPoint = Arc<dyn Fn(CommitStep) -> Result<(), StoreError> + Send + Sync>;

/// Commits runs of blocks to the two databases of a data directory.
#[derive(Clone)]
pub struct Committer {
    trie: Arc<dyn KeyValueStore>,
    blockchain: Arc<dyn KeyValueStore>,
    fail_point: Option<FailPoint>,
}

impl Committer {
    /// Writes to `trie` and `blockchain`.
    pub fn new(trie: Arc<dyn KeyValueStore>, blockchain: Arc<dyn KeyValueStore>) -> Self {
        Self { trie, blockchain, fail_point: None }
    }

    /// The same, stopping where `fail_point` says: for crash tests.
    #[must_use]
    pub fn with_fail_point(mut self, fail_point: FailPoint) -> Self {
        self.fail_point = Some(fail_point);
        self
    }

    /// Writes the state of a run, waits for the disk, then writes its blocks and head atomically and waits again.
    ///
    /// After an error the head is the old one or, when only the last sync failed, may be the new one: read it again.
    pub fn commit(&self, state: &Batch, blocks: &Batch) -> Result<(), StoreError> {
        self.step(CommitStep::BeforeState)?;
        self.trie.write(state, Durability::Synced)?;
        self.step(CommitStep::BetweenStateAndBlocks)?;
        self.blockchain.write(blocks, Durability::Synced)?;
        self.step(CommitStep::AfterBlocks)
    }

    fn step(&self, step: CommitStep) -> Result<(), StoreError> {
        self.fail_point.as_ref().map_or(Ok(()), |fail_point| fail_point(step))
    }
}
