"""What gas costs under a base fee, for those who judge a transaction without executing it (§6.3).

What a transaction pays in a block is decided in the core.
"""

from __future__ import annotations

from typing import Protocol


class Priced(Protocol):
    """What a transaction or a message offers per gas, in wei; the caps are those of a dynamic fee, else none."""

    @property
    def gas_price(self) -> int:
        """One price for everything, 0 under a dynamic fee."""
        ...

    @property
    def gas_tip_cap(self) -> int | None:
        """The most for the proposer."""
        ...

    @property
    def gas_fee_cap(self) -> int | None:
        """The most for base fee and proposer together."""
        ...


def effective_gas_price(offer: Priced, base_fee: int) -> int:
    """Return what a unit of gas costs under `base_fee`; without one there is no price in a dynamic fee."""
    if offer.gas_price or not base_fee:
        return offer.gas_price
    return min((offer.gas_tip_cap or 0) + base_fee, offer.gas_fee_cap or 0)


def effective_tip(offer: Priced, base_fee: int) -> int:
    """Return what the proposer gets per gas under `base_fee`; negative where the offer does not cover the base fee."""
    tip_cap = offer.gas_price if offer.gas_tip_cap is None else offer.gas_tip_cap
    fee_cap = offer.gas_price if offer.gas_fee_cap is None else offer.gas_fee_cap
    return min(tip_cap, fee_cap - base_fee) if base_fee else tip_cap


def highest_price(offer: Priced) -> int:
    """Return the most that a unit of gas may cost: what the sender must be able to pay."""
    return offer.gas_fee_cap or offer.gas_price
