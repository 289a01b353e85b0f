//! Headers and blocks in their network form (§2.2, §2.3), and the stored body (§2.7).

use alloy_primitives::{Address, B256, Bytes, b256, keccak256};

use crate::{
    forks::{Generation, Rules},
    receipt::Bloom,
    rlp::{self, Item, Items, Kind, RlpError},
    state::EMPTY_ROOT,
    transaction::{Form, Transaction, hashed_form},
};

/// Hash of an empty list of uncles (§2.8).
pub const EMPTY_UNCLES_HASH: B256 = b256!("1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347");

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
    pub fn decode(rules: &Rules, record: &Bytes) -> Result<Self, RlpError> {
        let mut parts = rlp::parse(record)?.list("block")?;
        let (header, transactions, uncles) =
            (parts.required("header")?, parts.required("transactions")?, parts.required("uncles")?);
        let header = Header::decode(&header, record)?;
        let form = rules.transaction_form(header.number);
        Ok(Self {
            transactions: Transaction::decode_list(transactions.list("transactions")?, record, form)?,
            header,
            uncles: uncles.list("uncles")?.map(|item| Header::decode(&item, record)).collect::<Result<_, _>>()?,
        })
    }

    /// Appends the network form of a block without uncles.
    pub fn put(&self, generation: Generation, out: &mut Vec<u8>) {
        rlp::put_list_with(out, |out| {
            self.header.put(generation, out);
            rlp::put_list_with(out, |out| {
                self.transactions.iter().for_each(|transaction| transaction.put(out));
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

/// Appends the stored body: L(L(L([type,] payload, from)...), L()) (§2.7). `senders` is as long as `transactions`.
pub fn put_stored_body(transactions: &[Transaction], senders: &[Address], out: &mut Vec<u8>) {
    rlp::put_list_with(out, |out| {
        rlp::put_list_with(out, |out| {
            for (transaction, sender) in transactions.iter().zip(senders) {
                transaction.put_stored(sender, out);
            }
        });
        rlp::put_list(out, &[]);
    });
}

/// The transactions of a stored body with their senders as stored; a sender of twenty zero bytes stands for none (§2.7).
///
/// Errors: the first malformed item or field, with its offset in `body`.
pub fn decode_stored_body(body: &Bytes, form: Form) -> Result<Vec<(Transaction, Address)>, RlpError> {
    let transactions = rlp::parse(body)?.list("body")?.required("transactions")?;
    transactions.list("transactions")?.map(|stored| Transaction::decode_stored(&stored, body, form)).collect()
}

/// Where in a stored body the transaction with this hash stands, none where it does not.
///
/// The look-up names the block, so that either form of the hash of a typed transaction (§2.5) can be taken for it.
/// Errors: the body is not of the stored form of §2.7.
pub fn position_in_stored_body(body: &[u8], hash: &B256) -> Result<Option<usize>, RlpError> {
    let transactions = rlp::parse(body)?.list("body")?.required("transactions")?;
    for (index, stored) in transactions.list("transactions")?.enumerate() {
        let mut parts = stored.list("stored transaction")?;
        let first = parts.required("payload")?;
        let found = if first.kind == Kind::Bytes {
            let (kind, payload) = (first.fixed::<1>("transaction type")?[0], parts.required("payload")?);
            [false, true].iter().any(|form| keccak256(hashed_form(Some(kind), payload.raw, *form)) == *hash)
        } else {
            keccak256(first.raw) == *hash
        };
        if found {
            return Ok(Some(index));
        }
    }
    Ok(None)
}

/// The part of a stored transaction that its network form consists of: all but the sender.
fn network_part<'a>(stored: &Item<'a>) -> Result<&'a [u8], RlpError> {
    let mut parts = stored.list("stored transaction")?;
    let first = parts.required("payload")?;
    let second = if first.kind == Kind::Bytes { parts.required("payload")?.raw.len() } else { 0 };
    Ok(&stored.payload[..first.raw.len() + second])
}

/// The network form of a stored block, not yet written: its header as stored, its body without the senders.
#[derive(Clone, Debug)]
pub struct NetworkForm<'a> {
    header: &'a [u8],
    transactions: Items<'a>,
    uncles: &'a [u8],
    /// Bytes of all payloads and types together.
    payloads: usize,
    /// Bytes of the list's items together.
    content: usize,
}

impl<'a> NetworkForm<'a> {
    /// Takes a stored block apart. Errors: the body is not of the stored form of §2.7.
    pub fn new(header: &'a [u8], body: &'a [u8]) -> Result<Self, RlpError> {
        let mut parts = rlp::parse(body)?.list("body")?;
        let transactions = parts.required("transactions")?.list("transactions")?;
        let uncles = parts.required("uncles")?;
        uncles.list("uncles")?;
        let mut payloads = 0;
        for stored in transactions.clone() {
            payloads += network_part(&stored)?.len();
        }
        let content = header.len() + rlp::encoded_length(payloads) + uncles.raw.len();
        Ok(Self { header, transactions, uncles: uncles.raw, payloads, content })
    }

    /// Bytes that [`NetworkForm::put`] appends.
    pub fn length(&self) -> usize {
        rlp::encoded_length(self.content)
    }

    /// Appends the block as archives and peers carry it.
    pub fn put(&self, out: &mut Vec<u8>) {
        out.reserve(self.length());
        rlp::put_length(out, self.content, 0xc0);
        out.extend_from_slice(self.header);
        rlp::put_length(out, self.payloads, 0xc0);
        // Each has a payload: `new` has looked.
        let parts = self.transactions.clone().filter_map(|stored| network_part(&stored).ok());
        parts.for_each(|part| out.extend_from_slice(part));
        out.extend_from_slice(self.uncles);
    }
}

/// The network form of a stored block on its own, see [`NetworkForm`].
pub fn network_form(header: &[u8], body: &[u8]) -> Result<Vec<u8>, RlpError> {
    let form = NetworkForm::new(header, body)?;
    let mut out = Vec::new();
    form.put(&mut out);
    Ok(out)
}

/// A stored body without transactions; that of the genesis block has no entry in the database (§1.1).
pub const EMPTY_BODY: [u8; 3] = [0xc2, 0xc0, 0xc0];

/// Whether a stored header says that its block has neither transactions nor uncles, so that its body is [`EMPTY_BODY`].
pub fn says_empty(header: &[u8]) -> bool {
    let items = rlp::first(header).and_then(|item| item.list("header"));
    items.is_ok_and(|mut items| {
        // sha3Uncles is item 1, txRoot item 4; `nth` counts from where it stands.
        items.nth(1).is_some_and(|uncles| uncles.payload == EMPTY_UNCLES_HASH.as_slice())
            && items.nth(2).is_some_and(|root| root.payload == EMPTY_ROOT.as_slice())
    })
}

#[cfg(test)]
mod tests {
    use alloy_primitives::U256;

    use super::*;
    use crate::transaction::Type;

    fn transaction(input: Bytes) -> Transaction {
        let mut payload = Vec::new();
        rlp::put_list_with(&mut payload, |out| {
            for item in [&[7][..], &[], &[0x52, 0x08], &[5; 20], &[1], &input, &[27], &[1; 32], &[2; 32]] {
                rlp::put_bytes(out, item);
            }
        });
        let payload = Bytes::from(payload);
        Transaction {
            kind: Type::Legacy,
            nonce: 7,
            gas_price: U256::ZERO,
            gas: 0x5208,
            to: Some(Address::repeat_byte(5)),
            value: U256::from(1),
            input,
            v: vec![27],
            r: U256::from_be_bytes([1; 32]),
            s: U256::from_be_bytes([2; 32]),
            hash: keccak256(&payload),
            from: None,
            payload,
        }
    }

    const FORM: Form = Form { generation: Generation::G1, hashed_with_type: false };

    fn stored(transactions: &[Transaction], senders: &[Address]) -> Bytes {
        let mut body = Vec::new();
        put_stored_body(transactions, senders, &mut body);
        body.into()
    }

    #[test]
    fn a_stored_body_comes_back_and_is_searched_by_hash() {
        let transactions: Vec<_> = (0..60u8).map(|size| transaction(vec![size; usize::from(size)].into())).collect();
        let senders: Vec<_> = (0..60).map(Address::repeat_byte).collect();
        let body = stored(&transactions, &senders);
        let expected: Vec<_> = transactions.iter().cloned().zip(senders).collect();
        assert_eq!(decode_stored_body(&body, FORM).unwrap(), expected);
        for (index, (transaction, _)) in expected.iter().enumerate() {
            assert_eq!(position_in_stored_body(&body, &transaction.hash).unwrap(), Some(index));
        }
        assert_eq!(position_in_stored_body(&body, &B256::ZERO).unwrap(), None);
        assert!(decode_stored_body(&Bytes::from_static(&[0xc3, 0xc1, 0xc0, 0xc0]), FORM).is_err());
    }

    #[test]
    fn a_header_says_whether_its_block_is_empty() {
        let header = |uncles_hash, transactions_root| {
            let mut out = Vec::new();
            let header = Header {
                parent_hash: B256::ZERO,
                uncles_hash,
                miner: Bytes::from_static(&[1; 72]),
                state_root: EMPTY_ROOT,
                transactions_root,
                receipts_root: EMPTY_ROOT,
                logs_bloom: Box::new([0; 256]),
                difficulty: 7,
                number: 7,
                gas_limit: 1,
                gas_used: 0,
                timestamp: 0,
                extra_data: Bytes::new(),
                mix_hash: B256::ZERO,
                nonce: [0; 8],
                base_fee: 0,
            };
            header.put(Generation::G1, &mut out);
            out
        };
        assert!(says_empty(&header(EMPTY_UNCLES_HASH, EMPTY_ROOT)));
        assert!(!says_empty(&header(EMPTY_UNCLES_HASH, EMPTY_UNCLES_HASH)));
        assert!(!says_empty(&header(EMPTY_ROOT, EMPTY_ROOT)));
        assert!(!says_empty(&[0xc0]));
        assert!(!says_empty(&[]));
    }

    #[test]
    fn the_network_form_is_as_long_as_it_says_and_has_no_senders() {
        let header = [0xc0; 1];
        for sizes in [vec![], vec![0], vec![1, 55, 56], vec![300; 3], vec![70_000]] {
            let transactions: Vec<_> = sizes.iter().map(|&size| transaction(vec![9; size].into())).collect();
            let body = stored(&transactions, &vec![Address::ZERO; sizes.len()]);
            let mut payloads = Vec::new();
            transactions.iter().for_each(|transaction| payloads.extend_from_slice(&transaction.payload));
            let mut expected = Vec::new();
            rlp::put_list_with(&mut expected, |out| {
                out.extend_from_slice(&header);
                rlp::put_list(out, &payloads);
                rlp::put_list(out, &[]);
            });
            assert_eq!(NetworkForm::new(&header, &body).unwrap().length(), expected.len());
            assert_eq!(network_form(&header, &body).unwrap(), expected);
        }
        assert!(NetworkForm::new(&header, &[0xc1, 0xc0]).is_err());
    }
}
