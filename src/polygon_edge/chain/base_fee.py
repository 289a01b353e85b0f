"""How the base fee moves from block to block, on a chain whose proposer sets one: of the engine `dev`, from G3 on.

On chains of IBFT it stays 0, whatever their forks; how fees are charged is the core's.
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
    elasticity: int = 1
    change_denominator: int = 1

    def after(self, parent: Header) -> int:
        """Return the base fee of the block after `parent`, in wei: 0 unless the parent is a block of london."""
        if self.london is None or parent.number < self.london:
            return 0
        if parent.base_fee == 0:
            return self.first or FIRST_BASE_FEE
        # The Go client divides by zero where the limit is less than the elasticity.
        aim = max(parent.gas_limit // self.elasticity, 1)
        # Its product wraps at 64 bits.
        step = parent.base_fee * abs(parent.gas_used - aim) % _WORD // aim // self.change_denominator
        if parent.gas_used > aim:
            return (parent.base_fee + max(step, 1)) % _WORD
        return (parent.base_fee - step) % _WORD
