//! The genesis block of a chain, computed from the genesis file's fields without a database.

use std::sync::Arc;

use polygon_edge_chain::{
    Address, B256, Bytes,
    execute::{GenesisAccount, genesis_changes},
    genesis::GenesisFields,
    run,
    state::{EMPTY_ROOT, NodeSource, StateError},
    state_trie::{NewState, StateTrie, TrieOptions},
};
use pyo3::{exceptions::PyValueError, prelude::*, pybacked::PyBackedBytes, types::PyBytes};

use crate::{convert, error, rules::Rules};

/// The genesis block: header, hash and state.
#[pyclass(frozen, module = "polygon_edge._core")]
pub struct Genesis {
    pub(crate) number: u64,
    pub(crate) hash: B256,
    pub(crate) state_root: B256,
    pub(crate) difficulty: u64,
    pub(crate) header: Vec<u8>,
    pub(crate) new_state: Arc<NewState>,
}

/// One entry of the alloc: address, balance (none when the key is absent), nonce, code, slots.
type AllocEntry = (PyBackedBytes, Option<PyBackedBytes>, u64, PyBackedBytes, Vec<(PyBackedBytes, PyBackedBytes)>);

#[pymethods]
impl Genesis {
    #[new]
    #[pyo3(signature = (rules, alloc, *, nonce, timestamp, extra_data, gas_limit, difficulty, mix_hash, coinbase,
                        number, gas_used, parent_hash, base_fee=0))]
    #[allow(clippy::too_many_arguments)]
    fn new(
        py: Python<'_>,
        rules: &Rules,
        alloc: Vec<AllocEntry>,
        nonce: u64,
        timestamp: u64,
        extra_data: &[u8],
        gas_limit: u64,
        difficulty: u64,
        mix_hash: &[u8],
        coinbase: &[u8],
        number: u64,
        gas_used: u64,
        parent_hash: &[u8],
        base_fee: u64,
    ) -> PyResult<Self> {
        let fields = GenesisFields {
            nonce: nonce.to_be_bytes(),
            timestamp,
            extra_data: Bytes::copy_from_slice(extra_data),
            gas_limit,
            difficulty,
            mix_hash: convert::hash(mix_hash)?,
            coinbase: convert::address(coinbase)?,
            number,
            gas_used,
            parent_hash: convert::hash(parent_hash)?,
            base_fee,
        };
        let alloc = alloc.into_iter().map(account).collect::<PyResult<Vec<_>>>()?;
        let generation = rules.inner.generation;
        py.detach(|| {
            let mut trie =
                StateTrie::open(EMPTY_ROOT, Arc::new(Nothing), TrieOptions::default()).map_err(error::state)?;
            let state_root = trie.apply(&genesis_changes(&alloc)).map_err(error::state)?;
            let new_state = trie.take_new_state();
            let header = fields.header(state_root);
            let (hash, extra) = run::block_hash(&rules.inner, &header);
            extra.map_err(|error| PyValueError::new_err(format!("extraData: {error}")))?;
            let mut encoded = Vec::new();
            header.put(generation, &mut encoded);
            Ok(Self { number, hash, state_root, difficulty, header: encoded, new_state })
        })
    }

    /// Block hash by the rules of the chain's generation.
    #[getter]
    fn hash<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.hash.as_slice())
    }

    /// Root of the state that the alloc gives.
    #[getter]
    fn state_root<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.state_root.as_slice())
    }
}

fn account((address, balance, nonce, code, storage): AllocEntry) -> PyResult<(Address, GenesisAccount)> {
    let word = |bytes: &[u8]| convert::word_of_bytes("word of the alloc", bytes);
    let account = GenesisAccount {
        balance: balance.map(|balance| word(&balance)).transpose()?,
        nonce,
        code: Bytes::copy_from_slice(&code),
        storage: storage.iter().map(|(slot, value)| Ok((word(slot)?, word(value)?))).collect::<PyResult<_>>()?,
    };
    Ok((convert::address(&address)?, account))
}

/// A database without anything in it.
struct Nothing;

impl NodeSource for Nothing {
    fn node(&self, _: &B256) -> Result<Option<Vec<u8>>, StateError> {
        Ok(None)
    }

    fn code(&self, _: &B256) -> Result<Option<Vec<u8>>, StateError> {
        Ok(None)
    }
}
