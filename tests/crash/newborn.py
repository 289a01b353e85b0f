"""A node with fresh keys that has not been started yet, copied for every round; and what its directory says later."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

from tests.crash.network import head_of
from tests.node.chain import receipt

from polygon_edge import _core

from demonstration.load import ACCOUNTS, Load

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.node.chain import FreshChain
    from tests.node.running import RunningNode

NODE_ROUNDS = "POLYGON_EDGE_NODE_CRASH_ROUNDS"
BLOCK_TIME = ("--block-time", "1")
SEALED = "block sealed: "
RECEIVER = "0x" + "42" * 20


def node_rounds(usual: int, share: float = 1.0) -> int:
    """How many rounds to go: a `share` of those asked for by the environment; else `usual`."""
    asked = os.environ.get(NODE_ROUNDS)
    return usual if asked is None else max(1, round(int(asked) * share))


def copied(newborn: FreshChain, data_dir: Path) -> FreshChain:
    """The same node in another folder."""
    shutil.copytree(newborn.data_dir, data_dir)
    return replace(newborn, data_dir=data_dir)


class Transfers:
    """Sends transfers of the chain's accounts, whichever node of the chain runs, and remembers them."""

    def __init__(self) -> None:
        self.hashes: list[str] = []

    def send(self, node: RunningNode, count: int, *, data: bytes = b"") -> None:
        """Send `count` transfers that carry `data`."""
        load = Load(node)
        for number in range(count):
            gas = 21_000 + 16 * len(data)
            self.hashes.append(load.send("transfer", number % ACCOUNTS, RECEIVER, value=1, data=data, gas=gas))

    def included(self, node: RunningNode) -> list[str]:
        """Those whose receipts the node shows."""
        return [hash for hash in self.hashes if receipt(node, hash) is not None]


def check_reopened(data_dir: Path, logged: Sequence[tuple[int, str]], shown: Sequence[str] = ()) -> int:
    """Open a dead node's directory and hold it against what its log and its doors have said; returns the head.

    Every block that was logged is there under its hash, and every transaction that was `shown` as included.
    """
    head = head_of(data_dir)
    assert head is not None, "no head"
    with _core.Chain.open(data_dir, create=False) as chain:
        for number, block_hash in logged:
            found = chain.canonical_hash(number)
            assert found is not None, f"block {number} was logged and is lost"
            assert "0x" + found.hex() == block_hash, f"block {number} is another one than logged"
        for transaction in shown:
            found_at = chain.find_transaction(bytes.fromhex(transaction[2:]))
            assert found_at is not None, f"{transaction} was shown and is lost"
    return head
