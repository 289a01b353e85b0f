//! The part of LevelDB's C interface (`leveldb/c.h`) that is used, declared by hand.
#![allow(missing_docs)]

use std::ffi::{c_char, c_int};

macro_rules! opaque {
    ($($name:ident),*) => {
        $(#[repr(C)] pub struct $name { _private: [u8; 0] })*
    };
}
opaque!(Db, Cache, FilterPolicy, CursorState, OptionSet, ReadOptions, SnapshotState, WriteBatch, WriteOptions);

unsafe extern "C" {
    /// `leveldb::EnvPosixTestHelper::SetReadOnlyMMapLimit(int)`: the library has no option for it. Before the first use of
    /// any database only.
    #[link_name = "_ZN7leveldb18EnvPosixTestHelper20SetReadOnlyMMapLimitEi"]
    pub fn leveldb_set_mapped_tables(limit: c_int);

    pub fn leveldb_open(options: *const OptionSet, name: *const c_char, error: *mut *mut c_char) -> *mut Db;
    pub fn leveldb_close(db: *mut Db);
    pub fn leveldb_write(db: *mut Db, options: *const WriteOptions, batch: *mut WriteBatch, error: *mut *mut c_char);
    pub fn leveldb_get(
        db: *mut Db,
        options: *const ReadOptions,
        key: *const c_char,
        key_length: usize,
        value_length: *mut usize,
        error: *mut *mut c_char,
    ) -> *mut c_char;
    pub fn leveldb_create_iterator(db: *mut Db, options: *const ReadOptions) -> *mut CursorState;
    pub fn leveldb_create_snapshot(db: *mut Db) -> *const SnapshotState;
    pub fn leveldb_release_snapshot(db: *mut Db, snapshot: *const SnapshotState);
    pub fn leveldb_property_value(db: *mut Db, name: *const c_char) -> *mut c_char;
    pub fn leveldb_approximate_sizes(
        db: *mut Db,
        count: c_int,
        starts: *const *const c_char,
        start_lengths: *const usize,
        limits: *const *const c_char,
        limit_lengths: *const usize,
        sizes: *mut u64,
    );
    pub fn leveldb_compact_range(
        db: *mut Db,
        start: *const c_char,
        start_length: usize,
        limit: *const c_char,
        limit_length: usize,
    );
    pub fn leveldb_iter_destroy(cursor: *mut CursorState);
    pub fn leveldb_iter_valid(cursor: *const CursorState) -> u8;
    pub fn leveldb_iter_seek_to_first(cursor: *mut CursorState);
    pub fn leveldb_iter_seek_to_last(cursor: *mut CursorState);
    pub fn leveldb_iter_seek(cursor: *mut CursorState, key: *const c_char, key_length: usize);
    pub fn leveldb_iter_next(cursor: *mut CursorState);
    pub fn leveldb_iter_prev(cursor: *mut CursorState);
    pub fn leveldb_iter_key(cursor: *const CursorState, length: *mut usize) -> *const c_char;
    pub fn leveldb_iter_value(cursor: *const CursorState, length: *mut usize) -> *const c_char;
    pub fn leveldb_iter_get_error(cursor: *const CursorState, error: *mut *mut c_char);
    pub fn leveldb_writebatch_create() -> *mut WriteBatch;
    pub fn leveldb_writebatch_destroy(batch: *mut WriteBatch);
    pub fn leveldb_writebatch_put(
        batch: *mut WriteBatch,
        key: *const c_char,
        key_length: usize,
        value: *const c_char,
        value_length: usize,
    );
    pub fn leveldb_writebatch_delete(batch: *mut WriteBatch, key: *const c_char, key_length: usize);
    pub fn leveldb_options_create() -> *mut OptionSet;
    pub fn leveldb_options_destroy(options: *mut OptionSet);
    pub fn leveldb_options_set_create_if_missing(options: *mut OptionSet, value: u8);
    pub fn leveldb_options_set_paranoid_checks(options: *mut OptionSet, value: u8);
    pub fn leveldb_options_set_write_buffer_size(options: *mut OptionSet, bytes: usize);
    pub fn leveldb_options_set_max_open_files(options: *mut OptionSet, count: c_int);
    pub fn leveldb_options_set_cache(options: *mut OptionSet, cache: *mut Cache);
    pub fn leveldb_options_set_filter_policy(options: *mut OptionSet, policy: *mut FilterPolicy);
    pub fn leveldb_options_set_max_file_size(options: *mut OptionSet, bytes: usize);
    pub fn leveldb_options_set_compression(options: *mut OptionSet, kind: c_int);
    pub fn leveldb_cache_create_lru(bytes: usize) -> *mut Cache;
    pub fn leveldb_cache_destroy(cache: *mut Cache);
    pub fn leveldb_filterpolicy_create_bloom(bits_per_key: c_int) -> *mut FilterPolicy;
    pub fn leveldb_filterpolicy_destroy(policy: *mut FilterPolicy);
    pub fn leveldb_readoptions_create() -> *mut ReadOptions;
    pub fn leveldb_readoptions_destroy(options: *mut ReadOptions);
    pub fn leveldb_readoptions_set_verify_checksums(options: *mut ReadOptions, value: u8);
    pub fn leveldb_readoptions_set_fill_cache(options: *mut ReadOptions, value: u8);
    pub fn leveldb_readoptions_set_snapshot(options: *mut ReadOptions, snapshot: *const SnapshotState);
    pub fn leveldb_writeoptions_create() -> *mut WriteOptions;
    pub fn leveldb_writeoptions_destroy(options: *mut WriteOptions);
    pub fn leveldb_writeoptions_set_sync(options: *mut WriteOptions, value: u8);
    pub fn leveldb_free(pointer: *mut std::ffi::c_void);
}
