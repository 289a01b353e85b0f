"""What can be said of a block without decoding it: its height, the validators its extra data lists.

Hashes, seals, roots and everything else that needs a whole block is in the Rust core.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from polygon_edge.chain import rlp
from polygon_edge.chain.address import ADDRESS_SIZE
from polygon_edge.chain.validator import BLS_PUBLIC_KEY_SIZE

if TYPE_CHECKING:
    from polygon_edge.chain.validator import ValidatorSet

VANITY_SIZE = 32
HASH_SIZE = 32
_NUMBER_ITEM = 8
_FIXED_ITEMS_SIZE = 3 * 33 + 259
"""Three roots and the bloom, between miner and difficulty."""


class ExtraDataError(ValueError):
    """Extra data that does not hold what IBFT puts there (§3.3)."""


def block_number(raw: bytes) -> int:
    """Return the height of the block in `raw` (network RLP, §2.3) without decoding the rest; raises RlpError.

    The height is a claim of the bytes, nothing is verified.
    """
    _, header, _ = rlp.span(raw, 0)
    is_list, position, end = rlp.span(raw, header)
    if not is_list:
        raise rlp.RlpError(header, "a header must be a list")
    skipped = _NUMBER_ITEM
    # The items before the number nearly always have the same sizes, and this runs once per block of an archive: check
    # their prefixes instead of walking them.
    roots = position + 87
    if (
        raw[position : position + 67 : 33] == b"\xa0\xa0\x94"
        and raw[roots : roots + 67 : 33] == b"\xa0\xa0\xa0"
        and raw[roots + 99 : roots + 102] == b"\xb9\x01\x00"
    ):
        position = roots + _FIXED_ITEMS_SIZE
        skipped = 1
    for _ in range(skipped):
        position = rlp.span(raw, position)[2]
    is_list, start, stop = rlp.span(raw, position)
    if is_list or stop - start > 8 or stop > end:
        raise rlp.RlpError(position, "a height must be at most 8 bytes")
    return int.from_bytes(raw[start:stop], "big")


def listed_validators(extra_data: bytes) -> ValidatorSet:
    """Return the validators that IBFT extra data lists, in order: addresses of 20 bytes, or with BLS keys of 68 (§3.3).

    Raises ExtraDataError when the extra data cannot be read, or lists validators of both types.
    """
    if len(extra_data) <= VANITY_SIZE:
        raise ExtraDataError(f"expected more than {VANITY_SIZE} bytes, found {len(extra_data)}")
    try:
        items = rlp.decode(extra_data[VANITY_SIZE:])
    except rlp.RlpError as error:
        raise ExtraDataError(str(error)) from error
    if not isinstance(items, list) or len(items) < 3:
        raise ExtraDataError("expected a list of at least 3 items after the vanity")
    if not isinstance(items[0], list):
        raise ExtraDataError("expected a list of validators")
    validators = tuple(_validator(index, item) for index, item in enumerate(items[0]))
    if len(set(map(len, validators))) > 1:
        raise ExtraDataError("expected validators of one type, found addresses with and without BLS keys")
    return validators


def _validator(index: int, item: rlp.Item) -> bytes:
    if isinstance(item, list):
        if len(item) < 2:
            raise ExtraDataError(f"validator {index}: expected address and BLS key, found {len(item)} items")
        address, key = item[:2]
        if isinstance(key, list) or len(key) != BLS_PUBLIC_KEY_SIZE:
            found = "a list" if isinstance(key, list) else f"{len(key)} bytes"
            raise ExtraDataError(f"validator {index}: expected a BLS key of {BLS_PUBLIC_KEY_SIZE} bytes, found {found}")
    else:
        address, key = item, b""
    if isinstance(address, list) or len(address) != ADDRESS_SIZE:
        found = "a list" if isinstance(address, list) else f"{len(address)} bytes"
        raise ExtraDataError(f"validator {index}: expected an address of {ADDRESS_SIZE} bytes, found {found}")
    return address + key
