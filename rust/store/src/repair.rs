//! Heads that a Go v0.6.x node left half-written when it was killed, and the way back to the last whole block (§4.4).
//!
//! That client writes the records of a block one by one, head pointers in the middle, and syncs nothing; it refuses to
//! start on what remains. Here no such head arises: see `commit`.

use std::fmt;

use polygon_edge_chain::B256;
use polygon_edge_chain::block::Header;
use polygon_edge_chain::state::{EMPTY_ROOT, NodeSource};

use crate::batch::Batch;
use crate::blocks::{BlockReader, Head};
use crate::data_dir::DataDir;
use crate::error::StoreError;
use crate::key_value::{Durability, KeyValueStore};
use crate::schema::{HEAD_HASH, HEAD_NUMBER, Prefix, canonical_key, decode_hash, decode_number, hash_key};

/// How far back a repair looks. A kill costs one block, a power loss what the databases had not synced; more than this is
/// a damage of another kind, which is not to be repaired by forgetting blocks.
pub const FURTHEST: u64 = 1024;

/// What of a block is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// One of the two head pointers, or they name different blocks.
    HeadPointers,
    /// The canonical hash of its number.
    CanonicalHash,
    /// Its header, or one that can be decoded and has its number.
    Header,
    /// Its body.
    Body,
    /// Its receipts.
    Receipts,
    /// Its total difficulty.
    TotalDifficulty,
    /// The root of the state after it.
    State,
}

impl fmt::Display for Missing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::HeadPointers => "head pointers that name one block",
            Self::CanonicalHash => "canonical hash",
            Self::Header => "header",
            Self::Body => "body",
            Self::Receipts => "receipts",
            Self::TotalDifficulty => "total difficulty",
            Self::State => "state",
        })
    }
}

/// A repair that was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repair {
    /// The highest block that a head pointer named.
    pub named: u64,
    /// What is missing of it.
    pub missing: Missing,
    /// The head now; none where not even the genesis block was whole, so that it can be written anew.
    pub head: Option<Head>,
}

/// Goes back to the last whole block where the head is not one; does nothing, and returns none, where it is.
///
/// The records of the blocks above it stay, as nothing points at them; look-ups lead to canonical blocks only. Errors: no
/// whole block among the last [`FURTHEST`], or a database that cannot be read or written.
pub fn repair_head(directory: &DataDir) -> Result<Option<Repair>, StoreError> {
    let blocks = directory.blocks();
    let Some((named, pointers)) = named_head(&blocks)? else { return Ok(None) };
    let look = |number| missing_of(directory, &blocks, number);
    let missing = match (pointers, look(named)?) {
        (Some(hash), Ok(found)) if found == hash => return Ok(None),
        (_, Ok(_)) => Missing::HeadPointers,
        (_, Err(missing)) => missing,
    };
    for number in (named.saturating_sub(FURTHEST)..=named).rev() {
        if let Ok(hash) = look(number)? {
            let head = Some(Head { number, hash });
            write(directory, named, head)?;
            return Ok(Some(Repair { named, missing, head }));
        }
    }
    if named == 0 {
        write(directory, 0, None)?;
        return Ok(Some(Repair { named, missing, head: None }));
    }
    Err(StoreError::Corruption {
        path: directory.path().to_owned(),
        detail: format!("block {named} lacks its {missing}, and none of the {FURTHEST} blocks below it is whole"),
    })
}

/// The highest block that `onumber` or `ohash` names, and its hash where both name it; none in empty databases.
fn named_head(blocks: &BlockReader) -> Result<Option<(u64, Option<B256>)>, StoreError> {
    let hash = blocks.reader().get(HEAD_HASH)?.map(|value| decode_hash(HEAD_HASH, &value)).transpose()?;
    let number = blocks.reader().get(HEAD_NUMBER)?.map(|value| decode_number(HEAD_NUMBER, &value)).transpose()?;
    let of_hash = match &hash {
        None => None,
        Some(hash) => decoded_header(blocks, hash)?.map(|header| header.number),
    };
    let Some(named) = number.max(of_hash) else {
        // A hash that leads nowhere: what the very first put of a chain leaves when only that survived.
        return Ok(hash.map(|_| (0, None)));
    };
    Ok(Some((named, hash.filter(|_| number == Some(named)))))
}

fn decoded_header(blocks: &BlockReader, hash: &B256) -> Result<Option<Header>, StoreError> {
    Ok(blocks.header(hash)?.and_then(|header| Header::decode_whole(&header.into()).ok()))
}

/// The hash of canonical block `number` where all of it is there, else what is missing of it.
fn missing_of(directory: &DataDir, blocks: &BlockReader, number: u64) -> Result<Result<B256, Missing>, StoreError> {
    let Some(hash) = blocks.canonical_hash(number)? else { return Ok(Err(Missing::CanonicalHash)) };
    let header = decoded_header(blocks, &hash)?.filter(|header| header.number == number);
    let Some(header) = header else { return Ok(Err(Missing::Header)) };
    let there = |prefix| blocks.reader().get(&hash_key(prefix, &hash)).map(|value| value.is_some());
    if number > 0 && !there(Prefix::Body)? {
        return Ok(Err(Missing::Body));
    }
    // The receipts are what that client writes last.
    if !there(Prefix::TotalDifficulty)? {
        return Ok(Err(Missing::TotalDifficulty));
    }
    if number > 0 && !there(Prefix::Receipts)? {
        return Ok(Err(Missing::Receipts));
    }
    let root = header.state_root;
    let state = directory
        .state()
        .node(&root)
        .map_err(|error| StoreError::Corruption { path: directory.path().to_owned(), detail: error.to_string() })?;
    if root != EMPTY_ROOT && state.is_none() {
        return Ok(Err(Missing::State));
    }
    Ok(Ok(hash))
}

/// Points the head at `head`, and takes away the canonical hashes above it up to `named`, atomically and synced.
fn write(directory: &DataDir, named: u64, head: Option<Head>) -> Result<(), StoreError> {
    let mut batch = Batch::new();
    match head {
        Some(head) => {
            // Not from the number after it: a damaged pointer may name the highest number there is.
            (head.number..=named).skip(1).for_each(|number| batch.delete(&canonical_key(number)));
            batch.put(HEAD_HASH, head.hash.as_slice());
            batch.put(HEAD_NUMBER, &head.number.to_be_bytes());
        }
        None => {
            (0..=named).for_each(|number| batch.delete(&canonical_key(number)));
            batch.delete(HEAD_HASH);
            batch.delete(HEAD_NUMBER);
        }
    }
    directory.blockchain().write(&batch, Durability::Synced)
}
