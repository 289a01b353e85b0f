//! The border between Python and the Rust core.
