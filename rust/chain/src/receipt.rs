//! Receipts, logs and blooms (§2.6), in their consensus and their storage form (§2.7).

use alloy_primitives::{Address, B256, Bytes, keccak256};

use crate::rlp;

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
        let mut bloom = [0; 256];
        for log in &self.logs {
            add_to_bloom(&mut bloom, log.address.as_slice());
            log.topics.iter().for_each(|topic| add_to_bloom(&mut bloom, topic.as_slice()));
        }
        bloom
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

    /// Appends the storage form: L(consensus, contractAddress or 0x80, gasUsed, txHash), around a consensus form.
    pub fn put_stored(&self, consensus: &[u8], out: &mut Vec<u8>) {
        rlp::put_list_with(out, |out| {
            out.extend_from_slice(consensus);
            rlp::put_bytes(out, self.contract_address.as_ref().map_or(&[], |address| address.as_slice()));
            rlp::put_u64(out, self.gas_used);
            rlp::put_bytes(out, self.transaction_hash.as_slice());
        });
    }
}

impl Log {
    fn put(&self, out: &mut Vec<u8>) {
        rlp::put_list_with(out, |out| {
            rlp::put_bytes(out, self.address.as_slice());
            rlp::put_list_with(out, |out| self.topics.iter().for_each(|topic| rlp::put_bytes(out, topic.as_slice())));
            rlp::put_bytes(out, &self.data);
        });
    }
}

fn add_to_bloom(bloom: &mut Bloom, item: &[u8]) {
    let hash = keccak256(item);
    for pair in [0, 2, 4] {
        let bit = usize::from(u16::from_be_bytes([hash[pair], hash[pair + 1]]) & 2047);
        bloom[255 - bit / 8] |= 1 << (bit % 8);
    }
}
