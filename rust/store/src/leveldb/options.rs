//! Options as Rust values, and the C objects made of them.

use std::ffi::c_int;
use std::ptr;

use super::ffi;

/// How a database is opened. The sizes are bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Make the database, not its parent folders, when there is none.
    pub create_if_missing: bool,
    /// Refuse to open over a journal or manifest that fails its checksums, instead of dropping what cannot be read.
    pub paranoid_checks: bool,
    /// Verify the checksum of every block that is read from disk.
    pub verify_checksums: bool,
    /// Memory table size; two of them can exist at a time.
    pub write_buffer_size: usize,
    /// Cache of decompressed blocks.
    pub block_cache_size: usize,
    /// Target size of a table file; LevelDB accepts 1 MiB to 1 GiB.
    pub max_file_size: usize,
    /// Open files; LevelDB accepts 74 to 50,000. Open tables are mapped, so this bounds mapped memory as well.
    pub max_open_files: u16,
    /// Snappy-compress the blocks of new tables.
    pub compression: bool,
    /// Bits per key of the Bloom filter in new tables; none writes no filter, like the Go client.
    pub bloom_bits_per_key: Option<u8>,
}

impl Default for Options {
    /// LevelDB's own sizes, strict about checksums.
    fn default() -> Self {
        Self {
            create_if_missing: false,
            paranoid_checks: true,
            verify_checksums: true,
            write_buffer_size: 4 << 20,
            block_cache_size: 8 << 20,
            max_file_size: 2 << 20,
            max_open_files: 1000,
            compression: true,
            bloom_bits_per_key: None,
        }
    }
}

/// Options, cache and filter of an open database; they must outlive it.
pub(super) struct OptionSet {
    pub(super) options: *mut ffi::OptionSet,
    cache: *mut ffi::Cache,
    filter: *mut ffi::FilterPolicy,
}

impl OptionSet {
    pub(super) fn new(options: &Options) -> Self {
        // SAFETY: constructors without preconditions; the setters get a live options object. Cache and filter are
        // freed after the database, see the field order of `Handle`.
        unsafe {
            let set = ffi::leveldb_options_create();
            let cache = ffi::leveldb_cache_create_lru(options.block_cache_size);
            let filter = match options.bloom_bits_per_key {
                Some(bits) => ffi::leveldb_filterpolicy_create_bloom(c_int::from(bits)),
                None => ptr::null_mut(),
            };
            ffi::leveldb_options_set_create_if_missing(set, u8::from(options.create_if_missing));
            ffi::leveldb_options_set_paranoid_checks(set, u8::from(options.paranoid_checks));
            ffi::leveldb_options_set_write_buffer_size(set, options.write_buffer_size);
            ffi::leveldb_options_set_max_open_files(set, c_int::from(options.max_open_files));
            ffi::leveldb_options_set_max_file_size(set, options.max_file_size);
            ffi::leveldb_options_set_compression(set, c_int::from(options.compression));
            ffi::leveldb_options_set_cache(set, cache);
            if !filter.is_null() {
                ffi::leveldb_options_set_filter_policy(set, filter);
            }
            Self { options: set, cache, filter }
        }
    }
}

impl Drop for OptionSet {
    fn drop(&mut self) {
        // SAFETY: all three were created in `new` and are freed once; no database uses them any more.
        unsafe {
            ffi::leveldb_options_destroy(self.options);
            ffi::leveldb_cache_destroy(self.cache);
            if !self.filter.is_null() {
                ffi::leveldb_filterpolicy_destroy(self.filter);
            }
        }
    }
}

/// Read options, owned. Without a snapshot they read the newest state.
pub(super) struct ReadOptions(pub(super) *mut ffi::ReadOptions);

impl ReadOptions {
    pub(super) fn new(verify_checksums: bool, fill_cache: bool) -> Self {
        // SAFETY: plain constructor and setters on the object just made.
        unsafe {
            let options = ffi::leveldb_readoptions_create();
            ffi::leveldb_readoptions_set_verify_checksums(options, u8::from(verify_checksums));
            ffi::leveldb_readoptions_set_fill_cache(options, u8::from(fill_cache));
            Self(options)
        }
    }
}

impl Drop for ReadOptions {
    fn drop(&mut self) {
        // SAFETY: created in `new`, freed once.
        unsafe { ffi::leveldb_readoptions_destroy(self.0) }
    }
}
