"""The validators of proof of stake, as the staking contract names them in the state of a block (§6.11).

Which block that is for a height is `chain.schedule`'s; the call is executed by the core.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from polygon_edge import _core
from polygon_edge.chain.address import ADDRESS_SIZE
from polygon_edge.chain.staking import STAKING_ADDRESS
from polygon_edge.chain.validator import are_distinct
from polygon_edge.errors import StakingContractError

if TYPE_CHECKING:
    from polygon_edge.chain.validator import ValidatorSet, ValidatorType

VALIDATORS_SELECTOR = bytes.fromhex("ca1e7819")
"""`validators()`, which returns address[]."""

BLS_PUBLIC_KEYS_SELECTOR = bytes.fromhex("3c561f04")
"""`validatorBLSPublicKeys()`, which returns bytes[], one for each validator, empty where none is registered."""

QUERY_GAS = 1_000_000
SETS_KEPT = 4
"""A run asks for the set of its parent, its own, and, where it fails in its middle, for its own again."""

_WORD = 32


class ContractStates(Protocol):
    """The states in which the contract can be asked: of the last executed block and of every committed one."""

    def view(self, number: int, *, to: bytes, input: bytes, gas: int) -> _core.CallOutcome:
        """Call `to` from the zero address on the state after block `number`."""
        ...


class StakedValidators:
    """Reads sets from the contract, and keeps the last few."""

    def __init__(self, states: ContractStates) -> None:
        self._states = states
        self._kept: dict[tuple[int, ValidatorType], ValidatorSet] = {}

    def after(self, number: int, validator_type: ValidatorType) -> ValidatorSet:
        """Return the validators in the state after block `number`, in the order of the contract.

        For BLS those whose key is no point of the group are left out. Raises StakingContractError where the contract
        does not answer as it should.
        """
        found = self._kept.pop((number, validator_type), None)
        if found is None:
            found = self._read(number, validator_type)
        # The last asked for stands last.
        self._kept[number, validator_type] = found
        if len(self._kept) > SETS_KEPT:
            del self._kept[next(iter(self._kept))]
        return found

    def _read(self, number: int, validator_type: ValidatorType) -> ValidatorSet:
        words = decode_words(self._query(number, VALIDATORS_SELECTOR), number)
        addresses = [word[-ADDRESS_SIZE:] for word in words]
        validators = tuple(addresses)
        if validator_type == "bls":
            keys = decode_byte_strings(self._query(number, BLS_PUBLIC_KEYS_SELECTOR), number)
            if len(keys) < len(addresses):
                raise StakingContractError(number, f"{len(addresses)} BLS public keys", f"{len(keys)}")
            validators = tuple(
                address + key for address, key in zip(addresses, keys, strict=False) if _core.is_bls_public_key(key)
            )
        if not are_distinct(validators):
            raise StakingContractError(number, "validators of different addresses", "an address twice")
        return validators

    def _query(self, number: int, selector: bytes) -> bytes:
        try:
            outcome = self._states.view(number, to=STAKING_ADDRESS, input=selector, gas=QUERY_GAS)
        except _core.CallRefusedError as error:
            raise StakingContractError(number, "an answer", f"a refused call: {error}") from error
        if outcome.status != "success":
            raise StakingContractError(number, "an answer", f"a failed call: {outcome.status}")
        return outcome.output


def decode_words(output: bytes, number: int) -> list[bytes]:
    """Read a call's output as one array of words; raises StakingContractError that names block `number`."""
    start = _offset(output, 0, 0, number)
    count = _integer(output, start, number)
    if count > (len(output) - start - _WORD) // _WORD:
        raise StakingContractError(number, f"{count} words", f"{len(output) - start - _WORD} bytes")
    begin = start + _WORD
    return [output[position : position + _WORD] for position in range(begin, begin + count * _WORD, _WORD)]


def decode_byte_strings(output: bytes, number: int) -> list[bytes]:
    """Read a call's output as one array of byte strings; raises StakingContractError that names block `number`."""
    start = _offset(output, 0, 0, number)
    count = _integer(output, start, number)
    begin = start + _WORD
    if count > (len(output) - begin) // _WORD:
        raise StakingContractError(number, f"{count} offsets", f"{len(output) - begin} bytes")
    found = []
    for index in range(count):
        position = _offset(output, begin + index * _WORD, begin, number)
        length = _integer(output, position, number)
        if length > len(output) - position - _WORD:
            raise StakingContractError(number, f"{length} bytes", f"{len(output) - position - _WORD} bytes")
        found.append(output[position + _WORD : position + _WORD + length])
    return found


def _offset(output: bytes, position: int, base: int, number: int) -> int:
    """The place that the word at `position` points to, counted from `base`."""
    place = base + _integer(output, position, number)
    if place > len(output) - _WORD:
        raise StakingContractError(number, f"an offset below {len(output)}", str(place))
    return place


def _integer(output: bytes, position: int, number: int) -> int:
    word = output[position : position + _WORD]
    if len(word) < _WORD:
        raise StakingContractError(number, f"a word at byte {position} of the answer", f"{len(output)} bytes")
    return int.from_bytes(word, "big")
