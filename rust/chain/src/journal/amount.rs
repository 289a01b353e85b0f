//! What moves between balances, which may be less than nothing (§6.3, §6.6).

use alloy_primitives::U256;

/// An amount of wei.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// Its absolute value.
    pub magnitude: U256,
    /// Below zero: as the value of a call in a rare block, or as a tip that does not reach the base fee.
    pub negative: bool,
}

impl Amount {
    /// Neither positive nor negative.
    #[inline]
    pub fn is_zero(&self) -> bool {
        self.magnitude.is_zero()
    }

    /// Whether a balance is not below it.
    #[inline]
    pub fn is_covered_by(&self, balance: &U256) -> bool {
        self.negative || *balance >= self.magnitude
    }

    /// A balance after the amount has come in; none from 2^256 on.
    ///
    /// A balance below zero is its absolute value from the next look at it on: the Go client copies accounts so.
    #[inline]
    pub fn added_to(&self, balance: U256) -> Option<U256> {
        if self.negative { Some(balance.abs_diff(self.magnitude)) } else { balance.checked_add(self.magnitude) }
    }

    /// A balance that covers the amount, after it has gone out; none from 2^256 on.
    #[inline]
    pub fn taken_from(&self, balance: U256) -> Option<U256> {
        if self.negative { balance.checked_add(self.magnitude) } else { balance.checked_sub(self.magnitude) }
    }
}

impl From<U256> for Amount {
    #[inline(always)]
    fn from(magnitude: U256) -> Self {
        Self { magnitude, negative: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_negative_amount_moves_backwards_and_leaves_no_negative_balance() {
        let [five, three] = [5, 3].map(U256::from);
        let back = Amount { magnitude: five, negative: true };
        assert!(back.is_covered_by(&U256::ZERO));
        assert_eq!((back.taken_from(three), back.added_to(three)), (Some(U256::from(8)), Some(U256::from(2))));
        let forth = Amount::from(five);
        assert!(!forth.is_covered_by(&three));
        assert_eq!((forth.taken_from(five), forth.added_to(three)), (Some(U256::ZERO), Some(U256::from(8))));
        assert_eq!(forth.added_to(U256::MAX), None);
    }
}
