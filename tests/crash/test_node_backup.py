"""SIGKILL of a running backup, or of the node that it reads: its file is whole, a `.part`, or not there at all."""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING, NamedTuple

import pytest
from tests.crash.network import seeded
from tests.crash.newborn import BLOCK_TIME, Transfers, check_reopened, copied, node_rounds
from tests.node.running import RunningNode
from tests.program import COMMAND

from polygon_edge.archive.flat import FlatArchive
from polygon_edge.archive.inspection import inspect
from polygon_edge.chain.genesis import load_genesis

if TYPE_CHECKING:
    import random
    from pathlib import Path

    from tests.node.chain import FreshChain

# Each chunk of an export waits for so long, so that a backup of a small chain lasts for a moment.
SLOW_EXPORT = ("--export-delay", "0.15")
FILLING_BYTES = 100_000
FILLED_BLOCKS = 4
FORCED_TO_AN_END_SECONDS = 60


class Backup(NamedTuple):
    """A backup command that runs, and the file that it is to write."""

    process: subprocess.Popen[str]
    out: Path

    @property
    def part(self) -> Path:
        return self.out.with_name(self.out.name + ".part")


def start_backup(node: RunningNode, out: Path, *flags: str) -> Backup:
    words = ("backup", "--grpc-address", node.grpc, "--out", str(out), *flags)
    process = subprocess.Popen([*COMMAND, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return Backup(process, out)


@pytest.fixture(scope="module")
def filled(newborn: FreshChain, tmp_path_factory: pytest.TempPathFactory) -> FreshChain:
    """A node whose export takes several chunks."""
    folder = tmp_path_factory.mktemp("filled")
    chain = copied(newborn, folder / "data")
    transfers = Transfers()
    with RunningNode(chain.data_dir, chain.genesis, *BLOCK_TIME) as node:
        while len(node.sealed) < FILLED_BLOCKS:
            transfers.send(node, 4, data=bytes([1]) * FILLING_BYTES)
            height = node.height
            node.wait_for_height(height + 1)
        assert node.stop() == 0
    return chain


def check_whole(file: Path, genesis: Path) -> int:
    """The archive holds what it promises, from block 0 on; returns its last block."""
    with FlatArchive.open(file) as archive:
        info = inspect(archive, load_genesis(genesis))
    assert info.fault() is None
    assert info.keeps_height
    assert info.metadata_hash_is == "block hash"
    assert info.first is not None
    assert info.last is not None
    assert info.first.number == 0
    return info.last.number


def lifetime_of(node: RunningNode, out: Path) -> float:
    began = time.monotonic()
    backup = start_backup(node, out)
    _, errors = backup.process.communicate(timeout=FORCED_TO_AN_END_SECONDS)
    assert backup.process.returncode == 0, errors
    return time.monotonic() - began


def wait_for_a_moment(backup: Backup, chance: random.Random, lifetime: float) -> None:
    """Half of the time any moment of its life, half of the time one after the first bytes have come."""
    if chance.random() < 0.5:
        time.sleep(chance.uniform(0, lifetime))
        return
    while backup.process.poll() is None and not backup.part.exists():
        time.sleep(0.005)
    time.sleep(chance.uniform(0, lifetime / 2))


def test_a_killed_backup_leaves_a_part_or_a_whole_file_and_a_node_that_seals_on(
    filled: FreshChain, tmp_path: Path
) -> None:
    chance = seeded("kills of a backup")
    chain = copied(filled, tmp_path / "data")
    total, left = node_rounds(3, 0.4), {"nothing": 0, "part": 0, "whole": 0}
    with RunningNode(chain.data_dir, chain.genesis, *BLOCK_TIME, *SLOW_EXPORT) as node:
        lifetime = lifetime_of(node, tmp_path / "whole.dat")
        for number in range(total):
            out = tmp_path / f"round-{number}.dat"
            backup = start_backup(node, out)
            wait_for_a_moment(backup, chance, lifetime)
            backup.process.kill()
            backup.process.communicate(timeout=FORCED_TO_AN_END_SECONDS)
            if out.exists():
                left["whole"] += 1
                check_whole(out, chain.genesis)
            elif backup.part.exists():
                left["part"] += 1
                # Killed before its first whole block, or with some of them: the same command continues it.
                resumed = start_backup(node, out, "--resume")
                _, errors = resumed.process.communicate(timeout=FORCED_TO_AN_END_SECONDS)
                assert resumed.process.returncode == 0, errors
                assert not backup.part.exists()
                assert check_whole(out, chain.genesis) >= FILLED_BLOCKS
            else:
                left["nothing"] += 1
        height = node.height
        node.wait_for_height(height + 2)
        sealed = node.sealed
        assert node.stop() == 0
    check_reopened(chain.data_dir, sealed)
    print(f"{total} kills within {lifetime:.2f} s of a backup left: {left}")


def test_a_node_killed_during_a_backup_leaves_a_part_that_a_later_run_completes(
    filled: FreshChain, tmp_path: Path
) -> None:
    chance = seeded("kills of a node under backup")
    chain = copied(filled, tmp_path / "data")
    logged: list[tuple[int, str]] = []
    total, left = node_rounds(2, 0.4), {"nothing": 0, "part": 0, "whole": 0}
    for number in range(total):
        out = tmp_path / f"round-{number}.dat"
        flags = (*BLOCK_TIME, *SLOW_EXPORT)
        with RunningNode(chain.data_dir, chain.genesis, *flags, log=tmp_path / f"{number}.log") as node:
            lifetime = lifetime_of(node, tmp_path / f"whole-{number}.dat")
            backup = start_backup(node, out)
            wait_for_a_moment(backup, chance, lifetime)
            node.kill()
            logged += node.sealed
        _, errors = backup.process.communicate(timeout=FORCED_TO_AN_END_SECONDS)
        head = check_reopened(chain.data_dir, logged)
        if backup.process.returncode == 0:
            left["whole"] += 1
            assert check_whole(out, chain.genesis) <= head
            continue
        assert backup.process.returncode == 1, errors
        assert not out.exists()
        left["part" if backup.part.exists() else "nothing"] += 1
        with RunningNode(chain.data_dir, chain.genesis, *BLOCK_TIME, log=tmp_path / f"again-{number}.log") as node:
            again = start_backup(node, out, *(["--resume"] if backup.part.exists() else []))
            _, errors = again.process.communicate(timeout=FORCED_TO_AN_END_SECONDS)
            assert again.process.returncode == 0, errors
            assert node.stop() == 0
            logged += node.sealed
        assert check_whole(out, chain.genesis) >= FILLED_BLOCKS
    print(f"{total} nodes killed under a backup; it left: {left}")
