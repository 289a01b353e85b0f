//! Where a Polygon Edge chain lives: the two LevelDB databases of a data directory, their locks, batches and snapshots.
//!
//! Owns the keys and the order of writes; does not encode headers, bodies, receipts or trie nodes, which arrive as bytes.
//! Section numbers (§) are those of the data-and-execution fact sheet of the Go client.
#![deny(unsafe_code)]

pub mod batch;
pub mod blocks;
pub mod chunk;
pub mod commit;
pub mod data_dir;
pub mod error;
pub mod key_value;
pub mod leveldb;
pub mod lock;
pub mod repair;
pub mod schema;
pub mod state;
pub mod tuning;
pub mod volatile;

pub use batch::{Batch, Operation};
pub use blocks::{BlockBatch, BlockReader, BlockRecord, GenesisRecord, Head};
pub use chunk::Chunker;
pub use commit::{CommitStep, Committer};
pub use data_dir::{DataDir, OpenMode};
pub use error::StoreError;
pub use key_value::{Durability, KeyValueReader, KeyValueStore};
pub use leveldb::{Cursor, Database, Options, Snapshot};
pub use state::{StateStore, state_batch};
pub use volatile::VolatileStore;
