//! Arithmetic and bit instructions on words of 256 bits; operands in the order they are popped.

use alloy_primitives::U256 as Word;

use super::word::Word as _;

fn from_bool(value: bool) -> Word {
    Word::from(u64::from(value))
}

/// The sign bit.
fn is_negative(word: &Word) -> bool {
    word.bit(255)
}

fn magnitude(word: Word) -> Word {
    if is_negative(&word) { word.wrapping_neg() } else { word }
}

/// DIV; zero for a zero divisor.
#[inline]
pub fn divide(a: Word, b: Word) -> Word {
    a.checked_div(b).unwrap_or_default()
}

/// MOD; zero for a zero divisor.
#[inline]
pub fn modulo(a: Word, b: Word) -> Word {
    a.checked_rem(b).unwrap_or_default()
}

/// SDIV: truncates towards zero.
pub fn signed_divide(a: Word, b: Word) -> Word {
    let quotient = divide(magnitude(a), magnitude(b));
    if is_negative(&a) == is_negative(&b) { quotient } else { quotient.wrapping_neg() }
}

/// SMOD: the sign of the dividend.
pub fn signed_modulo(a: Word, b: Word) -> Word {
    let remainder = modulo(magnitude(a), magnitude(b));
    if is_negative(&a) { remainder.wrapping_neg() } else { remainder }
}

/// ADDMOD, without overflow in between.
pub fn add_modulo(a: Word, b: Word, modulus: Word) -> Word {
    a.add_mod(b, modulus)
}

/// MULMOD, without overflow in between.
pub fn multiply_modulo(a: Word, b: Word, modulus: Word) -> Word {
    a.mul_mod(b, modulus)
}

/// EXP modulo 2^256.
pub fn power(base: Word, exponent: Word) -> Word {
    base.wrapping_pow(exponent)
}

/// SIGNEXTEND from byte `index`, counted from the least significant.
pub fn sign_extend(index: Word, word: Word) -> Word {
    match index.to_u64() {
        Some(index @ 0..=30) => {
            let bit = index as usize * 8 + 7;
            let low = (Word::from(1) << bit) - Word::from(1);
            if word.bit(bit) { word | !low } else { word & low }
        }
        _ => word,
    }
}

/// SLT: two's complement order is unsigned order with the sign bits flipped.
pub fn signed_less(a: Word, b: Word) -> Word {
    match (is_negative(&a), is_negative(&b)) {
        (true, false) => from_bool(true),
        (false, true) => from_bool(false),
        _ => from_bool(a < b),
    }
}

/// BYTE. §6.7.4: the index is the low 64 bits as a signed number, and the shift is taken modulo 2^64, so that
/// 2^64 + 5 acts as 5 and 2^63 as 0.
pub fn byte(index: Word, word: Word) -> Word {
    let index = index.as_limbs()[0] as i64;
    if index > 31 {
        return Word::ZERO;
    }
    let shift = 31i64.wrapping_sub(index).wrapping_mul(8) as u64;
    if shift > 255 { Word::ZERO } else { (word >> shift as usize) & Word::from(0xff) }
}

/// SHL.
#[inline]
pub fn shift_left(shift: Word, word: Word) -> Word {
    match shift.to_u64() {
        Some(shift @ 0..=255) => word << shift as usize,
        _ => Word::ZERO,
    }
}

/// SHR.
#[inline]
pub fn shift_right(shift: Word, word: Word) -> Word {
    match shift.to_u64() {
        Some(shift @ 0..=255) => word >> shift as usize,
        _ => Word::ZERO,
    }
}

/// SAR.
pub fn shift_right_signed(shift: Word, word: Word) -> Word {
    match shift.to_u64() {
        Some(shift @ 0..=255) => word.arithmetic_shr(shift as usize),
        _ if is_negative(&word) => Word::MAX,
        _ => Word::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_reads_the_low_64_bits_of_its_index() {
        let word = Word::from_be_bytes(std::array::from_fn::<u8, 32, _>(|index| index as u8 + 1));
        assert_eq!(byte(Word::from(5), word), Word::from(6));
        assert_eq!(byte(Word::from(1) << 64 | Word::from(5), word), Word::from(6));
        assert_eq!(byte(Word::from(1u64 << 63), word), Word::ZERO | (word >> 248usize));
        assert_eq!(byte(Word::from(32), word), Word::ZERO);
    }

    #[test]
    fn signed_division_of_the_least_number_by_minus_one_stays() {
        let least = Word::from(1) << 255;
        assert_eq!(signed_divide(least, Word::MAX), least);
        assert_eq!(signed_modulo(Word::MAX - Word::from(6), Word::from(4)), Word::MAX - Word::from(2));
        assert_eq!(signed_divide(least, Word::ZERO), Word::ZERO);
    }

    #[test]
    fn sign_extension_from_the_last_byte_on_changes_nothing() {
        assert_eq!(sign_extend(Word::from(0), Word::from(0x80)), Word::MAX - Word::from(0x7f));
        assert_eq!(sign_extend(Word::from(0), Word::from(0x17f)), Word::from(0x7f));
        for index in [31u64, 32, 1000] {
            assert_eq!(sign_extend(Word::from(index), Word::from(0x80)), Word::from(0x80));
        }
    }
}
