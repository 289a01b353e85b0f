"""Account addresses as text (EIP-55)."""

from __future__ import annotations

import re
from functools import lru_cache

from polygon_edge import _core

ADDRESS_SIZE = 20
_ADDRESS = re.compile(r"(?:0[xX])?([0-9a-fA-F]{40})")


@lru_cache(maxsize=1 << 14)
def checksum_address(address: bytes) -> str:
    """Return the 20-byte `address` as `0x` and hex digits whose case is its checksum (§1.0); raises ValueError."""
    if len(address) != ADDRESS_SIZE:
        raise ValueError(f"expected an address of {ADDRESS_SIZE} bytes, found {len(address)}")
    digits = address.hex()
    checksum = _core.keccak256(digits.encode()).hex()
    cased = (digit.upper() if nibble >= "8" else digit for digit, nibble in zip(digits, checksum, strict=False))
    return "0x" + "".join(cased)


def parse_address(text: str) -> bytes:
    """Read 40 hex digits, `0x` optional, of any case, as 20 bytes (D-9); raises ValueError."""
    match = _ADDRESS.fullmatch(text)
    if match is None:
        raise ValueError(f"expected an address of {ADDRESS_SIZE} bytes in hex, found {text!r}")
    return bytes.fromhex(match[1])
