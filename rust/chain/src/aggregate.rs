//! The aggregate seals of BLS validators: whom a bitmap names, and whether the signature is theirs (§3.3, §3.5).

use std::{fmt, sync::Arc};

use alloy_primitives::{Address, Bytes};
use rayon::prelude::*;

use crate::{
    bls::{Claim, PublicKey, SIGNATURE, Signature, holding},
    extra::{Seals, Validator},
    seal::Agreed,
};

/// Keys that are read on one core before others help.
const KEYS_PER_CORE: usize = 16;

/// BLS validators with their keys read; they are the same over many blocks.
#[derive(Debug)]
pub struct KeyedSet {
    members: Arc<[Validator]>,
    /// None where there is no key, or one that is not a point of the group.
    keys: Vec<Option<PublicKey>>,
}

/// Why an aggregate is not that of the validators it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The bitmap names nobody of the set.
    Nobody,
    /// A validator it names has no key that could sign.
    Key(Validator),
    /// The signature is none; the length is in bytes.
    Signature(usize),
    /// The signature is another one.
    Mismatch,
}

impl Fault {
    /// What is wrong, what it should be and what it is.
    pub fn describe(&self) -> (&'static str, &'static str, String) {
        match self {
            Self::Nobody => ("bitmap", "validators of the set", "none of them".into()),
            Self::Key(validator) => ("validator key", "a point of the group G1", validator.to_string()),
            Self::Signature(SIGNATURE) => ("aggregate", "a point of the group G2", "96 bytes that are none".into()),
            Self::Signature(length) => ("aggregate", "96 bytes", format!("{length} bytes")),
            Self::Mismatch => ("aggregate", "the signature of the validators in the bitmap", "another one".into()),
        }
    }
}

impl KeyedSet {
    /// Reads the keys of `members`.
    pub fn new(members: Arc<[Validator]>) -> Self {
        let read = |validator: &Validator| PublicKey::from_bytes(&validator.bls_public_key?);
        let keys = members.par_iter().with_min_len(KEYS_PER_CORE).map(read).collect();
        Self { members, keys }
    }

    /// Whose keys they are.
    pub fn members(&self) -> &Arc<[Validator]> {
        &self.members
    }

    fn claim(&self, bitmap: &[u8], signature: &[u8], agreed: Agreed) -> Result<Claim, Fault> {
        let named = named(bitmap, self.members.len())
            .map(|position| self.keys[position].as_ref().ok_or(Fault::Key(self.members[position])))
            .collect::<Result<Vec<_>, _>>()?;
        let key = PublicKey::sum(named).ok_or(Fault::Nobody)?;
        let signature = Signature::from_bytes(signature).ok_or(Fault::Signature(signature.len()))?;
        Ok(Claim { key, digest: agreed.digest(), signature })
    }
}

/// An aggregate seal and what it should be.
#[derive(Clone, Debug)]
pub struct Aggregate {
    /// Who could have signed.
    pub set: Arc<KeyedSet>,
    /// Who did, by position in the set.
    pub bitmap: Bytes,
    /// The sum of their signatures.
    pub signature: Bytes,
    /// What they signed.
    pub agreed: Agreed,
}

/// What is wrong with each of `aggregates`, if anything; they are verified together where that is faster.
pub fn check(aggregates: &[Aggregate]) -> Vec<Result<(), Fault>> {
    let claims: Vec<Result<Claim, Fault>> = aggregates
        .iter()
        .map(|Aggregate { set, bitmap, signature, agreed }| set.claim(bitmap, signature, *agreed))
        .collect();
    let readable: Vec<Claim> = claims.iter().filter_map(|claim| claim.as_ref().ok().copied()).collect();
    let mut holding = holding(&readable).into_iter();
    claims
        .into_iter()
        .map(|claim| {
            claim?;
            // As many answers as claims.
            if holding.next() == Some(true) { Ok(()) } else { Err(Fault::Mismatch) }
        })
        .collect()
}

/// The positions below `size` that a bitmap names; bits beyond the set count for nothing, as in the Go client.
pub fn named(bitmap: &[u8], size: usize) -> impl Iterator<Item = usize> {
    // Big-endian: bit 0 is the lowest of the last byte.
    (0..size.min(bitmap.len().saturating_mul(8)))
        .filter(move |position| bitmap[bitmap.len() - 1 - position / 8] >> (position % 8) & 1 == 1)
}

/// Why seals cannot be added up to an aggregate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AggregateError {
    /// There are none.
    #[error("seals: expected at least one, found none")]
    Empty,
    /// The signer is not in the set, or there twice among the seals.
    #[error("seal of {0}: expected one seal of each validator, found {1}")]
    Signer(Address, &'static str),
    /// A seal is no signature.
    #[error("seal of {0}: expected a signature of 96 bytes in G2, found {1} bytes that are none")]
    Seal(Address, usize),
}

/// Adds the seals of some of `validators` up to the committed seals of a block, as they stand in its extra data.
pub fn aggregate(validators: &[Validator], seals: &[(Address, Bytes)]) -> Result<Seals, AggregateError> {
    let mut bitmap = vec![0u8; validators.len().div_ceil(8)];
    let mut signatures = Vec::with_capacity(seals.len());
    for (signer, seal) in seals {
        let position = validators
            .iter()
            .position(|validator| validator.address == *signer)
            .ok_or(AggregateError::Signer(*signer, "another's"))?;
        let byte = bitmap.len() - 1 - position / 8;
        if bitmap[byte] >> (position % 8) & 1 == 1 {
            return Err(AggregateError::Signer(*signer, "a second one"));
        }
        bitmap[byte] |= 1 << (position % 8);
        signatures.push(Signature::from_bytes(seal).ok_or(AggregateError::Seal(*signer, seal.len()))?);
    }
    let signature = Signature::sum(&signatures).ok_or(AggregateError::Empty)?;
    let zeros = bitmap.iter().take_while(|byte| **byte == 0).count();
    Ok(Seals::Bls { bitmap: bitmap.split_off(zeros).into(), signature: signature.to_bytes().to_vec().into() })
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, expected, found) = self.describe();
        write!(formatter, "{what}: expected {expected}, found {found}")
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::B256;

    use super::*;
    use crate::bls::BlsKey;

    const AGREED: Agreed = Agreed { hash: B256::repeat_byte(7), round: Some(1) };

    fn network(size: u8) -> (Vec<BlsKey>, Vec<Validator>) {
        let keys: Vec<_> = (1..=size).map(|seed| BlsKey::derive(&[seed; 32])).collect();
        let validators = keys
            .iter()
            .enumerate()
            .map(|(index, key)| Validator {
                address: Address::with_last_byte(index as u8),
                bls_public_key: Some(key.public_key()),
            })
            .collect();
        (keys, validators)
    }

    fn sealed(keys: &[BlsKey], validators: &[Validator], signing: &[usize]) -> (Bytes, Bytes) {
        let digest = AGREED.digest();
        let seals: Vec<_> = signing
            .iter()
            .map(|&index| (validators[index].address, Bytes::from(keys[index].sign(&digest).to_vec())))
            .collect();
        match aggregate(validators, &seals).unwrap() {
            Seals::Bls { bitmap, signature } => (bitmap, signature),
            Seals::Ecdsa(_) => unreachable!(),
        }
    }

    #[test]
    fn bit_zero_is_the_lowest_of_the_last_byte() {
        assert_eq!(named(&[0b101], 4).collect::<Vec<_>>(), [0, 2]);
        assert_eq!(named(&[1, 0x80], 9).collect::<Vec<_>>(), [7, 8]);
        assert_eq!(named(&[0, 0, 1, 0x80], 9).collect::<Vec<_>>(), [7, 8]);
        assert_eq!(named(&[0xff], 4).collect::<Vec<_>>(), [0, 1, 2, 3]);
        assert_eq!(named(&[], 4).count() + named(&[0xff], 0).count(), 0);
    }

    #[test]
    fn seals_add_up_to_an_aggregate_that_holds() {
        let (keys, validators) = network(10);
        let set = Arc::new(KeyedSet::new(validators.clone().into()));
        for (signing, expected) in [(vec![0], vec![1]), (vec![9, 1], vec![2, 2]), ((0..10).collect(), vec![3, 255])] {
            let (bitmap, signature) = sealed(&keys, &validators, &signing);
            assert_eq!(bitmap, expected);
            let one = Aggregate { set: Arc::clone(&set), bitmap, signature, agreed: AGREED };
            let other = Aggregate { agreed: Agreed { round: None, ..AGREED }, ..one.clone() };
            assert_eq!(check(&[one.clone(), other, one]), [Ok(()), Err(Fault::Mismatch), Ok(())]);
        }
    }

    #[test]
    fn what_is_wrong_with_an_aggregate_is_told() {
        let (keys, mut validators) = network(4);
        let (bitmap, signature) = sealed(&keys, &validators, &[0, 1, 2]);
        validators[3].bls_public_key = Some([1; 48]);
        let set = Arc::new(KeyedSet::new(validators.clone().into()));
        let good = Aggregate { set, bitmap, signature, agreed: AGREED };
        let no_point = Bytes::from(vec![1; 96]);
        // The key that is no point harms nobody as long as it does not sign; bits beyond the set say nothing.
        for (bitmap, signature, expected) in [
            (vec![0x07], &good.signature, Ok(())),
            (vec![0, 0x07], &good.signature, Ok(())),
            (vec![0xff, 0xf7], &good.signature, Ok(())),
            (vec![0x0f], &good.signature, Err(Fault::Key(validators[3]))),
            (vec![0x03], &good.signature, Err(Fault::Mismatch)),
            (vec![0xf0], &good.signature, Err(Fault::Nobody)),
            (vec![], &good.signature, Err(Fault::Nobody)),
            (vec![0x07], &no_point, Err(Fault::Signature(96))),
            (vec![0x07], &Bytes::new(), Err(Fault::Signature(0))),
        ] {
            let aggregate = Aggregate { bitmap: bitmap.into(), signature: signature.clone(), ..good.clone() };
            assert_eq!(check(&[aggregate]), [expected]);
        }
    }

    #[test]
    fn seals_of_others_and_seals_that_repeat_do_not_add_up() {
        let (keys, validators) = network(2);
        let seal = Bytes::from(keys[0].sign(&AGREED.digest()).to_vec());
        let (known, stranger) = (validators[0].address, Address::repeat_byte(9));
        let refused = |seals: &[(Address, Bytes)]| aggregate(&validators, seals).unwrap_err();
        assert_eq!(refused(&[]), AggregateError::Empty);
        assert_eq!(refused(&[(stranger, seal.clone())]), AggregateError::Signer(stranger, "another's"));
        let twice = [(known, seal.clone()), (known, seal)];
        assert_eq!(refused(&twice), AggregateError::Signer(known, "a second one"));
        assert_eq!(refused(&[(known, vec![0; 96].into())]), AggregateError::Seal(known, 96));
    }
}
