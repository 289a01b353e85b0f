"""A Go client of version 0.6.3 and this program make blocks of the engine `dev` in one directory, in turns.

Needs its binary, named by the environment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.interop.go_node import GoNode
from tests.node.chain import fresh_chain, grow
from tests.node.running import RunningNode

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.interop

PATIENCE_SECONDS = 60


@pytest.mark.parametrize("first", ["this program", "the Go client"])
def test_each_goes_on_where_the_other_has_stopped(first: str, go_client: str, tmp_path: Path) -> None:
    chain = fresh_chain(tmp_path, "--consensus", "dev")
    hashes: list[str] = []

    def check(node: RunningNode | GoNode) -> None:
        for number, expected in enumerate(hashes):
            assert node.rpc("eth_getBlockByNumber", hex(number), False)["hash"] == expected, number

    def ours() -> None:
        with RunningNode(chain.data_dir, chain.genesis, "--dev") as node:
            check(node)
            grow(node, rounds=1)
            hashes[:] = [node.block_hash(number) for number in range(node.height + 1)]
            assert node.stop() == 0

    def theirs() -> None:
        with GoNode(go_client, chain.data_dir, chain.genesis, tmp_path / "go.log", flags=["--dev"]) as node:
            node.wait_for_height(len(hashes) + 1, PATIENCE_SECONDS)
            check(node)
            height = node.height()
            assert height is not None
            found = [node.rpc("eth_getBlockByNumber", hex(number), False)["hash"] for number in range(height + 1)]
            hashes[:] = found

    for turn in (ours, theirs, ours) if first == "this program" else (theirs, ours, theirs):
        before = len(hashes)
        turn()
        assert len(hashes) > before + 1
