"""Stopping, full operation, the flag's name (lines 20 and 28 without peers, 34 without the configuration file)."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

import pytest
from tests.node.chain import grow
from tests.node.running import RunningNode, run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.page.conftest import Grown


@pytest.mark.parametrize(
    ("number", "word"),
    [(signal.SIGINT, "interrupt"), (signal.SIGTERM, "terminated"), (signal.SIGHUP, "hangup")],
)
def test_page_20_each_signal_stops_the_node_with_a_notice(
    number: signal.Signals, word: str, grown: Grown, tmp_path: Path
) -> None:
    with RunningNode(grown.copy(tmp_path / "node"), grown.chain.genesis, "--block-time", "1") as node:
        node.wait_for("a block", lambda: bool(node.sealed))
        assert node.stop(number) == 0
        assert node.output == f"\n[SIGNAL] Caught signal: {word}\nGracefully shutting down client...\n"
    with RunningNode(tmp_path / "node", grown.chain.genesis, "--json") as node:
        assert node.stop(number) == 0
        notice = json.loads(node.output)["message"]
        assert notice == f"\n[SIGNAL] Caught signal: {word}\nGracefully shutting down client..."
        assert all(json.loads(line)["@level"] for line in node.messages.splitlines())


def test_page_28_a_restored_validator_seals_and_takes_transactions(grown: Grown, archive: Path, tmp_path: Path) -> None:
    data_dir = tmp_path / "node"
    (data_dir / "consensus").mkdir(parents=True)
    key = grown.chain.data_dir / "consensus" / "validator.key"
    (data_dir / "consensus" / "validator.key").write_bytes(key.read_bytes())
    with RunningNode(data_dir, grown.chain.genesis, "--restore", str(archive), "--block-time", "1") as node:
        node.wait_for_height(grown.height + 1)
        load = grow(node, rounds=1)
        assert all(node.rpc("eth_getTransactionReceipt", hash) for hash in load.hashes)
        status = json.loads(run(["status", "--grpc-address", node.grpc, "--json"]).stdout)
        assert status["chain_id"] == int(node.rpc("eth_chainId"), 16)
        assert status["current_block_number"] >= grown.height
        assert node.stop() == 0


def test_page_34_the_flag_is_called_data_dir() -> None:
    shown = run(["server", "--help"])
    assert shown.returncode == 0
    assert "--data-dir" in shown.stdout
    assert "data directory" in shown.stdout.lower()
