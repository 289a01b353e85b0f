"""SIGINT, SIGTERM, SIGHUP at any moment of a node's life, its first second above all: it ends in order and reopens."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING

import pytest
from tests.crash.network import head_of, seeded
from tests.crash.newborn import BLOCK_TIME, SEALED, Transfers, check_reopened, copied, node_rounds
from tests.crash.test_signal import LONGEST_STOP_SECONDS, STOP_SIGNALS, STOPPED
from tests.node.running import RunningNode

from polygon_edge.store.data_dir import DataDirectory

if TYPE_CHECKING:
    from pathlib import Path

    from tests.node.chain import FreshChain

KEY = re.compile(rb"[0-9a-f]{64}")
CLOSED = "databases flushed and closed, locks released"


def check_keys(data_dir: Path) -> None:
    """A key file is whole or not there."""
    for name in ("validator.key", "validator-bls.key"):
        file = data_dir / "consensus" / name
        assert not file.exists() or KEY.fullmatch(file.read_bytes()), name


def last_block_of(data_dir: Path) -> int:
    found: int = json.loads((DataDirectory(data_dir).consensus / "metadata").read_bytes())["LastBlock"]
    return found


def test_a_node_stopped_while_it_seals_has_all_that_it_logged(newborn: FreshChain, tmp_path: Path) -> None:
    chance = seeded("stops of a sealing node")
    chain = copied(newborn, tmp_path / "data")
    transfers = Transfers()
    logged: list[tuple[int, str]] = []
    total = node_rounds(2, 0.4)
    for number in range(total):
        with RunningNode(chain.data_dir, chain.genesis, *BLOCK_TIME, log=tmp_path / f"{number}.log") as node:
            transfers.send(node, 5)
            node.wait_for_line(SEALED)
            shown = transfers.included(node)
            time.sleep(chance.uniform(0, 1.2))
            assert node.stop(chance.choice(STOP_SIGNALS)) == 0, node.messages
            assert CLOSED in node.messages
            logged += node.sealed
        head = check_reopened(chain.data_dir, logged, shown)
        assert (head, last_block_of(chain.data_dir)) == (logged[-1][0], head)
    print(f"{total} stops, {logged[-1][0]} blocks")


@pytest.mark.parametrize("has_keys", [True, False], ids=["with keys", "in an empty folder"])
def test_a_stop_in_the_first_second_of_the_first_start_leaves_nothing_that_does_not_open(
    newborn: FreshChain, tmp_path: Path, has_keys: bool
) -> None:
    chance = seeded("stops in the first second")
    total, ends = node_rounds(3, 0.5), {"before its handlers": 0, "before it served": 0, "while it served": 0}
    for number in range(total):
        data_dir = tmp_path / f"round-{number}"
        chain = copied(newborn, data_dir) if has_keys else newborn
        node = RunningNode(data_dir, chain.genesis, *BLOCK_TIME, wait=False)
        with node:
            if number % 2:
                # What matters most is made in a moment: folders, keys, databases, block 0.
                node.wait_for_line("data directory: ")
                time.sleep(chance.uniform(0, 0.1))
            else:
                time.sleep(chance.uniform(0.1, 1))
            node.send(chance.choice(STOP_SIGNALS))
            code = node.process.wait(LONGEST_STOP_SECONDS)
        served = "server listening" in node.messages
        if code < 0 or "KeyboardInterrupt" in node.messages:
            ends["before its handlers"] += 1
            assert has_keys or not data_dir.exists(), "the program began before its handlers were there"
            assert head_of(data_dir) is None if has_keys and not (data_dir / "trie").exists() else True
        else:
            ends["while it served" if served else "before it served"] += 1
            assert code in ((0,) if served else (0, STOPPED)), node.messages
            assert "Traceback" not in node.messages, node.messages
        check_keys(data_dir)
        if node.sealed:
            check_reopened(data_dir, node.sealed)
        # What is left is a directory in which the next start does all that the first should have done.
        with RunningNode(data_dir, chain.genesis, *BLOCK_TIME, log=tmp_path / f"again-{number}.log") as again:
            again.wait_for_height(1 if has_keys else 0)
            assert again.stop() == 0, again.messages
        assert last_block_of(data_dir) == head_of(data_dir)
    print(f"{total} stops in the first second: {ends}")


def test_a_second_signal_ends_a_node_at_once_and_costs_no_block(newborn: FreshChain, tmp_path: Path) -> None:
    chain = copied(newborn, tmp_path / "data")
    with RunningNode(chain.data_dir, chain.genesis, *BLOCK_TIME) as node:
        node.wait_for_line(SEALED)
        node.send(STOP_SIGNALS[0])
        node.send(STOP_SIGNALS[1])
        assert node.process.wait(LONGEST_STOP_SECONDS) in (0, STOPPED)
        sealed = node.sealed
    assert check_reopened(chain.data_dir, sealed) in (sealed[-1][0], sealed[-1][0] + 1)
