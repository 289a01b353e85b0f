//! Who sent a transaction (§2.5).

use alloy_primitives::{Address, B256, U256, keccak256};

use crate::{forks::ForkFlags, rlp, signature::recover, transaction::Transaction};

/// Order of the secp256k1 group.
const ORDER: U256 = U256::from_limbs([0xbfd2_5e8c_d036_4141, 0xbaae_dce6_af48_a03b, 0xffff_ffff_ffff_fffe, u64::MAX]);

/// The sender of a legacy transaction by the rules of v0.6.3, or none for a signature those rules refuse.
///
/// r and s lie in [1, n-1] and high s is accepted. `v` counts modulo 256 *before* it is compared with 0 and 1, so
/// v + 256k passes at any size; "unprotected" looks at its low 64 bits only, so 27 + 2^64 is unprotected and
/// 27 + 256 is not.
pub fn legacy(transaction: &Transaction, chain_id: u64, flags: &ForkFlags) -> Option<Address> {
    let low = transaction.v.iter().rev().take(8).rev().fold(0u64, |value, &byte| (value << 8) | u64::from(byte));
    let protected = flags.eip155 && low != 27 && low != 28;
    let v = low as u8;
    let (parity, signed_chain_id) = if protected {
        (v.wrapping_sub(35).wrapping_sub((chain_id as u8).wrapping_mul(2)), chain_id)
    } else {
        (v.wrapping_sub(27), 0)
    };
    let in_range = |value: &U256| !value.is_zero() && *value < ORDER;
    if parity > 1 || !in_range(&transaction.r) || !in_range(&transaction.s) {
        return None;
    }
    let mut r_s = [0; 64];
    r_s[..32].copy_from_slice(&transaction.r.to_be_bytes::<32>());
    r_s[32..].copy_from_slice(&transaction.s.to_be_bytes::<32>());
    recover(&signing_hash(transaction, signed_chain_id), &r_s, parity == 1)
}

/// K(L(nonce, gasPrice, gas, to, value, input [, chainId, 0, 0])); the bracket is absent when `chain_id` is 0.
pub fn signing_hash(transaction: &Transaction, chain_id: u64) -> B256 {
    let mut out = Vec::with_capacity(transaction.payload.len() + 16);
    rlp::put_list_with(&mut out, |out| {
        // The canonical payload begins with just these six items; its numbers may be wider than our fields.
        let unsigned = rlp::parse(&transaction.payload).and_then(|item| item.list("transaction"));
        for item in unsigned.into_iter().flatten().take(6) {
            out.extend_from_slice(item.raw);
        }
        if chain_id != 0 {
            rlp::put_u64(out, chain_id);
            out.extend_from_slice(&[0x80, 0x80]);
        }
    });
    keccak256(out)
}
