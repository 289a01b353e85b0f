"""A Go client of version 0.6.3 and this program, both running: each takes what the other sealed and backs it up.

Needs its binary, named by the environment.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from tests.interop.go_node import GoNode
from tests.node.chain import FreshChain, fresh_chain, grow
from tests.node.running import RunningNode, run

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.interop

SECONDS = 60


class Sealed(NamedTuple):
    """A chain that this program sealed and stopped: its height, its whole backup, its blocks."""

    chain: FreshChain
    height: int
    archive: bytes
    blocks: list[dict[str, Any]]


def backup(grpc: str, out: Path, *flags: str) -> bytes:
    done = run(["backup", "--grpc-address", grpc, "--out", out, *flags])
    assert done.returncode == 0, done.stderr
    return out.read_bytes()


def go_backup(binary: str, grpc: str, out: Path, *flags: str) -> bytes:
    words = [binary, "backup", "--grpc-address", grpc, "--out", str(out), *flags]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert out.exists(), done.stderr
    return out.read_bytes()


def blocks(node: RunningNode | GoNode, last: int) -> list[dict[str, Any]]:
    ask = node.rpc if isinstance(node, RunningNode) else node.result
    return [ask("eth_getBlockByNumber", hex(number), True) for number in range(last + 1)]


def ends(archive: Path) -> tuple[int, int]:
    document = json.loads(run(["archive", "info", archive, "--json"]).stdout)
    return document["first"]["number"], document["last"]["number"]


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Sealed:
    folder = tmp_path_factory.mktemp("sealed")
    chain = fresh_chain(folder)
    with RunningNode(chain.data_dir, chain.genesis, "--block-time", "1") as node:
        grow(node, rounds=8)
        # The ranges below end well inside, however few blocks the transactions needed.
        node.wait_for_height(8)
        archive = backup(node.grpc, folder / "full.dat")
        _, height = ends(folder / "full.dat")
        found = blocks(node, height)
        assert node.stop() == 0
    return Sealed(chain, height, archive, found)


def test_the_go_client_restores_what_we_sealed(go_client: str, sealed: Sealed, tmp_path: Path) -> None:
    (tmp_path / "full.dat").write_bytes(sealed.archive)
    genesis = sealed.chain.genesis
    with GoNode(go_client, tmp_path / "go", genesis, tmp_path / "go.log", tmp_path / "full.dat") as node:
        node.wait_for(sealed.height, SECONDS)
        assert blocks(node, sealed.height) == sealed.blocks


def test_the_go_client_seals_on_in_our_directory_and_we_seal_on_after_it(
    go_client: str, sealed: Sealed, tmp_path: Path
) -> None:
    data_dir = shutil.copytree(sealed.chain.data_dir, tmp_path / "node")
    with GoNode(go_client, data_dir, sealed.chain.genesis, tmp_path / "go.log") as node:
        node.wait_for(sealed.height + 3, SECONDS)
        assert blocks(node, sealed.height) == sealed.blocks
        theirs = blocks(node, sealed.height + 3)
    with RunningNode(data_dir, sealed.chain.genesis, "--block-time", "1") as ours:
        grown = ours.height
        assert grown >= sealed.height + 3
        assert blocks(ours, sealed.height + 3) == theirs
        ours.wait_for_height(grown + 2)
        assert ours.stop() == 0


def test_the_go_clients_backup_of_our_node_is_ours(go_client: str, sealed: Sealed, tmp_path: Path) -> None:
    data_dir = shutil.copytree(sealed.chain.data_dir, tmp_path / "node")
    # With another key it does not seal, and both see the same head.
    (data_dir / "consensus" / "validator.key").unlink()
    with RunningNode(data_dir, sealed.chain.genesis) as node:
        assert go_backup(go_client, node.grpc, tmp_path / "go.dat") == backup(node.grpc, tmp_path / "ours.dat")
        wanted = ("--from", "0x2", "--to", str(sealed.height - 1))
        theirs = go_backup(go_client, node.grpc, tmp_path / "go-part.dat", *wanted)
        ours = backup(node.grpc, tmp_path / "ours-part.dat", *wanted)
    assert len(theirs) == len(ours)
    differing = [index for index, (a, b) in enumerate(zip(theirs, ours, strict=True)) if a != b]
    # The metadata hash alone: theirs is the plain one where ours is the block's (D-13).
    assert differing
    assert max(differing) - min(differing) < 32
    assert max(differing) < 40


def test_our_backup_of_a_go_node_is_theirs(go_client: str, sealed: Sealed, tmp_path: Path) -> None:
    (tmp_path / "full.dat").write_bytes(sealed.archive)
    genesis = sealed.chain.genesis
    with GoNode(go_client, tmp_path / "go", genesis, tmp_path / "go.log", tmp_path / "full.dat") as node:
        node.wait_for(sealed.height, SECONDS)
        assert backup(node.grpc, tmp_path / "ours.dat") == sealed.archive
        assert go_backup(go_client, node.grpc, tmp_path / "theirs.dat") == sealed.archive
        # The Go server refuses a range of one block.
        one = backup(node.grpc, tmp_path / "one.dat", "--from", "3", "--to", "3")
        assert one[37:] in sealed.archive
        assert ends(tmp_path / "one.dat") == (3, 3)
        backup(node.grpc, tmp_path / "zero.dat", "--from", "0", "--to", "0")
        assert ends(tmp_path / "zero.dat") == (0, 0)
