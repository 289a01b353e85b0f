//! A node's data directory: `blockchain/` and `trie/` opened together, with all locks (§4).

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::blocks::BlockReader;
use crate::commit::Committer;
use crate::error::StoreError;
use crate::key_value::KeyValueStore;
use crate::leveldb::{Database, Options};
use crate::state::StateStore;
use crate::tuning::{blockchain_options, trie_options};

/// Folder of blocks, receipts and look-ups.
pub const BLOCKCHAIN: &str = "blockchain";
/// Folder of trie nodes and code.
pub const TRIE: &str = "trie";

/// Whether a data directory may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// Make the directory and its databases where they are missing.
    CreateIfMissing,
    /// Refuse when anything is missing, before anything is written.
    MustExist,
}

/// Options of both databases; `create_if_missing` is set by [`OpenMode`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tuning {
    /// For `blockchain/`.
    pub blockchain: Options,
    /// For `trie/`.
    pub trie: Options,
}

impl Default for Tuning {
    fn default() -> Self {
        Self { blockchain: blockchain_options(), trie: trie_options() }
    }
}

/// An open data directory. Clones, and readers and committers made from it, keep the databases open.
#[derive(Clone)]
pub struct DataDir {
    path: PathBuf,
    blockchain: Database,
    trie: Database,
}

impl fmt::Debug for DataDir {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("DataDir").field("path", &self.path).finish_non_exhaustive()
    }
}

impl DataDir {
    /// Opens both databases of the data directory `path`. Each error names the database it is about.
    ///
    /// Blocks without their trie are refused in both modes: a fresh trie beside old blocks would be a node that lost its
    /// state. A trie without blocks may begin anew where databases may be made: nothing points into it, and whatever the
    /// new chain needs is written again.
    pub fn open(path: &Path, mode: OpenMode, tuning: &Tuning) -> Result<Self, StoreError> {
        let (blockchain_path, trie_path) = (path.join(BLOCKCHAIN), path.join(TRIE));
        if mode == OpenMode::CreateIfMissing {
            std::fs::create_dir_all(path)
                .map_err(|error| StoreError::from_io(path, "making the data directory", &error))?;
        } else if !path.exists() {
            return Err(StoreError::NotFound {
                path: path.to_owned(),
                detail: "there is no such data directory".to_owned(),
            });
        }
        if !path.is_dir() {
            return Err(StoreError::InvalidArgument {
                path: path.to_owned(),
                detail: "a file stands where the data directory belongs".to_owned(),
            });
        }
        let has_database = |database: &Path| database.join("CURRENT").exists();
        let create = match (has_database(&blockchain_path), has_database(&trie_path)) {
            (true, true) => false,
            (true, false) => return Err(missing_half(&trie_path, BLOCKCHAIN)),
            (false, _) if mode == OpenMode::CreateIfMissing => true,
            (false, true) => return Err(missing_half(&blockchain_path, TRIE)),
            (false, false) => false,
        };
        let options = |options: &Options| Options { create_if_missing: create, ..options.clone() };
        let trie = Database::open(&trie_path, &options(&tuning.trie))?;
        // The trie is made first and both before anything is written: a first start that was interrupted leaves an empty
        // trie alone, and may go on.
        let blockchain = Database::open(&blockchain_path, &options(&tuning.blockchain))?;
        Ok(Self { path: path.to_owned(), blockchain, trie })
    }

    /// The data directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The database of blocks.
    pub fn blockchain(&self) -> &Database {
        &self.blockchain
    }

    /// The database of state.
    pub fn trie(&self) -> &Database {
        &self.trie
    }

    /// Reads blocks as they are at the time of each read.
    pub fn blocks(&self) -> BlockReader {
        BlockReader::new(Arc::new(self.blockchain.clone()))
    }

    /// Reads blocks as they are now.
    pub fn blocks_snapshot(&self) -> BlockReader {
        BlockReader::new(self.blockchain.snapshot())
    }

    /// Reads blocks as they are now, for an export: what it reads pushes nothing else out of the cache.
    pub fn blocks_for_export(&self) -> BlockReader {
        BlockReader::new(Arc::new(self.blockchain.uncached_view()))
    }

    /// Reads trie nodes and code.
    pub fn state(&self) -> StateStore {
        StateStore::new(Arc::new(self.trie.clone()))
    }

    /// Commits runs of blocks.
    pub fn committer(&self) -> Committer {
        Committer::new(Arc::new(self.trie.clone()), Arc::new(self.blockchain.clone()))
    }

    /// Closes both databases and releases their locks now.
    ///
    /// Errors: [`StoreError::InUse`] while readers or committers are alive; the other database is closed all the same.
    pub fn close(self) -> Result<(), StoreError> {
        self.close_within(Duration::ZERO)
    }

    /// The same, but waits up to `patience` for the readers and committers that are still alive in other threads.
    pub fn close_within(self, patience: Duration) -> Result<(), StoreError> {
        let blockchain = self.blockchain.close_within(patience);
        let trie = self.trie.close_within(patience);
        blockchain.and(trie)
    }
}

fn missing_half(missing: &Path, present: &str) -> StoreError {
    let detail = if missing.exists() && !missing.is_dir() {
        return StoreError::InvalidArgument {
            path: missing.to_owned(),
            detail: "a file stands where the database directory belongs".to_owned(),
        };
    } else {
        format!("no database here, although there is one in {present}")
    };
    StoreError::NotFound { path: missing.to_owned(), detail }
}
