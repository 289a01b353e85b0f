//! Words with a sign, for blocks in which the Go client has negative numbers on its stack (§6.6).
//!
//! The client pushes gas limit and timestamp as signed 64-bit numbers and lets its big integers carry the sign on. Most
//! instructions then leave the two's complement; those that do not are marked.

use std::cmp::Ordering;

use alloy_primitives::{Signed, U256, aliases::U320};

use super::word::Word;
use crate::journal::Amount;

/// A number from -2^256 to 2^256-1, as two's complement of 320 bits: what XOR of a negative number can reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedWord(Signed<320, 5>);

/// 2^256.
const MODULUS: U320 = U320::from_limbs([0, 0, 0, 0, 1]);

impl SignedWord {
    fn is_negative(self) -> bool {
        self.0.is_negative()
    }

    fn absolute(self) -> U320 {
        self.0.unsigned_abs()
    }

    /// Modulo 2^256: the two's complement of a negative number.
    fn wrapped(value: Signed<320, 5>) -> Self {
        Self::unsigned(low_words(&value.into_raw()))
    }

    fn signed(negative: bool, magnitude: U320) -> Self {
        let value = Signed::from_raw(magnitude);
        Self(if negative { value.wrapping_neg() } else { value })
    }

    /// As the signed instructions read it: from 2^255 on in absolute value, 2^256 less.
    fn reinterpreted(self) -> Self {
        if self.absolute().bit_len() > 255 { Self(self.0.wrapping_sub(Signed::from_raw(MODULUS))) } else { self }
    }

    fn remainder(self, modulus: U320) -> Self {
        let rest = self.absolute() % modulus;
        // Euclidean: never negative.
        Self(Signed::from_raw(if self.is_negative() && !rest.is_zero() { modulus - rest } else { rest }))
    }

    /// The absolute value as a shift; none where it moves everything out.
    fn shift(self) -> Option<usize> {
        usize::try_from(self.absolute()).ok().filter(|shift| *shift <= 255)
    }
}

/// The low 256 bits.
fn low_words(value: &U320) -> U256 {
    let [a, b, c, d, _] = *value.as_limbs();
    U256::from_limbs([a, b, c, d])
}

fn widened(value: &U256) -> U320 {
    let [a, b, c, d] = *value.as_limbs();
    U320::from_limbs([a, b, c, d, 0])
}

impl Word for SignedWord {
    const ZERO: Self = Self(Signed::ZERO);
    const ONE: Self = Self(Signed::ONE);
    const LENGTH: Self = Self(Signed::from_raw(U320::from_limbs([32, 0, 0, 0, 0])));

    fn unsigned(value: U256) -> Self {
        Self(Signed::from_raw(widened(&value)))
    }

    fn signed_64(value: u64) -> Self {
        let value = value as i64;
        Self::signed(value < 0, U320::from(value.unsigned_abs()))
    }

    fn amount(&self) -> Option<Amount> {
        (self.absolute() < MODULUS).then(|| Amount { magnitude: self.magnitude(), negative: self.is_negative() })
    }

    fn magnitude(&self) -> U256 {
        low_words(&self.absolute())
    }

    fn to_u64(&self) -> Option<u64> {
        if self.is_negative() { None } else { u64::try_from(self.0.into_raw()).ok() }
    }

    fn jump_target(&self) -> Option<u64> {
        u64::try_from(self.absolute()).ok().filter(|target| *target < 1 << 62)
    }

    fn byte_length(&self) -> u64 {
        self.absolute().bit_len().div_ceil(8) as u64
    }

    fn is_zero(&self) -> bool {
        self.0.is_zero()
    }

    fn add(self, other: Self) -> Self {
        Self::wrapped(self.0.wrapping_add(other.0))
    }

    fn subtract(self, other: Self) -> Self {
        Self::wrapped(self.0.wrapping_sub(other.0))
    }

    fn multiply(self, other: Self) -> Self {
        Self::wrapped(Signed::from_raw(self.0.into_raw().wrapping_mul(other.0.into_raw())))
    }

    /// Euclidean: the remainder is never negative.
    fn divide(self, other: Self) -> Self {
        if other.is_zero() {
            return Self::ZERO;
        }
        let (quotient, rest) = self.absolute().div_rem(other.absolute());
        let quotient = if self.is_negative() && !rest.is_zero() { quotient + U320::from(1) } else { quotient };
        Self::wrapped(Self::signed(self.is_negative() != other.is_negative(), quotient).0)
    }

    fn signed_divide(self, other: Self) -> Self {
        let (a, b) = (self.reinterpreted(), other.reinterpreted());
        if b.is_zero() {
            return Self::ZERO;
        }
        Self::wrapped(Self::signed(a.is_negative() != b.is_negative(), a.absolute() / b.absolute()).0)
    }

    fn modulo(self, other: Self) -> Self {
        if other.is_zero() { Self::ZERO } else { self.remainder(other.absolute()) }
    }

    fn signed_modulo(self, other: Self) -> Self {
        let (a, b) = (self.reinterpreted(), other.reinterpreted());
        if b.is_zero() {
            return Self::ZERO;
        }
        Self::wrapped(Self::signed(a.is_negative(), a.absolute() % b.absolute()).0)
    }

    fn add_modulo(self, other: Self, modulus: Self) -> Self {
        if modulus.is_zero() { Self::ZERO } else { Self(self.0.wrapping_add(other.0)).remainder(modulus.absolute()) }
    }

    fn multiply_modulo(self, other: Self, modulus: Self) -> Self {
        if modulus.is_zero() {
            return Self::ZERO;
        }
        let modulus = modulus.absolute();
        let product = (self.absolute() % modulus).mul_mod(other.absolute() % modulus, modulus);
        Self::signed(self.is_negative() != other.is_negative(), product).remainder(modulus)
    }

    /// The exponent counts by its absolute value.
    fn power(self, exponent: Self) -> Self {
        let (mut base, exponent) = (low_words(&self.0.into_raw()), exponent.absolute());
        let mut result = U256::ONE;
        for bit in 0..exponent.bit_len() {
            if exponent.bit(bit) {
                result = result.wrapping_mul(base);
            }
            base = base.wrapping_mul(base);
        }
        Self::unsigned(result)
    }

    /// A negative index counts by the low 64 bits of eight times its absolute value; the client dies where that asks for
    /// more memory than there is, and nothing would change there. With an index above 32 the sign stays.
    fn sign_extend(self, word: Self) -> Self {
        if self.0 > Signed::from_raw(U320::from(32)) {
            return word;
        }
        let bit = self.absolute().as_limbs()[0].wrapping_mul(8).wrapping_add(7);
        let Some(bit) = usize::try_from(bit).ok().filter(|bit| *bit < 320) else { return Self::wrapped(word.0) };
        let low = (U320::from(1) << bit) - U320::from(1);
        let raw = word.0.into_raw();
        Self::unsigned(low_words(&if raw.bit(bit) { raw | !low } else { raw & low }))
    }

    fn less(self, other: Self) -> Self {
        Self::from_bool(self.0.cmp(&other.0) == Ordering::Less)
    }

    fn greater(self, other: Self) -> Self {
        Self::from_bool(self.0.cmp(&other.0) == Ordering::Greater)
    }

    fn signed_less(self, other: Self) -> Self {
        self.reinterpreted().less(other.reinterpreted())
    }

    fn signed_greater(self, other: Self) -> Self {
        self.reinterpreted().greater(other.reinterpreted())
    }

    /// The sign stays where both are negative.
    fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The sign stays.
    fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The sign stays.
    fn xor(self, other: Self) -> Self {
        Self(self.0 ^ other.0)
    }

    fn not(self) -> Self {
        Self::wrapped(!self.0)
    }

    fn byte(self, word: Self) -> Self {
        let low = self.absolute().as_limbs()[0] as i64;
        let index = if self.is_negative() { low.wrapping_neg() } else { low };
        if index > 31 {
            return Self::ZERO;
        }
        let shift = 31i64.wrapping_sub(index).wrapping_mul(8) as u64;
        let shifted = word.0.asr(usize::try_from(shift).unwrap_or(usize::MAX).min(320));
        Self::from_u64(shifted.into_raw().as_limbs()[0] & 0xff)
    }

    fn shift_left(self, word: Self) -> Self {
        self.shift().map_or(Self::ZERO, |shift| Self::unsigned(low_words(&(word.0.into_raw() << shift))))
    }

    /// Arithmetic where the word is negative.
    fn shift_right(self, word: Self) -> Self {
        self.shift().map_or(Self::ZERO, |shift| Self::wrapped(word.0.asr(shift)))
    }

    fn shift_right_signed(self, word: Self) -> Self {
        let word = word.reinterpreted();
        match self.shift() {
            Some(shift) => Self::wrapped(word.0.asr(shift)),
            None if word.is_negative() => Self::unsigned(U256::MAX),
            None => Self::ZERO,
        }
    }
}
