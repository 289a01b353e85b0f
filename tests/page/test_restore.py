"""`server --restore` as the page describes it (lines 14 to 16 of its checklist)."""

from __future__ import annotations

import json
import shutil
import signal
from typing import TYPE_CHECKING

import pytest
from tests.conftest import recorded_folder
from tests.node.chain import fresh_chain
from tests.node.running import RunningNode, run
from tests.page.conftest import OTHER_KEY
from tests.program import COMMAND

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.page.conftest import Grown


def test_page_14_blocks_are_imported_before_anything_else_happens(
    grown: Grown, archive: Path, tmp_path: Path, check_same_chain: Callable[[RunningNode], None]
) -> None:
    data_dir = tmp_path / "second"
    flags = ("--restore", str(archive))
    with RunningNode(data_dir, grown.chain.genesis, *flags) as node:
        node.wait_for_line("restored blocks 1 to")
        node.wait_for_line("not sealing")
        check_same_chain(node)
        assert node.rpc("eth_syncing") is False
        height = node.height
        assert node.stop() == 0
    with RunningNode(data_dir, grown.chain.genesis, *flags) as again:
        again.wait_for_line("nothing to restore")
        assert again.height == height
        assert again.stop() == 0


def test_page_14_the_validator_itself_seals_only_after_the_whole_archive(
    grown: Grown, archive: Path, tmp_path: Path, check_same_chain: Callable[[RunningNode], None]
) -> None:
    data_dir = tmp_path / "moved"
    (data_dir / "consensus").mkdir(parents=True)
    shutil.copy2(grown.chain.data_dir / "consensus" / "validator.key", data_dir / "consensus")
    with RunningNode(data_dir, grown.chain.genesis, "--restore", str(archive), "--block-time", "1") as node:
        node.wait_for_height(grown.height + 3)
        check_same_chain(node)
        assert min(number for number, _ in node.sealed) > grown.height
        assert node.stop() == 0


@pytest.mark.parametrize(
    ("archive", "head", "said"),
    [
        ("truncated-mid-record.dat", 6, "byte 7807: block 7"),
        ("flip-committed-seal.dat", 20, "block 21: committed seals"),
    ],
)
def test_page_14_a_damaged_archive_ends_the_start_and_names_the_place(
    archive: str, head: int, said: str, tmp_path: Path
) -> None:
    genesis = recorded_folder("v0.6.3/poa-ecdsa") / "genesis.json"
    damaged = recorded_folder("malformed") / archive
    with RunningNode(tmp_path / "node", genesis, "--restore", str(damaged), wait=False) as node:
        assert node.process.wait(60) == 1
        assert said in node.messages
        assert "Traceback" not in node.messages
    # Reads are answered, but nobody seals on half a chain.
    with RunningNode(tmp_path / "node", genesis) as node:
        assert node.height == head
        node.wait_for_line("a restore into this directory has not finished")
        assert node.stop() == 0
    whole = recorded_folder("v0.6.3/poa-ecdsa") / "full.dat"
    with RunningNode(tmp_path / "node", genesis, "--restore", str(whole)) as node:
        node.wait_for_line(f"restored blocks {head + 1} to 150")
        assert node.stop() == 0
    assert not (tmp_path / "node" / "restore-unfinished.json").exists()


def test_page_14_an_archive_of_another_chain_is_refused(archive: Path, tmp_path: Path) -> None:
    other = fresh_chain(tmp_path, "--name", "another")
    with RunningNode(tmp_path / "node", other.genesis, "--restore", str(archive), wait=False) as node:
        assert node.process.wait(60) == 1
        assert "genesis hash" in node.messages


def test_page_14_half_a_chain_is_not_sealed_upon_unless_the_rest_is_given_up(
    grown: Grown, archive: Path, tmp_path: Path
) -> None:
    cut = tmp_path / "cut.dat"
    cut.write_bytes(archive.read_bytes()[:-200])
    data_dir = tmp_path / "node"
    (data_dir / "consensus").mkdir(parents=True)
    shutil.copy2(grown.chain.data_dir / "consensus" / "validator.key", data_dir / "consensus")
    with RunningNode(data_dir, grown.chain.genesis, "--restore", str(cut), wait=False) as node:
        assert node.process.wait(60) == 1
    with RunningNode(data_dir, grown.chain.genesis, "--block-time", "1") as node:
        node.wait_for_line("--abandon-restore")
        head = node.height
        assert head > 0
        assert not node.sealed
        assert node.stop() == 0
    with RunningNode(data_dir, grown.chain.genesis, "--block-time", "1", "--abandon-restore") as node:
        node.wait_for_height(head + 1)
        assert node.stop() == 0
    assert not (data_dir / "restore-unfinished.json").exists()


def test_page_15_local_keys_stay_and_missing_ones_are_made_and_logged(
    grown: Grown, archive: Path, tmp_path: Path
) -> None:
    made = tmp_path / "made"
    keys = json.loads(run(["secrets", "init", "--data-dir", made, "--json"]).stdout)[0]
    with RunningNode(made, grown.chain.genesis, "--restore", str(archive)) as node:
        node.wait_for_line("restored blocks")
        assert f"validator address: {keys['address']}" in node.messages
        assert f"node id: {keys['node_id']}" in node.messages
        assert node.stop() == 0
    after = json.loads(run(["secrets", "output", "--data-dir", made, "--json"]).stdout)
    assert after == {"address": keys["address"], "bls": keys["bls_pubkey"], "node_id": keys["node_id"]}
    without = tmp_path / "without"
    with RunningNode(without, grown.chain.genesis, "--restore", str(archive)) as node:
        assert node.stop() in {0, 130}
        written = json.loads(run(["secrets", "output", "--data-dir", without, "--json"]).stdout)
        assert f"validator address: {written['address']}" in node.messages
        assert f"node id: {written['node_id']}" in node.messages


def test_page_16_the_literal_command_works(grown: Grown, archive: Path, tmp_path: Path) -> None:
    shutil.copy2(grown.chain.genesis, tmp_path / "genesis.json")
    shutil.copy2(archive, tmp_path / "archive.dat")
    key = tmp_path / "test-chain" / "consensus" / "validator.key"
    key.parent.mkdir(parents=True)
    key.write_text(OTHER_KEY)
    node = LiteralNode(tmp_path, "--restore", "archive.dat")
    with node:
        node.wait_for_line("restored blocks 1 to")
        assert "--data-dir is not given: using test-chain" in node.messages
        assert node.stop(signal.SIGTERM) == 0
    assert (tmp_path / "test-chain" / "blockchain").is_dir()


class LiteralNode(RunningNode):
    """`polygon-edge server` in a folder, without naming data directory and genesis file; only its ports are chosen."""

    def __init__(self, folder: Path, *flags: str) -> None:
        self._folder = folder
        super().__init__(folder / "test-chain", folder / "genesis.json", *flags, log=folder / "log", wait=False)

    def words(self, flags: tuple[str, ...]) -> list[str]:
        return [*COMMAND, "server", *flags, "--grpc-address", "127.0.0.1:0", "--jsonrpc", "127.0.0.1:0"]

    @property
    def cwd(self) -> Path:
        return self._folder
