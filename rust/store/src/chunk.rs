//! Consecutive blocks in their network form, cut into the chunks of an export (§1.2).

use std::ops::ControlFlow;

use polygon_edge_chain::block::NetworkForm;

use crate::blocks::BlockReader;
use crate::error::StoreError;
use crate::schema::{Prefix, canonical_key, decode_hash, hash_key};

/// What the Go client counts beside the blocks of a chunk.
const OVERHEAD: usize = 24;
/// Memory for one block that is kept from call to call; a larger block gives its memory back.
const KEPT: usize = 1 << 20;

/// Cuts the blocks of one reader into chunks, one call after the other.
pub struct Chunker {
    blocks: BlockReader,
    header: Vec<u8>,
    body: Vec<u8>,
    /// The block that did not fit into the chunk before, so that it is not read twice.
    next: Option<(u64, Vec<u8>)>,
}

/// A chunk: height of its last block, and all its blocks one after the other.
pub type Chunk = (u64, Vec<u8>);

impl Chunker {
    /// Chunks of what `blocks` sees: pass a snapshot, so that they fit together.
    pub fn new(blocks: BlockReader) -> Self {
        Self { blocks, header: Vec::new(), body: Vec::new(), next: None }
    }

    /// The blocks from `first` to at most `last`, until 24 bytes with them and the next would reach `limit`; one at least.
    ///
    /// None where block `first` is missing; a block missing later, or a damaged one, ends the chunk before it.
    /// Errors: the database cannot be read, or block `first` is damaged.
    pub fn chunk(&mut self, first: u64, last: u64, limit: usize) -> Result<Option<Chunk>, StoreError> {
        let Self { blocks, header, body, next } = self;
        let (mut out, mut reached, mut number) = (Vec::with_capacity(limit.min(KEPT)), None, first);
        if let Some((kept, block)) = next.take()
            && kept == first
            && first <= last
        {
            (out, reached, number) = (block, Some(first), first.saturating_add(1));
        }
        // Nothing can be added to a chunk that the block from before fills alone.
        let is_full = reached.is_some() && OVERHEAD + out.len() >= limit;
        let start = canonical_key(number);
        let mut problem = None;
        let mut take = |key: &[u8], value: &[u8]| {
            if number > last || key != canonical_key(number) {
                return ControlFlow::Break(());
            }
            let block = decode_hash(key, value).and_then(|hash| {
                blocks.header_and_body(number, &hash, header, body)?;
                NetworkForm::new(header, body)
                    .map_err(|error| StoreError::bad_record(&hash_key(Prefix::Body, &hash), &error))
            });
            let block = match block {
                Ok(block) => block,
                Err(error) => {
                    problem = Some(error);
                    return ControlFlow::Break(());
                }
            };
            if reached.is_some() && OVERHEAD + out.len() + block.length() >= limit {
                let mut kept = Vec::new();
                block.put(&mut kept);
                *next = Some((number, kept));
                return ControlFlow::Break(());
            }
            block.put(&mut out);
            reached = Some(number);
            match number.checked_add(1) {
                Some(following) => number = following,
                None => return ControlFlow::Break(()),
            }
            ControlFlow::Continue(())
        };
        if !is_full {
            blocks.reader().visit(&start, &mut take)?;
        }
        self.header.shrink_to(KEPT);
        self.body.shrink_to(KEPT);
        match (reached, problem) {
            (Some(reached), _) => Ok(Some((reached, out))),
            (None, Some(error)) => Err(error),
            (None, None) => Ok(None),
        }
    }
}
