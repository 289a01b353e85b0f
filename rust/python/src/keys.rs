//! Keys of a node: made, read, signing; and the digests that a sealer signs. Files are Python's.

use polygon_edge_chain::{bls, hex, seal, signature::SigningKey};
use pyo3::{
    exceptions::{PyOSError, PyValueError},
    prelude::*,
    types::PyBytes,
};

use crate::convert;

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<EcdsaKey>()?;
    module.add_class::<BlsKey>()?;
    module.add_function(wrap_pyfunction!(proposer_digest, module)?)?;
    module.add_function(wrap_pyfunction!(committed_digest, module)?)
}

/// A secp256k1 key.
#[pyclass(frozen, module = "polygon_edge._core")]
pub struct EcdsaKey {
    inner: SigningKey,
}

/// A BLS12-381 key with its public key in G1.
#[pyclass(frozen, module = "polygon_edge._core")]
pub struct BlsKey {
    inner: bls::BlsKey,
}

/// A secret is of 32 bytes; a message about another length does not show it.
fn scalar(secret: &[u8]) -> PyResult<[u8; 32]> {
    secret.try_into().map_err(|_| convert::wrong_length("secret", 32, secret.len()))
}

fn outside(group: &str) -> PyErr {
    PyValueError::new_err(format!("secret: expected a number from 1 to below the order of {group}, found another"))
}

/// Bytes from the operating system.
fn randomness() -> PyResult<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| PyOSError::new_err(format!("no randomness: {error}")))?;
    Ok(bytes)
}

#[pymethods]
impl EcdsaKey {
    #[new]
    fn new(secret: &[u8]) -> PyResult<Self> {
        SigningKey::from_bytes(scalar(secret)?).map(|inner| Self { inner }).ok_or_else(|| outside("secp256k1"))
    }

    /// A key from the randomness of the operating system.
    #[staticmethod]
    fn generate() -> PyResult<Self> {
        loop {
            // One draw in 2^128 is no key.
            if let Some(inner) = SigningKey::from_bytes(randomness()?) {
                return Ok(Self { inner });
            }
        }
    }

    /// The scalar, big-endian.
    #[getter]
    fn secret<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.inner.to_bytes())
    }

    /// The address of the public key.
    #[getter]
    fn address<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.inner.address().as_slice())
    }

    /// The public key, compressed.
    #[getter]
    fn public_key<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.inner.public_key())
    }

    /// r || s || parity over a digest.
    fn sign<'py>(&self, py: Python<'py>, digest: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &self.inner.sign(&convert::hash(digest)?)))
    }

    fn __repr__(&self) -> String {
        format!("EcdsaKey(address=0x{})", hex::encode(self.inner.address().as_slice()))
    }
}

#[pymethods]
impl BlsKey {
    #[new]
    fn new(secret: &[u8]) -> PyResult<Self> {
        bls::BlsKey::from_bytes(&scalar(secret)?).map(|inner| Self { inner }).ok_or_else(|| outside("BLS12-381"))
    }

    /// A key from the randomness of the operating system.
    #[staticmethod]
    fn generate() -> PyResult<Self> {
        Ok(Self { inner: bls::BlsKey::derive(&randomness()?) })
    }

    /// The scalar, big-endian.
    #[getter]
    fn secret<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.inner.to_bytes())
    }

    /// The public key, compressed.
    #[getter]
    fn public_key<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.inner.public_key())
    }

    /// The signature over a digest, compressed.
    fn sign<'py>(&self, py: Python<'py>, digest: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &self.inner.sign(&convert::hash(digest)?)))
    }

    fn __repr__(&self) -> String {
        format!("BlsKey(public_key=0x{})", hex::encode(self.inner.public_key()))
    }
}

/// What the proposer seal of a block signs.
#[pyfunction]
fn proposer_digest<'py>(py: Python<'py>, block_hash: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    Ok(PyBytes::new(py, seal::proposer_digest(&convert::hash(block_hash)?).as_slice()))
}

/// What the committed seals of a block sign that was agreed in `round_number`, none in G1.
#[pyfunction]
#[pyo3(signature = (block_hash, round_number=None))]
fn committed_digest<'py>(
    py: Python<'py>,
    block_hash: &[u8],
    round_number: Option<u64>,
) -> PyResult<Bound<'py, PyBytes>> {
    Ok(PyBytes::new(py, seal::committed_digest(&convert::hash(block_hash)?, round_number).as_slice()))
}
