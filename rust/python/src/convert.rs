//! Values of fixed size between Python and the core.

use polygon_edge_chain::{Address, B256, U256, extra::Validator};
use pyo3::{
    exceptions::PyValueError,
    prelude::*,
    types::{PyBytes, PyInt},
};

/// An address from exactly 20 bytes.
pub fn address(bytes: &[u8]) -> PyResult<Address> {
    Address::try_from(bytes).map_err(|_| wrong_length("address", 20, bytes.len()))
}

/// A hash from exactly 32 bytes.
pub fn hash(bytes: &[u8]) -> PyResult<B256> {
    B256::try_from(bytes).map_err(|_| wrong_length("hash", 32, bytes.len()))
}

/// A validator from its address, or from its address and BLS key: 20 or 68 bytes.
pub fn validator(bytes: &[u8]) -> PyResult<Validator> {
    Validator::from_bytes(bytes)
        .ok_or_else(|| PyValueError::new_err(format!("validator: expected 20 or 68 bytes, found {}", bytes.len())))
}

/// A Python integer from a magnitude, big-endian.
pub fn integer<'py>(py: Python<'py>, magnitude: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    if magnitude.len() <= 8 {
        let value = magnitude.iter().fold(0u64, |value, &byte| (value << 8) | u64::from(byte));
        return Ok(value.into_pyobject(py)?.into_any());
    }
    py.get_type::<PyInt>().call_method1("from_bytes", (PyBytes::new(py, magnitude), "big"))
}

/// A Python integer from a 256-bit one.
pub fn wide_integer<'py>(py: Python<'py>, value: &U256) -> PyResult<Bound<'py, PyAny>> {
    integer(py, &value.to_be_bytes_trimmed_vec())
}

/// A word from an int of 0 to 2^256-1.
pub fn word(what: &str, int: &Bound<'_, PyAny>) -> PyResult<U256> {
    let bytes = int
        .call_method1("to_bytes", (32, "big"))
        .map_err(|_| PyValueError::new_err(format!("{what}: expected an int of 0 to 2^256-1, found {int}")))?;
    Ok(U256::from_be_slice(bytes.extract()?))
}

/// A word from at most 32 bytes, big-endian.
pub fn word_of_bytes(what: &str, bytes: &[u8]) -> PyResult<U256> {
    U256::try_from_be_slice(bytes).ok_or_else(|| wrong_length(what, 32, bytes.len()))
}

/// What is said of a value of the wrong size; the value itself is not shown.
pub fn wrong_length(what: &str, expected: usize, found: usize) -> PyErr {
    PyValueError::new_err(format!("{what}: expected {expected} bytes, found {found}"))
}

/// Keccak-256 of `data`.
#[pyfunction]
pub fn keccak256<'py>(py: Python<'py>, data: &[u8]) -> Bound<'py, PyBytes> {
    PyBytes::new(py, polygon_edge_chain::keccak256(data).as_slice())
}
