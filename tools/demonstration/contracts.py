"""A small contract, assembled by hand, so that the demonstration needs no compiler.

With 32 bytes of call data it returns the value of that slot; with 64 it stores the second word in the slot of the first
and logs it; an odd value is refused.
"""

from __future__ import annotations

STORED_TOPIC = b"Stored(uint256,uint256)".ljust(32, b"\0")

_PARTS = (
    # CALLDATASIZE == 32: go to `read`
    "36 6020 14 60{read} 57",
    # value & 1: go to `refuse`
    "6020 35 6001 16 60{refuse} 57",
    # SSTORE(slot, value); LOG2(value; topic, slot)
    "6020 35 6000 35 55  6020 35 6000 52  6000 35 7f{topic} 6020 6000 a2 00",
)
_READ = "5b 6000 35 54 6000 52 6020 6000 f3"
_REFUSE = "5b 6000 6000 fd"


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace(" ", ""))


def store_runtime() -> bytes:
    """The code that lives on the chain."""
    topic = STORED_TOPIC.hex()
    measured = sum(len(_bytes(part.format(read="00", refuse="00", topic=topic))) for part in _PARTS)
    read_at, refuse_at = measured, measured + len(_bytes(_READ))
    head = "".join(part.format(read=f"{read_at:02x}", refuse=f"{refuse_at:02x}", topic=topic) for part in _PARTS)
    return _bytes(head) + _bytes(_READ) + _bytes(_REFUSE)


def store_creation() -> bytes:
    """Code that a creating transaction carries: it stores 42 in slot 0 and leaves `store_runtime` behind."""
    runtime = store_runtime()
    size = f"{len(runtime):02x}"
    # Stores 42 in slot 0, copies the runtime to memory, returns it.
    prefix = "602a 6000 55  60{size} 60{offset} 6000 39  60{size} 6000 f3"
    offset = f"{len(_bytes(prefix.format(size=size, offset='00'))):02x}"
    return _bytes(prefix.format(size=size, offset=offset)) + runtime


def word(number: int) -> bytes:
    """A number as 32 bytes of call data."""
    return number.to_bytes(32, "big")
