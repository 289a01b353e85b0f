//! The pairing check on alt_bn128 without a subgroup check on G2 (§6.7.10).

use ark_bn254::{Bn254, Fq, Fq2, G1Affine, G2Affine};
use ark_ec::{AffineRepr, pairing::Pairing};
use ark_ff::{BigInt, PrimeField, Zero};

use super::failure::BadInput;

/// Bytes of one pair: a point of G1 (64) and a point of G2 (128).
pub const PAIR_LENGTH: usize = 192;

/// Whether the product of the pairings is one. Errors: a ragged length, coordinates not below the field's prime, or
/// points off their curve.
pub fn product_is_one(input: &[u8]) -> Result<bool, BadInput> {
    let pairs = input.chunks_exact(PAIR_LENGTH);
    if !pairs.remainder().is_empty() {
        return Err(BadInput::Size);
    }
    let (mut left, mut right) = (Vec::new(), Vec::new());
    for pair in pairs {
        let (g1, g2) = (point_g1(&pair[..64])?, point_g2(&pair[64..])?);
        if !g1.is_zero() && !g2.is_zero() {
            left.push(g1);
            right.push(g2);
        }
    }
    Ok(Bn254::multi_pairing(left, right).is_zero())
}

fn coordinate(bytes: &[u8]) -> Result<Fq, BadInput> {
    let mut limbs = [0u64; 4];
    for (limb, chunk) in limbs.iter_mut().rev().zip(bytes.chunks_exact(8)) {
        *limb = chunk.iter().fold(0, |limb, byte| limb << 8 | u64::from(*byte));
    }
    Fq::from_bigint(BigInt::new(limbs)).ok_or(BadInput::Coordinate)
}

/// A point of the first group.
pub(super) fn point_g1(bytes: &[u8]) -> Result<G1Affine, BadInput> {
    let (x, y) = (coordinate(&bytes[..32])?, coordinate(&bytes[32..])?);
    if x.is_zero() && y.is_zero() {
        return Ok(G1Affine::identity());
    }
    Some(G1Affine::new_unchecked(x, y)).filter(G1Affine::is_on_curve).ok_or(BadInput::Point)
}

/// A point on the curve of the second group, which need not be in the group; imaginary parts come first.
pub(super) fn point_g2(bytes: &[u8]) -> Result<G2Affine, BadInput> {
    let [x_imaginary, x_real, y_imaginary, y_real] = [0, 32, 64, 96].map(|start| coordinate(&bytes[start..start + 32]));
    let (x, y) = (Fq2::new(x_real?, x_imaginary?), Fq2::new(y_real?, y_imaginary?));
    if x.is_zero() && y.is_zero() {
        return Ok(G2Affine::identity());
    }
    Some(G2Affine::new_unchecked(x, y)).filter(G2Affine::is_on_curve).ok_or(BadInput::Point)
}
