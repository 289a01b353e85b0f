//! The verb `propose`: a block of our own on the committed head. Nothing is written.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use polygon_edge_chain::{
    Bytes, aggregate,
    bls::SIGNATURE,
    execute::{Candidate, ExecutionError, Executor},
    extra::Seals,
    forks::Engine,
    journal::Fault,
    proposal::{self, ProposalError, Terms},
    state_trie::{StateTrie, TrieOptions},
};
use pyo3::{exceptions::PyValueError, prelude::*, pybacked::PyBackedBytes, types::PyBytes};

use crate::{call::canonical_hash, chain::Chain, convert, decode::Transaction, error, lock::lock};

/// Bytes of a seal: r || s || parity.
const SEAL: usize = 65;

/// A block built on the head, not sealed yet.
#[pyclass(frozen, module = "polygon_edge._core")]
pub struct Proposal {
    inner: proposal::Proposal,
}

#[pymethods]
impl Proposal {
    /// Height.
    #[getter]
    fn number(&self) -> u64 {
        self.inner.block.header.number
    }

    /// Block hash, which seals do not change.
    #[getter]
    fn hash<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.inner.hash.as_slice())
    }

    /// Hash of the block before.
    #[getter]
    fn parent_hash<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.inner.block.header.parent_hash.as_slice())
    }

    /// Seconds since 1970.
    #[getter]
    fn timestamp(&self) -> u64 {
        self.inner.block.header.timestamp
    }

    /// Gas of all transactions.
    #[getter]
    fn gas_used(&self) -> u64 {
        self.inner.block.header.gas_used
    }

    /// How many candidates are included.
    #[getter]
    fn transactions(&self) -> usize {
        self.inner.block.transactions.len()
    }

    /// What became of each candidate, in order.
    #[getter]
    fn outcomes(&self) -> Vec<String> {
        self.inner.fates.iter().map(ToString::to_string).collect()
    }

    /// What a committed seal signs when the block is agreed in `round_number`.
    #[pyo3(signature = (round_number=0))]
    fn committed_digest<'py>(&self, py: Python<'py>, round_number: u64) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.inner.agreed(round_number).digest().as_slice())
    }

    /// The committed seals of BLS validators added up: bitmap and aggregate signature.
    fn aggregate<'py>(
        &self,
        py: Python<'py>,
        seals: HashMap<PyBackedBytes, PyBackedBytes>,
    ) -> PyResult<Vec<Bound<'py, PyBytes>>> {
        let mut seals = seals
            .iter()
            .map(|(signer, seal)| Ok((convert::address(signer)?, Bytes::copy_from_slice(seal))))
            .collect::<PyResult<Vec<_>>>()?;
        // Sums do not depend on the order; which error is named should not either.
        seals.sort();
        let aggregate = py.detach(|| aggregate::aggregate(self.inner.validators(), &seals));
        match aggregate.map_err(|error| PyValueError::new_err(error.to_string()))? {
            Seals::Bls { bitmap, signature } => Ok(vec![PyBytes::new(py, &bitmap), PyBytes::new(py, &signature)]),
            Seals::Ecdsa(seals) => Ok(seals.iter().map(|seal| PyBytes::new(py, seal)).collect()),
        }
    }

    /// Network RLP of the block under these seals, agreed in `round_number`; without any where nobody seals.
    #[pyo3(signature = (proposer_seal=None, committed_seals=Vec::new(), round_number=0))]
    fn record<'py>(
        &self,
        py: Python<'py>,
        proposer_seal: Option<&[u8]>,
        committed_seals: Vec<PyBackedBytes>,
        round_number: u64,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let Some(no_seals) = self.inner.no_seals() else {
            if proposer_seal.is_some() || !committed_seals.is_empty() {
                return Err(PyValueError::new_err("seals: expected none where nobody seals, found some"));
            }
            return Ok(PyBytes::new(py, &py.detach(|| self.inner.unsealed_record())));
        };
        let proposer_seal = seal("proposer seal", proposer_seal.unwrap_or_default(), SEAL)?;
        let committed_seals = match (no_seals, committed_seals.as_slice()) {
            (Seals::Ecdsa(_), seals) => {
                let read =
                    |(index, bytes): (usize, &PyBackedBytes)| seal(&format!("committed seal {index}"), bytes, SEAL);
                Seals::Ecdsa(seals.iter().enumerate().map(read).collect::<PyResult<_>>()?)
            }
            (Seals::Bls { .. }, [bitmap, signature]) => Seals::Bls {
                bitmap: Bytes::copy_from_slice(bitmap),
                signature: seal("aggregate", signature, SIGNATURE)?,
            },
            (Seals::Bls { .. }, other) => {
                let found = other.len();
                let problem = format!("committed seals: expected a bitmap and an aggregate, found {found} items");
                return Err(PyValueError::new_err(problem));
            }
        };
        let record = py.detach(|| self.inner.record(proposer_seal, committed_seals, round_number));
        Ok(PyBytes::new(py, &record))
    }
}

fn seal(what: &str, bytes: &[u8], length: usize) -> PyResult<Bytes> {
    if bytes.len() == length {
        Ok(Bytes::copy_from_slice(bytes))
    } else {
        Err(PyValueError::new_err(format!("{what}: expected {length} bytes, found {}", bytes.len())))
    }
}

#[pymethods]
impl Chain {
    /// Builds the block after the committed head from `candidates` in their order, for up to `seconds`.
    #[pyo3(signature = (
        *, coinbase, timestamp, gas_limit, validators, candidates, miner=None, nonce=None, base_fee=0, seconds=None
    ))]
    #[allow(clippy::too_many_arguments)]
    fn propose(
        &self,
        py: Python<'_>,
        coinbase: &[u8],
        timestamp: u64,
        gas_limit: u64,
        validators: Vec<PyBackedBytes>,
        candidates: Vec<Py<Transaction>>,
        miner: Option<&[u8]>,
        nonce: Option<&[u8]>,
        base_fee: u64,
        seconds: Option<f64>,
    ) -> PyResult<Proposal> {
        let deadline = deadline(seconds)?;
        let nonce = nonce.unwrap_or(&[0; 8]);
        let terms = Terms {
            coinbase: convert::address(coinbase)?,
            timestamp,
            gas_limit,
            validators: validators.iter().map(|bytes| convert::validator(bytes)).collect::<PyResult<_>>()?,
            miner: Bytes::copy_from_slice(miner.unwrap_or(match self.rules()?.engine {
                Engine::Ibft => &[0; 20],
                Engine::Plain => &[],
            })),
            nonce: nonce
                .try_into()
                .map_err(|_| PyValueError::new_err(format!("nonce: expected 8 bytes, found {}", nonce.len())))?,
            base_fee,
        };
        let candidate = |candidate: &Py<Transaction>| {
            let Transaction { inner, sender } = candidate.get();
            Candidate { transaction: inner.clone(), sender: *sender }
        };
        let candidates: Vec<_> = candidates.iter().map(candidate).collect();
        let inner = py.detach(|| {
            let mut enough = || deadline.is_some_and(|deadline| Instant::now() >= deadline);
            self.build(terms, &candidates, &mut enough)
        })?;
        Ok(Proposal { inner })
    }
}

fn deadline(seconds: Option<f64>) -> PyResult<Option<Instant>> {
    let Some(seconds) = seconds else { return Ok(None) };
    let duration = Duration::try_from_secs_f64(seconds)
        .map_err(|_| PyValueError::new_err(format!("seconds: expected a number of seconds, found {seconds}")))?;
    Ok(Instant::now().checked_add(duration))
}

impl Chain {
    fn build(
        &self,
        terms: Terms,
        candidates: &[Candidate],
        enough: &mut dyn FnMut() -> bool,
    ) -> PyResult<proposal::Proposal> {
        let damaged = |error: &dyn std::fmt::Display| error::damaged(&self.path, error.to_string());
        let rules = self.rules()?;
        let directory = self.directory()?;
        let blocks = directory.blocks_snapshot();
        let parent = self.head_block(&blocks)?;
        let options = TrieOptions { memory_budget: usize::MAX, parallel: false };
        let mut state = StateTrie::open(parent.header.state_root, Arc::new(directory.state()), options)
            .map_err(|error| damaged(&error))?;
        let mut proposer = lock(&self.proposer);
        let mut executor =
            proposer.take().filter(|executor| *executor.rules() == rules).unwrap_or_else(|| Executor::new(&rules));
        let built =
            proposal::Proposal::build(&mut executor, &parent, terms, candidates, enough, &mut state, |number| {
                canonical_hash(&blocks, number)
            });
        *proposer = Some(executor);
        drop(proposer);
        built.map_err(|error| match error {
            ProposalError::Execution(ExecutionError::Fault { fault: Fault::State(error), .. })
            | ProposalError::State(error) => damaged(&error),
            error @ ProposalError::Predecessor { .. } => damaged(&error),
            error => PyValueError::new_err(error.to_string()),
        })
    }
}
