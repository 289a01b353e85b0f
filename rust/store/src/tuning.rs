//! Sizes for the two databases, chosen by measurement (`benches/write.rs`) and by the memory a node may use.
//!
//! Measured on two busy cores, so only the ratios mean something. `trie/`, 650,000 nodes in 200 synced batches: 4 MiB
//! buffer with Snappy 22.2 s (8.0 s of processor), without 12.3 s (5.6), 16 MiB buffer without 9.8 s (4.7). Not syncing
//! would save an eighth of the time. `blockchain/`, 200 synced batches of 250 kB: Snappy 3.1 s and 0.63 bytes on disk per
//! byte written, plain 3.1 s and 1.69; a 16 MiB buffer was no faster.
//!
//! LevelDB maps a bounded number of the tables it has open (`leveldb.rs`): 16 x 2 MiB = 32 MiB, clean pages that the system
//! takes back under pressure. Buffers exist twice while one is flushed.

use crate::leveldb::Options;

/// Memory table of `trie/`: its keys are random, so every flush meets all tables; fewer flushes, less rewriting.
pub const TRIE_WRITE_BUFFER: usize = 16 << 20;
/// Memory table of `blockchain/`; a larger one gained nothing.
pub const BLOCKCHAIN_WRITE_BUFFER: usize = 4 << 20;
/// Cache of decompressed blocks of each database; mapped uncompressed blocks do not go through it.
pub const BLOCK_CACHE: usize = 8 << 20;
/// Table size of the Go client.
pub const TABLE_SIZE: usize = 2 << 20;
/// The fewest that LevelDB accepts; ten of them are not tables.
pub const OPEN_FILES: u16 = 74;

/// Options for `trie/`: no compression, because a node is mostly hashes.
pub fn trie_options() -> Options {
    Options {
        write_buffer_size: TRIE_WRITE_BUFFER,
        block_cache_size: BLOCK_CACHE,
        max_file_size: TABLE_SIZE,
        max_open_files: OPEN_FILES,
        compression: false,
        ..Options::default()
    }
}

/// Options for `blockchain/`: Snappy, like the Go client.
pub fn blockchain_options() -> Options {
    Options {
        write_buffer_size: BLOCKCHAIN_WRITE_BUFFER,
        block_cache_size: BLOCK_CACHE,
        max_file_size: TABLE_SIZE,
        max_open_files: OPEN_FILES,
        compression: true,
        ..Options::default()
    }
}
