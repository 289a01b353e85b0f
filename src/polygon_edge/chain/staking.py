"""The staking contract of proof of stake: its address, its code, and the state it starts with (§5.6).

Which validators it names later is read by `consensus` through a call.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from polygon_edge import _core
from polygon_edge.chain.validator import address_of, bls_public_key_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

STAKING_ADDRESS = bytes(18) + b"\x10\x01"
CODE_HASH = bytes.fromhex("beaae806cc92066c9c8526b202e40b9b93cf6f8897f3935dd271b5e92f4177ab")
CODE_FILE = "staking_contract.hex"
STAKE = 10**19
"""Of each validator that the contract starts with, in wei."""

LEAST_VALIDATORS = 1
MOST_VALIDATORS = 2**53 - 2

_VALIDATORS_SLOT = 0
_IS_VALIDATOR_SLOT = 1
_STAKE_SLOT = 2
_INDEX_SLOT = 3
_TOTAL_STAKE_SLOT = 4
_LEAST_VALIDATORS_SLOT = 5
_MOST_VALIDATORS_SLOT = 6
_BLS_PUBLIC_KEY_SLOT = 7
_LONGEST_SHORT_BYTES = 31


@dataclass(frozen=True, slots=True)
class StakingContract:
    """The contract as it starts: `balance` in wei, `storage` slot to value, 32 bytes each.

    Zero values are among them, as the Go client writes them; they set nothing.
    """

    code: bytes
    balance: int
    storage: Mapping[bytes, bytes]


@cache
def staking_code() -> bytes:
    """Return the contract's code, the same for every chain; raises ValueError for a damaged installation."""
    code = bytes.fromhex(files(__package__).joinpath(CODE_FILE).read_text("ascii"))
    if _core.keccak256(code) != CODE_HASH:
        raise ValueError(f"{CODE_FILE}: expected code with the hash 0x{CODE_HASH.hex()}")
    return code


def staking_contract(
    validators: Sequence[bytes], least_validators: int | None = None, most_validators: int | None = None
) -> StakingContract:
    """Return the contract in which `validators` (20 or 68 bytes each, in set order) have staked."""
    storage: dict[bytes, int] = {
        _word(_VALIDATORS_SLOT): len(validators),
        _word(_TOTAL_STAKE_SLOT): len(validators) * STAKE,
        _word(_LEAST_VALIDATORS_SLOT): LEAST_VALIDATORS if least_validators is None else least_validators,
        _word(_MOST_VALIDATORS_SLOT): MOST_VALIDATORS if most_validators is None else most_validators,
    }
    elements = int.from_bytes(_core.keccak256(_word(_VALIDATORS_SLOT)), "big")
    for index, validator in enumerate(validators):
        address = address_of(validator)
        storage[_word(elements + index)] = int.from_bytes(address, "big")
        storage[_mapped(address, _IS_VALIDATOR_SLOT)] = 1
        storage[_mapped(address, _STAKE_SLOT)] = STAKE
        storage[_mapped(address, _INDEX_SLOT)] = index
        key = bls_public_key_of(validator)
        if key is not None:
            storage |= _bytes_at(_mapped(address, _BLS_PUBLIC_KEY_SLOT), key)
    words = {slot: _word(value) for slot, value in storage.items()}
    return StakingContract(staking_code(), len(validators) * STAKE, words)


def _word(value: int) -> bytes:
    return (value % (1 << 256)).to_bytes(32, "big")


def _mapped(address: bytes, slot: int) -> bytes:
    """The slot of a mapping's value for `address`, as Solidity places it."""
    return _core.keccak256(address.rjust(32, b"\0") + _word(slot))


def _bytes_at(base: bytes, data: bytes) -> dict[bytes, int]:
    """The slots of a byte string at `base`, as Solidity places it."""
    if len(data) <= _LONGEST_SHORT_BYTES:
        return {base: int.from_bytes(data.ljust(32, b"\0"), "big") + 2 * len(data)}
    begin = int.from_bytes(_core.keccak256(base), "big")
    chunks = [data[start : start + 32] for start in range(0, len(data), 32)]
    words = {_word(begin + index): int.from_bytes(chunk.ljust(32, b"\0"), "big") for index, chunk in enumerate(chunks)}
    return {base: 2 * len(data) + 1} | words
