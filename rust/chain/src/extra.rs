//! The IBFT extra data of a header: who validates, who sealed (§3.3).

use std::fmt;

use alloy_primitives::{Address, Bytes, hex};

use crate::{
    forks::Generation,
    rlp::{self, Item, RlpError},
};

/// Bytes of vanity before the RLP list.
pub const VANITY: usize = 32;

/// The two kinds of validators, which differ in list and seals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValidatorType {
    /// Addresses; one 65-byte signature each.
    Ecdsa,
    /// Addresses with 48-byte keys; one bitmap and one aggregate signature.
    Bls,
}

/// Bytes of a compressed key of BLS validators.
pub const BLS_KEY: usize = 48;

/// One entry of the validator list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Validator {
    /// The validator's address.
    pub address: Address,
    /// Compressed G1 point; BLS only.
    pub bls_public_key: Option<[u8; BLS_KEY]>,
}

/// Committed seals, of the block itself or of its parent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seals {
    /// r || s || parity each; other lengths do not recover.
    Ecdsa(Vec<Bytes>),
    /// Which validators signed, and their aggregate.
    #[allow(missing_docs)]
    Bls { bitmap: Bytes, signature: Bytes },
}

/// The decoded extra data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extra {
    /// First 32 bytes.
    pub vanity: [u8; VANITY],
    /// Validators of this block.
    pub validators: Vec<Validator>,
    /// 65 bytes, or empty before sealing.
    pub proposer_seal: Bytes,
    /// Of this block.
    pub committed_seals: Seals,
    /// Of the parent, as the proposer stored them; none at heights 0 and 1 and when the item is missing.
    pub parent_committed_seals: Option<Seals>,
    /// G2, G3: the round in which the block was agreed.
    pub round: Option<u64>,
}

impl Seals {
    /// The empty form of a type (§3.3).
    pub fn none(validator_type: ValidatorType) -> Self {
        match validator_type {
            ValidatorType::Ecdsa => Self::Ecdsa(Vec::new()),
            ValidatorType::Bls => Self::Bls { bitmap: Bytes::new(), signature: Bytes::new() },
        }
    }

    fn decode(item: &Item<'_>, validator_type: ValidatorType, whole: &Bytes) -> Result<Self, RlpError> {
        let mut items = item.list("committed seals")?;
        match validator_type {
            ValidatorType::Ecdsa => items
                .map(|seal| Ok(whole.slice_ref(seal.bytes("committed seal")?)))
                .collect::<Result<_, _>>()
                .map(Self::Ecdsa),
            ValidatorType::Bls => Ok(Self::Bls {
                bitmap: whole.slice_ref(items.required("bitmap")?.bytes("bitmap")?),
                signature: whole.slice_ref(items.required("signature")?.bytes("signature")?),
            }),
        }
    }

    /// Like [`Seals::decode`] for the block's own seals: here the Go client reads an empty list as no BLS seals.
    fn decode_own(item: &Item<'_>, validator_type: ValidatorType, whole: &Bytes) -> Result<Self, RlpError> {
        match item.list("committed seals")?.next() {
            None => Ok(Self::none(validator_type)),
            Some(_) => Self::decode(item, validator_type, whole),
        }
    }

    /// No seal: an empty list, or a bitmap of value zero (§3.4).
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Ecdsa(seals) => seals.is_empty(),
            Self::Bls { bitmap, .. } => bitmap.iter().all(|byte| *byte == 0),
        }
    }

    fn put(&self, out: &mut Vec<u8>) {
        rlp::put_list_with(out, |out| match self {
            Self::Ecdsa(seals) => seals.iter().for_each(|seal| rlp::put_bytes(out, seal)),
            Self::Bls { bitmap, signature } => {
                let zeros = bitmap.iter().take_while(|byte| **byte == 0).count();
                rlp::put_bytes(out, &bitmap[zeros..]);
                rlp::put_bytes(out, signature);
            }
        });
    }
}

impl Validator {
    /// A validator from its address, or from its address and key: 20 or 68 bytes; none for any other number.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (address, key) = bytes.split_first_chunk::<20>()?;
        let bls_public_key = if key.is_empty() { None } else { Some(key.try_into().ok()?) };
        Some(Self { address: address.into(), bls_public_key })
    }

    /// What [`Validator::from_bytes`] reads.
    pub fn to_bytes(&self) -> Vec<u8> {
        let key = self.bls_public_key.as_ref().map_or(&[][..], |key| key);
        [self.address.as_slice(), key].concat()
    }

    fn decode(item: &Item<'_>, validator_type: ValidatorType) -> Result<Self, RlpError> {
        match validator_type {
            ValidatorType::Ecdsa => Ok(Self { address: item.address("validator")?, bls_public_key: None }),
            ValidatorType::Bls => {
                let mut fields = item.list("validator")?;
                Ok(Self {
                    address: fields.required("validator address")?.address("validator address")?,
                    bls_public_key: Some(fields.required("validator key")?.fixed("validator key")?),
                })
            }
        }
    }

    fn put(&self, out: &mut Vec<u8>) {
        match &self.bls_public_key {
            None => rlp::put_bytes(out, self.address.as_slice()),
            Some(key) => rlp::put_list_with(out, |out| {
                rlp::put_bytes(out, self.address.as_slice());
                rlp::put_bytes(out, key);
            }),
        }
    }
}

impl fmt::Display for Validator {
    /// The address, followed by ":" and the key where there is one, as the Go client writes it (§8).
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.bls_public_key {
            None => write!(formatter, "{}", self.address),
            Some(key) => write!(formatter, "{}:0x{}", self.address, hex::encode(key)),
        }
    }
}

impl Extra {
    /// What an engine without extra data of its own has.
    pub fn none() -> Self {
        Self {
            vanity: [0; VANITY],
            validators: Vec::new(),
            proposer_seal: Bytes::new(),
            committed_seals: Seals::none(ValidatorType::Ecdsa),
            parent_committed_seals: None,
            round: None,
        }
    }

    /// Decodes the extra data of block `number`; parent seals are read above height 1 only.
    ///
    /// `parent_type` is the validator type one height below. Errors: fewer than 32 bytes of vanity, a malformed item;
    /// offsets count from the start of the extra data. What kills the Go client is an error as well: a round of one to
    /// seven bytes, and BLS parent seals that are missing or an empty list above height 1 (§3.3).
    pub fn decode(
        extra_data: &Bytes,
        number: u64,
        generation: Generation,
        validator_type: ValidatorType,
        parent_type: ValidatorType,
    ) -> Result<Self, RlpError> {
        let Some((vanity, list)) = extra_data.split_first_chunk::<VANITY>() else {
            return Err(RlpError {
                what: "vanity",
                offset: 0,
                expected: "32 bytes".into(),
                found: format!("{} bytes", extra_data.len()),
            });
        };
        let shift = |error: RlpError| RlpError { offset: error.offset + VANITY, ..error };
        let top = rlp::parse(list).map_err(shift)?;
        Self::decode_list(&top, *vanity, extra_data, number, generation, validator_type, parent_type).map_err(shift)
    }

    fn decode_list(
        top: &Item<'_>,
        vanity: [u8; VANITY],
        whole: &Bytes,
        number: u64,
        generation: Generation,
        validator_type: ValidatorType,
        parent_type: ValidatorType,
    ) -> Result<Self, RlpError> {
        let mut items = top.list("extra data")?;
        let (validators, proposer_seal, committed_seals) =
            (items.required("validators")?, items.required("proposer seal")?, items.required("committed seals")?);
        let (parent_seals, round) = (items.next(), items.next());
        let parent_committed_seals = match parent_seals {
            _ if number <= 1 => None,
            Some(item) => Some(Seals::decode(&item, parent_type, whole)?),
            None if parent_type == ValidatorType::Bls => {
                return Err(top.fail("parent committed seals", "a bitmap and a signature", "none"));
            }
            None => None,
        };
        Ok(Self {
            vanity,
            validators: validators
                .list("validators")?
                .map(|item| Validator::decode(&item, validator_type))
                .collect::<Result<_, _>>()?,
            proposer_seal: whole.slice_ref(proposer_seal.bytes("proposer seal")?),
            committed_seals: Seals::decode_own(&committed_seals, validator_type, whole)?,
            parent_committed_seals,
            round: match (generation, round) {
                (Generation::G1, _) | (_, None) => None,
                (_, Some(item)) => decode_round(&item)?,
            },
        })
    }

    /// The extra data as a header carries it; the round is written from G2 on (§3.3).
    pub fn encode(&self, generation: Generation) -> Vec<u8> {
        self.encode_under(generation, &self.proposer_seal, &self.committed_seals, self.round)
    }

    /// What the block hash covers: no proposer seal, empty committed seals, no round (§3.4).
    pub fn filtered(&self, generation: Generation, validator_type: ValidatorType) -> Vec<u8> {
        self.encode_under(generation, &[], &Seals::none(validator_type), None)
    }

    fn encode_under(
        &self,
        generation: Generation,
        proposer_seal: &[u8],
        committed_seals: &Seals,
        round: Option<u64>,
    ) -> Vec<u8> {
        let mut out = Vec::with_capacity(VANITY + 32 + 70 * (self.validators.len() + 1));
        out.extend_from_slice(&self.vanity);
        rlp::put_list_with(&mut out, |out| {
            rlp::put_list_with(out, |out| self.validators.iter().for_each(|validator| validator.put(out)));
            rlp::put_bytes(out, proposer_seal);
            committed_seals.put(out);
            match self.parent_committed_seals.as_ref().filter(|seals| !seals.is_empty()) {
                Some(seals) => seals.put(out),
                None if generation == Generation::G1 => {}
                None => rlp::put_list(out, &[]),
            }
            if generation != Generation::G1 {
                rlp::put_bytes(out, round.map(u64::to_be_bytes).as_ref().map_or(&[], |bytes| bytes.as_slice()));
            }
        });
        out
    }
}

/// Item 4: absent as 0x80, else exactly eight bytes; one to seven bytes crash the Go client, so they are refused.
fn decode_round(item: &Item<'_>) -> Result<Option<u64>, RlpError> {
    match item.bytes("round")?.len() {
        0 => Ok(None),
        8 => item.u64("round").map(Some),
        length => Err(item.fail("round", "0 or 8 bytes", format!("{length} bytes"))),
    }
}
