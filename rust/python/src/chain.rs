//! The verbs on an open data directory: `start`, `execute`, `commit`, `close`. Queries are in `query.rs`.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, Weak},
    time::Duration,
};

use polygon_edge_chain::{
    Address, B256, Bytes, U256,
    block::Header,
    execute::{CallMessage, CallOutcome, ExecutionError, Executor},
    forks,
    ledger::{ExecutedRun, Head, Ledger, StoredBlock, VISIBLE_ANCESTORS},
    proposal::Predecessor,
    run::{Prepared, extra_of},
    state_trie::{NewState, StateTrie, TrieOptions},
    verify::Parent,
};
use polygon_edge_store::{
    BlockBatch, BlockReader, BlockRecord, DataDir, GenesisRecord, OpenMode, data_dir::Tuning, state_batch,
};
use pyo3::{prelude::*, types::PyBytes};

use crate::{
    error,
    executors::IdleExecutors,
    genesis::Genesis,
    lock::lock,
    prepare::{Run, Violation},
    rules::Rules,
    snapshot::{SharedBlocks, Snapshot},
};

/// Bytes of decoded trie nodes kept between blocks. Measured on the bench chains: more does not make them faster.
const TRIE_MEMORY: usize = 96 << 20;

/// How long `close` waits for calls of other threads that are still reading; none is known to read for a second.
const PATIENCE: Duration = Duration::from_secs(60);

/// An open data directory and the chain in it.
#[pyclass(frozen, module = "polygon_edge._core")]
pub struct Chain {
    pub(crate) path: PathBuf,
    /// Taken out by `close`; a call that reads holds the directory only until it returns.
    open: Mutex<Option<Open>>,
    engine: Mutex<Option<Engine>>,
    /// Head as of the last synced commit, for readers that must not wait for an execution.
    tip: Mutex<Option<Tip>>,
    /// New states that are in the database since the last execution.
    committed: Mutex<Vec<Arc<NewState>>>,
    pub(crate) callers: IdleExecutors,
    pub(crate) proposer: Mutex<Option<Executor>>,
}

/// What `close` has to end.
struct Open {
    directory: Arc<DataDir>,
    snapshots: Vec<Weak<SharedBlocks>>,
}

/// The moving part: one execution at a time.
struct Engine {
    rules: forks::Rules,
    ledger: Ledger,
}

#[derive(Clone)]
struct Tip {
    rules: forks::Rules,
    head: Head,
}

/// Executed blocks, ready to be committed.
#[pyclass(frozen, module = "polygon_edge._core")]
pub struct Executed {
    rules: forks::Rules,
    run: Arc<Vec<Prepared>>,
    inner: ExecutedRun,
}

#[pymethods]
impl Executed {
    /// How many blocks were executed.
    #[getter]
    fn blocks(&self) -> usize {
        self.inner.blocks.len()
    }

    /// The rule that the next block broke, if one did.
    #[getter]
    fn violation(&self) -> Option<Violation> {
        let start = self.inner.blocks.last().map_or(self.inner.start, |block| block.index + 1);
        self.inner.violation.clone().map(|violation| Violation::new(start, violation))
    }
}

impl Chain {
    pub(crate) fn directory(&self) -> PyResult<Arc<DataDir>> {
        let directory = lock(&self.open).as_ref().map(|open| Arc::clone(&open.directory));
        directory.ok_or_else(|| self.closed())
    }

    fn closed(&self) -> PyErr {
        error::damaged(&self.path, "the data directory is closed")
    }

    fn tip(&self) -> PyResult<Tip> {
        let tip = lock(&self.tip).clone();
        tip.ok_or_else(|| error::damaged(&self.path, "the chain was not started"))
    }

    pub(crate) fn rules(&self) -> PyResult<forks::Rules> {
        self.tip().map(|tip| tip.rules)
    }

    /// A message on the state of the tip, if that is block `number` and was executed here.
    pub(crate) fn call_tip(
        &self,
        number: u64,
        coinbase: Address,
        message: &CallMessage,
    ) -> Option<Result<CallOutcome, ExecutionError>> {
        let mut engine = lock(&self.engine);
        let ledger = &mut engine.as_mut()?.ledger;
        if ledger.head().parent.number == number { ledger.call(coinbase, message) } else { None }
    }

    /// The head in the database with its header.
    pub(crate) fn head_block(&self, blocks: &BlockReader) -> PyResult<Predecessor> {
        let fail = |error| error::store(&self.path, &error);
        let head =
            blocks.head().map_err(fail)?.ok_or_else(|| error::damaged(&self.path, "the database has no head"))?;
        let header = blocks
            .header(&head.hash)
            .map_err(fail)?
            .ok_or_else(|| error::damaged(&self.path, format!("the header of block {} is missing", head.number)))?;
        let header = Header::decode_whole(&Bytes::from(header))
            .map_err(|error| error::damaged(&self.path, format!("header of block {}: {error}", head.number)))?;
        if header.number != head.number {
            let problem = format!("the header of block {} says that it is block {}", head.number, header.number);
            return Err(error::damaged(&self.path, problem));
        }
        Ok(Predecessor { header, hash: head.hash })
    }

    /// The head in the database as the ledger needs it, with the hashes that BLOCKHASH can see.
    fn read_head(&self, rules: &forks::Rules, directory: &DataDir) -> PyResult<(Head, Vec<B256>)> {
        let fail = |error| error::store(&self.path, &error);
        let missing =
            |what: &str, number: u64| error::damaged(&self.path, format!("{what} of block {number} is missing"));
        let blocks = directory.blocks_snapshot();
        let Predecessor { header, hash } = self.head_block(&blocks)?;
        let number = header.number;
        let total_difficulty =
            blocks.total_difficulty(&hash).map_err(fail)?.ok_or_else(|| missing("the total difficulty", number))?;
        let first = number.saturating_sub(VISIBLE_ANCESTORS as u64 - 1);
        let ancestors = (first..=number)
            .map(|number| {
                blocks.canonical_hash(number).map_err(fail)?.ok_or_else(|| missing("the canonical hash", number))
            })
            .collect::<PyResult<Vec<_>>>()?;
        let extra = extra_of(rules, &header)
            .map_err(|error| error::damaged(&self.path, format!("extra data of block {number}: {error}")))?;
        let parent = Parent { number, hash, gas_limit: header.gas_limit, round: extra.round };
        Ok((Head { parent, state_root: header.state_root, total_difficulty }, ancestors))
    }

    fn write_genesis(&self, directory: &DataDir, genesis: &Genesis) -> PyResult<()> {
        let mut blocks = BlockBatch::new();
        let record =
            GenesisRecord { hash: genesis.hash, header: &genesis.header, difficulty: U256::from(genesis.difficulty) };
        blocks
            .put_genesis(&record)
            .and_then(|()| directory.committer().commit(&batch_of(&genesis.new_state), &blocks.into_batch()))
            .map_err(|error| error::store(&self.path, &error))
    }
}

fn batch_of(new_state: &NewState) -> polygon_edge_store::Batch {
    let nodes = new_state.nodes().map(|(hash, node)| (*hash, node));
    state_batch(nodes, new_state.code().iter().map(|(hash, code)| (*hash, code)))
}

#[pymethods]
impl Chain {
    /// Opens both databases of `path` under both locks; makes them where they are missing, if `create`.
    #[staticmethod]
    #[pyo3(signature = (path, create=true))]
    fn open(py: Python<'_>, path: PathBuf, create: bool) -> PyResult<Self> {
        let mode = if create { OpenMode::CreateIfMissing } else { OpenMode::MustExist };
        let directory = py
            .detach(|| DataDir::open(&path, mode, &Tuning::default()))
            .map_err(|error| error::store(&path, &error))?;
        Ok(Self {
            path,
            open: Mutex::new(Some(Open { directory: Arc::new(directory), snapshots: Vec::new() })),
            engine: Mutex::new(None),
            tip: Mutex::new(None),
            committed: Mutex::new(Vec::new()),
            callers: IdleExecutors::default(),
            proposer: Mutex::new(None),
        })
    }

    /// Makes the chain ready to be extended: writes the genesis block into empty databases, else compares it.
    fn start(&self, py: Python<'_>, rules: &Rules, genesis: &Genesis) -> PyResult<()> {
        let directory = self.directory()?;
        py.detach(|| {
            let fail = |error| error::store(&self.path, &error);
            let blocks = directory.blocks();
            if blocks.head().map_err(fail)?.is_none() {
                self.write_genesis(&directory, genesis)?;
            }
            let stored = blocks.canonical_hash(genesis.number).map_err(fail)?;
            if stored != Some(genesis.hash) {
                let found = stored.map_or("none".to_owned(), |hash| hash.to_string());
                let problem = format!(
                    "genesis file does not match current genesis: expected {} (genesis file), found {found}",
                    genesis.hash
                );
                return Err(error::damaged(&self.path, problem));
            }
            let (head, ancestors) = self.read_head(&rules.inner, &directory)?;
            let options = TrieOptions { memory_budget: TRIE_MEMORY, parallel: false };
            let state = StateTrie::open(head.state_root, Arc::new(directory.state()), options).map_err(|error| {
                error::damaged(&self.path, format!("state of the head, block {}: {error}", head.parent.number))
            })?;
            let ledger = Ledger::new(&rules.inner, state, head.clone(), ancestors);
            *lock(&self.tip) = Some(Tip { rules: rules.inner.clone(), head });
            *lock(&self.engine) = Some(Engine { rules: rules.inner.clone(), ledger });
            Ok(())
        })
    }

    /// Number, hash and gas limit of the last executed block.
    #[getter(tip)]
    fn tip_of<'py>(&self, py: Python<'py>) -> PyResult<(u64, Bound<'py, PyBytes>, u64)> {
        let Parent { number, hash, gas_limit, .. } = self.tip()?.head.parent;
        Ok((number, PyBytes::new(py, hash.as_slice()), gas_limit))
    }

    /// Round in which the last executed block was agreed; none in G1 and where nobody seals.
    #[getter]
    fn tip_round(&self) -> PyResult<Option<u64>> {
        Ok(self.tip()?.head.parent.round)
    }

    /// Root of the state after the last executed block.
    #[getter]
    fn state_root<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, self.tip()?.head.state_root.as_slice()))
    }

    /// Executes the verified blocks `start..stop` of `run` on top of the tip, and stops before one that breaks a rule.
    fn execute(&self, py: Python<'_>, run: &Run, start: usize, stop: usize) -> PyResult<Executed> {
        let blocks = Arc::clone(&run.blocks);
        py.detach(|| {
            let mut engine = lock(&self.engine);
            let Some(Engine { rules, ledger }) = engine.as_mut() else {
                return Err(error::damaged(&self.path, "the chain was not started"));
            };
            for new_state in lock(&self.committed).drain(..) {
                ledger.committed(&new_state);
            }
            match ledger.execute(&blocks, start..stop) {
                Ok(inner) => {
                    *lock(&self.tip) = Some(Tip { rules: rules.clone(), head: inner.head.clone() });
                    Ok(Executed { rules: rules.clone(), run: blocks, inner })
                }
                Err(state) => {
                    // The ledger stands between two blocks now: only a new `start` may go on.
                    *engine = None;
                    Err(error::damaged(&self.path, state.to_string()))
                }
            }
        })
    }

    /// Writes executed blocks: the state first and synced, then all blocks with the head last, atomically and synced.
    fn commit(&self, py: Python<'_>, executed: &Executed) -> PyResult<()> {
        let directory = self.directory()?;
        py.detach(|| {
            let fail = |error| error::store(&self.path, &error);
            let mut batch = BlockBatch::new();
            for block in &executed.inner.blocks {
                let Some(Ok(prepared)) = executed.run.get(block.index) else { continue };
                let stored = StoredBlock::encode(&executed.rules, prepared, block);
                let record = BlockRecord {
                    number: stored.number,
                    hash: stored.hash,
                    header: &stored.header,
                    body: &stored.body,
                    receipts: &stored.receipts,
                    total_difficulty: stored.total_difficulty,
                    transaction_hashes: &stored.transaction_hashes,
                };
                batch.put_block(&record).map_err(fail)?;
            }
            let state = batch_of(&executed.inner.new_state);
            directory.committer().commit(&state, &batch.into_batch()).map_err(fail)?;
            lock(&self.committed).push(Arc::clone(&executed.inner.new_state));
            Ok(())
        })
    }

    /// The blocks as they are now, whatever is committed later.
    fn snapshot(&self, py: Python<'_>) -> PyResult<Snapshot> {
        py.detach(|| {
            // Made and entered under one lock, so that `close` finds every snapshot.
            let blocks = lock(&self.open).as_mut().map(|Open { directory, snapshots }| {
                let blocks = Arc::new(SharedBlocks::new(directory.blocks_for_export()));
                snapshots.retain(|snapshot| snapshot.strong_count() > 0);
                snapshots.push(Arc::downgrade(&blocks));
                blocks
            });
            Snapshot::new(&self.path, blocks.ok_or_else(|| self.closed())?)
        })
    }

    /// Closes both databases and releases their locks; nothing happens the second time.
    ///
    /// Calls that begin from now on fail, those of other threads that are reading are waited for, snapshots end.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| {
            let open = lock(&self.open).take();
            *lock(&self.engine) = None;
            lock(&self.committed).clear();
            let Some(Open { directory, snapshots }) = open else { return Ok(()) };
            snapshots.iter().filter_map(Weak::upgrade).for_each(|blocks| blocks.release());
            let databases = DataDir::clone(&directory);
            drop(directory);
            databases.close_within(PATIENCE).map_err(|error| error::store(&self.path, &error))
        })
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, pyo3::types::PyTuple>) -> PyResult<()> {
        self.close(py)
    }
}
