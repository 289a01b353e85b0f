//! Sizes for the two databases, chosen by measurement (`benches/write.rs`).

use crate::leveldb::Options;

/// Options for `trie/`.
pub fn trie_options() -> Options {
    Options { compression: false, ..Options::default() }
}

/// Options for `blockchain/`.
pub fn blockchain_options() -> Options {
    Options::default()
}
