//! Trie nodes and contract code in `trie/` (§4.5).

use std::sync::Arc;

use polygon_edge_chain::B256;
use polygon_edge_chain::state::{NodeSource, StateError};

use crate::batch::Batch;
use crate::error::StoreError;
use crate::key_value::KeyValueReader;
use crate::schema::code_key;

/// Reads nodes and code by hash. What a hash names never changes, so it needs no snapshot.
#[derive(Clone)]
pub struct StateStore {
    reader: Arc<dyn KeyValueReader>,
}

impl StateStore {
    /// Reads from `trie/`.
    pub fn new(reader: Arc<dyn KeyValueReader>) -> Self {
        Self { reader }
    }
}

impl NodeSource for StateStore {
    fn node(&self, hash: &B256) -> Result<Option<Vec<u8>>, StateError> {
        self.reader.get(hash.as_slice()).map_err(|error| database_error(&error))
    }

    fn code(&self, hash: &B256) -> Result<Option<Vec<u8>>, StateError> {
        self.reader.get(&code_key(hash)).map_err(|error| database_error(&error))
    }
}

fn database_error(error: &StoreError) -> StateError {
    StateError::Database(error.to_string())
}

/// The batch that stores trie `nodes` (hash, RLP) and contract `codes` (hash, bytes).
pub fn state_batch<N, C>(
    nodes: impl IntoIterator<Item = (B256, N)>,
    codes: impl IntoIterator<Item = (B256, C)>,
) -> Batch
where
    N: AsRef<[u8]>,
    C: AsRef<[u8]>,
{
    let mut batch = Batch::new();
    for (hash, code) in codes {
        batch.put(&code_key(&hash), code.as_ref());
    }
    for (hash, node) in nodes {
        batch.put(hash.as_slice(), node.as_ref());
    }
    batch
}
