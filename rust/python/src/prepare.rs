//! The verb `prepare`: block records in, a run of decoded blocks with their signers out.

use std::sync::Arc;

use polygon_edge_chain::{
    Bytes,
    forks::Engine,
    run::{self, Prepared},
    verify::{self, Parent, ValidatorSets, verify_run},
};
use pyo3::{prelude::*, pybacked::PyBackedBytes, types::PyBytes};

use crate::{convert, rules::Rules};

/// A run of consecutive blocks, decoded, hashed, with every signature recovered.
#[pyclass(frozen, module = "polygon_edge._core")]
pub struct Run {
    pub(crate) blocks: Arc<Vec<Prepared>>,
    /// Whether the miner field is a vote: only where validators seal.
    votes: bool,
}

/// A block that votes: height, hash, proposer (empty where the seal does not recover), miner and nonce as they stand.
type Vote<'py> = (u64, Bound<'py, PyBytes>, Bound<'py, PyBytes>, Bound<'py, PyBytes>, Bound<'py, PyBytes>);

/// The rule that a block of a run breaks.
#[pyclass(frozen, get_all, module = "polygon_edge._core")]
pub struct Violation {
    /// Position in the run.
    index: usize,
    /// Name of the rule.
    rule: &'static str,
    /// Field or value.
    what: String,
    /// What the rule asks for.
    expected: String,
    /// What the block has.
    found: String,
}

impl Violation {
    pub(crate) fn new(index: usize, violation: verify::Violation) -> Self {
        let verify::Violation { rule, what, expected, found } = violation;
        Self { index, rule: rule.name(), what, expected, found }
    }
}

/// Decodes `records` and recovers their signers on all cores, without the interpreter lock.
#[pyfunction]
#[pyo3(signature = (rules, records, previous=None))]
pub fn prepare(py: Python<'_>, rules: &Rules, records: Vec<PyBackedBytes>, previous: Option<&Run>) -> Run {
    let records: Vec<Bytes> = records.iter().map(|record| Bytes::copy_from_slice(record)).collect();
    let previous = previous.map(|run| Arc::clone(&run.blocks));
    let blocks = py.detach(|| {
        let last = previous.as_deref().and_then(|blocks| blocks.last()).and_then(|block| block.as_ref().ok());
        run::prepare(&rules.inner, records, last)
    });
    Run { blocks: Arc::new(blocks), votes: rules.inner.engine == Engine::Ibft }
}

impl Run {
    fn decoded(&self, index: usize) -> Option<&run::PreparedBlock> {
        self.blocks.get(index).and_then(|block| block.as_ref().ok())
    }
}

#[pymethods]
impl Run {
    fn __len__(&self) -> usize {
        self.blocks.len()
    }

    /// Height and hash of block `index`, or none where its record is not a block.
    fn identity<'py>(&self, py: Python<'py>, index: usize) -> Option<(u64, Bound<'py, PyBytes>)> {
        let block = self.decoded(index)?;
        Some((block.block.header.number, PyBytes::new(py, block.hash.as_slice())))
    }

    /// Transactions and gas of the blocks `start..stop`.
    fn weight(&self, start: usize, stop: usize) -> (usize, u64) {
        let blocks = self.blocks.get(start..stop.min(self.blocks.len())).unwrap_or_default();
        blocks.iter().flatten().fold((0, 0u64), |(transactions, gas), block| {
            (transactions + block.block.transactions.len(), gas.saturating_add(block.block.header.gas_used))
        })
    }

    /// Where to end the part that starts at `start`, so that it holds at most `gas` (one block at least).
    fn cut(&self, start: usize, gas: u64) -> usize {
        let mut sum = 0u64;
        for (index, block) in self.blocks.iter().enumerate().skip(start) {
            sum = sum.saturating_add(block.as_ref().map_or(0, |block| block.block.header.gas_used));
            if sum > gas && index > start {
                return index;
            }
        }
        self.blocks.len()
    }

    /// Where the blocks that are numbered `number`, `number` + 1, ... from `start` on end.
    fn consecutive(&self, start: usize, number: u64) -> usize {
        let blocks = self.blocks.get(start..).unwrap_or_default();
        let follows = |(offset, block): &(usize, &Prepared)| {
            block.as_ref().is_ok_and(|block| block.block.header.number.checked_sub(number) == Some(*offset as u64))
        };
        start + blocks.iter().enumerate().take_while(follows).count()
    }

    /// The blocks `start..stop` whose miner field is not twenty zero bytes, in order (fact sheet §3.7).
    fn votes<'py>(&self, py: Python<'py>, start: usize, stop: usize) -> Vec<Vote<'py>> {
        if !self.votes {
            return Vec::new();
        }
        let blocks = self.blocks.get(start..stop.min(self.blocks.len())).unwrap_or_default();
        let voting = |block: &run::PreparedBlock| {
            let header = &block.block.header;
            let bytes = |bytes: &[u8]| PyBytes::new(py, bytes);
            let proposer = block.proposer.as_ref().map_or(&[][..], |proposer| proposer.as_slice());
            (header.miner.as_ref() != [0; 20]).then(|| {
                (
                    header.number,
                    bytes(block.hash.as_slice()),
                    bytes(proposer),
                    bytes(&header.miner),
                    bytes(&header.nonce),
                )
            })
        };
        blocks.iter().flatten().filter_map(voting).collect()
    }

    /// Checks the blocks from `start` on against the block before and the validators of each height.
    ///
    /// `sets` are (first height, validators), the parent's height included; `parent_round` is the round in which the
    /// parent was agreed (G2, G3). Returns where the walk ended (`stop`, by default the length of the run, when all hold)
    /// and the violation that ended it.
    #[pyo3(signature = (rules, start, parent, sets, parent_round=None, stop=None))]
    #[allow(clippy::too_many_arguments)]
    fn verify(
        &self,
        py: Python<'_>,
        rules: &Rules,
        start: usize,
        parent: (u64, PyBackedBytes, u64),
        sets: Vec<(u64, Vec<PyBackedBytes>)>,
        parent_round: Option<u64>,
        stop: Option<usize>,
    ) -> PyResult<(usize, Option<Violation>)> {
        let (number, hash, gas_limit) = parent;
        let parent = Parent { number, hash: convert::hash(&hash)?, gas_limit, round: parent_round };
        let sets = sets
            .into_iter()
            .map(|(from, set)| {
                Ok((from, set.iter().map(|validator| convert::validator(validator)).collect::<PyResult<_>>()?))
            })
            .collect::<PyResult<Vec<_>>>()?;
        let sets = ValidatorSets::new(sets);
        let stop = stop.unwrap_or(usize::MAX).min(self.blocks.len());
        let blocks = self.blocks.get(start..stop).unwrap_or_default();
        let (held, violation) = py.detach(|| verify_run(&rules.inner, blocks, parent, &sets));
        Ok((start + held, violation.map(|violation| Violation::new(start + held, violation))))
    }
}
