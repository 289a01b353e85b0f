"""What a transaction costs before anything of it is executed (§6.2), for those who judge one without executing it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

TRANSACTION_GAS = 21_000
CREATION_GAS = 53_000
ZERO_BYTE_GAS = 4
NON_ZERO_BYTE_GAS = 68
NON_ZERO_BYTE_GAS_ISTANBUL = 16


def intrinsic_gas(forks: Mapping[str, int], number: int, *, creates: bool, data: bytes) -> int:
    """Return the gas that a transaction with the input `data` costs at least in block `number`.

    `forks` maps a fork's name to its first block, as in `chain.rules.Rules`; `creates` says that it has no receiver.
    """
    base = CREATION_GAS if creates and _is_active(forks, "homestead", number) else TRANSACTION_GAS
    per_byte = NON_ZERO_BYTE_GAS_ISTANBUL if _is_active(forks, "istanbul", number) else NON_ZERO_BYTE_GAS
    zeros = data.count(0)
    return base + zeros * ZERO_BYTE_GAS + (len(data) - zeros) * per_byte


def _is_active(forks: Mapping[str, int], name: str, number: int) -> bool:
    first = forks.get(name)
    return first is not None and first <= number
