"""Commands that Go nodes of every network answered, given again: backups byte for byte, status, the keys of a node.

What does not depend on the network is compared where the commands are tested one by one.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from tests.conftest import shared_folder
from tests.golden.earlier import EarlierChain
from tests.golden.recorded import NETWORKS, Network
from tests.operator.serving import ServedNode

from polygon_edge import _core
from polygon_edge.archive.flat import FlatArchive

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.program import Command

ELSEWHERE = ("v0.6.3/poa-ecdsa", "v0.6.3/single")
"""Networks whose commands other tests repeat, on nodes of their own."""

pytestmark = pytest.mark.shared


@pytest.fixture(scope="module", params=[name for name in NETWORKS if name not in ELSEWHERE])
def network(request: pytest.FixtureRequest) -> Network:
    return Network(shared_folder() / "golden" / request.param)


@pytest.fixture(scope="module")
def data_dir(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return network.opened_directory("data-dir", tmp_path_factory.mktemp("node"))


@pytest.fixture(scope="module")
def chain(data_dir: Path) -> Iterator[EarlierChain]:
    with _core.Chain.open(data_dir) as whole:
        yield EarlierChain(whole)


def rows(network: Network, *words: str) -> list[dict[str, Any]]:
    """What was recorded of a command that succeeded."""
    recorded = network.rows("cli.jsonl")
    found = [row for row in recorded if row["argv"][: len(words)] == list(words) and row["exit"] == 0]
    return [row for row in found if "--help" not in row["argv"] and said(row)]


def said(row: dict[str, Any]) -> str:
    """What a command printed; every command of v1.3.2 prints an empty line before anything else."""
    text: str = row["stdout"]
    return text.removeprefix("\n") if text.startswith(("\n\n", "\n{", "\n0x", "\n16")) or text == "\n" else text


def test_every_recorded_backup_comes_again(
    network: Network, chain: EarlierChain, command: Command, tmp_path: Path
) -> None:
    compared = 0
    with ServedNode(chain, network.about["chainId"]) as node:
        for row in rows(network, "backup"):
            words = row["argv"]
            name = words[words.index("--out") + 1]
            recorded = row.get("file", name)
            if not any(network.folder.glob(f"{recorded}*")):
                continue
            if "--to" not in words:
                # The node may have sealed on since: its archive says where it ended.
                chain.height = last_block(network.archive(recorded, tmp_path))
            out = tmp_path / "out" / f"{compared}.dat"
            out.parent.mkdir(exist_ok=True)
            asked = [node.address if ":" in word else str(out) if word == name else word for word in words]
            ended = command(*asked)
            assert ended.exit_code == 0, ended.errors
            assert ended.output.replace(str(out), name) == said(row)
            check_archive(out, network.archive(recorded, tmp_path), chain, has_end="--to" in words)
            compared += 1
    assert compared >= 4


def last_block(archive: Path) -> int:
    with FlatArchive.open(archive) as opened:
        return opened.metadata.height


def check_archive(ours: Path, theirs: Path, chain: EarlierChain, *, has_end: bool) -> None:
    """Assert that two archives have the same bytes, but for the hash in the metadata where `--to` was given (D-13)."""
    with FlatArchive.open(ours) as archive:
        metadata = archive.metadata
    assert metadata.hash == chain.canonical_hash(metadata.height)
    found, recorded = ours.read_bytes(), theirs.read_bytes()
    if has_end:
        hash_begins = recorded.index(b"\xa0") + 1
        recorded = recorded[:hash_begins] + metadata.hash + recorded[hash_begins + 32 :]
    assert found == recorded


def test_every_recorded_status_comes_again(network: Network, chain: EarlierChain, command: Command) -> None:
    compared = 0
    for row in rows(network, "status"):
        number, peer_address = told(row)
        chain.height = number
        with ServedNode(chain, network.about["chainId"], peer_address=peer_address) as node:
            ended = command(*(node.address if ":" in word else word for word in row["argv"]))
        assert (ended.exit_code, ended.output, ended.errors) == (0, said(row), "")
        compared += 1
    assert compared >= 2


def told(row: dict[str, Any]) -> tuple[int, str]:
    """The height and the peer address that a status names."""
    if "--json" in row["argv"]:
        document = json.loads(row["stdout"])
        return document["current_block_number"], document["libp2p_address"]
    number = re.search(r"Current Block Number \(base 10\) = (\d+)", row["stdout"])
    peer_address = re.search(r"Libp2p Address +=[ ](\S+)", row["stdout"])
    assert number is not None
    assert peer_address is not None
    return int(number[1]), peer_address[1]


def test_the_keys_of_the_node_are_shown_as_they_were(network: Network, data_dir: Path, command: Command) -> None:
    compared = 0
    for row in rows(network, "secrets", "output", "--data-dir", "node-1"):
        ended = command(*(str(data_dir) if word == "node-1" else word for word in row["argv"]))
        assert (ended.exit_code, ended.output, ended.errors) == (0, said(row), row["stderr"])
        compared += 1
    assert compared >= 4
