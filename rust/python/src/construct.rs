//! The verb `construct`: a constructor run on an empty state, outside of any chain.

use polygon_edge_chain::execute;
use pyo3::{prelude::*, types::PyBytes};

use crate::{
    call::{CallRefusedError, status_text},
    convert,
    rules::Rules,
};

/// Slots with their values, 32 bytes each.
type Slots = Vec<(Py<PyBytes>, Py<PyBytes>)>;

/// What a constructor leaves behind.
#[pyclass(frozen, get_all, module = "polygon_edge._core")]
pub struct Construction {
    /// "success", "revert", or why it failed in the Go client's words.
    status: &'static str,
    /// The code it returned, or the data of a REVERT.
    output: Py<PyBytes>,
    /// Of its address.
    nonce: u64,
    /// Of its address, in wei.
    balance: Py<PyAny>,
    /// Written slots, in their order.
    storage: Slots,
}

/// Runs `code` as the constructor of `address` by the rules of block 0, on an empty state.
#[pyfunction]
pub fn construct(py: Python<'_>, rules: &Rules, address: &[u8], code: &[u8]) -> PyResult<Construction> {
    let address = convert::address(address)?;
    let found = py
        .detach(|| execute::construct(&rules.inner, address, code))
        .map_err(|fault| CallRefusedError::new_err(fault.to_string()))?;
    let word = |word: &polygon_edge_chain::U256| PyBytes::new(py, &word.to_be_bytes::<32>()).unbind();
    Ok(Construction {
        status: status_text(found.status),
        output: PyBytes::new(py, &found.output).unbind(),
        nonce: found.nonce,
        balance: convert::wide_integer(py, &found.balance)?.unbind(),
        storage: found.storage.iter().map(|(slot, value)| (word(slot), word(value))).collect(),
    })
}
