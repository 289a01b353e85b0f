//! The verb `call`: a message executed on the state of any block, keeping nothing.

use std::sync::Arc;

use polygon_edge_chain::{
    Address, AddressMap, B256, Bytes,
    block::Header,
    evm::Status,
    execute::{self, BlockContext, CallMessage, ExecutionError},
    forks::Rules,
    journal::Fault,
    run,
    state::StateError,
    state_override::{AccountOverride, OverriddenState},
    state_trie::StateView,
};
use polygon_edge_store::BlockReader;
use pyo3::{
    create_exception, exceptions::PyLookupError, exceptions::PyValueError, prelude::*, pybacked::PyBackedBytes,
    types::PyBytes,
};

use crate::{chain::Chain, convert, error};

create_exception!(
    polygon_edge._core,
    CallRefusedError,
    PyValueError,
    "A message that cannot be executed at all; in the Go client's words where it has any (fact sheet §5.6)."
);

/// What is replaced of one account: address, nonce, balance, code, slots, whether it has no others.
type OverrideEntry<'py> = (
    PyBackedBytes,
    Option<u64>,
    Option<Bound<'py, PyAny>>,
    Option<PyBackedBytes>,
    Vec<(PyBackedBytes, PyBackedBytes)>,
    bool,
);

fn account_override(entry: OverrideEntry<'_>) -> PyResult<(Address, AccountOverride)> {
    let (address, nonce, balance, code, storage, storage_is_whole) = entry;
    let word = |(slot, value): &(PyBackedBytes, PyBackedBytes)| {
        Ok((convert::word_of_bytes("slot", slot)?, convert::word_of_bytes("slot value", value)?))
    };
    let replaced = AccountOverride {
        nonce,
        balance: balance.map(|balance| convert::word("balance", &balance)).transpose()?,
        code: code.map(|code| Bytes::copy_from_slice(&code)),
        storage: storage.iter().map(word).collect::<PyResult<_>>()?,
        storage_is_whole,
    };
    Ok((convert::address(&address)?, replaced))
}

/// What a message came to.
#[pyclass(frozen, get_all, module = "polygon_edge._core")]
pub struct CallOutcome {
    /// "success", "revert", or why it failed in the Go client's words.
    status: &'static str,
    /// Output, or the data of a REVERT; empty after another failure.
    output: Py<PyBytes>,
    /// After refund.
    gas_used: u64,
}

/// The hash of canonical block `number`, zero where there is none.
pub(crate) fn canonical_hash(blocks: &BlockReader, number: u64) -> Result<B256, StateError> {
    let hash = blocks.canonical_hash(number).map_err(|error| StateError::Database(error.to_string()))?;
    Ok(hash.unwrap_or_default())
}

/// Receiver of fees, as when the block was executed. Nobody sealed block 0; there it is the genesis file's `coinbase`.
fn coinbase(header: &Header, hash: &B256, rules: &Rules) -> Option<Address> {
    if header.number == 0 {
        return Some(Address::try_from(header.miner.as_ref()).unwrap_or_default());
    }
    run::fee_receiver(rules, hash, header)
}

#[pymethods]
impl Chain {
    /// Executes a message on the state of block `number`, in the context of that block, and keeps nothing.
    #[pyo3(signature = (number, *, sender, to, value, input, gas, gas_price, overrides=Vec::new()))]
    #[allow(clippy::too_many_arguments)]
    fn call(
        &self,
        py: Python<'_>,
        number: u64,
        sender: &[u8],
        to: Option<&[u8]>,
        value: &Bound<'_, PyAny>,
        input: &[u8],
        gas: u64,
        gas_price: &Bound<'_, PyAny>,
        overrides: Vec<OverrideEntry<'_>>,
    ) -> PyResult<CallOutcome> {
        let message = CallMessage {
            from: convert::address(sender)?,
            to: to.map(convert::address).transpose()?,
            value: convert::word("value", value)?,
            input: Bytes::copy_from_slice(input),
            gas,
            gas_price: convert::word("gas price", gas_price)?,
        };
        let rules = self.rules()?;
        let overrides = overrides.into_iter().map(account_override).collect::<PyResult<AddressMap<_>>>()?;
        let outcome = py.detach(|| self.execute_message(&rules, number, None, &message, &overrides))?;
        Ok(CallOutcome::new(py, &outcome))
    }
}

/// How a message ended, as a text.
pub(crate) fn status_text(status: Status) -> &'static str {
    match status {
        Status::Success => "success",
        Status::Reverted => "revert",
        Status::Failed(failure) => failure.client_text(),
    }
}

impl CallOutcome {
    pub(crate) fn new(py: Python<'_>, outcome: &execute::CallOutcome) -> Self {
        Self {
            status: status_text(outcome.status),
            output: PyBytes::new(py, &outcome.output).unbind(),
            gas_used: outcome.gas_used,
        }
    }
}

impl Chain {
    /// Executes a message on the state of a committed block, with `overrides` in it, under its own coinbase unless another
    /// is given.
    pub(crate) fn execute_message(
        &self,
        rules: &Rules,
        number: u64,
        other_coinbase: Option<Address>,
        message: &CallMessage,
        overrides: &AddressMap<AccountOverride>,
    ) -> PyResult<execute::CallOutcome> {
        let damaged = |error: &dyn std::fmt::Display| error::damaged(&self.path, error.to_string());
        let Some((hash, header)) = self.decoded_header(number)? else {
            return Err(PyLookupError::new_err(format!("no such block: {number}")));
        };
        let coinbase = other_coinbase
            .or_else(|| coinbase(&header, &hash, rules))
            .ok_or_else(|| damaged(&format!("block {number}: a proposer seal that does not recover")))?;
        let context = BlockContext {
            number: header.number,
            timestamp: header.timestamp,
            gas_limit: header.gas_limit,
            difficulty: header.difficulty,
            coinbase,
            base_fee: header.base_fee,
        };
        let directory = self.directory()?;
        let blocks = directory.blocks();
        let mut view =
            StateView::open(header.state_root, Arc::new(directory.state())).map_err(|error| damaged(&error))?;
        let mut executor = self.callers.take(rules);
        let mut stored = view.reader(|number| canonical_hash(&blocks, number));
        let outcome = executor.call(&context, message, &mut OverriddenState::new(&mut stored, overrides));
        self.callers.give_back(executor);
        outcome.map_err(|error| self.refused_call(error))
    }

    pub(crate) fn refused_call(&self, error: ExecutionError) -> PyErr {
        match error {
            ExecutionError::Fault { fault: Fault::State(error), .. } => error::damaged(&self.path, error.to_string()),
            ExecutionError::Fault { fault, .. } => CallRefusedError::new_err(fault.to_string()),
            ExecutionError::Transaction { rule, .. } => CallRefusedError::new_err(rule.client_text()),
            error @ ExecutionError::Block { .. } => CallRefusedError::new_err(error.to_string()),
        }
    }
}
