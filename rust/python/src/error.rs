//! The one place where errors of the core become the program's errors.

use std::path::Path;

use polygon_edge_chain::state::StateError;
use polygon_edge_store::StoreError;
use pyo3::prelude::*;

/// What the C library says of ENOSPC, EDQUOT and EFBIG; LevelDB hands on only the text.
const NO_SPACE: [&str; 3] = ["No space left on device", "Disk quota exceeded", "File too large"];

/// Makes `polygon_edge.errors.<class>(*arguments)`.
fn raise<'py>(py: Python<'py>, class: &str, arguments: impl pyo3::call::PyCallArgs<'py>) -> PyErr {
    let made = py
        .import("polygon_edge.errors")
        .and_then(|module| module.getattr(class))
        .and_then(|class| class.call1(arguments));
    match made {
        Ok(error) => PyErr::from_value(error),
        Err(error) => error,
    }
}

/// A state that cannot be read or written.
pub fn state(error: StateError) -> PyErr {
    Python::attach(|py| raise(py, "DataDirectoryError", ("trie", error.to_string())))
}

/// A database that cannot be opened, read or written; a full disk is told apart by the system's words.
pub fn store(path: &Path, error: &StoreError) -> PyErr {
    let message = error.to_string();
    let place = path.display().to_string();
    Python::attach(|py| {
        if NO_SPACE.iter().any(|text| message.contains(text)) {
            raise(py, "DiskFullError", (place, None::<u64>, None::<u64>))
        } else {
            raise(py, "DataDirectoryError", (place, message))
        }
    })
}

/// A record of the chain that should be there and is not, or is not what it should be.
pub fn damaged(path: &Path, problem: impl Into<String>) -> PyErr {
    Python::attach(|py| raise(py, "DataDirectoryError", (path.display().to_string(), problem.into())))
}
