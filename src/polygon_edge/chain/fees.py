"""What gas costs under a base fee, for those who judge a transaction without executing it (§6.3).

What a transaction pays in a block is decided in the core.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from polygon_edge import _core

INITIAL_BASE_FEE: Final = 1_000_000_000
_UINT64: Final = 1 << 64


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


@dataclass(frozen=True, slots=True)
class BaseFeeRules:
    """How the base fee moves from block to block.

    `initial` is that of the first block under london, 0 standing for `INITIAL_BASE_FEE`; a block is held against its
    gas limit divided by `elasticity`, and the fee moves by one `change_denominator`th at most.
    """

    initial: int = 0
    elasticity: int = 0
    change_denominator: int = 0

    def after(self, head: _core.Header) -> int:
        """Return the base fee that follows `head`, a block under london, in the 64-bit arithmetic of §6.3.

        A genesis file without the two divisors leaves the fee as it is; the Go client dies of the division.
        """
        if head.base_fee == 0:
            return self.initial or INITIAL_BASE_FEE
        target = head.gas_limit // self.elasticity if self.elasticity else 0
        if head.gas_used == target or not target or not self.change_denominator:
            return head.base_fee
        distance = abs(head.gas_used - target)
        change = head.base_fee * distance % _UINT64 // target // self.change_denominator
        if head.gas_used > target:
            return (head.base_fee + max(change, 1)) % _UINT64
        return (head.base_fee - change) % _UINT64


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
