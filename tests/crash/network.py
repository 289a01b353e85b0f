"""The recorded network that the crash tests restore, for how many rounds, and how a directory is looked at."""

from __future__ import annotations

import json
import os
import random
import threading
from dataclasses import dataclass
from pathlib import Path

from polygon_edge import _core
from polygon_edge.archive.flat import FlatArchive
from polygon_edge.chain.genesis import load_genesis
from polygon_edge.consensus.snapshot_files import load_state
from polygon_edge.restore import Restore, RestoreReport
from polygon_edge.store.data_dir import RESTORE_FOLDERS, DataDirectory

CARRIED = Path(__file__).parent.parent / "data" / "v0.6.3" / "poa-ecdsa"

ROUNDS = "POLYGON_EDGE_CRASH_ROUNDS"
SEED = "POLYGON_EDGE_CRASH_SEED"
NETWORK = "POLYGON_EDGE_CRASH_NETWORK"


def rounds(usual: int) -> int:
    """How many rounds to go: those asked for by the environment, scaled as `usual` is to 20; else `usual`."""
    asked = os.environ.get(ROUNDS)
    return usual if asked is None else max(1, int(asked) * usual // 20)


def seeded(what: str) -> random.Random:
    """Chance that the environment can repeat; the seed is printed."""
    seed = int(os.environ.get(SEED) or random.SystemRandom().getrandbits(32))
    print(f"{what}: {SEED}={seed}")
    return random.Random(f"{seed} {what}")


@dataclass(frozen=True)
class Network:
    """A recorded network, its archive unpacked."""

    archive: Path
    genesis: Path
    head: int
    head_hash: bytes
    state_root: bytes


def network(folder: Path, archive: Path) -> Network:
    about = json.loads((folder / "about.json").read_text())
    return Network(
        archive,
        folder / "genesis.json",
        about.get("head", about["blocks"]),
        bytes.fromhex(about["headHash"][2:]),
        bytes.fromhex((about.get("headStateRoot") or about["stateRoot"])[2:]),
    )


class Heads:
    """Keeps the heights that a restore in this process reports."""

    def __init__(self) -> None:
        self.head: int | None = None

    def update(self, *, blocks: int, transactions: int, gas: int, head: int) -> None:  # noqa: ARG002 - the protocol
        self.head = head


def complete(network: Network, path: Path) -> RestoreReport:
    """Restore to the end and hold the result against the recording."""
    directory = DataDirectory(path)
    directory.create(RESTORE_FOLDERS)
    with FlatArchive.open(network.archive) as archive, _core.Chain.open(path) as chain:
        report = Restore(archive, directory, chain, load_genesis(network.genesis), threading.Event(), Heads()).run()
        assert (report.head, report.head_hash, report.state_root) == (
            network.head,
            network.head_hash,
            network.state_root,
        )
    assert not directory.is_unfinished, "a restore that has finished took its mark away"
    state = load_state(directory.consensus)
    assert state is not None
    assert state.last_block == network.head
    return report


def head_of(path: Path) -> int | None:
    """Open the databases as they were left, read the head and all accounts of its state; none without blocks."""
    with _core.Chain.open(path) as chain:
        if chain.head is None:
            return None
        number, block_hash = chain.head
        assert chain.canonical_hash(number) == block_hash
        root = chain.state_root_at(number)
        assert root is not None
        assert chain.count_accounts(root) > 0
        for height in range(max(1, number - 3), number + 1):
            assert chain.header(height) is not None
            assert chain.body(height) is not None
            assert chain.receipts(height) is not None
        assert chain.header(number + 1) is None, "nothing above the head"
        return number
