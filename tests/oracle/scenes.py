"""Transactions that belong together in one block, and their contracts: what a single transaction cannot show.

Slots to and fro (§6.7.1, §6.7.2), code that is gone and runs once more (§6.7.3), frames as deep as they go (§6.6).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tests.oracle.edge_block import Call
from tests.oracle.edge_chain import genesis_account
from tests.oracle.precompile_inputs import words

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from tests.oracle.edge_state import Account


def storing_contract() -> bytes:
    """Store the second word of the input in the slot that the first one names."""
    return bytes.fromhex("6020356000355500")


def dying_contract() -> bytes:
    """Destroy itself in favour of the caller where the first word of the input is 1, else show and return a balance."""
    return bytes.fromhex("600160003514601357303160005260206000f35b33ff")


def looking_contract(addresses: Sequence[bytes], subject: bytes) -> bytes:
    """Look at the code of each address, then store what the code of `subject` is."""
    code = b"".join(b"\x73" + address + b"\x3b\x50" for address in addresses)
    subject_word = b"\x73" + subject
    size = subject_word + b"\x3b\x60\x10\x55"
    copy = b"\x60\x20\x60\x00\x60\x00" + subject_word + b"\x3c\x60\x00\x51\x60\x11\x55"
    call = (
        b"\x60\x20\x60\x00\x60\x00\x60\x00\x60\x00"
        + subject_word
        + b"\x61\xff\xff\xf1\x60\x12\x55\x60\x00\x51\x60\x13\x55"
    )
    return code + size + copy + call + b"\x00"


def deep_contract() -> bytes:
    """Call itself with all gas but a little: without EIP150 until frames nest no deeper (§6.6)."""
    return bytes.fromhex("6000600060006000600030606e5a03f100")


def scenes(
    chance: random.Random, senders: Sequence[bytes], contracts: Sequence[bytes], accounts: dict[bytes, Account]
) -> list[list[Call]]:
    """Groups of transactions; their contracts are added to `accounts`."""
    store, dying, looking = (bytes((kind,)) * 20 for kind in (0x51, 0x52, 0x53))
    looked_at = [*contracts, *(bytes((0x60 + index,)) * 20 for index in range(24))]
    for index, address in enumerate(looked_at):
        if address not in accounts:
            accounts[address] = genesis_account(balance=1, code=bytes((0x60, index, 0x00)))
    chance.shuffle(looked_at)
    accounts[store] = genesis_account(nonce=1, code=storing_contract(), storage={0: 1, 1: 2, 2: 1 << 255})
    accounts[dying] = genesis_account(nonce=1, balance=5, code=dying_contract())
    accounts[looking] = genesis_account(
        nonce=1, code=looking_contract(looked_at[: chance.choice((0, 3, 16, 17, 18, 19, 20, 21, 22))], dying)
    )

    def call(to: bytes, *items: int, value: int = 0) -> Call:
        return Call(sender=chance.choice(senders), to=to, gas=300_000, value=value, input=words(*items))

    slots = [(chance.randrange(4), chance.choice((0, 0, 1, 2))) for _ in range(12)]
    death = [call(dying, 0), call(dying, 1), call(dying, value=3), call(looking), call(dying, 0), call(looking)]
    kept = [it for it in death if chance.random() < 0.85]
    groups = [*([call(store, *slot)] for slot in slots), kept]
    if chance.random() < 0.15:
        deep = b"\x54" * 20
        accounts[deep] = genesis_account(nonce=1, code=deep_contract())
        groups.append([replace(call(deep), gas=1_000_000)])
    return groups
