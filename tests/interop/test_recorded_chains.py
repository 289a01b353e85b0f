"""Every recorded chain of several validators, forks or large blocks in turns: one client restores the first part, the
other the rest, and whichever begins, the databases hold the same.

Needs the binaries of both versions, named by the environment, and the recorded networks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.conftest import shared_folder
from tests.golden.recorded import NETWORKS, Network
from tests.interop.conftest import named_binary
from tests.interop.go_node import BINARY, BINARY_132, GoNode
from tests.node.running import run
from tests.store.independent_reader import Stored, stored

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.interop, pytest.mark.shared]

NOT_RESTORED_BY_GO = {"v0.6.3/switch-type", "v1.3.2/switch"}
RESTORE_SECONDS = 300


def network_of(name: str) -> Network:
    """The whole recording: what travels with the source has no archives of parts."""
    return Network(shared_folder() / "golden" / name)


def client_of(name: str) -> str:
    return named_binary(BINARY if name.startswith("v0.6.3/") else BINARY_132)


def restore(network: Network, archive: Path, data_dir: Path) -> None:
    """Restore with this program."""
    done = run(["restore", archive, "--data-dir", data_dir, "--chain", network.genesis], seconds=RESTORE_SECONDS)
    assert done.returncode == 0, done.stderr


def go_restore(name: str, archive: Path | None, data_dir: Path, height: int) -> str:
    """Start the Go client on `data_dir` and let it restore up to `height`; returns the hash of that block."""
    network = network_of(name)
    # Only a dev chain needs no key of a validator; so rarely that it makes no block while it is looked at.
    flags = ("--dev", "--dev-interval", "3600") if name.endswith("/dev") else ()
    log = data_dir.with_name(data_dir.name + "-go.log")
    with GoNode(client_of(name), data_dir, network.genesis, log, archive, flags=flags) as node:
        node.wait_for_height(height, RESTORE_SECONDS)
        assert node.height() == height
        return str(node.rpc("eth_getBlockByNumber", hex(height), False)["hash"])


def first_part(network: Network) -> str:
    """The name of the shortest archive that begins at block 0."""
    names = [path.name.removesuffix(".zst") for path in network.folder.glob("part-0-*")]
    return min(names, key=lambda name: int(name.removesuffix(".dat").rsplit("-", 1)[1]))


def compare(found: Stored, expected: Stored) -> None:
    """Every record of the blocks, and every node and code that their states need."""
    assert found.blockchain == expected.blockchain
    assert found.state(found.head) == expected.state(expected.head)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_go_client_serves_what_we_restored(name: str, tmp_path: Path) -> None:
    client_of(name)
    network = network_of(name)
    restore(network, network.archive("full.dat", tmp_path), tmp_path / "node")
    before = stored(tmp_path / "node")
    assert go_restore(name, None, tmp_path / "node", network.about["blocks"]) == network.about["headHash"]
    compare(stored(tmp_path / "node"), before)


@pytest.mark.parametrize("name", [name for name in NETWORKS if name not in NOT_RESTORED_BY_GO])
def test_it_does_not_matter_who_restores_which_part(name: str, tmp_path: Path) -> None:
    client_of(name)
    network = network_of(name)
    part = network.archive(first_part(network), tmp_path)
    whole = network.archive("full.dat", tmp_path)
    middle = int(first_part(network).removesuffix(".dat").rsplit("-", 1)[1])
    last = network.about["blocks"]
    restore(network, part, tmp_path / "ours-first")
    assert go_restore(name, whole, tmp_path / "ours-first", last) == network.about["headHash"]
    go_restore(name, part, tmp_path / "theirs-first", middle)
    restore(network, whole, tmp_path / "theirs-first")
    compare(stored(tmp_path / "ours-first"), stored(tmp_path / "theirs-first"))
