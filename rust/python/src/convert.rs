//! Values of fixed size between Python and the core.

use polygon_edge_chain::{Address, B256, U256};
use pyo3::{exceptions::PyValueError, prelude::*, types::PyBytes};

/// An address from exactly 20 bytes.
pub fn address(bytes: &[u8]) -> PyResult<Address> {
    Address::try_from(bytes).map_err(|_| wrong_length("address", 20, bytes.len()))
}

/// A hash from exactly 32 bytes.
pub fn hash(bytes: &[u8]) -> PyResult<B256> {
    B256::try_from(bytes).map_err(|_| wrong_length("hash", 32, bytes.len()))
}

/// A word from an int of 0 to 2^256-1.
pub fn word(what: &str, int: &Bound<'_, PyAny>) -> PyResult<U256> {
    let bytes = int
        .call_method1("to_bytes", (32, "big"))
        .map_err(|_| PyValueError::new_err(format!("{what}: expected an int of 0 to 2^256-1, found {int}")))?;
    Ok(U256::from_be_slice(bytes.extract()?))
}

fn wrong_length(what: &str, expected: usize, found: usize) -> PyErr {
    PyValueError::new_err(format!("{what}: expected {expected} bytes, found {found}"))
}

/// Keccak-256 of `data`.
#[pyfunction]
pub fn keccak256<'py>(py: Python<'py>, data: &[u8]) -> Bound<'py, PyBytes> {
    PyBytes::new(py, polygon_edge_chain::keccak256(data).as_slice())
}
