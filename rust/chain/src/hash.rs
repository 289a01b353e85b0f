//! Block hashes: the plain one, and the one IBFT puts in its place (§3.1).

use alloy_primitives::{B256, keccak256};

use crate::{
    block::Header,
    extra::{Extra, ValidatorType},
    forks::Generation,
    rlp,
};

/// K(rlp(header)): the block hash of the `dev` and `dummy` engines, and of archive metadata with `--to` (§1.3).
pub fn plain(header: &Header, generation: Generation) -> B256 {
    let mut out = Vec::with_capacity(700 + header.extra_data.len());
    header.put(generation, &mut out);
    keccak256(out)
}

/// K of thirteen items under the filtered extra data; mixHash, nonce and base fee are not covered.
pub fn ibft(header: &Header, extra: &Extra, generation: Generation, validator_type: ValidatorType) -> B256 {
    let filtered = extra.filtered(generation, validator_type);
    ibft_over(header, &filtered)
}

/// The thirteen-item hash over extra data taken as it is.
fn ibft_over(header: &Header, extra_data: &[u8]) -> B256 {
    let mut out = Vec::with_capacity(600 + extra_data.len());
    rlp::put_list_with(&mut out, |out| header.put_hashed_fields(extra_data, out));
    keccak256(out)
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{Bytes, b256, hex};

    use super::*;

    fn header(number: u64, extra_data: Bytes) -> Header {
        let hash = |byte: u8| keccak256([byte]);
        let mut bloom = Box::new([0; 256]);
        bloom[0] = 7;
        Header {
            parent_hash: hash(1),
            uncles_hash: hash(2),
            miner: hash(3).to_vec().into(),
            state_root: hash(4),
            transactions_root: hash(5),
            receipts_root: hash(6),
            logs_bloom: bloom,
            difficulty: 8,
            number,
            gas_limit: 10,
            gas_used: 11,
            timestamp: 12,
            extra_data,
            mix_hash: B256::ZERO,
            nonce: [0; 8],
            base_fee: 0,
        }
    }

    #[test]
    fn thirteen_items_hash_to_the_go_clients_vector() {
        // Vector of the fact sheet's §9.
        let extra = keccak256([0x13]);
        let got = ibft_over(&header(9, extra.to_vec().into()), extra.as_slice());
        assert_eq!(got, b256!("d6701b3d601fd78734ce2f2542dc3d9cc1c75b1ed980c61c8d69cd2cb638f89c"));
    }

    #[test]
    fn genesis_hash_of_each_generation() {
        let list = hex!("edea94000000000000000000000000000000000000000194000000000000000000000000000000000000000280c0");
        for (generation, expected) in [
            (Generation::G1, b256!("11694f331dd32ca5f556d2167aed5163f9a817bdd84269ebf1d72d9403ee61f3")),
            (Generation::G3, b256!("2a5b8b34f212f8fd461632088edbb737b6444c83e2f8c7a5e814feb6dcf0164f")),
        ] {
            let mut extra_data = vec![0; 32];
            extra_data.extend(list);
            let extra_data: Bytes = extra_data.into();
            let header = Header {
                parent_hash: B256::ZERO,
                uncles_hash: b256!("1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347"),
                miner: vec![0; 20].into(),
                state_root: crate::state::EMPTY_ROOT,
                transactions_root: crate::state::EMPTY_ROOT,
                receipts_root: crate::state::EMPTY_ROOT,
                logs_bloom: Box::new([0; 256]),
                difficulty: 1,
                number: 0,
                gas_limit: 0x50_0000,
                gas_used: 0x7_0000,
                timestamp: 0,
                extra_data: extra_data.clone(),
                mix_hash: B256::ZERO,
                nonce: [0; 8],
                base_fee: 0,
            };
            let kind = ValidatorType::Ecdsa;
            let extra = Extra::decode(&extra_data, 0, generation, kind, kind).expect("a well-formed extra");
            assert_eq!(ibft(&header, &extra, generation, kind), expected);
        }
    }
}
