//! Words with a sign against integers of any size, computed as the Go client does: instruction by instruction, reduced
//! to 256 bits only where it reduces them (§6.6).

#![allow(clippy::unwrap_used, reason = "a test says what went wrong by failing")]

use alloy_primitives::U256;
use num_bigint::{BigInt, BigUint, Sign};
use polygon_edge_chain::evm::{signed::SignedWord, word::Word};
use proptest::prelude::*;

/// Which of the words of a test are negative on the stack: what GASLIMIT or TIMESTAMP push, and what bit instructions
/// make of it.
#[derive(Clone, Debug)]
enum Origin {
    Word([u8; 32]),
    Header(u64),
    Exclusive(u64, [u8; 32]),
    Union(u64, [u8; 32]),
}

impl Origin {
    fn word(&self) -> SignedWord {
        let unsigned = |bytes: &[u8; 32]| SignedWord::unsigned(U256::from_be_bytes(*bytes));
        match self {
            Self::Word(bytes) => unsigned(bytes),
            Self::Header(value) => SignedWord::signed_64(*value),
            Self::Exclusive(value, bytes) => SignedWord::signed_64(*value).xor(unsigned(bytes)),
            Self::Union(value, bytes) => SignedWord::signed_64(*value).or(unsigned(bytes)),
        }
    }

    fn integer(&self) -> BigInt {
        let unsigned = |bytes: &[u8; 32]| BigInt::from_bytes_be(Sign::Plus, bytes);
        match self {
            Self::Word(bytes) => unsigned(bytes),
            Self::Header(value) => BigInt::from(*value as i64),
            Self::Exclusive(value, bytes) => BigInt::from(*value as i64) ^ unsigned(bytes),
            Self::Union(value, bytes) => BigInt::from(*value as i64) | unsigned(bytes),
        }
    }
}

fn origin() -> impl Strategy<Value = Origin> {
    let word = prop_oneof![
        any::<[u8; 32]>(),
        any::<u8>().prop_map(|byte| U256::from(byte).to_be_bytes()),
        any::<u8>().prop_map(|byte| U256::MAX.wrapping_sub(U256::from(byte)).to_be_bytes()),
        any::<(u8, bool)>().prop_map(|(bit, below)| {
            let power = U256::from(1) << usize::from(bit);
            (if below { power - U256::from(1) } else { power }).to_be_bytes()
        }),
    ];
    let header = prop_oneof![
        any::<u64>(),
        (0u64..300).prop_map(|value| (1 << 63) + value),
        (0u64..300).prop_map(|value| !value)
    ];
    prop_oneof![
        word.clone().prop_map(Origin::Word),
        header.clone().prop_map(Origin::Header),
        (header.clone(), word.clone()).prop_map(|(value, bytes)| Origin::Exclusive(value, bytes)),
        (header, word).prop_map(|(value, bytes)| Origin::Union(value, bytes)),
    ]
}

/// A word of the stack as an integer, by its absolute value and whether it is below zero.
fn integer_of(word: SignedWord) -> BigInt {
    let magnitude = BigInt::from_bytes_be(Sign::Plus, &word.magnitude().to_be_bytes::<32>());
    if word.less(SignedWord::ZERO).is_zero() {
        return magnitude;
    }
    // 2^256 has no bits among the low ones.
    if magnitude.sign() == Sign::NoSign { -modulus() } else { -magnitude }
}

fn modulus() -> BigInt {
    BigInt::from(1) << 256
}

fn euclidean(a: &BigInt, b: &BigInt) -> (BigInt, BigInt) {
    let (quotient, rest) = (a / b, a % b);
    if rest.sign() != Sign::Minus {
        (quotient, rest)
    } else if b.sign() == Sign::Minus {
        (quotient + 1, rest - b)
    } else {
        (quotient - 1, rest + b)
    }
}

/// The client's `toU256`.
fn reduced(value: BigInt) -> BigInt {
    euclidean(&value, &modulus()).1
}

/// The client's `to256`.
fn signed(value: &BigInt) -> BigInt {
    if value.bits() > 255 { value - modulus() } else { value.clone() }
}

fn magnitude(value: &BigInt) -> BigInt {
    BigInt::from(value.magnitude().clone())
}

fn low_64(value: &BigInt) -> u64 {
    value.magnitude().iter_u64_digits().next().unwrap_or_default()
}

fn truth(value: bool) -> BigInt {
    BigInt::from(u8::from(value))
}

fn shift(value: &BigInt) -> Option<u64> {
    (value.bits() <= 8).then(|| low_64(value))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn instructions_compute_what_the_go_client_does(x in origin(), y in origin(), z in origin()) {
        let (a, b, c) = (x.integer(), y.integer(), z.integer());
        let (wa, wb, wc) = (x.word(), y.word(), z.word());
        prop_assert_eq!(integer_of(wa), a.clone());
        let zero = BigInt::from(0);
        let is_zero = b == zero;
        let unless_zero = |value: &dyn Fn() -> BigInt| if is_zero { BigInt::from(0) } else { value() };
        let (sa, sb) = (signed(&a), signed(&b));
        let by_sign = |negative: bool, value: BigInt| if negative { -value } else { value };
        for (name, found, expected) in [
            ("ADD", wa.add(wb), reduced(&a + &b)),
            ("SUB", wa.subtract(wb), reduced(&a - &b)),
            ("MUL", wa.multiply(wb), reduced(&a * &b)),
            ("DIV", wa.divide(wb), unless_zero(&|| reduced(euclidean(&a, &b).0))),
            ("MOD", wa.modulo(wb), unless_zero(&|| reduced(euclidean(&a, &b).1))),
            ("SDIV", wa.signed_divide(wb), if sb == zero { zero.clone() } else {
                reduced(by_sign(sa.sign() != sb.sign(), magnitude(&sa) / magnitude(&sb)))
            }),
            ("SMOD", wa.signed_modulo(wb), if sb == zero { zero.clone() } else {
                reduced(by_sign(sa.sign() == Sign::Minus, magnitude(&sa) % magnitude(&sb)))
            }),
            ("ADDMOD", wa.add_modulo(wc, wb), unless_zero(&|| reduced(euclidean(&(&a + &c), &b).1))),
            ("MULMOD", wa.multiply_modulo(wc, wb), unless_zero(&|| reduced(euclidean(&(&a * &c), &b).1))),
            ("AND", wa.and(wb), &a & &b),
            ("OR", wa.or(wb), &a | &b),
            ("XOR", wa.xor(wb), &a ^ &b),
            ("NOT", wa.not(), reduced(!a.clone())),
            ("LT", wa.less(wb), truth(a < b)),
            ("GT", wa.greater(wb), truth(a > b)),
            ("EQ", wa.equal(wb), truth(a == b)),
            ("SLT", wa.signed_less(wb), truth(sa < sb)),
            ("SGT", wa.signed_greater(wb), truth(sa > sb)),
            ("ISZERO", wa.zero_test(), truth(a == zero)),
            ("SHL", wa.shift_left(wb), shift(&a).map_or(zero.clone(), |shift| reduced(&b << shift))),
            ("SHR", wa.shift_right(wb), shift(&a).map_or(zero.clone(), |shift| reduced(&b >> shift))),
            ("SAR", wa.shift_right_signed(wb), match shift(&a) {
                Some(shift) => reduced(&sb >> shift),
                None if sb.sign() == Sign::Minus => modulus() - 1,
                None => zero.clone(),
            }),
            ("EXP", wa.power(wb), BigInt::from(
                reduced(a.clone()).magnitude().modpow(b.magnitude(), &(BigUint::from(1u8) << 256)),
            )),
        ] {
            // Without a sign the result is told apart by its absolute value alone.
            prop_assert_eq!(integer_of(found), expected, "{}", name);
        }
        prop_assert_eq!(wa.byte_length(), a.bits().div_ceil(8));
        prop_assert_eq!(wa.to_u64(), u64::try_from(&a).ok());
        prop_assert_eq!(wa.jump_target(), u64::try_from(magnitude(&a)).ok().filter(|_| a.bits() < 63));
    }

    #[test]
    fn indices_count_by_the_low_64_bits_of_their_absolute_value(x in origin(), y in origin()) {
        let (index, word) = (x.integer(), y.integer());
        let position = (low_64(&index) as i64).wrapping_mul(if index.sign() == Sign::Minus { -1 } else { 1 });
        let byte = if position > 31 {
            BigInt::from(0)
        } else {
            let shift = 31i64.wrapping_sub(position).wrapping_mul(8) as u64;
            (&word >> shift.min(1 << 20)) & BigInt::from(255)
        };
        prop_assert_eq!(integer_of(x.word().byte(y.word())), byte);
        let extended = if index > BigInt::from(32) {
            word
        } else {
            // Beyond some bits no word has any; the client would run out of memory.
            let bit = low_64(&index).wrapping_mul(8).wrapping_add(7).min(1 << 20);
            let mask: BigInt = (BigInt::from(1) << bit) - 1;
            reduced(if word.bit(bit) { word | !mask } else { word & mask })
        };
        prop_assert_eq!(integer_of(x.word().sign_extend(y.word())), extended);
    }

    /// The two instances of the machine may not differ where nothing is negative.
    #[test]
    fn without_a_sign_both_kinds_of_words_agree(a in any::<[u8; 32]>(), b in any::<[u8; 32]>(), small in any::<u8>()) {
        let unsigned = |bytes: [u8; 32]| U256::from_be_bytes(bytes);
        let (a, b, small) = (unsigned(a), unsigned(b), U256::from(small));
        macro_rules! agree {
            ($($operation:ident($($operand:ident),+)),+) => {$({
                let wide = agree!(@call $operation $($operand),+);
                prop_assert_eq!((stringify!($operation), wide.magnitude()), (stringify!($operation), agree!(@plain $operation $($operand),+)));
                prop_assert!(wide.less(SignedWord::ZERO).is_zero());
            })+};
            (@call $operation:ident $first:ident $(, $rest:ident)*) => {
                SignedWord::unsigned($first).$operation($(SignedWord::unsigned($rest)),*)
            };
            (@plain $operation:ident $first:ident $(, $rest:ident)*) => { Word::$operation($first $(, $rest)*) };
        }
        agree!(
            add(a, b), subtract(a, b), multiply(a, b), divide(a, b), signed_divide(a, b), modulo(a, b), signed_modulo(a, b),
            add_modulo(a, b, small), multiply_modulo(a, b, small), power(a, small), sign_extend(small, a), less(a, b),
            greater(a, b), signed_less(a, b), signed_greater(a, b), and(a, b), or(a, b), xor(a, b), not(a), byte(small, a),
            byte(a, b), shift_left(small, a), shift_right(small, a), shift_right_signed(small, a), equal(a, b), divide(a, small)
        );
    }
}
