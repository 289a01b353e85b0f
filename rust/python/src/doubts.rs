//! The verbs `doubts` and `timestamp` on a run: what the Go client forgets to check.

use polygon_edge_chain::doubt::{self, EmptyEnds};
use pyo3::prelude::*;

use crate::prepare::Run;

/// Something about block `index` of a run that no rule forbids and no honest proposer does.
#[pyclass(frozen, get_all, module = "polygon_edge._core")]
pub struct Doubt {
    /// Position in the run.
    index: usize,
    /// What would have been checked.
    rule: &'static str,
    /// What an honest proposer would have written.
    expected: String,
    /// What the block has.
    found: String,
}

#[pymethods]
impl Run {
    /// The doubts about the blocks `start..stop`, `parent_timestamp` being that of the block before.
    ///
    /// `empty_ends` are (first height, whether the last block of an epoch holds no transactions from there on).
    fn doubts(
        &self,
        start: usize,
        stop: usize,
        parent_timestamp: u64,
        epoch_size: u64,
        empty_ends: Vec<(u64, bool)>,
    ) -> Vec<Doubt> {
        let blocks = self.blocks.get(start..stop.min(self.blocks.len())).unwrap_or_default();
        let empty_ends = EmptyEnds { epoch_size, from: empty_ends };
        doubt::doubts(blocks, parent_timestamp, &empty_ends)
            .into_iter()
            .map(|doubt::Doubt { index, kind, expected, found }| Doubt {
                index: start + index,
                rule: kind.name(),
                expected,
                found,
            })
            .collect()
    }

    /// Timestamp of block `index`, or none where its record is not a block.
    fn timestamp(&self, index: usize) -> Option<u64> {
        self.blocks.get(index)?.as_ref().ok().map(|block| block.block.header.timestamp)
    }
}
