//! The verb `summarise`: what block records say of themselves, without rules and without a database.

use polygon_edge_chain::{
    B256, Bytes,
    block::{Header, Outline},
    extra::{Extra, ValidatorType},
    forks::Generation,
    hash,
    rlp::RlpError,
};
use pyo3::{exceptions::PyValueError, prelude::*, pybacked::PyBackedBytes, types::PyBytes};

use crate::rules::{generation_of, validator_type_of};

/// What one block record says of itself.
#[pyclass(frozen, get_all, module = "polygon_edge._core")]
pub struct HeaderSummary {
    /// Height.
    number: u64,
    /// By the hash rule asked for; none where it cannot be computed.
    hash: Option<Py<PyBytes>>,
    /// Hash of the block before.
    parent_hash: Py<PyBytes>,
    /// How many transactions.
    transactions: usize,
    /// Gas used.
    gas_used: u64,
    /// Seconds since 1970.
    timestamp: u64,
    /// State after the block.
    state_root: Py<PyBytes>,
}

/// Decodes `records`; the hash rule is `plain` or `ibft`, the latter with `ecdsa` or `bls` extra data of a generation.
///
/// A record that is no block gives a text that says why, in its place. `parent_type` is the validator type one height
/// below where it is another one, as in the first block after a switch.
#[pyfunction]
#[pyo3(signature = (records, hash_rule, generation, validator_type="ecdsa", parent_type=None))]
pub fn summarise(
    py: Python<'_>,
    records: Vec<PyBackedBytes>,
    hash_rule: &str,
    generation: &str,
    validator_type: &str,
    parent_type: Option<&str>,
) -> PyResult<Vec<Summarised>> {
    let generation = generation_of(generation)?;
    let types = (validator_type_of(validator_type)?, validator_type_of(parent_type.unwrap_or(validator_type))?);
    let plain = match hash_rule {
        "plain" => true,
        "ibft" => false,
        _ => return Err(PyValueError::new_err(format!("hash rule: expected plain or ibft, found {hash_rule:?}"))),
    };
    let records: Vec<Bytes> = records.iter().map(|record| Bytes::copy_from_slice(record)).collect();
    let read: Vec<Result<(Outline, Option<B256>), RlpError>> = py.detach(|| {
        records
            .iter()
            .map(|record| {
                let outline = Outline::decode(record)?;
                let hash = block_hash(&outline.header, plain, generation, types);
                Ok((outline, hash))
            })
            .collect()
    });
    Ok(read
        .into_iter()
        .map(|read| match read {
            Ok((Outline { header, transactions }, hash)) => {
                let bytes = |hash: B256| PyBytes::new(py, hash.as_slice()).unbind();
                Summarised::Summary(HeaderSummary {
                    number: header.number,
                    hash: hash.map(bytes),
                    parent_hash: bytes(header.parent_hash),
                    transactions,
                    gas_used: header.gas_used,
                    timestamp: header.timestamp,
                    state_root: bytes(header.state_root),
                })
            }
            Err(error) => Summarised::Reason(error.to_string()),
        })
        .collect())
}

/// `types` are the validator types of the block and of its parent.
fn block_hash(
    header: &Header,
    plain: bool,
    generation: Generation,
    types: (ValidatorType, ValidatorType),
) -> Option<B256> {
    if plain {
        return Some(hash::plain(header, generation));
    }
    let (kind, parent) = types;
    let extra = Extra::decode(&header.extra_data, header.number, generation, kind, parent).ok()?;
    Some(hash::ibft(header, &extra, generation, kind))
}

/// A summary, or the reason why there is none.
#[derive(IntoPyObject)]
pub enum Summarised {
    /// The record is a block.
    Summary(HeaderSummary),
    /// The record is no block.
    Reason(String),
}
