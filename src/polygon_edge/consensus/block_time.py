"""When a block may be and how large: header fields that a proposer chooses by clock and parent (§4.8)."""

from __future__ import annotations

UNIX_EPOCH_SECONDS = 62_135_596_800
"""Seconds from the first of January of year 1, from which the Go client counts when it rounds."""

GAS_LIMIT_DIVISOR = 1024


def next_timestamp(parent_timestamp: int, now: float, block_time: int) -> int:
    """Return the timestamp of the block after `parent_timestamp`, all in seconds.

    One block time after the parent, or, when that has passed, the next multiple of the block time after `now`.
    """
    due = parent_timestamp + block_time
    if due >= now:
        return due
    return (int(now) + UNIX_EPOCH_SECONDS) // block_time * block_time + block_time - UNIX_EPOCH_SECONDS


def next_gas_limit(parent_gas_limit: int, target: int) -> int:
    """Return the gas limit of the next block: towards `target` by at most 1/1024 of the parent's; 0 keeps it."""
    if target in (0, parent_gas_limit):
        return parent_gas_limit
    step = parent_gas_limit // GAS_LIMIT_DIVISOR
    if target > parent_gas_limit:
        return min(target, parent_gas_limit + step)
    return max(target, parent_gas_limit - step)
