//! BLS12-381 keys of validators: public keys in G1 (§3.5, §8). The aggregate seals of BLS chains are not checked here.

use blst::min_pk;

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
    pub fn public_key(&self) -> [u8; 48] {
        self.0.sk_to_pk().compress()
    }
}

/// A public key: a point of the group, which was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey(min_pk::PublicKey);

impl PublicKey {
    /// Reads a compressed key; none for anything but a point of the group other than zero.
    pub fn from_bytes(bytes: &[u8; 48]) -> Option<Self> {
        min_pk::PublicKey::key_validate(bytes).ok().map(Self)
    }
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
}
