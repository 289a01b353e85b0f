"""SIGKILL while a node seals: the directory reopens, its head is the last block logged, and sealing goes on."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.crash.network import seeded
from tests.crash.newborn import BLOCK_TIME, SEALED, Transfers, check_reopened, copied, node_rounds
from tests.node.running import RunningNode

from polygon_edge import _core

if TYPE_CHECKING:
    import random
    from pathlib import Path

    from tests.node.chain import FreshChain


def wait_for_a_moment(chance: random.Random) -> None:
    """Half of the time any moment of a block, half of the time the moment around its commit."""
    if chance.random() < 0.5:
        time.sleep(chance.uniform(0, 1))
    else:
        to_the_second = 1 - time.time() % 1
        time.sleep(max(0.0, to_the_second + chance.uniform(-0.01, 0.06)))


def test_a_node_killed_while_it_seals_keeps_what_it_logged_and_goes_on(newborn: FreshChain, tmp_path: Path) -> None:
    chance = seeded("kills of a sealing node")
    chain = copied(newborn, tmp_path / "data")
    transfers = Transfers()
    logged: list[tuple[int, str]] = []
    total, unlogged, head = node_rounds(3), 0, 0
    for number in range(total):
        with RunningNode(chain.data_dir, chain.genesis, *BLOCK_TIME, log=tmp_path / f"{number}.log") as node:
            transfers.send(node, 20)
            node.wait_for_line(SEALED)
            shown = transfers.included(node)
            wait_for_a_moment(chance)
            node.kill()
            sealed = node.sealed
        assert [height for height, _ in sealed] == list(range(head + 1, head + 1 + len(sealed)))
        logged += sealed
        head = check_reopened(chain.data_dir, logged, shown)
        # A block is logged after its commit is synced: a kill in between leaves one more than logged, never one less.
        assert head in (logged[-1][0], logged[-1][0] + 1), f"round {number}: head {head}, logged {logged[-1][0]}"
        if head > logged[-1][0]:
            unlogged += 1
            logged.append((head, head_hash(chain)))
    print(f"{total} kills, {head} blocks; in {unlogged} rounds a block was committed and not logged yet")
    with RunningNode(chain.data_dir, chain.genesis, *BLOCK_TIME) as node:
        node.wait_for_height(head + 1)
        assert node.sealed[0][0] == head + 1
        assert node.stop() == 0


def head_hash(chain: FreshChain) -> str:
    with _core.Chain.open(chain.data_dir, create=False) as opened:
        head = opened.head
    assert head is not None
    return "0x" + head[1].hex()
