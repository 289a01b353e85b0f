//! The check of an aggregated BLS signature over alt_bn128 that G2 and G3 have at 0x2030 (§6.8).

use alloy_primitives::keccak256;
use ark_bn254::{Bn254, Fq, G1Affine, G1Projective, G2Affine, G2Projective};
use ark_ec::{AffineRepr, CurveGroup, pairing::Pairing};
use ark_ff::{AdditiveGroup, Field, MontFp, One, PrimeField, Zero};
use sha2::{Digest, Sha256};

use super::{
    failure::BadInput,
    pairing::{point_g1, point_g2},
};

/// Bytes of a signature, a point of the first group; more are ignored.
const SIGNATURE: usize = 64;
/// Bytes of a public key, a point of the second group; more are ignored.
const PUBLIC_KEY: usize = 128;

/// Whether a signature over a message by all keys together holds: input is ABI-encoded (bytes32, bytes, bytes), the last
/// one (bytes[], bytes) again.
///
/// Errors: malformed input, points that are off their curve, outside their group, or at infinity.
pub fn holds(input: &[u8]) -> Result<bool, BadInput> {
    let message = word(input, 0)?;
    let signature = point_g1(dynamic(input, 1)?.get(..SIGNATURE).ok_or(BadInput::Aggregate)?)?;
    if signature.is_zero() {
        return Err(BadInput::Aggregate);
    }
    let rest = dynamic(input, 2)?;
    let keys = byte_arrays(rest)?.into_iter().map(public_key).collect::<Result<Vec<_>, _>>()?;
    // The bitmap is not looked at, but has to be there.
    dynamic(rest, 1)?;

    let mut sum = G2Projective::zero();
    for key in keys {
        // The client doubles in place with a formula that reads what it has just overwritten: what comes out lies on no
        // curve that matters, and no signature holds for it.
        if sum == G2Projective::from(key) {
            return Ok(false);
        }
        sum += key;
    }
    let hashed = hash_to_point(message).into_affine();
    let product = Bn254::multi_pairing([signature, hashed], [-G2Affine::generator(), sum.into_affine()]);
    Ok(product.is_zero())
}

/// A key of the right group: unlike in the pairing precompile, that is looked at here.
fn public_key(bytes: &[u8]) -> Result<G2Affine, BadInput> {
    let point = point_g2(bytes.get(..PUBLIC_KEY).ok_or(BadInput::Aggregate)?)?;
    if point.is_zero() || !point.is_in_correct_subgroup_assuming_on_curve() {
        Err(BadInput::Aggregate)
    } else {
        Ok(point)
    }
}

// --- ABI: offsets count from the start of the tuple or array; they and lengths end at what is there.

/// Word `index` of a tuple.
fn word(data: &[u8], index: usize) -> Result<&[u8; 32], BadInput> {
    let start = index.checked_mul(32).ok_or(BadInput::Aggregate)?;
    data.get(start..).and_then(|data| data.first_chunk()).ok_or(BadInput::Aggregate)
}

/// Word `index` of a tuple as an offset or length, at most `most`.
fn bounded(data: &[u8], index: usize, most: usize) -> Result<usize, BadInput> {
    let (high, low) = word(data, index)?.split_at(24);
    let value = low.iter().fold(0u64, |value, byte| value << 8 | u64::from(*byte));
    let value = usize::try_from(value).ok().filter(|value| *value <= most && high.iter().all(|byte| *byte == 0));
    value.ok_or(BadInput::Aggregate)
}

/// The tail that item `index` of a tuple points to.
fn tail(data: &[u8], index: usize) -> Result<&[u8], BadInput> {
    bounded(data, index, data.len()).map(|offset| &data[offset..])
}

/// The byte string that item `index` of a tuple points to.
fn dynamic(data: &[u8], index: usize) -> Result<&[u8], BadInput> {
    let tail = tail(data, index)?;
    let length = bounded(tail, 0, tail.len().saturating_sub(32))?;
    Ok(&tail[32..32 + length])
}

/// The byte strings that the first item of a tuple points to.
fn byte_arrays(data: &[u8]) -> Result<Vec<&[u8]>, BadInput> {
    let array = tail(data, 0)?;
    let count = bounded(array, 0, array.len().saturating_sub(32) / 32)?;
    (0..count).map(|index| dynamic(&array[32..], index)).collect()
}

// --- the message as a point of the first group: expand_message_xmd of the hash-to-curve draft, then the map of
// Fouque and Tibouchi.

fn hash_to_point(message: &[u8; 32]) -> G1Projective {
    let domain = keccak256("DOMAIN_STATE_RECEIVER");
    let uniform = expand_message(message, domain.as_slice());
    let (first, second) = uniform.split_at(48);
    G1Projective::from(map_to_curve(Fq::from_be_bytes_mod_order(first)))
        + map_to_curve(Fq::from_be_bytes_mod_order(second))
}

/// 96 bytes from message and domain.
fn expand_message(message: &[u8], domain: &[u8]) -> [u8; 96] {
    let suffix = [domain, &[domain.len() as u8]].concat();
    let first = Sha256::new().chain_update([0; 64]).chain_update(message).chain_update([0, 96, 0]);
    let first = first.chain_update(&suffix).finalize();
    let mut out = [0; 96];
    let mut block = [0; 32];
    for (index, chunk) in out.chunks_exact_mut(32).enumerate() {
        block.iter_mut().zip(&first).for_each(|(byte, mask)| *byte ^= mask);
        block =
            Sha256::new().chain_update(block).chain_update([index as u8 + 1]).chain_update(&suffix).finalize().into();
        chunk.copy_from_slice(&block);
    }
    out
}

/// sqrt(-3)
const ROOT: Fq = MontFp!("4407920970296243842837207485651524041948558517760411303933");
/// (sqrt(-3) - 1) / 2
const HALF_ROOT: Fq = MontFp!("2203960485148121921418603742825762020974279258880205651966");

fn map_to_curve(x: Fq) -> G1Affine {
    let square = square_root(x).is_some();
    let a0 = x.square() + Fq::from(4);
    let a1 = x * ROOT;
    // Zero has no inverse; the client dies there, and nobody finds a message that leads to it.
    let a2 = (a1 * a0).inverse().unwrap_or_default();
    let first = HALF_ROOT - x * a1.square() * a2;
    let third = a0.square().square() * a2.square() + Fq::one();
    let candidates = [first, -(first + Fq::one()), third];
    let found = candidates.iter().find_map(|x| square_root(x.square() * x + Fq::from(3)).map(|y| (*x, y)));
    // One of the three always is the x of a point.
    let (x, y) = found.unwrap_or((Fq::ZERO, Fq::ZERO));
    G1Affine::new_unchecked(x, if square { y } else { -y })
}

/// x^((p+1)/4), where that is a root.
fn square_root(x: Fq) -> Option<Fq> {
    let mut exponent = Fq::MODULUS;
    exponent.0[0] += 1;
    let exponent = exponent >> 2;
    Some(x.pow(exponent)).filter(|root| root.square() == x)
}

#[cfg(test)]
mod tests {
    use ark_ec::CurveGroup;
    use ark_ff::BigInteger;

    use super::*;

    fn put_word(out: &mut Vec<u8>, value: usize) {
        out.extend_from_slice(&[0; 24]);
        out.extend_from_slice(&(value as u64).to_be_bytes());
    }

    fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
        put_word(out, bytes.len());
        out.extend_from_slice(bytes);
        out.resize(out.len().next_multiple_of(32), 0);
    }

    fn encode(message: &[u8; 32], signature: &G1Affine, keys: &[G2Affine]) -> Vec<u8> {
        let coordinates =
            |fields: &[Fq]| -> Vec<u8> { fields.iter().flat_map(|field| field.into_bigint().to_bytes_be()).collect() };
        let keys: Vec<Vec<u8>> =
            keys.iter().map(|key| coordinates(&[key.x.c1, key.x.c0, key.y.c1, key.y.c0])).collect();
        let mut inner = Vec::new();
        put_word(&mut inner, 64);
        // The bitmap is empty: a zero, which is the last word of the array's head or behind everything.
        put_word(&mut inner, 64 + 32 + keys.len() * (32 + 32 + PUBLIC_KEY));
        put_word(&mut inner, keys.len());
        (0..keys.len()).for_each(|index| put_word(&mut inner, keys.len() * 32 + index * (32 + PUBLIC_KEY)));
        keys.iter().for_each(|key| put_bytes(&mut inner, key));
        put_word(&mut inner, 0);
        let mut out = message.to_vec();
        put_word(&mut out, 96);
        put_word(&mut out, 96 + 32 + SIGNATURE);
        put_bytes(&mut out, &coordinates(&[signature.x, signature.y]));
        put_bytes(&mut out, &inner);
        out
    }

    /// A signature over `message` by the keys with these secrets together.
    fn signed(message: &[u8; 32], secrets: &[u64]) -> Vec<u8> {
        let key = |secret: &u64| (G2Affine::generator() * ark_bn254::Fr::from(*secret)).into_affine();
        let sum: u64 = secrets.iter().sum();
        let signature = (hash_to_point(message) * ark_bn254::Fr::from(sum)).into_affine();
        encode(message, &signature, &secrets.iter().map(key).collect::<Vec<_>>())
    }

    #[test]
    fn a_signature_by_all_keys_holds_and_no_other_does() {
        let message = [7; 32];
        assert_eq!(holds(&signed(&message, &[5])), Ok(true));
        assert_eq!(holds(&signed(&message, &[5, 6, 900])), Ok(true));
        let mut other = signed(&message, &[5, 6]);
        other[0] ^= 1;
        assert_eq!(holds(&other), Ok(false));
    }

    #[test]
    fn a_key_equal_to_the_sum_before_it_spoils_a_signature_and_another_repetition_does_not() {
        let message = [1; 32];
        assert_eq!(holds(&signed(&message, &[5, 5])), Ok(false));
        assert_eq!(holds(&signed(&message, &[2, 3, 5])), Ok(false));
        assert_eq!(holds(&signed(&message, &[5, 6, 5])), Ok(true));
    }

    #[test]
    fn no_keys_at_all_hold_for_nothing() {
        let message = [2; 32];
        assert_eq!(holds(&encode(&message, &G1Affine::generator(), &[])), Ok(false));
    }

    #[test]
    fn what_is_cut_short_or_points_outside_is_malformed() {
        let whole = signed(&[3; 32], &[4, 9]);
        for length in 0..whole.len() {
            // The padding at the end and a bitmap of no bytes may be missing.
            if length <= whole.len() - 32 {
                assert!(holds(&whole[..length]).is_err(), "{length}");
            }
        }
        for (position, value) in [(32, 1), (63, 255), (64, 1), (95, 255)] {
            let mut bent = whole.clone();
            bent[position] = value;
            assert!(holds(&bent).is_err(), "{position}");
        }
        let surplus = [whole.as_slice(), &[9; 64]].concat();
        assert_eq!(holds(&surplus), Ok(true));
    }
}
