"""The Go client and this program, both running: each takes what the other sealed, seals on, and backs it up.

Every kind of chain that one node makes alone, of both versions. Needs their binaries, named by the environment.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from tests.interop.conftest import named_binary
from tests.interop.go_node import GoNode
from tests.interop.kinds import KINDS, Kind, grow_past_epochs, new_chain
from tests.node.running import RunningNode, run
from tests.store.independent_reader import compare_databases, stored

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.node.chain import FreshChain

pytestmark = pytest.mark.interop

OTHER_KEY = "0f" * 32


class Pair(NamedTuple):
    """A kind of chain, and the Go client that has it."""

    kind: Kind
    go_client: str

    def ours(self, data_dir: Path, chain: FreshChain) -> RunningNode:
        """A node of this program on a data directory."""
        return RunningNode(data_dir, chain.genesis, *self.kind.flags)

    def theirs(self, data_dir: Path, chain: FreshChain) -> GoNode:
        """A node of the Go client on a data directory."""
        return GoNode(self.go_client, data_dir, chain.genesis, go_log(data_dir), flags=self.kind.flags)

    def our_reader(self, data_dir: Path, chain: FreshChain, *flags: str) -> RunningNode:
        """A node of this program that makes no block; the directory must have no key of the validator."""
        return RunningNode(data_dir, chain.genesis, *self.kind.quiet_flags, *flags)

    def their_reader(self, data_dir: Path, sealed: Sealed) -> GoNode:
        """A node of the Go client that restores a chain into a new directory, and makes no block."""
        flags, genesis = self.kind.quiet_flags, sealed.chain.genesis
        return GoNode(self.go_client, data_dir, genesis, go_log(data_dir), sealed.archive, flags=flags)

    def go_backup(self, grpc: str, out: Path, *flags: str) -> bytes:
        """The archive that the Go client makes of a node."""
        words = [self.go_client, "backup", "--grpc-address", grpc, "--out", str(out), *flags]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        assert out.exists(), done.stderr
        return out.read_bytes()


class Sealed(NamedTuple):
    """A chain that one of the two sealed and stopped: its whole backup by this program, and its blocks."""

    chain: FreshChain
    height: int
    archive: Path
    blocks: list[dict[str, Any]]


def go_log(data_dir: Path) -> Path:
    return data_dir.with_name(data_dir.name + "-go.log")


def backup(grpc: str, out: Path, *flags: str) -> bytes:
    done = run(["backup", "--grpc-address", grpc, "--out", out, *flags])
    assert done.returncode == 0, done.stderr
    return out.read_bytes()


def blocks(node: RunningNode | GoNode, last: int) -> list[dict[str, Any]]:
    return [node.rpc("eth_getBlockByNumber", hex(number), True) for number in range(last + 1)]


def ends(archive: Path) -> tuple[int, int]:
    document = json.loads(run(["archive", "info", archive, "--json"]).stdout)
    return document["first"]["number"], document["last"]["number"]


def without_key(data_dir: Path) -> Path:
    """Another validator key, so that the node does not seal and everybody sees one head."""
    (data_dir / "consensus" / "validator.key").write_text(OTHER_KEY)
    return data_dir


def seal(node: RunningNode | GoNode, kind: Kind, chain: FreshChain, folder: Path) -> Sealed:
    grow_past_epochs(kind, node)
    archive = folder / "full.dat"
    backup(node.grpc, archive)
    _, height = ends(archive)
    return Sealed(chain, height, archive, blocks(node, height))


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind.name)
def pair(request: pytest.FixtureRequest) -> Pair:
    return Pair(request.param, named_binary(request.param.binary))


@pytest.fixture(scope="module")
def our_chain(pair: Pair, tmp_path_factory: pytest.TempPathFactory) -> Sealed:
    folder = tmp_path_factory.mktemp("ours")
    chain = new_chain(pair.kind, pair.go_client, folder)
    with pair.ours(chain.data_dir, chain) as node:
        sealed = seal(node, pair.kind, chain, folder)
        assert node.stop() == 0
    return sealed


@pytest.fixture(scope="module")
def their_chain(pair: Pair, tmp_path_factory: pytest.TempPathFactory) -> Sealed:
    folder = tmp_path_factory.mktemp("theirs")
    chain = new_chain(pair.kind, pair.go_client, folder)
    with pair.theirs(chain.data_dir, chain) as node:
        node.wait_for_height(1)
        return seal(node, pair.kind, chain, folder)


def test_the_go_client_restores_what_we_sealed(pair: Pair, our_chain: Sealed, tmp_path: Path) -> None:
    with pair.their_reader(tmp_path / "go", our_chain) as node:
        node.wait_for_height(our_chain.height)
        assert blocks(node, our_chain.height) == our_chain.blocks
    compare_databases(stored(our_chain.chain.data_dir), stored(tmp_path / "go"), our_chain.height)


def test_we_restore_what_the_go_client_sealed(pair: Pair, their_chain: Sealed, tmp_path: Path) -> None:
    with pair.our_reader(tmp_path / "node", their_chain.chain, "--restore", str(their_chain.archive)) as node:
        node.wait_for_height(their_chain.height)
        assert blocks(node, their_chain.height) == their_chain.blocks
        assert node.stop() == 0
    compare_databases(stored(tmp_path / "node"), stored(their_chain.chain.data_dir), their_chain.height)


@pytest.mark.parametrize("maker", ["our_chain", "their_chain"])
def test_the_two_seal_in_turns_in_one_directory(
    pair: Pair, maker: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    sealed: Sealed = request.getfixturevalue(maker)
    chain, data_dir = sealed.chain, shutil.copytree(sealed.chain.data_dir, tmp_path / "node")
    starts: list[Callable[[Path, FreshChain], RunningNode | GoNode]] = [pair.theirs, pair.ours]
    if maker == "their_chain":
        starts.reverse()
    known, height = sealed.blocks, sealed.height
    for start in (*starts, starts[0]):
        with start(data_dir, chain) as node:
            node.wait_for_height(height)
            assert blocks(node, height) == known
            node.wait_for_height(height + 3)
            height += 3
            known = blocks(node, height)
            if isinstance(node, RunningNode):
                assert node.stop() == 0
    # What both have sealed holds before each of them, from the first block on.
    archive = tmp_path / "turns.dat"
    with pair.our_reader(without_key(data_dir), chain) as node:
        backup(node.grpc, archive)
        assert node.stop() == 0
    _, last = ends(archive)
    assert last >= height
    with pair.their_reader(tmp_path / "go", Sealed(chain, last, archive, known)) as node:
        node.wait_for_height(last)
    restored = run(["restore", archive, "--data-dir", tmp_path / "ours", "--chain", chain.genesis])
    assert restored.returncode == 0, restored.stderr
    ours, theirs, turns = (stored(folder) for folder in (tmp_path / "ours", tmp_path / "go", data_dir))
    compare_databases(ours, theirs, last)
    compare_databases(ours, turns, last)


@pytest.mark.parametrize("maker", ["our_chain", "their_chain"])
def test_a_backup_of_our_node_is_the_same_by_both(
    pair: Pair, maker: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    sealed: Sealed = request.getfixturevalue(maker)
    data_dir = without_key(shutil.copytree(sealed.chain.data_dir, tmp_path / "node"))
    with pair.our_reader(data_dir, sealed.chain) as node:
        assert pair.go_backup(node.grpc, tmp_path / "go.dat") == backup(node.grpc, tmp_path / "ours.dat")
        wanted = ("--from", "0x2", "--to", str(sealed.height - 1))
        theirs = pair.go_backup(node.grpc, tmp_path / "go-part.dat", *wanted)
        ours = backup(node.grpc, tmp_path / "ours-part.dat", *wanted)
    assert len(theirs) == len(ours)
    differing = [index for index, (a, b) in enumerate(zip(theirs, ours, strict=True)) if a != b]
    # The metadata hash alone: theirs is the plain one where ours is the block's (D-13).
    # A block that nobody seals has the plain one.
    assert bool(differing) is pair.kind.is_sealed
    assert all(index < 40 for index in differing)
    assert len(differing) <= 32


def test_our_backup_of_a_go_node_is_theirs(pair: Pair, our_chain: Sealed, tmp_path: Path) -> None:
    with pair.their_reader(tmp_path / "go", our_chain) as node:
        node.wait_for_height(our_chain.height)
        archive = our_chain.archive.read_bytes()
        assert backup(node.grpc, tmp_path / "ours.dat") == archive
        assert pair.go_backup(node.grpc, tmp_path / "theirs.dat") == archive
        # The Go server refuses a range of one block.
        one = backup(node.grpc, tmp_path / "one.dat", "--from", "3", "--to", "3")
        assert one[37:] in archive
        assert ends(tmp_path / "one.dat") == (3, 3)
        backup(node.grpc, tmp_path / "zero.dat", "--from", "0", "--to", "0")
        assert ends(tmp_path / "zero.dat") == (0, 0)
