//! The verb `repair_head`: back to the last whole block, where the head is not one (§4.4).

use polygon_edge_store::repair::repair_head;
use pyo3::prelude::*;

use crate::{chain::Chain, error};

#[pymethods]
impl Chain {
    /// Goes back to the last whole block, before the chain is started; none where the head is whole.
    ///
    /// Returns the highest block named by a head pointer, what is missing of it, and the number of the head now, none
    /// where the genesis block has to be written anew.
    fn repair_head(&self, py: Python<'_>) -> PyResult<Option<(u64, String, Option<u64>)>> {
        let directory = self.directory()?;
        let repair = py.detach(|| repair_head(&directory)).map_err(|error| error::store(&self.path, &error))?;
        Ok(repair.map(|repair| (repair.named, repair.missing.to_string(), repair.head.map(|head| head.number))))
    }
}
