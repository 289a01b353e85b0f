//! The records of a chain as Python objects: headers, transactions, receipts. They convert a field when it is asked for.

use polygon_edge_chain::{
    Address, B256, Bytes, U256,
    block::{self, decode_stored_body},
    forks::Generation,
    receipt::{self, Bloom, StoredReceipt, bloom_of as bloom},
    rlp::RlpError,
    sender,
    transaction::{self, Form, Type},
};
use pyo3::{exceptions::PyValueError, prelude::*, pybacked::PyBackedBytes, types::PyBytes};

use crate::{convert, rules::Rules};

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Header>()?;
    module.add_class::<Transaction>()?;
    module.add_class::<Log>()?;
    module.add_class::<Receipt>()?;
    module.add_function(wrap_pyfunction!(decode_header, module)?)?;
    module.add_function(wrap_pyfunction!(decode_transaction, module)?)?;
    module.add_function(wrap_pyfunction!(decode_body, module)?)?;
    module.add_function(wrap_pyfunction!(decode_receipts, module)?)?;
    module.add_function(wrap_pyfunction!(bloom_of, module)?)
}

fn malformed(error: &RlpError) -> PyErr {
    PyValueError::new_err(error.to_string())
}

fn bytes<'py>(py: Python<'py>, bytes: &(impl AsRef<[u8]> + ?Sized)) -> Bound<'py, PyBytes> {
    PyBytes::new(py, bytes.as_ref())
}

/// A header as stored.
#[pyclass(frozen, module = "polygon_edge._core")]
pub struct Header {
    inner: block::Header,
}

#[pymethods]
impl Header {
    #[getter]
    fn number(&self) -> u64 {
        self.inner.number
    }

    #[getter]
    fn parent_hash<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        bytes(py, &self.inner.parent_hash)
    }

    #[getter]
    fn sha3_uncles<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        bytes(py, &self.inner.uncles_hash)
    }

    #[getter]
    fn miner<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        bytes(py, &self.inner.miner)
    }

    #[getter]
    fn state_root<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        bytes(py, &self.inner.state_root)
    }

    #[getter]
    fn transactions_root<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        bytes(py, &self.inner.transactions_root)
    }

    #[getter]
    fn receipts_root<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        bytes(py, &self.inner.receipts_root)
    }

    #[getter]
    fn logs_bloom<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        bytes(py, self.inner.logs_bloom.as_slice())
    }

    #[getter]
    fn difficulty(&self) -> u64 {
        self.inner.difficulty
    }

    #[getter]
    fn gas_limit(&self) -> u64 {
        self.inner.gas_limit
    }

    #[getter]
    fn gas_used(&self) -> u64 {
        self.inner.gas_used
    }

    #[getter]
    fn timestamp(&self) -> u64 {
        self.inner.timestamp
    }

    #[getter]
    fn extra_data<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        bytes(py, &self.inner.extra_data)
    }

    #[getter]
    fn mix_hash<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        bytes(py, &self.inner.mix_hash)
    }

    #[getter]
    fn nonce<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        bytes(py, &self.inner.nonce)
    }

    #[getter]
    fn base_fee(&self) -> u64 {
        self.inner.base_fee
    }
}

/// Decodes a header as stored.
#[pyfunction]
fn decode_header(raw: &[u8]) -> PyResult<Header> {
    let inner = block::Header::decode_whole(&Bytes::copy_from_slice(raw)).map_err(|error| malformed(&error))?;
    Ok(Header { inner })
}

/// A transaction with its sender.
#[pyclass(frozen, module = "polygon_edge._core")]
pub struct Transaction {
    pub(crate) inner: transaction::Transaction,
    pub(crate) sender: Option<Address>,
}

#[pymethods]
impl Transaction {
    #[getter]
    fn hash<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        bytes(py, &self.inner.hash)
    }

    #[getter]
    fn sender<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        self.sender.map(|sender| bytes(py, &sender))
    }

    #[getter]
    fn nonce(&self) -> u64 {
        self.inner.nonce
    }

    /// 0 for a legacy transaction, 2 for a dynamic fee, 0x7f for a state transaction.
    #[getter]
    fn r#type(&self) -> u8 {
        self.inner.kind.byte().unwrap_or_default()
    }

    /// Of a dynamic fee, else none.
    #[getter]
    fn chain_id<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        match &self.inner.kind {
            Type::DynamicFee { chain_id, .. } => convert::wide_integer(py, chain_id).map(Some),
            _ => Ok(None),
        }
    }

    /// Of a dynamic fee, else none.
    #[getter]
    fn gas_tip_cap<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        match &self.inner.kind {
            Type::DynamicFee { gas_tip_cap, .. } => cap(py, gas_tip_cap).map(Some),
            _ => Ok(None),
        }
    }

    /// Of a dynamic fee, else none.
    #[getter]
    fn gas_fee_cap<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        match &self.inner.kind {
            Type::DynamicFee { gas_fee_cap, .. } => cap(py, gas_fee_cap).map(Some),
            _ => Ok(None),
        }
    }

    #[getter]
    fn gas_price<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        convert::wide_integer(py, &self.inner.gas_price)
    }

    #[getter]
    fn gas(&self) -> u64 {
        self.inner.gas
    }

    #[getter]
    fn to<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        self.inner.to.map(|to| bytes(py, &to))
    }

    #[getter]
    fn value<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        convert::wide_integer(py, &self.inner.value)
    }

    #[getter]
    fn input<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        bytes(py, &self.inner.input)
    }

    #[getter]
    fn v<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        convert::integer(py, &self.inner.v)
    }

    #[getter]
    fn r<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        convert::wide_integer(py, &self.inner.r)
    }

    #[getter]
    fn s<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        convert::wide_integer(py, &self.inner.s)
    }

    #[getter]
    fn raw<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        bytes(py, &self.inner.hashed_form(true))
    }
}

/// A cap beyond 256 bits reads as 2^256-1, like every other number of a transaction.
fn cap<'py>(py: Python<'py>, cap: &Option<U256>) -> PyResult<Bound<'py, PyAny>> {
    convert::wide_integer(py, &cap.unwrap_or(U256::MAX))
}

/// Decodes a transaction as a wallet hands it in, and recovers its sender by the rules in force at height `number`.
#[pyfunction]
fn decode_transaction(py: Python<'_>, rules: &Rules, number: u64, raw: &[u8]) -> PyResult<Transaction> {
    let raw = Bytes::copy_from_slice(raw);
    py.detach(|| {
        let inner = transaction::Transaction::decode_submitted(&raw, rules.inner.transaction_form(number))?;
        let sender = sender::recover_sender(&inner, &rules.inner, number);
        Ok(Transaction { inner, sender })
    })
    .map_err(|error| malformed(&error))
}

/// Decodes a stored body of block `number`; the senders are those that stand in it.
///
/// Without rules it is read as of G1: typed transactions are hashed by height, so that they need them.
#[pyfunction]
#[pyo3(signature = (raw, rules=None, number=0))]
fn decode_body(py: Python<'_>, raw: PyBackedBytes, rules: Option<&Rules>, number: u64) -> PyResult<Vec<Transaction>> {
    const FIRST: Form = Form { generation: Generation::G1, hashed_with_type: false };
    let form = rules.map_or(FIRST, |rules| rules.inner.transaction_form(number));
    let stored =
        py.detach(|| decode_stored_body(&Bytes::copy_from_slice(&raw), form)).map_err(|error| malformed(&error))?;
    let with_sender = |(inner, sender): (transaction::Transaction, Address)| Transaction {
        inner,
        sender: (!sender.is_zero()).then_some(sender),
    };
    Ok(stored.into_iter().map(with_sender).collect())
}

/// What a contract logged.
#[pyclass(frozen, module = "polygon_edge._core")]
pub struct Log {
    inner: receipt::Log,
}

#[pymethods]
impl Log {
    #[getter]
    fn address<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        bytes(py, &self.inner.address)
    }

    #[getter]
    fn topics<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyBytes>> {
        self.inner.topics.iter().map(|topic| bytes(py, topic)).collect()
    }

    #[getter]
    fn data<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        bytes(py, &self.inner.data)
    }
}

/// The outcome of one transaction, as stored.
#[pyclass(frozen, module = "polygon_edge._core")]
pub struct Receipt {
    transaction_hash: B256,
    success: bool,
    gas_used: u64,
    cumulative_gas_used: u64,
    contract_address: Option<Address>,
    logs_bloom: Box<Bloom>,
    logs: Vec<Py<Log>>,
}

#[pymethods]
impl Receipt {
    #[getter]
    fn transaction_hash<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        bytes(py, &self.transaction_hash)
    }

    #[getter]
    fn success(&self) -> bool {
        self.success
    }

    #[getter]
    fn gas_used(&self) -> u64 {
        self.gas_used
    }

    #[getter]
    fn cumulative_gas_used(&self) -> u64 {
        self.cumulative_gas_used
    }

    #[getter]
    fn contract_address<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        self.contract_address.map(|address| bytes(py, &address))
    }

    #[getter]
    fn logs_bloom<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        bytes(py, self.logs_bloom.as_slice())
    }

    #[getter]
    fn logs(&self, py: Python<'_>) -> Vec<Py<Log>> {
        self.logs.iter().map(|log| log.clone_ref(py)).collect()
    }
}

/// Decodes the stored receipts of a block.
#[pyfunction]
fn decode_receipts(py: Python<'_>, raw: PyBackedBytes) -> PyResult<Vec<Receipt>> {
    let stored =
        py.detach(|| StoredReceipt::decode_all(&Bytes::copy_from_slice(&raw))).map_err(|error| malformed(&error))?;
    stored
        .into_iter()
        .map(|StoredReceipt { receipt, logs_bloom }| {
            let logs = receipt.logs.into_iter().map(|inner| Py::new(py, Log { inner }));
            Ok(Receipt {
                transaction_hash: receipt.transaction_hash,
                success: receipt.success,
                gas_used: receipt.gas_used,
                cumulative_gas_used: receipt.cumulative_gas_used,
                contract_address: receipt.contract_address,
                logs_bloom,
                logs: logs.collect::<PyResult<_>>()?,
            })
        })
        .collect()
}

/// The bloom of addresses and topics.
#[pyfunction]
fn bloom_of<'py>(py: Python<'py>, items: Vec<PyBackedBytes>) -> Bound<'py, PyBytes> {
    bytes(py, bloom(items.iter().map(|item| &item[..])).as_slice())
}
