//! Recovery of the address that signed a digest: the dearest operation of a restore.

use alloy_primitives::{Address, B256, keccak256};
use secp256k1::{
    Message,
    ecdsa::{RecoverableSignature, RecoveryId},
};

/// The address whose key signed `digest`, or none where nothing recovers.
///
/// `r_s` is r || s, 64 bytes; high s is accepted, as the Go client does. `odd` is the parity of the nonce point's y.
#[inline]
pub fn recover(digest: &B256, r_s: &[u8; 64], odd: bool) -> Option<Address> {
    let parity = if odd { RecoveryId::One } else { RecoveryId::Zero };
    let signature = RecoverableSignature::from_compact(r_s, parity).ok()?;
    let key = signature.recover_ecdsa(Message::from_digest(digest.0)).ok()?;
    Some(Address::from_slice(&keccak256(&key.serialize_uncompressed()[1..])[12..]))
}

/// Like [`recover`] for the 65-byte seals of IBFT: a last byte of 1 is odd, every other value even (§2.5).
pub fn recover_seal(digest: &B256, seal: &[u8]) -> Option<Address> {
    let (r_s, [parity]) = seal.split_first_chunk::<64>()? else { return None };
    recover(digest, r_s, *parity == 1)
}
