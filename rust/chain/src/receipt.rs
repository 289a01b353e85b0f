//! Receipts, logs and blooms (§2.6), in their consensus and their storage form (§2.7).

use alloy_primitives::{Address, B256, Bytes, keccak256};

use crate::rlp::{self, Item, Kind, RlpError};

/// 2048 bits, big-endian, as on Ethereum.
pub type Bloom = [u8; 256];

/// What LOG0 to LOG4 leave behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// The contract that logged.
    pub address: Address,
    /// Zero to four topics.
    pub topics: Vec<B256>,
    /// The data, unstructured.
    pub data: Bytes,
}

/// The outcome of one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// 1 or 0; execution always sets it.
    pub success: bool,
    /// Gas used in the block up to and with this transaction.
    pub cumulative_gas_used: u64,
    /// In order of emission.
    pub logs: Vec<Log>,
    /// Set for every transaction with `to` absent, successful or not.
    pub contract_address: Option<Address>,
    /// Of this transaction, after refund.
    pub gas_used: u64,
    /// Hash of the transaction.
    pub transaction_hash: B256,
}

impl Receipt {
    /// The bloom over addresses and topics of all logs.
    pub fn bloom(&self) -> Bloom {
        bloom_of(self.logs.iter().flat_map(|log| {
            std::iter::once(log.address.as_slice()).chain(log.topics.iter().map(|topic| topic.as_slice()))
        }))
    }

    /// Appends the consensus form: L(status, cumulativeGasUsed, bloom, logs).
    pub fn put_consensus(&self, out: &mut Vec<u8>) {
        rlp::put_list_with(out, |out| {
            rlp::put_u64(out, u64::from(self.success));
            rlp::put_u64(out, self.cumulative_gas_used);
            rlp::put_bytes(out, &self.bloom());
            rlp::put_list_with(out, |out| self.logs.iter().for_each(|log| log.put(out)));
        });
    }

    /// Appends the storage form: L(consensus, contractAddress or 0x80, gasUsed, txHash), around a consensus form; the
    /// type of a typed transaction stands before it as a first item.
    pub fn put_stored(&self, transaction_type: Option<u8>, consensus: &[u8], out: &mut Vec<u8>) {
        rlp::put_list_with(out, |out| {
            transaction_type.iter().for_each(|byte| rlp::put_bytes(out, &[*byte]));
            out.extend_from_slice(consensus);
            rlp::put_bytes(out, self.contract_address.as_ref().map_or(&[], |address| address.as_slice()));
            rlp::put_u64(out, self.gas_used);
            rlp::put_bytes(out, self.transaction_hash.as_slice());
        });
    }
}

/// A receipt as the database holds it: with the bloom that was written, which need not be computed again.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct StoredReceipt {
    pub receipt: Receipt,
    pub logs_bloom: Box<Bloom>,
}

impl StoredReceipt {
    /// Reads the stored receipts of one block; the data of logs shares the memory of `whole`.
    ///
    /// As lenient as the Go client (§2.6, §2.7): a status other than one byte of 1 is a failure, a contract address that is
    /// not of 20 bytes is none, and very old receipts have no transaction hash, which is then zero.
    /// Errors: the first malformed item or field, with its offset in `whole`.
    pub fn decode_all(whole: &Bytes) -> Result<Vec<Self>, RlpError> {
        rlp::parse(whole)?.list("receipts")?.map(|item| Self::decode(&item, whole)).collect()
    }

    fn decode(item: &Item<'_>, whole: &Bytes) -> Result<Self, RlpError> {
        let mut stored = item.list("stored receipt")?;
        let mut first = stored.required("receipt")?;
        if first.kind == Kind::Bytes {
            // The type, which stands with the transaction as well.
            first = stored.required("receipt")?;
        }
        let mut fields = first.list("receipt")?;
        let (contract_address, gas_used) = (stored.required("contractAddress")?, stored.required("gasUsed")?);
        let transaction_hash = stored.next().map_or(Ok(B256::ZERO), |hash| hash.hash("txHash"))?;
        let status = fields.required("status")?.bytes("status")?;
        let cumulative_gas_used = fields.required("cumulativeGasUsed")?.u64("cumulativeGasUsed")?;
        let logs_bloom = Box::new(fields.required("logsBloom")?.fixed("logsBloom")?);
        let logs = fields.required("logs")?.list("logs")?;
        let receipt = Receipt {
            success: status == [1],
            cumulative_gas_used,
            logs: logs.map(|log| Log::decode(&log, whole)).collect::<Result<_, _>>()?,
            contract_address: (contract_address.kind == Kind::Bytes)
                .then(|| Address::try_from(contract_address.payload).ok())
                .flatten(),
            gas_used: gas_used.u64("gasUsed")?,
            transaction_hash,
        };
        Ok(Self { receipt, logs_bloom })
    }
}

impl Log {
    fn decode(item: &Item<'_>, whole: &Bytes) -> Result<Self, RlpError> {
        let mut fields = item.list("log")?;
        let (address, topics, data) =
            (fields.required("address")?, fields.required("topics")?, fields.required("data")?);
        Ok(Self {
            address: address.address("address")?,
            topics: topics.list("topics")?.map(|topic| topic.hash("topic")).collect::<Result<_, _>>()?,
            data: whole.slice_ref(data.bytes("data")?),
        })
    }

    fn put(&self, out: &mut Vec<u8>) {
        rlp::put_list_with(out, |out| {
            rlp::put_bytes(out, self.address.as_slice());
            rlp::put_list_with(out, |out| self.topics.iter().for_each(|topic| rlp::put_bytes(out, topic.as_slice())));
            rlp::put_bytes(out, &self.data);
        });
    }
}

/// The bloom of `items`: addresses and topics.
pub fn bloom_of<'a>(items: impl IntoIterator<Item = &'a [u8]>) -> Bloom {
    let mut bloom = [0; 256];
    items.into_iter().for_each(|item| add_to_bloom(&mut bloom, item));
    bloom
}

fn add_to_bloom(bloom: &mut Bloom, item: &[u8]) {
    let hash = keccak256(item);
    for pair in [0, 2, 4] {
        let bit = usize::from(u16::from_be_bytes([hash[pair], hash[pair + 1]]) & 2047);
        bloom[255 - bit / 8] |= 1 << (bit % 8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receipts() -> Vec<Receipt> {
        let log = |topics: u8| Log {
            address: Address::repeat_byte(topics),
            topics: (0..topics).map(B256::repeat_byte).collect(),
            data: vec![topics; 60 * usize::from(topics)].into(),
        };
        let receipt = |success, logs, contract_address| Receipt {
            success,
            cumulative_gas_used: 70_000,
            logs,
            contract_address,
            gas_used: 21_000,
            transaction_hash: B256::repeat_byte(9),
        };
        vec![
            receipt(true, vec![], None),
            receipt(true, (0..5).map(log).collect(), None),
            receipt(false, vec![], Some(Address::repeat_byte(7))),
        ]
    }

    fn stored(receipts: &[Receipt], transaction_type: Option<u8>) -> Bytes {
        let mut out = Vec::new();
        rlp::put_list_with(&mut out, |out| {
            for receipt in receipts {
                let mut consensus = Vec::new();
                receipt.put_consensus(&mut consensus);
                receipt.put_stored(transaction_type, &consensus, out);
            }
        });
        out.into()
    }

    #[test]
    fn stored_receipts_come_back() {
        let receipts = receipts();
        for transaction_type in [None, Some(0x02), Some(0x7f)] {
            let decoded = StoredReceipt::decode_all(&stored(&receipts, transaction_type)).unwrap();
            assert_eq!(decoded.len(), receipts.len());
            for (found, expected) in decoded.iter().zip(&receipts) {
                assert_eq!(&found.receipt, expected);
                assert_eq!(*found.logs_bloom, expected.bloom());
            }
        }
    }

    #[test]
    fn stored_receipts_that_are_cut_or_wrong_are_errors() {
        let whole = stored(&receipts(), None);
        assert!(StoredReceipt::decode_all(&whole.slice(..whole.len() - 1)).is_err());
        assert!(StoredReceipt::decode_all(&Bytes::from_static(&[0xc1, 0xc0])).is_err());
        assert!(StoredReceipt::decode_all(&Bytes::from_static(&[0x80])).is_err());
    }
}
