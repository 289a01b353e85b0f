//! ECDSA over secp256k1: signing, and recovery of the address that signed, the dearest operation of a restore.

use alloy_primitives::{Address, B256, keccak256};
use secp256k1::{
    Message, PublicKey, SecretKey,
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
    Some(address_of(&key))
}

/// Like [`recover`] for the 65-byte seals of IBFT: a last byte of 1 is odd, every other value even (§2.5).
pub fn recover_seal(digest: &B256, seal: &[u8]) -> Option<Address> {
    let (r_s, [parity]) = seal.split_first_chunk::<64>()? else { return None };
    recover(digest, r_s, *parity == 1)
}

/// The last 20 bytes of K(x || y) (§8).
fn address_of(key: &PublicKey) -> Address {
    Address::from_slice(&keccak256(&key.serialize_uncompressed()[1..])[12..])
}

/// A secret key. Its memory is overwritten when it is dropped, and it has no `Debug` that could show it.
pub struct SigningKey(SecretKey);

impl SigningKey {
    /// A key from its scalar, big-endian; none when it is zero or not below the group's order.
    pub fn from_bytes(secret: [u8; 32]) -> Option<Self> {
        SecretKey::from_secret_bytes(secret).ok().map(Self)
    }

    /// The scalar, big-endian.
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0.to_secret_bytes()
    }

    /// The address of its public key.
    pub fn address(&self) -> Address {
        address_of(&self.0.public_key())
    }

    /// The public key in its compressed form.
    pub fn public_key(&self) -> [u8; 33] {
        self.0.public_key().serialize()
    }

    /// r || s || parity over `digest`: deterministic (RFC 6979), s in the lower half, parity 0 or 1.
    pub fn sign(&self, digest: &B256) -> [u8; 65] {
        let signature = RecoverableSignature::sign_ecdsa_recoverable(Message::from_digest(digest.0), &self.0);
        let (parity, r_s) = signature.serialize_compact();
        let mut out = [0; 65];
        out[..64].copy_from_slice(&r_s);
        // Two and three mean an r that was reduced: a chance of one in 2^127, and Go has no byte for it either.
        out[64] = u8::from(parity) & 1;
        out
    }
}

impl Drop for SigningKey {
    fn drop(&mut self) {
        self.0.non_secure_erase();
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{address, hex};

    use super::*;

    /// The first key of the development accounts that many Ethereum tools share.
    const KNOWN: [u8; 32] = hex!("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80");

    #[test]
    fn what_a_key_signs_recovers_to_its_address() {
        let key = SigningKey::from_bytes(KNOWN).unwrap();
        assert_eq!(key.address(), address!("f39fd6e51aad88f6f4ce6ab8827279cfffb92266"));
        for byte in 0..50 {
            let digest = keccak256([byte]);
            let seal = key.sign(&digest);
            assert!(seal[64] < 2);
            assert!(seal[32] < 0x80, "s in the lower half");
            assert_eq!(recover_seal(&digest, &seal), Some(key.address()));
            assert_eq!(seal, key.sign(&digest));
        }
    }

    #[test]
    fn scalars_outside_the_group_are_no_keys() {
        let order = hex!("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141");
        let mut below = order;
        below[31] -= 1;
        assert!(SigningKey::from_bytes([0; 32]).is_none());
        assert!(SigningKey::from_bytes(order).is_none());
        assert!(SigningKey::from_bytes(below).is_some());
    }
}
