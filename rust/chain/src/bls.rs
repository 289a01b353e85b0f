//! BLS signatures on BLS12-381: public keys in G1, signatures in G2, the proof-of-possession suite (§3.5, §8).
//!
//! Several validators sign the same digest; the sum of their signatures is verified against the sum of their keys.

use alloy_primitives::{B256, keccak256};
use blst::{BLST_ERROR, Pairing, blst_p1_affine, blst_p2_affine, min_pk};

use crate::extra::BLS_KEY;

/// Bytes of a compressed signature.
pub const SIGNATURE: usize = 96;

/// The suite of the Go client: proofs of possession are presumed, and not exchanged (§3.5).
const SUITE: &[u8] = b"BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_";

/// Bits of the weights under which claims are checked together.
const WEIGHT_BITS: usize = 128;

/// A secret key. Its memory is overwritten when it is dropped, and it has no `Debug` that could show it.
pub struct BlsKey(min_pk::SecretKey);

impl BlsKey {
    /// A key from its scalar, big-endian; none when it is zero or not below the group's order.
    pub fn from_bytes(secret: &[u8; 32]) -> Option<Self> {
        min_pk::SecretKey::from_bytes(secret).ok().map(Self)
    }

    /// A key from 32 bytes of randomness, by the key generation of the IETF's BLS draft.
    pub fn derive(randomness: &[u8; 32]) -> Self {
        Self(min_pk::SecretKey::key_gen(randomness, &[]).expect("32 bytes are as many as key generation asks for"))
    }

    /// The scalar, big-endian.
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// The public key, compressed.
    pub fn public_key(&self) -> [u8; BLS_KEY] {
        self.0.sk_to_pk().compress()
    }

    /// The signature over `digest`, compressed.
    pub fn sign(&self, digest: &B256) -> [u8; SIGNATURE] {
        self.0.sign(digest.as_slice(), SUITE, &[]).compress()
    }
}

/// A public key, or the sum of several: a point of the group, which was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey(min_pk::PublicKey);

impl PublicKey {
    /// Reads a compressed key; none for anything but a point of the group other than zero.
    pub fn from_bytes(bytes: &[u8; BLS_KEY]) -> Option<Self> {
        min_pk::PublicKey::key_validate(bytes).ok().map(Self)
    }

    /// The sum of `keys`, which may be zero; none of no keys.
    pub fn sum<'a>(keys: impl IntoIterator<Item = &'a Self>) -> Option<Self> {
        let keys: Vec<&min_pk::PublicKey> = keys.into_iter().map(|key| &key.0).collect();
        let sum = min_pk::AggregatePublicKey::aggregate(&keys, false).ok()?;
        Some(Self(sum.to_public_key()))
    }
}

/// A signature, or the sum of several: a point of the group, which was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature(min_pk::Signature);

impl Signature {
    /// Reads a compressed signature; none for anything but a point of the group other than zero.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        if bytes.len() != SIGNATURE {
            return None;
        }
        min_pk::Signature::sig_validate(bytes, true).ok().map(Self)
    }

    /// The sum of `signatures`; none of no signatures.
    pub fn sum<'a>(signatures: impl IntoIterator<Item = &'a Self>) -> Option<Self> {
        let signatures: Vec<&min_pk::Signature> = signatures.into_iter().map(|signature| &signature.0).collect();
        let sum = min_pk::AggregateSignature::aggregate(&signatures, false).ok()?;
        Some(Self(sum.to_signature()))
    }

    /// Its compressed form.
    pub fn to_bytes(&self) -> [u8; SIGNATURE] {
        self.0.compress()
    }
}

/// What is to be verified: that `signature` over `digest` is that of `key`.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    /// Sum of the keys.
    pub key: PublicKey,
    /// What was signed.
    pub digest: B256,
    /// Sum of the signatures.
    pub signature: Signature,
}

impl Claim {
    /// Whether it holds. A sum of keys that is zero signs nothing, as in the Go client.
    pub fn holds(&self) -> bool {
        let Self { key, digest, signature } = self;
        // The points were checked when they were read, and a sum of points of the group is in the group.
        signature.0.verify(false, digest.as_slice(), SUITE, &[], &key.0, false) == BLST_ERROR::BLST_SUCCESS
    }
}

/// Which of `claims` hold. Where all do, that takes little more than half the time of one after the other.
pub fn holding(claims: &[Claim]) -> Vec<bool> {
    if claims.len() > 1 && hold_together(claims) {
        return vec![true; claims.len()];
    }
    claims.iter().map(Claim::holds).collect()
}

/// Checks the sum of all claims, each under a weight that nobody could choose for it: a sum that is right although one of
/// its claims is not takes a guess of the weights. They follow from all that is claimed, so that the answer is always the
/// same, and they are long enough that trying out claims until their weights fit is as hopeless.
fn hold_together(claims: &[Claim]) -> bool {
    let mut statement = Vec::with_capacity(claims.len() * (BLS_KEY + 32 + SIGNATURE));
    for Claim { key, digest, signature } in claims {
        statement.extend_from_slice(&key.0.compress());
        statement.extend_from_slice(digest.as_slice());
        statement.extend_from_slice(&signature.to_bytes());
    }
    let mut seed = [0; 40];
    seed[..32].copy_from_slice(keccak256(&statement).as_slice());
    let mut pairing = Pairing::new(true, SUITE);
    for (index, Claim { key, digest, signature }) in claims.iter().enumerate() {
        seed[32..].copy_from_slice(&(index as u64).to_be_bytes());
        let weight = keccak256(seed);
        let (key, signature): (&blst_p1_affine, &blst_p2_affine) = ((&key.0).into(), (&signature.0).into());
        let added = pairing.mul_n_aggregate(
            key,
            false,
            signature,
            false,
            &weight[..WEIGHT_BITS / 8],
            WEIGHT_BITS,
            digest.as_slice(),
            &[],
        );
        if added != BLST_ERROR::BLST_SUCCESS {
            return false;
        }
    }
    pairing.commit();
    pairing.finalverify(None)
}

#[cfg(test)]
mod tests {
    use alloy_primitives::hex;

    use super::*;

    #[test]
    fn a_key_of_a_go_node_has_the_public_key_that_the_go_node_printed() {
        let key =
            BlsKey::from_bytes(&hex!("33116656eb9bb30605d12a32c8ac4d36dc5dfd255b161f0b6de63e3aaac6c9e1")).unwrap();
        let printed =
            hex!("866f7bade6a674bfc23276f74365714f5a7fcecfa9b71a250ab22446c5a25bc18d3f861ac5fb8279b0b622b0a5688a72");
        assert_eq!(key.public_key(), printed);
    }

    #[test]
    fn scalars_outside_the_group_are_no_keys() {
        let order = hex!("73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001");
        let mut below = order;
        below[31] -= 1;
        assert!(BlsKey::from_bytes(&[0; 32]).is_none());
        assert!(BlsKey::from_bytes(&order).is_none());
        assert!(BlsKey::from_bytes(&below).is_some());
    }

    #[test]
    fn derived_keys_come_back_from_their_bytes() {
        let key = BlsKey::derive(&[7; 32]);
        let again = BlsKey::from_bytes(&key.to_bytes()).unwrap();
        assert_eq!(again.public_key(), key.public_key());
        assert_ne!(BlsKey::derive(&[8; 32]).public_key(), key.public_key());
    }

    fn keys(count: u8) -> Vec<BlsKey> {
        (1..=count).map(|seed| BlsKey::derive(&[seed; 32])).collect()
    }

    fn claim(keys: &[BlsKey], signing: &[BlsKey], digest: B256) -> Claim {
        let public: Vec<_> = keys.iter().map(|key| PublicKey::from_bytes(&key.public_key()).unwrap()).collect();
        let signatures: Vec<_> = signing.iter().map(|key| Signature::from_bytes(&key.sign(&digest)).unwrap()).collect();
        Claim { key: PublicKey::sum(&public).unwrap(), digest, signature: Signature::sum(&signatures).unwrap() }
    }

    #[test]
    fn the_sum_of_signatures_is_that_of_the_sum_of_keys() {
        let keys = keys(4);
        let digest = keccak256([1]);
        let good = claim(&keys, &keys, digest);
        assert!(good.holds());
        assert!(!Claim { digest: keccak256([2]), ..good }.holds());
        assert!(!claim(&keys, &keys[..3], digest).holds());
        assert!(!claim(&keys[..3], &keys, digest).holds());
        assert_eq!(Signature::from_bytes(&good.signature.to_bytes()), Some(good.signature));
        assert_eq!((PublicKey::sum([]), Signature::sum([])), (None, None));
    }

    #[test]
    fn claims_that_are_checked_together_hold_as_each_of_them_does() {
        let keys = keys(3);
        let claims: Vec<_> = (0..9).map(|byte| claim(&keys, &keys, keccak256([byte]))).collect();
        assert!(hold_together(&claims));
        assert_eq!(holding(&claims), [true; 9]);
        for wrong in 0..9 {
            let mut claims = claims.clone();
            claims[wrong].digest = keccak256([99]);
            assert!(!hold_together(&claims));
            let expected: Vec<bool> = (0..9).map(|index| index != wrong).collect();
            assert_eq!(holding(&claims), expected);
        }
        // Two wrongs that make a right where claims are added up without weights.
        let mut swapped = claims;
        (swapped[0].signature, swapped[1].signature) = (swapped[1].signature, swapped[0].signature);
        assert!(!hold_together(&swapped));
        assert_eq!(holding(&swapped)[..3], [false, false, true]);
        assert_eq!(holding(&[]), [] as [bool; 0]);
    }

    #[test]
    fn keys_that_add_up_to_zero_sign_nothing() {
        let key = BlsKey::derive(&[1; 32]);
        let public = key.public_key();
        // The other point with the same x: the sign bit of the compressed form.
        let mut opposite = public;
        opposite[0] ^= 0x20;
        let points = [public, opposite].map(|bytes| PublicKey::from_bytes(&bytes).unwrap());
        let zero = PublicKey::sum(&points).unwrap();
        let digest = keccak256([1]);
        let signature = Signature::from_bytes(&key.sign(&digest)).unwrap();
        let claim = Claim { key: zero, digest, signature };
        assert!(!claim.holds());
        assert!(!hold_together(&[claim, claim]));
    }

    #[test]
    fn what_is_no_point_of_the_group_is_neither_key_nor_signature() {
        let key = BlsKey::derive(&[1; 32]);
        let (public, signature) = (key.public_key(), key.sign(&keccak256([1])));
        let infinity = |length: usize| [vec![0xc0], vec![0; length - 1]].concat();
        assert!(PublicKey::from_bytes(&infinity(48).try_into().unwrap()).is_none());
        assert!(Signature::from_bytes(&infinity(96)).is_none());
        assert!(PublicKey::from_bytes(&[0; 48]).is_none());
        for length in [0, 1, 48, 95, 97, 192] {
            assert!(Signature::from_bytes(&vec![signature[0]; length]).is_none());
        }
        // Of the numbers behind the flags a half belongs to points of the curve, of those nearly none to the group.
        let mut changed = (public, signature);
        (changed.0[47], changed.1[95]) = (changed.0[47] ^ 1, changed.1[95] ^ 1);
        assert!(PublicKey::from_bytes(&changed.0).is_none());
        assert!(Signature::from_bytes(&changed.1).is_none());
    }
}
