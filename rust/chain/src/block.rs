//! Headers and blocks in their network form (§2.2, §2.3), and the stored body (§2.7).

use alloy_primitives::{Address, B256, Bytes};

use crate::{
    forks::Generation,
    receipt::Bloom,
    rlp::{self, Item, Kind, RlpError},
    transaction::Transaction,
};

/// A block header. `miner` is a vote, not the fee receiver (§3.7), and may be of any length.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Header {
    pub parent_hash: B256,
    pub uncles_hash: B256,
    pub miner: Bytes,
    pub state_root: B256,
    pub transactions_root: B256,
    pub receipts_root: B256,
    pub logs_bloom: Box<Bloom>,
    pub difficulty: u64,
    pub number: u64,
    pub gas_limit: u64,
    pub gas_used: u64,
    /// Seconds since 1970.
    pub timestamp: u64,
    pub extra_data: Bytes,
    pub mix_hash: B256,
    pub nonce: [u8; 8],
    /// Item 15, written by G3 only.
    pub base_fee: u64,
}

impl Header {
    /// Reads a header item inside `whole`; more items than the generation has are ignored, as Go does.
    ///
    /// Errors: a missing or malformed field, by its name in §2.2.
    pub fn decode(item: &Item<'_>, whole: &Bytes) -> Result<Self, RlpError> {
        let mut fields = item.list("header")?;
        Ok(Self {
            parent_hash: fields.required("parentHash")?.hash("parentHash")?,
            uncles_hash: fields.required("sha3Uncles")?.hash("sha3Uncles")?,
            miner: whole.slice_ref(fields.required("miner")?.bytes("miner")?),
            state_root: fields.required("stateRoot")?.hash("stateRoot")?,
            transactions_root: fields.required("txRoot")?.hash("txRoot")?,
            receipts_root: fields.required("receiptsRoot")?.hash("receiptsRoot")?,
            logs_bloom: Box::new(fields.required("logsBloom")?.fixed("logsBloom")?),
            difficulty: fields.required("difficulty")?.u64("difficulty")?,
            number: fields.required("number")?.u64("number")?,
            gas_limit: fields.required("gasLimit")?.u64("gasLimit")?,
            gas_used: fields.required("gasUsed")?.u64("gasUsed")?,
            timestamp: fields.required("timestamp")?.u64("timestamp")?,
            extra_data: whole.slice_ref(fields.required("extraData")?.bytes("extraData")?),
            mix_hash: fields.required("mixHash")?.hash("mixHash")?,
            nonce: fields.required("nonce")?.u64("nonce")?.to_be_bytes(),
            base_fee: fields.next().map_or(Ok(0), |fee| fee.u64("baseFee")).unwrap_or_default(),
        })
    }

    /// Reads a header from its own encoding, as the database holds it.
    pub fn decode_whole(bytes: &Bytes) -> Result<Self, RlpError> {
        Self::decode(&rlp::parse(bytes)?, bytes)
    }

    /// Appends the network form, which is also the stored form.
    pub fn put(&self, generation: Generation, out: &mut Vec<u8>) {
        rlp::put_list_with(out, |out| {
            self.put_hashed_fields(&self.extra_data, out);
            rlp::put_bytes(out, self.mix_hash.as_slice());
            rlp::put_bytes(out, &self.nonce);
            if generation == Generation::G3 {
                rlp::put_u64(out, self.base_fee);
            }
        });
    }

    /// Appends the thirteen items that every header hash begins with, under the given extra data (§3.1).
    pub(crate) fn put_hashed_fields(&self, extra_data: &[u8], out: &mut Vec<u8>) {
        for hash in [&self.parent_hash, &self.uncles_hash] {
            rlp::put_bytes(out, hash.as_slice());
        }
        rlp::put_bytes(out, &self.miner);
        for hash in [&self.state_root, &self.transactions_root, &self.receipts_root] {
            rlp::put_bytes(out, hash.as_slice());
        }
        rlp::put_bytes(out, self.logs_bloom.as_slice());
        for number in [self.difficulty, self.number, self.gas_limit, self.gas_used, self.timestamp] {
            rlp::put_u64(out, number);
        }
        rlp::put_bytes(out, extra_data);
    }
}

/// A block as archives and peers carry it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Block {
    pub header: Header,
    pub transactions: Vec<Transaction>,
    pub uncles: Vec<Header>,
}

impl Block {
    /// Reads one block record; bytes after it and surplus items are ignored, as Go does.
    ///
    /// Errors: the first malformed item or field, with its offset in `record`.
    pub fn decode(record: &Bytes) -> Result<Self, RlpError> {
        let mut parts = rlp::parse(record)?.list("block")?;
        let (header, transactions, uncles) =
            (parts.required("header")?, parts.required("transactions")?, parts.required("uncles")?);
        Ok(Self {
            header: Header::decode(&header, record)?,
            transactions: transactions
                .list("transactions")?
                .map(|item| Transaction::decode_legacy(&item, record))
                .collect::<Result<_, _>>()?,
            uncles: uncles.list("uncles")?.map(|item| Header::decode(&item, record)).collect::<Result<_, _>>()?,
        })
    }

    /// Appends the network form of a block without uncles (G1).
    pub fn put(&self, generation: Generation, out: &mut Vec<u8>) {
        rlp::put_list_with(out, |out| {
            self.header.put(generation, out);
            rlp::put_list_with(out, |out| {
                self.transactions.iter().for_each(|transaction| out.extend_from_slice(&transaction.payload));
            });
            rlp::put_list(out, &[]);
        });
    }
}

/// The header of a block record and the number of its transactions, of any generation.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Outline {
    pub header: Header,
    pub transactions: usize,
}

impl Outline {
    /// Reads the outline of one block record without decoding its transactions.
    ///
    /// A typed transaction stands as two items, of which the first is a byte string (§2.3).
    pub fn decode(record: &Bytes) -> Result<Self, RlpError> {
        let mut parts = rlp::parse(record)?.list("block")?;
        let (header, transactions) = (parts.required("header")?, parts.required("transactions")?);
        parts.required("uncles")?;
        let payloads = transactions.list("transactions")?.filter(|item| item.kind == Kind::List);
        Ok(Self { header: Header::decode(&header, record)?, transactions: payloads.count() })
    }
}

/// Appends the stored body: L(L(L(payload, from)...), L()) (§2.7). `senders` is as long as `transactions`.
pub fn put_stored_body(transactions: &[Transaction], senders: &[Address], out: &mut Vec<u8>) {
    rlp::put_list_with(out, |out| {
        rlp::put_list_with(out, |out| {
            for (transaction, sender) in transactions.iter().zip(senders) {
                rlp::put_length(out, transaction.payload.len() + 21, 0xc0);
                out.extend_from_slice(&transaction.payload);
                rlp::put_bytes(out, sender.as_slice());
            }
        });
        rlp::put_list(out, &[]);
    });
}

/// The network form of a stored block: its header as stored, its body without the senders.
///
/// Errors: the body is not of the stored form of §2.7.
pub fn network_form(header: &[u8], body: &[u8]) -> Result<Vec<u8>, RlpError> {
    let mut parts = rlp::parse(body)?.list("body")?;
    let transactions = parts.required("transactions")?;
    let uncles = parts.required("uncles")?;
    uncles.list("uncles")?;
    let mut payloads = Vec::with_capacity(transactions.raw.len());
    for stored in transactions.list("transactions")? {
        payloads.extend_from_slice(stored.list("stored transaction")?.required("payload")?.raw);
    }
    let mut out = Vec::with_capacity(header.len() + payloads.len() + 16);
    rlp::put_list_with(&mut out, |out| {
        out.extend_from_slice(header);
        rlp::put_list(out, &payloads);
        out.extend_from_slice(uncles.raw);
    });
    Ok(out)
}

/// What the body of the genesis block would be: it has no entry in the database (§1.1).
pub const EMPTY_BODY: [u8; 3] = [0xc2, 0xc0, 0xc0];
