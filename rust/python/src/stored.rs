//! Canonical blocks as bytes, straight from the records of a data directory.

use std::path::Path;

use polygon_edge_chain::{B256, block::network_form, rlp::RlpError};
use polygon_edge_store::BlockReader;
use pyo3::prelude::*;

use crate::error;

/// Hash and header RLP of canonical block `number` of the data directory at `path`.
pub fn header_at(path: &Path, blocks: &BlockReader, number: u64) -> PyResult<Option<(B256, Vec<u8>)>> {
    let fail = |error| error::store(path, &error);
    let Some(hash) = blocks.canonical_hash(number).map_err(fail)? else { return Ok(None) };
    let header = blocks.header(&hash).map_err(fail)?;
    let header = header.ok_or_else(|| error::damaged(path, format!("the header of block {number} is missing")))?;
    Ok(Some((hash, header)))
}

/// Header RLP and stored body of canonical block `number` of the data directory at `path`.
pub fn header_and_body(path: &Path, blocks: &BlockReader, number: u64) -> PyResult<Option<(Vec<u8>, Vec<u8>)>> {
    let fail = |error| error::store(path, &error);
    let Some(hash) = blocks.canonical_hash(number).map_err(fail)? else { return Ok(None) };
    let (mut header, mut body) = (Vec::new(), Vec::new());
    blocks.header_and_body(number, &hash, &mut header, &mut body).map_err(fail)?;
    Ok(Some((header, body)))
}

pub fn damaged_body(path: &Path, number: u64, error: &RlpError) -> PyErr {
    error::damaged(path, format!("body of block {number}: {error}"))
}

/// Network RLP of canonical block `number` of the data directory at `path`, or none.
pub fn network_block(path: &Path, blocks: &BlockReader, number: u64) -> PyResult<Option<Vec<u8>>> {
    let Some((header, body)) = header_and_body(path, blocks, number)? else { return Ok(None) };
    network_form(&header, &body).map(Some).map_err(|error| damaged_body(path, number, &error))
}
