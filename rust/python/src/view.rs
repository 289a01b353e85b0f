//! The verb `view`: what a contract says in the state after a block, which need not be committed yet (§6.11).

use polygon_edge_chain::{Address, AddressMap, Bytes, U256, bls::PublicKey, execute::CallMessage};
use pyo3::prelude::*;

use crate::{call::CallOutcome, chain::Chain, convert};

/// Whether `key` is a compressed point of the group that BLS public keys are from, other than zero.
#[pyfunction]
pub fn is_bls_public_key(key: &[u8]) -> bool {
    <&[u8; 48]>::try_from(key).is_ok_and(|key| PublicKey::from_bytes(key).is_some())
}

#[pymethods]
impl Chain {
    /// Executes a call from the zero address on the state after block `number`, the last executed one or a committed one,
    /// in the context of that block but for nobody's benefit: as the Go client asks the staking contract.
    #[pyo3(name = "view", signature = (number, *, to, input, gas))]
    fn view_contract(&self, py: Python<'_>, number: u64, to: &[u8], input: &[u8], gas: u64) -> PyResult<CallOutcome> {
        let message = CallMessage {
            from: Address::ZERO,
            to: Some(convert::address(to)?),
            value: U256::ZERO,
            input: Bytes::copy_from_slice(input),
            gas,
            gas_price: U256::ZERO,
        };
        let rules = self.rules()?;
        let outcome = py.detach(|| match self.call_tip(number, Address::ZERO, &message) {
            Some(outcome) => outcome.map_err(|error| self.refused_call(error)),
            None => self.execute_message(&rules, number, Some(Address::ZERO), &message, &AddressMap::default()),
        })?;
        Ok(CallOutcome::new(py, &outcome))
    }
}
