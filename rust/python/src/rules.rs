//! Rules of a chain, handed down from the genesis file.

use std::collections::HashMap;

use polygon_edge_chain::{
    Address, Bytes,
    execute::{Deployment, GenesisAccount},
    extra::ValidatorType,
    forks::{self, AccessLists, Engine, Forks, Generation},
};
use pyo3::{exceptions::PyValueError, prelude::*, pybacked::PyBackedBytes};

use crate::convert;

/// Everything about a chain that a rule of the core depends on.
#[pyclass(frozen, module = "polygon_edge._core")]
pub struct Rules {
    pub(crate) inner: forks::Rules,
}

/// One deployment: height, address, code, slots with their values, balance.
type DeploymentEntry = (u64, PyBackedBytes, PyBackedBytes, Vec<(PyBackedBytes, PyBackedBytes)>, PyBackedBytes);

#[pymethods]
impl Rules {
    #[new]
    #[pyo3(signature = (generation, chain_id, forks, quorum_size_block, *, engine="ibft", validator_types=Vec::new(),
                        stake=Vec::new(), deployments=Vec::new(), burn_contracts=Vec::new(), access_lists=Vec::new()))]
    #[allow(clippy::too_many_arguments)]
    fn new(
        generation: &str,
        chain_id: u64,
        forks: HashMap<String, u64>,
        quorum_size_block: u64,
        engine: &str,
        validator_types: Vec<(u64, String)>,
        stake: Vec<(u64, bool)>,
        deployments: Vec<DeploymentEntry>,
        burn_contracts: Vec<(u64, PyBackedBytes)>,
        access_lists: Vec<String>,
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
        let validator_types = validator_types
            .iter()
            .map(|(first, name)| Ok((*first, validator_type_of(name)?)))
            .collect::<PyResult<Vec<_>>>()?;
        let deployments = deployments.into_iter().map(deployment).collect::<PyResult<_>>()?;
        let burn_contracts = burn_contracts
            .iter()
            .map(|(first, address)| Ok((*first, convert::address(address)?)))
            .collect::<PyResult<Vec<(u64, Address)>>>()?;
        let inner = forks::Rules {
            quorum_size_block,
            engine: engine_of(engine)?,
            validator_types: ascending("validator types", validator_types)?,
            stake: ascending("stake", stake)?,
            deployments,
            burn_contracts,
            access_lists: lists(&access_lists)?,
            ..forks::Rules::new(generation_of(generation)?, chain_id, flags)
        };
        Ok(Self { inner })
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

fn deployment((height, address, code, storage, balance): DeploymentEntry) -> PyResult<(u64, Deployment)> {
    let word = |(slot, value): &(PyBackedBytes, PyBackedBytes)| {
        Ok((convert::word_of_bytes("slot", slot)?, convert::word_of_bytes("slot value", value)?))
    };
    let account = GenesisAccount {
        balance: Some(convert::word_of_bytes("balance", &balance)?),
        nonce: 0,
        code: Bytes::copy_from_slice(&code),
        storage: storage.iter().map(word).collect::<PyResult<_>>()?,
    };
    Ok((height, Deployment { address: convert::address(&address)?, account }))
}

fn lists(names: &[String]) -> PyResult<AccessLists> {
    let mut lists = AccessLists::default();
    for name in names {
        let exists = match name.as_str() {
            "deployer-allow" => &mut lists.deployer_allow,
            "deployer-block" => &mut lists.deployer_block,
            "transactions-allow" => &mut lists.transactions_allow,
            "transactions-block" => &mut lists.transactions_block,
            "bridge-allow" => &mut lists.bridge_allow,
            "bridge-block" => &mut lists.bridge_block,
            _ => return Err(PyValueError::new_err(format!("unknown access list {name:?}"))),
        };
        *exists = true;
    }
    Ok(lists)
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
