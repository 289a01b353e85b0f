//! Rules of a chain, handed down from the genesis file.

use std::collections::HashMap;

use polygon_edge_chain::forks::{self, Forks, Generation};
use pyo3::{exceptions::PyValueError, prelude::*};

/// Everything about a chain that a rule of the core depends on.
#[pyclass(frozen, module = "polygon_edge._core")]
pub struct Rules {
    pub(crate) inner: forks::Rules,
}

#[pymethods]
impl Rules {
    #[new]
    fn new(generation: &str, chain_id: u64, forks: HashMap<String, u64>, quorum_size_block: u64) -> PyResult<Self> {
        let mut flags = Forks::default();
        for (name, first) in forks {
            let flag = match name.as_str() {
                "homestead" => &mut flags.homestead,
                "EIP150" => &mut flags.eip150,
                "EIP155" => &mut flags.eip155,
                "EIP158" => &mut flags.eip158,
                "byzantium" => &mut flags.byzantium,
                "constantinople" => &mut flags.constantinople,
                "petersburg" => &mut flags.petersburg,
                "istanbul" => &mut flags.istanbul,
                "london" => &mut flags.london,
                "londonfix" => &mut flags.london_fix,
                "txHashWithType" => &mut flags.tx_hash_with_type,
                _ => return Err(PyValueError::new_err(format!("unknown fork {name:?}"))),
            };
            *flag = Some(first);
        }
        let generation = generation_of(generation)?;
        Ok(Self { inner: forks::Rules { generation, chain_id, forks: flags, quorum_size_block } })
    }
}

/// A generation by its name in the fact sheet.
pub fn generation_of(name: &str) -> PyResult<Generation> {
    match name {
        "G1" => Ok(Generation::G1),
        "G2" => Ok(Generation::G2),
        "G3" => Ok(Generation::G3),
        _ => Err(PyValueError::new_err(format!("generation: expected G1, G2 or G3, found {name:?}"))),
    }
}
