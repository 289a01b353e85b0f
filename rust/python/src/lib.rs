//! The border between Python and the Rust core: one file per verb, the interpreter lock released, nothing else.
//!
//! Documented for Python in `src/polygon_edge/_core.pyi`. An import crosses it once per run of blocks, never per transaction.
#![deny(unsafe_code)]

use pyo3::prelude::*;

mod call;
mod chain;
mod construct;
mod convert;
mod decode;
mod doubts;
mod error;
mod executors;
mod genesis;
mod headers;
mod keys;
mod lock;
mod prepare;
mod propose;
mod query;
mod repair;
mod rules;
mod snapshot;
mod stored;
mod view;

/// The Rust core of polygon-edge.
#[pymodule(gil_used = true)]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<rules::Rules>()?;
    module.add_class::<genesis::Genesis>()?;
    module.add_class::<prepare::Run>()?;
    module.add_class::<prepare::Violation>()?;
    module.add_class::<doubts::Doubt>()?;
    module.add_class::<headers::HeaderSummary>()?;
    module.add_class::<chain::Chain>()?;
    module.add_class::<chain::Executed>()?;
    module.add_class::<call::CallOutcome>()?;
    module.add_class::<propose::Proposal>()?;
    module.add_class::<construct::Construction>()?;
    module.add_function(wrap_pyfunction!(construct::construct, module)?)?;
    module.add("CallRefusedError", module.py().get_type::<call::CallRefusedError>())?;
    module.add_function(wrap_pyfunction!(prepare::prepare, module)?)?;
    module.add_function(wrap_pyfunction!(headers::summarise, module)?)?;
    module.add_function(wrap_pyfunction!(convert::keccak256, module)?)?;
    module.add_function(wrap_pyfunction!(view::is_bls_public_key, module)?)?;
    keys::register(module)?;
    decode::register(module)?;
    module.add_class::<snapshot::Snapshot>()?;
    Ok(())
}
