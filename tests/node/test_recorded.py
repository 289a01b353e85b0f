"""Nodes on what Go nodes left behind: their archives and data directories, through real processes."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from tests.golden.recorded import Network
from tests.node.running import RunningNode, run

from polygon_edge import _core
from polygon_edge.archive.flat import FlatArchive

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OTHER_KEY = "0b" * 32
BLOCK_TIME = ("--block-time", "1")
METADATA_HASH_END = 36
"""Where the hash in the metadata ends at the latest: a list of a height of two bytes and the hash."""


@dataclass(frozen=True, slots=True)
class Served:
    """A node of a recorded network that only answers."""

    network: Network
    node: RunningNode
    head: int

    def backup(self, out: Path, *flags: object) -> bytes:
        """Take a backup with the program's own command."""
        done = run(["backup", "--grpc-address", self.node.grpc, "--out", out, *flags])
        assert done.returncode == 0, done.stderr
        return out.read_bytes()


@pytest.fixture(scope="module")
def restored_poa(poa: Network, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A node that restored the archive of four validators, and is none of them."""
    folder = tmp_path_factory.mktemp("poa")
    with RunningNode(folder / "data", poa.genesis, "--restore", str(poa.folder / "full.dat"), *BLOCK_TIME) as node:
        node.wait_for_line("not sealing: ")
        yield Served(poa, node, 150)
        assert node.stop() == 0
    assert not node.sealed


@pytest.fixture(scope="module")
def opened_single(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A node on a copy of a Go validator's directory, with another key, so that it does not seal."""
    network = Network(shared / "golden/v0.6.3/single")
    data_dir = network.data_directory("data-dir", tmp_path_factory.mktemp("single") / "data")
    (data_dir / "consensus" / "validator.key").write_text(OTHER_KEY)
    with RunningNode(data_dir, network.genesis, *BLOCK_TIME) as node:
        node.wait_for_line("is not the validator of block 119")
        yield Served(network, node, network.about["dataDir"]["head"])
        assert node.stop() == 0
    assert not node.sealed


def parts(network: Network) -> list[str]:
    return sorted(file.name.removesuffix(".zst") for file in network.folder.glob("part-*.dat*"))


def check_same(found: bytes, recorded: bytes) -> None:
    """Assert that two archives are the same, but for the hash in the metadata.

    The Go client writes another one where `--to` is given, which is not the block's (D-13).
    """
    assert len(found) == len(recorded)
    start = METADATA_HASH_END
    assert found[start:] == recorded[start:]
    assert found[: start - 33] == recorded[: start - 33]


def check_part(served: Served, name: str, scratch: Path) -> None:
    """Assert that our backup of the range of a recorded part has its bytes, and the hash of its last block."""
    first, last = map(int, name.removeprefix("part-").removesuffix(".dat").split("-"))
    found = served.backup(scratch / "ours.dat", "--from", first, "--to", last)
    check_same(found, served.network.archive(name, scratch).read_bytes())
    with FlatArchive.open(scratch / "ours.dat") as archive:
        assert archive.metadata.height == last
        assert "0x" + archive.metadata.hash.hex() == served.node.block_hash(last)


# ---- four validators -------------------------------------------------------------------------------------------------


def test_a_restored_follower_says_why_it_does_not_seal(restored_poa: Served) -> None:
    assert "is not among the 4 validators of block 151; blocks come by restore only" in restored_poa.node.messages
    assert restored_poa.node.height == 150


def test_the_backup_of_a_restored_node_is_the_archive_again(restored_poa: Served, tmp_path: Path) -> None:
    assert restored_poa.backup(tmp_path / "ours.dat") == (restored_poa.network.folder / "full.dat").read_bytes()


def test_every_recorded_part_of_the_poa_chain_comes_again(restored_poa: Served, tmp_path: Path) -> None:
    names = parts(restored_poa.network)
    assert len(names) >= 5
    for name in names:
        scratch = tmp_path / name
        scratch.mkdir()
        check_part(restored_poa, name, scratch)


@pytest.mark.shared
@pytest.mark.parametrize("name", ["data-dir", "data-dir-50"])
def test_the_directory_of_a_go_node_is_served_and_stopped_as_it_was(name: str, shared: Path, tmp_path: Path) -> None:
    network = Network(shared / "golden/v0.6.3/poa-ecdsa")
    data_dir = network.data_directory(name, tmp_path / "data")
    before = {file.name: file.read_bytes() for file in (data_dir / "consensus").iterdir()}
    with RunningNode(data_dir, network.genesis, *BLOCK_TIME) as node:
        node.wait_for_line("not sealing: ")
        height = node.height
        assert node.block_hash(height) == {row["number"]: row["hash"] for row in hashes(network)}[height]
        assert node.stop() == 0
    assert "needs the seals of 4 validators" in node.messages or "is not among the" in node.messages
    after = {file.name: file.read_bytes() for file in (data_dir / "consensus").iterdir()}
    assert after.keys() >= before.keys()
    assert after["validator.key"] == before["validator.key"]
    assert json.loads(after["metadata"]) == {"LastBlock": height}
    if "snapshots" in before and json.loads(before["metadata"]) == {"LastBlock": height}:
        assert json.loads(after["snapshots"])[-1]["Set"] == json.loads(before["snapshots"])[-1]["Set"]


def hashes(network: Network) -> list[dict[str, object]]:
    with FlatArchive.open(network.folder / "full.dat") as archive:
        raw = [record.raw for record in archive.records()]
    summaries = _core.summarise(raw, "ibft", "G1", "ecdsa")
    return [
        {"number": found.number, "hash": "0x" + (found.hash or b"").hex()}
        for found in summaries
        if not isinstance(found, str)
    ]


# ---- every kind of validators and both generations -------------------------------------------------------------------

SHARED = ("v0.6.3/poa-bls", "v0.6.3/pos-ecdsa", "v0.6.3/switch-type", "v1.3.2/poa-ecdsa-london", "v1.3.2/switch")
LONE = ("v1.3.2/access-lists", "v1.3.2/forks-late")


def last_block(network: Network) -> int:
    about = network.about
    height: int = about["dataDirHead"] if "dataDirHead" in about else about["dataDir"]["head"]
    return height


def check_end_of_archive(network: Network, node: RunningNode) -> None:
    """Assert that the node has the last block of the recorded archive."""
    about = network.about
    block = node.rpc("eth_getBlockByNumber", hex(about["blocks"]), False)
    assert (block["hash"], block["stateRoot"]) == (about["headHash"], about["headStateRoot"])


@pytest.mark.shared
@pytest.mark.parametrize("name", SHARED)
def test_the_directory_of_one_of_several_validators_is_served_and_not_sealed_on(
    name: str, shared: Path, tmp_path: Path
) -> None:
    network = Network(shared / "golden" / name)
    data_dir = network.opened_directory("data-dir", tmp_path / "unpacked")
    with RunningNode(data_dir, network.genesis, log=tmp_path / "log") as node:
        node.wait_for_line("not sealing: ")
        assert node.height == last_block(network)
        check_end_of_archive(network, node)
        done = run(
            ["backup", "--grpc-address", node.grpc, "--out", tmp_path / "ours.dat", "--to", network.about["blocks"]]
        )
        assert done.returncode == 0, done.stderr
        assert node.stop() == 0
    check_same((tmp_path / "ours.dat").read_bytes(), network.archive("full.dat", tmp_path).read_bytes())
    assert not node.sealed


@pytest.mark.shared
@pytest.mark.parametrize("name", LONE)
def test_on_the_directory_of_a_lone_validator_of_a_later_chain_the_node_seals_on(
    name: str, shared: Path, tmp_path: Path
) -> None:
    network = Network(shared / "golden" / name)
    data_dir = network.opened_directory("data-dir", tmp_path / "unpacked")
    head = last_block(network)
    with RunningNode(data_dir, network.genesis, log=tmp_path / "log") as node:
        node.wait_for_height(head + 2)
        check_end_of_archive(network, node)
        assert [number for number, _ in node.sealed[:2]] == [head + 1, head + 2]
        assert node.stop() == 0


# ---- one validator, blocks above the limit of a message --------------------------------------------------------------


@pytest.mark.shared
def test_the_backup_of_a_go_validators_directory_has_all_its_blocks_also_the_large_one(
    opened_single: Served, tmp_path: Path
) -> None:
    opened_single.backup(tmp_path / "ours.dat")
    with FlatArchive.open(tmp_path / "ours.dat") as archive:
        assert archive.metadata.height == 118
        records = [record.raw for record in archive.records()]
    assert len(records) == 119
    assert len(records[95]) > 5_900_000
    recorded = opened_single.network.archive("full.dat", tmp_path)
    with FlatArchive.open(recorded) as archive:
        promised = archive.metadata.height
        assert [record.raw for record in archive.records()] == records[: promised + 1]
    # The archive that the Go client could make of it ends before the large block.
    check_same(opened_single.backup(tmp_path / "short.dat", "--to", promised), recorded.read_bytes())


@pytest.mark.shared
def test_every_recorded_part_of_the_single_chain_comes_again(opened_single: Served, tmp_path: Path) -> None:
    names = parts(opened_single.network)
    assert len(names) == 3
    for name in names:
        scratch = tmp_path / name
        scratch.mkdir()
        check_part(opened_single, name, scratch)


@pytest.mark.shared
def test_on_a_go_validators_directory_and_key_the_node_seals_on(shared: Path, tmp_path: Path) -> None:
    network = Network(shared / "golden/v0.6.3/single")
    data_dir = network.data_directory("data-dir", tmp_path / "data")
    with RunningNode(data_dir, network.genesis, *BLOCK_TIME) as node:
        assert f"validator address: {network.about['validators'][0]['address']}" in node.messages
        assert f"node id: {network.about['validators'][0]['nodeId']}" in node.messages
        node.wait_for_height(120)
        assert node.sealed[0][0] == 119
        parent = node.rpc("eth_getBlockByNumber", hex(119), False)["parentHash"]
        assert parent == network.about["dataDir"]["headHash"]
        assert node.stop() == 0
    # What it sealed is a chain for whoever checks it: a copy with another key restores nothing anew and serves it.
    shutil.copytree(data_dir, tmp_path / "copy")
    with _core.Chain.open(tmp_path / "copy", create=False) as chain:
        assert chain.head is not None
        assert chain.head[0] >= 120
