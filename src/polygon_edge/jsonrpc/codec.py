"""How values are written and read: quantities, data, addresses, hashes, block parameters (§5.3).

Reading is as lenient as the Go client's, because its users' tools are written against that: what it takes is taken,
what it refuses is refused. Every `decode_` function takes a JSON value that is not null and raises
InvalidParametersError.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING, TypeAlias

from polygon_edge.chain.address import ADDRESS_SIZE
from polygon_edge.chain.block import HASH_SIZE
from polygon_edge.jsonrpc.rpc_error import InvalidParametersError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_UINT64 = 1 << 64
_UINT256_BYTES = 32
_DECIMAL = re.compile(r"[0-9]{1,80}", re.ASCII)
_HEXADECIMAL = re.compile(r"[0-9a-fA-F]{1,80}", re.ASCII)
# One class without a group: a repeated group costs a hundred bytes of memory for each pair.
_HEXADECIMAL_DIGITS = re.compile(r"[0-9a-fA-F]*", re.ASCII)


class Tag(Enum):
    """A block named by where it stands. Only a nonce differs between the last block and what is pending (D-8)."""

    LATEST = "latest"
    PENDING = "pending"
    EARLIEST = "earliest"


_TAGS = {tag.value: tag for tag in Tag}

BlockNumber: TypeAlias = int | Tag
BlockReference: TypeAlias = int | Tag | bytes
"""A block by height, by tag, or by its 32-byte hash (EIP-1898)."""


def quantity(value: int) -> str:
    """Write a number as `0x` and as few digits as possible."""
    return hex(value)


def data(value: bytes) -> str:
    """Write bytes as `0x` and two digits each."""
    return "0x" + value.hex()


def fields(value: object, names: Sequence[str]) -> dict[str, object]:
    """Return the members of a JSON object that are in `names`, whatever their case; the last one of a name counts.

    Null members are left out: they are as good as absent everywhere.
    """
    if not isinstance(value, dict):
        raise InvalidParametersError
    return select_fields(value, names)


def select_fields(value: Mapping[str, object], names: Sequence[str]) -> dict[str, object]:
    """Do what `fields` does for what is known to be an object."""
    by_folded_name = {name.casefold(): name for name in names}
    found: dict[str, object] = {}
    for key, member in value.items():
        name = by_folded_name.get(key.casefold())
        if name is not None and member is not None:
            found[name] = member
    return found


def decode_text(value: object) -> str:
    """Read a string."""
    if not isinstance(value, str):
        raise InvalidParametersError
    return value


def decode_flag(value: object) -> bool:
    """Read true or false."""
    if not isinstance(value, bool):
        raise InvalidParametersError
    return value


def decode_address(value: object) -> bytes:
    """Read 20 bytes; the prefix and the checksum's case are not asked for."""
    address = _leading_bytes(decode_text(value))
    if len(address) != ADDRESS_SIZE:
        raise InvalidParametersError
    return address


def decode_hash(value: object) -> bytes:
    """Read 32 bytes from hex digits of any number: fewer are filled with zeros on the left, of more the last count."""
    return _leading_bytes(decode_text(value))[-HASH_SIZE:].rjust(HASH_SIZE, b"\0")


def decode_data(value: object) -> bytes:
    """Read bytes of any number; what is not hex counts as no bytes, as in the Go client."""
    return decode_optional_data(value) or b""


def decode_optional_data(value: object) -> bytes | None:
    """Read bytes of any number, none where the text is not hex."""
    digits = _padded_digits(decode_text(value))
    return bytes.fromhex(digits) if _HEXADECIMAL_DIGITS.fullmatch(digits) else None


def decode_amount(value: object) -> int:
    """Read wei, at most 256 bits, from a text of bytes."""
    amount = decode_data(value).lstrip(b"\0")
    if len(amount) > _UINT256_BYTES:
        raise InvalidParametersError
    return int.from_bytes(amount, "big")


def decode_uint64(value: object) -> int:
    """Read a number from hex digits, with or without prefix."""
    return _uint64(decode_text(value).removeprefix("0x"), 16)


def decode_count(value: object) -> int:
    """Read a number (decimal or `0x` hex, as text or bare number)."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value) if abs(value) < _UINT64 else ""
    text = decode_text(value)
    return _uint64(text[2:], 16) if text.startswith("0x") else _uint64(text, 10)


def decode_block_number(value: object) -> BlockNumber:
    """Read a height (decimal or `0x` hex, as text or bare number) or a tag."""
    tag = _TAGS.get(value) if isinstance(value, str) else None
    return decode_count(value) if tag is None else tag


def decode_block_reference(value: object) -> BlockReference:
    """Read a height or tag, or an object with either `blockNumber` or `blockHash`."""
    if not isinstance(value, dict):
        return decode_block_number(value)
    found = fields(value, ("blockNumber", "blockHash"))
    if len(found) != 1:
        raise InvalidParametersError
    if "blockHash" in found:
        return decode_hash(found["blockHash"])
    return decode_block_number(found["blockNumber"])


def _uint64(digits: str, base: int) -> int:
    pattern = _DECIMAL if base == 10 else _HEXADECIMAL
    significant = digits.lstrip("0") or digits[-1:]
    if not pattern.fullmatch(significant):
        raise InvalidParametersError
    number = int(significant, base)
    if number >= _UINT64:
        raise InvalidParametersError
    return number


def _padded_digits(text: str) -> str:
    digits = text.removeprefix("0x")
    return "0" + digits if len(digits) % 2 else digits


def _leading_bytes(text: str) -> bytes:
    """Read hex digits up to the first that is none: the Go client overlooks what follows in hashes and addresses."""
    found = _HEXADECIMAL_DIGITS.match(_padded_digits(text))
    digits = found.group() if found else ""
    return bytes.fromhex(digits[: len(digits) & ~1])
