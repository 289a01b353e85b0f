//! What a transaction pays for gas, and who gets it (§6.3).

use alloy_primitives::U256;

use super::error::{Refusal, TransactionRule};
use crate::{
    evm::world::BlockContext,
    forks::ForkFlags,
    journal::Amount,
    transaction::{Transaction, Type},
};

/// The prices of one unit of gas.
#[derive(Clone, Copy, Debug)]
pub(super) struct GasPrices {
    /// Taken from the sender for every unit of the limit before execution; none where no balance could pay it.
    pub(super) upfront: Option<U256>,
    /// GASPRICE, and what the sender gets back for each unit left.
    pub(super) effective: U256,
    /// What the proposer gets for each unit used; negative under a base fee that the transaction does not pay.
    pub(super) tip: Amount,
    /// What the burn contract gets for each unit used; none without london and for state transactions.
    pub(super) burnt: Option<U256>,
}

impl GasPrices {
    /// One price for everything, as before london.
    pub(super) fn plain(price: U256) -> Self {
        Self { upfront: Some(price), effective: price, tip: price.into(), burnt: None }
    }

    /// Checks the caps and makes the prices by the rules that `flags` say: before londonfix the check is of dynamic fees
    /// only, and the fee cap is what is paid; from it on everything is asked for the base fee, under london.
    pub(super) fn of(transaction: &Transaction, block: &BlockContext, flags: &ForkFlags) -> Result<Self, Refusal> {
        let base_fee = U256::from(block.base_fee);
        let burnt = (flags.london && transaction.kind != Type::State).then_some(base_fee);
        let Type::DynamicFee { gas_tip_cap, gas_fee_cap, .. } = &transaction.kind else {
            let price = transaction.gas_price;
            if flags.london_fix && flags.london && transaction.kind == Type::Legacy && price < base_fee {
                return Err(Refusal::breaks(TransactionRule::FeeCap, format!("at least {base_fee}"), price));
            }
            // Above a base fee the tip is what the price leaves, but only from londonfix on.
            let tip = if flags.london_fix && flags.london { tip(price, price, base_fee) } else { price.into() };
            return Ok(Self { burnt, tip, ..Self::plain(price) });
        };

        let without_caps = *gas_tip_cap == Some(U256::ZERO) && *gas_fee_cap == Some(U256::ZERO);
        if !without_caps && (flags.london || !flags.london_fix) {
            check_caps(*gas_tip_cap, *gas_fee_cap, base_fee)?;
        }
        let effective = if base_fee.is_zero() || without_caps {
            // Without a base fee the client finds no price in a dynamic fee.
            Some(U256::ZERO)
        } else {
            let sum = gas_tip_cap.and_then(|tip_cap| tip_cap.checked_add(base_fee));
            [sum, *gas_fee_cap].into_iter().flatten().min()
        };
        let tip = if flags.london && flags.london_fix && base_fee.is_zero() {
            gas_tip_cap.unwrap_or(U256::MAX).into()
        } else if flags.london {
            tip(gas_tip_cap.unwrap_or(U256::MAX), gas_fee_cap.unwrap_or(U256::MAX), base_fee)
        } else {
            effective.unwrap_or(U256::MAX).into()
        };
        let upfront = if flags.london_fix { effective } else { *gas_fee_cap };
        Ok(Self { upfront, effective: effective.unwrap_or(U256::MAX), tip, burnt })
    }
}

fn check_caps(tip_cap: Option<U256>, fee_cap: Option<U256>, base_fee: U256) -> Result<(), Refusal> {
    let wide = |rule| Refusal::breaks(rule, "at most 2^256-1", "more");
    let fee_cap = fee_cap.ok_or_else(|| wide(TransactionRule::FeeCapWidth))?;
    let tip_cap = tip_cap.ok_or_else(|| wide(TransactionRule::TipCapWidth))?;
    if fee_cap < tip_cap {
        return Err(Refusal::breaks(TransactionRule::TipCap, format!("at most {fee_cap}"), tip_cap));
    }
    if fee_cap < base_fee {
        return Err(Refusal::breaks(TransactionRule::FeeCap, format!("at least {base_fee}"), fee_cap));
    }
    Ok(())
}

/// What `price` leaves above the base fee, at most `cap`; below the base fee it is negative.
fn tip(cap: U256, price: U256, base_fee: U256) -> Amount {
    match price.checked_sub(base_fee) {
        Some(left) => left.min(cap).into(),
        None => Amount { magnitude: base_fee - price, negative: true },
    }
}
