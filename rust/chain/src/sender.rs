//! Who sent a transaction (§2.5).

use alloy_primitives::{Address, B256, U256, keccak256};

use crate::{
    forks::{ForkFlags, Generation, Rules},
    rlp,
    signature::recover,
    transaction::{Transaction, Type},
};

/// Order of the secp256k1 group.
const ORDER: U256 = U256::from_limbs([0xbfd2_5e8c_d036_4141, 0xbaae_dce6_af48_a03b, 0xffff_ffff_ffff_fffe, u64::MAX]);

/// The order divided by two: the highest s that homestead allows from G2 on.
const HALF_ORDER: U256 =
    U256::from_limbs([0xdfe9_2f46_681b_20a0, 0x5d57_6e73_57a4_501d, u64::MAX, 0x7fff_ffff_ffff_ffff]);

/// The sender of a transaction of block `number`, or none for a signature that its rules refuse.
///
/// A state transaction is not signed: its sender is what its payload says, and execution asks who that is.
pub fn recover_sender(transaction: &Transaction, rules: &Rules, number: u64) -> Option<Address> {
    if transaction.kind == Type::State {
        return transaction.from;
    }
    let flags = rules.flags(number);
    match rules.generation {
        Generation::G1 => lenient(transaction, rules.chain_id, &flags),
        Generation::G2 | Generation::G3 => strict(transaction, rules.chain_id, &flags),
    }
}

/// The sender by the rules of v0.6.3: r and s lie in [1, n-1] and high s is accepted. `v` counts modulo 256 *before* it
/// is compared with 0 and 1, so v + 256k passes at any size.
fn lenient(transaction: &Transaction, chain_id: u64, flags: &ForkFlags) -> Option<Address> {
    let v = transaction.v.last().copied().unwrap_or_default();
    let (parity, signed_chain_id) = if is_protected(transaction, flags) {
        (v.wrapping_sub(35).wrapping_sub((chain_id as u8).wrapping_mul(2)), chain_id)
    } else {
        (v.wrapping_sub(27), 0)
    };
    recover_ranged(transaction, parity, signed_chain_id, ORDER - U256::from(1))
}

/// The sender by the rules of v0.7.2 and later: `v` is exact at any size, and homestead asks for low s, except of an
/// unprotected transaction where EIP155 is active.
///
/// A dynamic fee has a `v` of 0 or 1 under london; without london it is read as if it were a legacy transaction.
fn strict(transaction: &Transaction, chain_id: u64, flags: &ForkFlags) -> Option<Address> {
    let v = U256::try_from_be_slice(&transaction.v)?;
    let dynamic = flags.london && matches!(transaction.kind, Type::DynamicFee { .. });
    let protected = is_protected(transaction, flags);
    let (offset, signed_chain_id) = match (dynamic, protected) {
        (true, _) => (U256::ZERO, chain_id),
        (false, true) => (U256::from(chain_id) * U256::from(2) + U256::from(35), chain_id),
        (false, false) => (U256::from(27), 0),
    };
    let parity = u8::try_from(v.checked_sub(offset)?).ok()?;
    let low = flags.homestead && (dynamic || protected || !flags.eip155);
    recover_ranged(transaction, parity, signed_chain_id, if low { HALF_ORDER } else { ORDER - U256::from(1) })
}

/// Whether the chain id is signed: EIP155, unless the low 64 bits of `v` are 27 or 28. So 27 + 2^64 is unprotected and
/// 27 + 256 is not.
fn is_protected(transaction: &Transaction, flags: &ForkFlags) -> bool {
    let low = transaction.v.iter().rev().take(8).rev().fold(0u64, |value, &byte| (value << 8) | u64::from(byte));
    flags.eip155 && low != 27 && low != 28
}

fn recover_ranged(transaction: &Transaction, parity: u8, chain_id: u64, highest_s: U256) -> Option<Address> {
    let in_range = |value: &U256, highest: &U256| !value.is_zero() && value <= highest;
    if parity > 1 || !in_range(&transaction.r, &(ORDER - U256::from(1))) || !in_range(&transaction.s, &highest_s) {
        return None;
    }
    let mut r_s = [0; 64];
    r_s[..32].copy_from_slice(&transaction.r.to_be_bytes::<32>());
    r_s[32..].copy_from_slice(&transaction.s.to_be_bytes::<32>());
    recover(&signing_hash(transaction, chain_id), &r_s, parity == 1)
}

/// Legacy: K(L(nonce, gasPrice, gas, to, value, input [, chainId, 0, 0])); the bracket is absent when `chain_id` is 0.
/// Dynamic fee: K(0x02 || L(chainId, nonce, tip, feeCap, gas, to, value, input, L())) with the chain's own id.
pub fn signing_hash(transaction: &Transaction, chain_id: u64) -> B256 {
    // The canonical payload has just these items, in this order; its numbers may be wider than our fields.
    let fields = rlp::parse(&transaction.payload).and_then(|item| item.list("transaction"));
    let fields = fields.into_iter().flatten();
    let mut out = Vec::with_capacity(transaction.payload.len() + 16);
    let byte = transaction.kind.byte();
    out.extend(byte);
    let mut list = Vec::with_capacity(transaction.payload.len() + 16);
    if byte.is_some() {
        rlp::put_u64(&mut list, chain_id);
        fields.skip(1).take(7).for_each(|item| list.extend_from_slice(item.raw));
        rlp::put_list(&mut list, &[]);
    } else {
        fields.take(6).for_each(|item| list.extend_from_slice(item.raw));
        if chain_id != 0 {
            rlp::put_u64(&mut list, chain_id);
            list.extend_from_slice(&[0x80, 0x80]);
        }
    }
    rlp::put_list(&mut out, &list);
    keccak256(out)
}
