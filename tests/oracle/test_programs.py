"""Random programs: the core against py-evm under Edge's rules (§6)."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest
from eth_hash.auto import keccak
from hypothesis import given
from hypothesis import strategies as st
from tests.oracle.chain import ALL_FORKS
from tests.oracle.duel import DifferenceError, Tally, least, play
from tests.oracle.edge_block import Call
from tests.oracle.edge_chain import genesis_account, secure_root
from tests.oracle.edge_rules import EdgeRules
from tests.oracle.edge_state import BlockState
from tests.oracle.effort import examples
from tests.oracle.worlds import SENDERS, World, random_world
from trie import HexaryTrie

if TYPE_CHECKING:
    from collections.abc import Mapping

PROGRAMS = int(os.environ.get("POLYGON_EDGE_PROGRAMS", "300"))
FIRST_SEED = int(os.environ.get("POLYGON_EDGE_FIRST_SEED", "0"))


def test_random_programs_end_as_in_the_twin() -> None:
    """As many as POLYGON_EDGE_PROGRAMS says, from the world of POLYGON_EDGE_FIRST_SEED on."""
    tally, began, seed = Tally(), time.monotonic(), FIRST_SEED
    while tally.programs < PROGRAMS:
        try:
            play(random_world(str(seed)), tally)
        except DifferenceError as difference:
            raise least(difference) from None
        seed += 1
        if tally.worlds % 500 == 0:
            print(tally.told(time.monotonic() - began), flush=True)
    print(tally.told(time.monotonic() - began), flush=True)
    # A generator whose programs all fail would agree with anything.
    assert tally.transactions // 3 < tally.succeeded < tally.transactions
    assert {"OutOfGas", "Revert", "InvalidInstruction", "InvalidJumpDestination"} <= tally.failures.keys()


def test_a_difference_is_found_and_made_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A twin that counts blocks wrongly, and a program that stores the number among much else."""
    rules = EdgeRules("G1", frozenset(ALL_FORKS))
    sender = next(iter(SENDERS))
    number_to_slot_0 = bytes.fromhex("5b600160020150436000555b600000")
    accounts = {address: genesis_account(1 << 60) for address in SENDERS}
    accounts |= {bytes((index,)) * 20: genesis_account(nonce=1, code=number_to_slot_0) for index in (7, 8)}
    calls = [Call(sender, bytes((index,)) * 20) for index in (7, 9, 8, 9)]
    world = World("made by hand", rules, accounts, [calls[:2], calls[2:]])
    play(world)
    monkeypatch.setattr(BlockState, "block_number", property(lambda state: state.context.number + 1))
    with pytest.raises(DifferenceError) as found:
        play(world)
    assert found.value.where == f"block 1, account 0x{'07' * 20}, slot 0x0"
    assert (found.value.expected, found.value.found) == ("0x2", "0x1")
    small = least(found.value)
    assert [len(block) for block in small.world.blocks] == [1]
    codes = [account.code for account in small.world.accounts.values() if account.code]
    # What is left is NUMBER, some slot and SSTORE, in their places.
    assert codes == [bytes.fromhex("5b" * 7 + "43605b55" + "5b" * 4)]
    assert f"code 0x{codes[0].hex()}" in str(small)


@examples(30)
@given(st.dictionaries(st.binary(max_size=40), st.binary(min_size=1, max_size=60), max_size=40))
def test_the_root_of_the_twin_is_that_of_another_trie(items: Mapping[bytes, bytes]) -> None:
    trie = HexaryTrie({})
    for key, value in items.items():
        trie[keccak(key)] = value
    assert secure_root(items) == trie.root_hash
