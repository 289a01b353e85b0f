//! Balances. They are negative only inside the rare blocks that can make them so (§6.6), never in a state.

use std::cmp::Ordering;

use alloy_primitives::U256;

/// A balance, or an amount that moves from one to another, in wei.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// The absolute value: what the state holds after the block, whatever the sign.
    pub magnitude: U256,
    /// Below zero; never set for zero.
    pub negative: bool,
}

impl Balance {
    /// Nothing.
    pub const ZERO: Self = Self { magnitude: U256::ZERO, negative: false };

    /// With a sign, which zero has not.
    pub fn new(negative: bool, magnitude: U256) -> Self {
        Self { magnitude, negative: negative && !magnitude.is_zero() }
    }

    /// Neither positive nor negative.
    #[inline]
    pub fn is_zero(&self) -> bool {
        self.magnitude.is_zero()
    }

    /// The same with the other sign.
    pub fn negated(self) -> Self {
        Self::new(!self.negative, self.magnitude)
    }

    /// The sum; none when its absolute value is 2^256 or more.
    #[inline]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        if self.negative == other.negative {
            let magnitude = self.magnitude.checked_add(other.magnitude)?;
            return Some(Self { magnitude, negative: self.negative });
        }
        let (larger, smaller) = if self.magnitude < other.magnitude { (other, self) } else { (self, other) };
        Some(Self::new(larger.negative, larger.magnitude - smaller.magnitude))
    }

    /// The difference; none when its absolute value is 2^256 or more.
    #[inline]
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.checked_add(other.negated())
    }
}

impl From<U256> for Balance {
    #[inline(always)]
    fn from(magnitude: U256) -> Self {
        Self { magnitude, negative: false }
    }
}

impl Ord for Balance {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.negative, other.negative) {
            (false, false) => self.magnitude.cmp(&other.magnitude),
            (true, true) => other.magnitude.cmp(&self.magnitude),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
        }
    }
}

impl PartialOrd for Balance {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_and_order_are_those_of_signed_numbers() {
        let balance = |value: i64| Balance::new(value < 0, U256::from(value.unsigned_abs()));
        for a in -3..4 {
            for b in -3..4 {
                assert_eq!(balance(a).checked_add(balance(b)), Some(balance(a + b)));
                assert_eq!(balance(a).checked_sub(balance(b)), Some(balance(a - b)));
                assert_eq!(balance(a).cmp(&balance(b)), a.cmp(&b));
            }
        }
        let most = Balance::from(U256::MAX);
        assert_eq!(most.checked_add(balance(1)), None);
        assert_eq!(most.negated().checked_sub(balance(1)), None);
        assert_eq!(most.checked_sub(most), Some(Balance::ZERO));
    }
}
