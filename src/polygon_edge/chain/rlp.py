"""Reads small RLP values: archive metadata, validator lists, the height of a block.

Not the `rlp` package: it brings eth-utils, pydantic and a C extension into every start of the program, and its
strictness differs from the fact sheet's (§2.1: bytes after the first value are ignored, leading zeros inside a long
length are accepted). The package is the oracle in the tests instead. Whole blocks are decoded in Rust, never here.
"""

from __future__ import annotations

from typing import TypeAlias

Item: TypeAlias = "bytes | list[Item]"

_MAXIMUM_DEPTH = 16
"""Deeper than anything a header holds; bounds the recursion on hostile input."""


class RlpError(ValueError):
    """Bytes that are not RLP, with the position at which that shows."""

    def __init__(self, position: int, problem: str) -> None:
        self.position = position
        self.problem = problem
        super().__init__(f"RLP byte {position}: {problem}")


def span(data: bytes, position: int) -> tuple[bool, int, int]:
    """Return (is a list, start of the payload, end of the payload) of the item at `position`.

    Raises RlpError (§2.1).
    """
    if position >= len(data):
        raise RlpError(position, "an item is missing")
    prefix = data[position]
    if prefix < 0x80:
        return False, position, position + 1
    is_list = prefix >= 0xC0
    short = prefix - (0xC0 if is_list else 0x80)
    if short <= 55:
        start, size = position + 1, short
        if not is_list and size == 1 and start < len(data) and data[start] < 0x80:
            raise RlpError(position, "a byte below 0x80 is wrapped")
    else:
        start = position + 1 + short - 55
        if start > len(data):
            raise RlpError(position, "the length is cut")
        size = int.from_bytes(data[position + 1 : start], "big")
        if size < 56:
            raise RlpError(position, "a long length below 56")
    if start + size > len(data):
        raise RlpError(position, f"{size} bytes needed, {len(data) - start} left")
    return is_list, start, start + size


def decode(data: bytes) -> Item:
    """Decode the first value of `data` to nested bytes and lists.

    What follows it is ignored (§2.1); raises RlpError.
    """
    return _item(data, 0, 0)[0]


def _item(data: bytes, position: int, depth: int) -> tuple[Item, int]:
    is_list, start, end = span(data, position)
    if not is_list:
        return data[start:end], end
    if depth == _MAXIMUM_DEPTH:
        raise RlpError(position, "nested too deeply")
    items: list[Item] = []
    while start < end:
        item, start = _item(data, start, depth + 1)
        items.append(item)
    if start != end:
        raise RlpError(position, "an item reaches beyond its list")
    return items, end


def integer(value: int) -> bytes:
    """Return the minimal big-endian bytes of a non-negative integer, the empty string for 0 (§2.1)."""
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def encode(item: Item) -> bytes:
    """Encode nested bytes and lists (§2.1)."""
    if isinstance(item, list):
        payload = b"".join(map(encode, item))
        return _prefix(0xC0, len(payload)) + payload
    if len(item) == 1 and item[0] < 0x80:
        return item
    return _prefix(0x80, len(item)) + item


def _prefix(base: int, size: int) -> bytes:
    if size <= 55:
        return bytes((base + size,))
    length = integer(size)
    return bytes((base + 55 + len(length),)) + length
