"""What can be said of a block without decoding it: its height, the validators its extra data lists.

Hashes, seals, roots and everything else that needs a whole block is in the Rust core.
"""

from __future__ import annotations

from polygon_edge.chain import rlp

VANITY_SIZE = 32
ADDRESS_SIZE = 20
HASH_SIZE = 32
_NUMBER_ITEM = 8
_FIXED_ITEMS_SIZE = 3 * 33 + 259
"""Three roots and the bloom, between miner and difficulty."""


class ExtraDataError(ValueError):
    """Extra data that does not hold what IBFT puts there (§3.3)."""


class BlsValidatorsError(ExtraDataError):
    """Extra data whose validators carry BLS keys."""


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


def listed_validators(extra_data: bytes) -> tuple[bytes, ...]:
    """Return the ECDSA validators, 20-byte addresses in order, that IBFT extra data lists (§3.3).

    Raises BlsValidatorsError when they carry BLS keys and ExtraDataError when the extra data cannot be read.
    """
    if len(extra_data) <= VANITY_SIZE:
        raise ExtraDataError(f"expected more than {VANITY_SIZE} bytes, found {len(extra_data)}")
    try:
        items = rlp.decode(extra_data[VANITY_SIZE:])
    except rlp.RlpError as error:
        raise ExtraDataError(str(error)) from error
    if not isinstance(items, list) or len(items) < 3:
        raise ExtraDataError("expected a list of at least 3 items after the vanity")
    validators = items[0]
    if not isinstance(validators, list):
        raise ExtraDataError("expected a list of validators")
    addresses: list[bytes] = []
    for index, validator in enumerate(validators):
        if isinstance(validator, list):
            raise BlsValidatorsError(f"validator {index} is a list: address and BLS key")
        if len(validator) != ADDRESS_SIZE:
            raise ExtraDataError(f"validator {index}: expected {ADDRESS_SIZE} bytes, found {len(validator)}")
        addresses.append(validator)
    return tuple(addresses)
