"""How the base fee moves from block to block, from G3 on (§6.3).

Only proposers of the engine `dev` write it into their headers; on chains of IBFT it stays 0 there, and is what a pool
and its clients reckon with. How fees are charged is the core's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from polygon_edge._core import Header

FIRST_BASE_FEE = 1_000_000_000
"""In wei, where the genesis file names none."""

_WORD = 1 << 64


@dataclass(frozen=True, slots=True)
class BaseFees:
    """The terms of a chain.

    `london` is the first block of that fork, None where it never starts. `first` is the fee to start at in wei, 0 for
    `FIRST_BASE_FEE`; `elasticity` the gas limit over the gas aimed at; `change_denominator` the divisor of a step.
    """

    london: int | None = None
    first: int = 0
    elasticity: int = 0
    change_denominator: int = 0

    def after(self, parent: Header) -> int:
        """Return the base fee of the block after `parent`, in wei of 64 bits: 0 unless the parent is a block of london.

        Where there is nothing to divide by the fee stays as it is; the Go client dies of the division.
        """
        if self.london is None or parent.number < self.london:
            return 0
        if parent.base_fee == 0:
            return self.first or FIRST_BASE_FEE
        aim = parent.gas_limit // self.elasticity if self.elasticity else 0
        if aim == 0 or self.change_denominator == 0:
            return parent.base_fee
        # The product wraps at 64 bits.
        step = parent.base_fee * abs(parent.gas_used - aim) % _WORD // aim // self.change_denominator
        if parent.gas_used > aim:
            return (parent.base_fee + max(step, 1)) % _WORD
        return (parent.base_fee - step) % _WORD
