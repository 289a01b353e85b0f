//! Rules of a chain, handed down from the genesis file.

use std::collections::HashMap;

use polygon_edge_chain::{
    extra::ValidatorType,
    forks::{self, Engine, Forks, Generation},
};
use pyo3::{exceptions::PyValueError, prelude::*};

/// Everything about a chain that a rule of the core depends on.
#[pyclass(frozen, module = "polygon_edge._core")]
pub struct Rules {
    pub(crate) inner: forks::Rules,
}

#[pymethods]
impl Rules {
    #[new]
    #[pyo3(signature = (generation, chain_id, forks, quorum_size_block, *, engine="ibft", validator_types=vec![],
                        stake=vec![]))]
    fn new(
        generation: &str,
        chain_id: u64,
        forks: HashMap<String, u64>,
        quorum_size_block: u64,
        engine: &str,
        validator_types: Vec<(u64, String)>,
        stake: Vec<(u64, bool)>,
    ) -> PyResult<Self> {
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
        let validator_types = validator_types
            .iter()
            .map(|(first, name)| Ok((*first, validator_type_of(name)?)))
            .collect::<PyResult<Vec<_>>>()?;
        Ok(Self {
            inner: forks::Rules {
                quorum_size_block,
                engine: engine_of(engine)?,
                validator_types: ascending("validator types", validator_types)?,
                stake: ascending("stake", stake)?,
                ..forks::Rules::new(generation, chain_id, flags)
            },
        })
    }
}

/// `entries` by the height they start at, each above the one before.
fn ascending<T>(what: &str, entries: Vec<(u64, T)>) -> PyResult<Vec<(u64, T)>> {
    match entries.windows(2).find(|pair| pair[0].0 >= pair[1].0) {
        None => Ok(entries),
        Some(pair) => {
            let (before, after) = (pair[0].0, pair[1].0);
            Err(PyValueError::new_err(format!("{what}: expected ascending heights, found {after} after {before}")))
        }
    }
}

fn engine_of(name: &str) -> PyResult<Engine> {
    match name {
        "ibft" => Ok(Engine::Ibft),
        "plain" => Ok(Engine::Plain),
        _ => Err(PyValueError::new_err(format!("engine: expected ibft or plain, found {name:?}"))),
    }
}

/// A type of validators by its name in genesis files.
pub fn validator_type_of(name: &str) -> PyResult<ValidatorType> {
    match name {
        "ecdsa" => Ok(ValidatorType::Ecdsa),
        "bls" => Ok(ValidatorType::Bls),
        _ => Err(PyValueError::new_err(format!("validator type: expected ecdsa or bls, found {name:?}"))),
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
