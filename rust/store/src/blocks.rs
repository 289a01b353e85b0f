//! Blocks in `blockchain/`: reading them, and the batch that adds a run of them (§4.2, §4.3).
//!
//! Headers, bodies and receipts go in and out as bytes; the chain crate knows what they mean.

use std::path::PathBuf;
use std::sync::Arc;

use polygon_edge_chain::block::{EMPTY_BODY, Header, says_empty};
use polygon_edge_chain::{B256, U256};

use crate::batch::Batch;
use crate::error::StoreError;
use crate::key_value::KeyValueReader;
use crate::schema::{
    HEAD_HASH, HEAD_NUMBER, Prefix, canonical_key, decode_difficulty, decode_hash, decode_lookup, decode_number,
    encode_difficulty, encode_lookup, hash_key,
};

/// The last canonical block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Block number.
    pub number: u64,
    /// Block hash.
    pub hash: B256,
}

/// Reads blocks from a database or from a snapshot of one. Clones share it.
#[derive(Clone)]
pub struct BlockReader {
    reader: Arc<dyn KeyValueReader>,
}

impl BlockReader {
    /// Reads from `reader`: pass a snapshot when several reads must fit together.
    pub fn new(reader: Arc<dyn KeyValueReader>) -> Self {
        Self { reader }
    }

    /// The head, or none in a new database.
    ///
    /// Errors: [`StoreError::HeadMismatch`] or [`StoreError::HalfHead`] when the two pointers do not name one canonical
    /// block, as after a kill of a Go v0.6.x node (§4.4).
    pub fn head(&self) -> Result<Option<Head>, StoreError> {
        let hash = self.reader.get(HEAD_HASH)?;
        let number = self.reader.get(HEAD_NUMBER)?;
        match (hash, number) {
            (None, None) => Ok(None),
            (Some(_), None) => Err(StoreError::HalfHead { present: "ohash", missing: "onumber" }),
            (None, Some(_)) => Err(StoreError::HalfHead { present: "onumber", missing: "ohash" }),
            (Some(hash), Some(number)) => {
                let hash = decode_hash(HEAD_HASH, &hash)?;
                let number = decode_number(HEAD_NUMBER, &number)?;
                let canonical = self.canonical_hash(number)?;
                if canonical == Some(hash) {
                    Ok(Some(Head { number, hash }))
                } else {
                    Err(StoreError::HeadMismatch { number, hash, canonical })
                }
            }
        }
    }

    /// What the blocks are read from.
    pub(crate) fn reader(&self) -> &dyn KeyValueReader {
        self.reader.as_ref()
    }

    /// Number of the block with this hash, if it is canonical.
    pub fn number(&self, hash: &B256) -> Result<Option<u64>, StoreError> {
        let key = hash_key(Prefix::Header, hash);
        let Some(header) = self.reader.get(&key)? else { return Ok(None) };
        let number = Header::decode_whole(&header.into()).map_err(|error| StoreError::bad_record(&key, &error))?.number;
        Ok((self.canonical_hash(number)? == Some(*hash)).then_some(number))
    }

    /// Hash of the canonical block `number`.
    pub fn canonical_hash(&self, number: u64) -> Result<Option<B256>, StoreError> {
        let key = canonical_key(number);
        self.reader.get(&key)?.map(|value| decode_hash(&key, &value)).transpose()
    }

    /// Header RLP of the block with this hash.
    pub fn header(&self, hash: &B256) -> Result<Option<Vec<u8>>, StoreError> {
        self.reader.get(&hash_key(Prefix::Header, hash))
    }

    /// Body RLP in its storage form, with senders (§2.7); none for the genesis block.
    pub fn body(&self, hash: &B256) -> Result<Option<Vec<u8>>, StoreError> {
        self.reader.get(&hash_key(Prefix::Body, hash))
    }

    /// Puts header and stored body of block `number`, whose hash is `hash`, in place of what is in `header` and `body`.
    ///
    /// The body of a block whose header says that it is empty is not looked for: most blocks of most chains are.
    /// Errors: one of them is missing.
    pub fn header_and_body(
        &self,
        number: u64,
        hash: &B256,
        header: &mut Vec<u8>,
        body: &mut Vec<u8>,
    ) -> Result<(), StoreError> {
        let missing = |prefix: Prefix, what: &str| {
            StoreError::bad_record(&hash_key(prefix, hash), &format_args!("the {what} of block {number} is missing"))
        };
        if !self.reader.get_into(&hash_key(Prefix::Header, hash), header)? {
            return Err(missing(Prefix::Header, "header"));
        }
        if number == 0 || says_empty(header) {
            body.clear();
            body.extend_from_slice(&EMPTY_BODY);
        } else if !self.reader.get_into(&hash_key(Prefix::Body, hash), body)? {
            return Err(missing(Prefix::Body, "body"));
        }
        Ok(())
    }

    /// Receipts RLP in their storage form (§2.7); none for the genesis block.
    pub fn receipts(&self, hash: &B256) -> Result<Option<Vec<u8>>, StoreError> {
        self.reader.get(&hash_key(Prefix::Receipts, hash))
    }

    /// Sum of the difficulties up to and including the block with this hash.
    pub fn total_difficulty(&self, hash: &B256) -> Result<Option<U256>, StoreError> {
        let key = hash_key(Prefix::TotalDifficulty, hash);
        self.reader.get(&key)?.map(|value| decode_difficulty(&key, &value)).transpose()
    }

    /// Hash of the block that holds the transaction with this hash; its place in the block is not stored.
    pub fn transaction_block(&self, transaction_hash: &B256) -> Result<Option<B256>, StoreError> {
        let key = hash_key(Prefix::Lookup, transaction_hash);
        self.reader.get(&key)?.map(|value| decode_lookup(&key, &value)).transpose()
    }
}

/// The genesis block: no body, no receipts (§4.2).
#[derive(Clone, Copy, Debug)]
pub struct GenesisRecord<'a> {
    /// Hash computed from the genesis file.
    pub hash: B256,
    /// Header RLP.
    pub header: &'a [u8],
    /// Its difficulty, which starts the sum.
    pub difficulty: U256,
}

/// A block after genesis.
#[derive(Clone, Copy, Debug)]
pub struct BlockRecord<'a> {
    /// Block number, one more than that of the record before it in the batch.
    pub number: u64,
    /// Block hash.
    pub hash: B256,
    /// Header RLP.
    pub header: &'a [u8],
    /// Body RLP in its storage form; `c2 c0 c0` when empty, never left out.
    pub body: &'a [u8],
    /// Receipts RLP in their storage form; `c0` when empty, never left out.
    pub receipts: &'a [u8],
    /// Sum of the difficulties up to and including this block.
    pub total_difficulty: U256,
    /// Hashes of its transactions, for the look-up.
    pub transaction_hashes: &'a [B256],
}

/// A run of canonical blocks on its way into `blockchain/`; the head pointers come last, once (§4.3).
#[derive(Clone, Debug, Default)]
pub struct BlockBatch {
    batch: Batch,
    head: Option<Head>,
}

impl BlockBatch {
    /// An empty run.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the genesis block.
    pub fn put_genesis(&mut self, genesis: &GenesisRecord<'_>) -> Result<(), StoreError> {
        self.follow(Head { number: 0, hash: genesis.hash })?;
        self.batch.put(&hash_key(Prefix::Header, &genesis.hash), genesis.header);
        self.batch.put(&canonical_key(0), genesis.hash.as_slice());
        self.put_difficulty(&genesis.hash, &genesis.difficulty);
        Ok(())
    }

    /// Adds a block: body, look-ups, header, canonical hash, difficulty, receipts.
    ///
    /// Errors: [`StoreError::InvalidArgument`] when it does not follow the block added before.
    pub fn put_block(&mut self, block: &BlockRecord<'_>) -> Result<(), StoreError> {
        self.follow(Head { number: block.number, hash: block.hash })?;
        self.batch.put(&hash_key(Prefix::Body, &block.hash), block.body);
        let lookup = encode_lookup(&block.hash);
        for transaction_hash in block.transaction_hashes {
            self.batch.put(&hash_key(Prefix::Lookup, transaction_hash), &lookup);
        }
        self.batch.put(&hash_key(Prefix::Header, &block.hash), block.header);
        self.batch.put(&canonical_key(block.number), block.hash.as_slice());
        self.put_difficulty(&block.hash, &block.total_difficulty);
        self.batch.put(&hash_key(Prefix::Receipts, &block.hash), block.receipts);
        Ok(())
    }

    /// Bytes collected so far.
    pub fn size(&self) -> usize {
        self.batch.size()
    }

    /// The block that will be the head; none in an empty run.
    pub fn head(&self) -> Option<Head> {
        self.head
    }

    /// The finished batch, with the head pointers as its last two entries; empty for an empty run.
    pub fn into_batch(mut self) -> Batch {
        if let Some(head) = self.head {
            self.batch.put(HEAD_HASH, head.hash.as_slice());
            self.batch.put(HEAD_NUMBER, &head.number.to_be_bytes());
        }
        self.batch
    }

    fn follow(&mut self, next: Head) -> Result<(), StoreError> {
        if let Some(head) = self.head
            && head.number.checked_add(1) != Some(next.number)
        {
            return Err(StoreError::InvalidArgument {
                path: PathBuf::from("blockchain"),
                detail: format!("block {} put after block {}", next.number, head.number),
            });
        }
        self.head = Some(next);
        Ok(())
    }

    fn put_difficulty(&mut self, hash: &B256, difficulty: &U256) {
        self.batch.put(&hash_key(Prefix::TotalDifficulty, hash), &encode_difficulty(difficulty));
    }
}
