//! What a stack holds: unsigned words, and the signed ones of the rare blocks that put negative numbers there (§6.6).

use std::fmt::Debug;

use alloy_primitives::{Address, U256};

use super::arithmetic as math;
use crate::journal::Amount;

/// An item of the stack, with the instructions on it; operands in the order they are popped.
///
/// The Go client computes with integers of any size and sign. Where none can be negative, 256 bits are all there is
/// to them. `magnitude` and what is made from it is what the client takes where it wants bytes: the absolute value.
pub trait Word: Copy + Debug + PartialEq + Eq + Send + Sync + 'static {
    /// Zero.
    const ZERO: Self;
    /// One.
    const ONE: Self;
    /// 32, the length of a word in memory.
    const LENGTH: Self;

    /// A word without a sign.
    fn unsigned(value: U256) -> Self;
    /// A number that the client takes as signed 64-bit: height, timestamp, gas limit.
    fn signed_64(value: u64) -> Self;
    /// As an amount to be moved; none for the one number that has no place in it, -2^256.
    fn amount(&self) -> Option<Amount>;
    /// The low 256 bits of the absolute value.
    fn magnitude(&self) -> U256;
    /// Hands the low 256 bits of the absolute value to `use_it`, without a copy where they are all there is.
    #[inline(always)]
    fn with_magnitude<R>(&self, use_it: impl FnOnce(&U256) -> R) -> R {
        use_it(&self.magnitude())
    }
    /// As an offset, length or amount of gas; none when it is negative or 2^64 or more.
    fn to_u64(&self) -> Option<u64>;
    /// Where a jump goes: the absolute value counts, none from 2^63 on.
    fn jump_target(&self) -> Option<u64>;
    /// Bytes of an exponent.
    fn byte_length(&self) -> u64;
    /// Neither positive nor negative.
    fn is_zero(&self) -> bool;

    /// ADD.
    fn add(self, other: Self) -> Self;
    /// SUB.
    fn subtract(self, other: Self) -> Self;
    /// MUL.
    fn multiply(self, other: Self) -> Self;
    /// DIV; zero for a zero divisor.
    fn divide(self, other: Self) -> Self;
    /// SDIV.
    fn signed_divide(self, other: Self) -> Self;
    /// MOD.
    fn modulo(self, other: Self) -> Self;
    /// SMOD.
    fn signed_modulo(self, other: Self) -> Self;
    /// ADDMOD.
    fn add_modulo(self, other: Self, modulus: Self) -> Self;
    /// MULMOD.
    fn multiply_modulo(self, other: Self, modulus: Self) -> Self;
    /// EXP.
    fn power(self, exponent: Self) -> Self;
    /// SIGNEXTEND; `self` is the index.
    fn sign_extend(self, word: Self) -> Self;
    /// LT.
    fn less(self, other: Self) -> Self;
    /// GT.
    fn greater(self, other: Self) -> Self;
    /// SLT.
    fn signed_less(self, other: Self) -> Self;
    /// SGT.
    fn signed_greater(self, other: Self) -> Self;
    /// AND.
    fn and(self, other: Self) -> Self;
    /// OR.
    fn or(self, other: Self) -> Self;
    /// XOR.
    fn xor(self, other: Self) -> Self;
    /// NOT.
    fn not(self) -> Self;
    /// BYTE; `self` is the index.
    fn byte(self, word: Self) -> Self;
    /// SHL; `self` is the shift.
    fn shift_left(self, word: Self) -> Self;
    /// SHR; `self` is the shift.
    fn shift_right(self, word: Self) -> Self;
    /// SAR; `self` is the shift.
    fn shift_right_signed(self, word: Self) -> Self;

    /// A word of 64 bits.
    #[inline(always)]
    fn from_u64(value: u64) -> Self {
        Self::unsigned(U256::from(value))
    }

    /// One or zero.
    #[inline(always)]
    fn from_bool(value: bool) -> Self {
        if value { Self::ONE } else { Self::ZERO }
    }

    /// An address as a word.
    #[inline]
    fn from_address(address: &Address) -> Self {
        let mut bytes = [0; 32];
        bytes[12..].copy_from_slice(address.as_slice());
        Self::unsigned(U256::from_be_bytes(bytes))
    }

    /// The low 20 bytes of the absolute value.
    #[inline]
    fn to_address(&self) -> Address {
        Address::from_slice(&self.magnitude().to_be_bytes::<32>()[12..])
    }

    /// EQ.
    #[inline(always)]
    fn equal(self, other: Self) -> Self {
        Self::from_bool(self == other)
    }

    /// ISZERO.
    #[inline(always)]
    fn zero_test(self) -> Self {
        Self::from_bool(self.is_zero())
    }
}

impl Word for U256 {
    const ZERO: Self = U256::ZERO;
    const ONE: Self = U256::ONE;
    const LENGTH: Self = U256::from_limbs([32, 0, 0, 0]);

    #[inline(always)]
    fn unsigned(value: U256) -> Self {
        value
    }

    #[inline(always)]
    fn signed_64(value: u64) -> Self {
        U256::from(value)
    }

    #[inline(always)]
    fn amount(&self) -> Option<Amount> {
        Some(Amount::from(*self))
    }

    #[inline(always)]
    fn magnitude(&self) -> U256 {
        *self
    }

    #[inline(always)]
    fn with_magnitude<R>(&self, use_it: impl FnOnce(&U256) -> R) -> R {
        use_it(self)
    }

    #[inline(always)]
    fn to_u64(&self) -> Option<u64> {
        let [low, a, b, c] = *self.as_limbs();
        if a | b | c == 0 { Some(low) } else { None }
    }

    #[inline(always)]
    fn jump_target(&self) -> Option<u64> {
        self.to_u64()
    }

    #[inline(always)]
    fn byte_length(&self) -> u64 {
        self.bit_len().div_ceil(8) as u64
    }

    #[inline(always)]
    fn is_zero(&self) -> bool {
        U256::is_zero(self)
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.wrapping_add(other)
    }

    #[inline(always)]
    fn subtract(self, other: Self) -> Self {
        self.wrapping_sub(other)
    }

    #[inline(always)]
    fn multiply(self, other: Self) -> Self {
        self.wrapping_mul(other)
    }

    #[inline(always)]
    fn divide(self, other: Self) -> Self {
        math::divide(self, other)
    }

    #[inline(always)]
    fn signed_divide(self, other: Self) -> Self {
        math::signed_divide(self, other)
    }

    #[inline(always)]
    fn modulo(self, other: Self) -> Self {
        math::modulo(self, other)
    }

    #[inline(always)]
    fn signed_modulo(self, other: Self) -> Self {
        math::signed_modulo(self, other)
    }

    #[inline(always)]
    fn add_modulo(self, other: Self, modulus: Self) -> Self {
        math::add_modulo(self, other, modulus)
    }

    #[inline(always)]
    fn multiply_modulo(self, other: Self, modulus: Self) -> Self {
        math::multiply_modulo(self, other, modulus)
    }

    #[inline(always)]
    fn power(self, exponent: Self) -> Self {
        math::power(self, exponent)
    }

    #[inline(always)]
    fn sign_extend(self, word: Self) -> Self {
        math::sign_extend(self, word)
    }

    #[inline(always)]
    fn less(self, other: Self) -> Self {
        Self::from_bool(self < other)
    }

    #[inline(always)]
    fn greater(self, other: Self) -> Self {
        Self::from_bool(self > other)
    }

    #[inline(always)]
    fn signed_less(self, other: Self) -> Self {
        math::signed_less(self, other)
    }

    #[inline(always)]
    fn signed_greater(self, other: Self) -> Self {
        math::signed_less(other, self)
    }

    #[inline(always)]
    fn and(self, other: Self) -> Self {
        self & other
    }

    #[inline(always)]
    fn or(self, other: Self) -> Self {
        self | other
    }

    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        self ^ other
    }

    #[inline(always)]
    fn not(self) -> Self {
        !self
    }

    #[inline(always)]
    fn byte(self, word: Self) -> Self {
        math::byte(self, word)
    }

    #[inline(always)]
    fn shift_left(self, word: Self) -> Self {
        math::shift_left(self, word)
    }

    #[inline(always)]
    fn shift_right(self, word: Self) -> Self {
        math::shift_right(self, word)
    }

    #[inline(always)]
    fn shift_right_signed(self, word: Self) -> Self {
        math::shift_right_signed(self, word)
    }
}
