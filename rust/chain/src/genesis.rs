//! The genesis block: its header from the genesis file's fields, its state from the alloc (§5.5).

use alloy_primitives::{Address, B256, Bytes};

use crate::{
    block::{EMPTY_UNCLES_HASH, Header},
    state::EMPTY_ROOT,
};

/// The fields of the genesis file that make the header; everything else in it is constant (§5.3).
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct GenesisFields {
    pub nonce: [u8; 8],
    pub timestamp: u64,
    pub extra_data: Bytes,
    pub gas_limit: u64,
    pub difficulty: u64,
    pub mix_hash: B256,
    pub coinbase: Address,
    pub number: u64,
    pub gas_used: u64,
    pub parent_hash: B256,
    pub base_fee: u64,
}

impl GenesisFields {
    /// The header over the state that executing the alloc gives.
    pub fn header(self, state_root: B256) -> Header {
        Header {
            parent_hash: self.parent_hash,
            uncles_hash: EMPTY_UNCLES_HASH,
            miner: Bytes::copy_from_slice(self.coinbase.as_slice()),
            state_root,
            transactions_root: EMPTY_ROOT,
            receipts_root: EMPTY_ROOT,
            logs_bloom: Box::new([0; 256]),
            difficulty: self.difficulty,
            number: self.number,
            gas_limit: self.gas_limit,
            gas_used: self.gas_used,
            timestamp: self.timestamp,
            extra_data: self.extra_data,
            mix_hash: self.mix_hash,
            nonce: self.nonce,
            base_fee: self.base_fee,
        }
    }
}
