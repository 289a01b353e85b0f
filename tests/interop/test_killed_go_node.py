"""The Go client is killed while it writes a block: this program goes back to the last whole block and seals on, and so
does the Go client after it, in the same directory.

Needs the binaries, named by the environment: of v0.6.3, which writes the records of a block one by one, and of v1.3.2,
which writes them at once (§4.4).
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import plyvel
import pytest
from tests.crash.network import seeded
from tests.interop.conftest import named_binary
from tests.interop.go_node import GoNode
from tests.interop.kinds import KINDS, Kind, new_chain
from tests.node.running import RunningNode, run
from tests.store.independent_reader import Stored, stored

from demonstration.load import ACCOUNTS, Load

if TYPE_CHECKING:
    import random

pytestmark = pytest.mark.interop
needs_strace = pytest.mark.skipif(
    shutil.which("strace") is None, reason="no strace, which kills before a record that is chosen"
)

HALF_WRITING = [kind for kind in KINDS if kind.name in {"v0.6.3 PoA ECDSA", "v0.6.3 PoS BLS"}]
KILLED = [*HALF_WRITING, *(kind for kind in KINDS if kind.name == "v1.3.2 PoA ECDSA")]
ROUNDS = int(os.environ.get("POLYGON_EDGE_GO_KILL_ROUNDS", "10"))
LONGEST_WRITING_SECONDS = 0.001
"""How long the Go client takes for the records of a block, on a machine with little else to do."""

RECORDS_OF_EMPTY_BLOCK = 7
"""Body, header, head hash, head number, canonical hash, total difficulty, receipts."""

NETWORK = Path(__file__).parent.parent / "data" / "v0.6.3" / "poa-ecdsa"
RECORDS_OF_GENESIS = 5
"""Head hash, head number, canonical hash, total difficulty, header, in some order; it has neither body nor receipts."""

FIRST_JOURNAL = "000001.log"
RECORDS_OF_RESTORE = (10, 150)
"""Of one thread; 151 blocks with 236 transactions have more than a thousand."""

RECEIVER = "0x" + "42" * 20
REPAIRED = "the head was left half-written"
_NEW_BLOCK = re.compile(r"new block: number=(\d+)")
_HEAD = re.compile(r"node: head: number=(\d+) ")


def journal(blockchain: Path) -> Path:
    """The file that the next record goes to."""
    return max(blockchain.glob("*.log"))


class Kill(Protocol):
    """Ends a Go node while, or about when, it writes its next block into a block database."""

    def __call__(self, node: GoNode, blockchain: Path) -> None: ...


def tracer(file: Path, record: int) -> list[str]:
    """The words that begin a command under which `file` is not written that often by one thread."""
    injected = f"inject=write:signal=SIGKILL:when={record}"
    return ["strace", "-f", "-qq", "-o", os.devnull, "-P", str(file), "-e", "trace=write", "-e", injected]


def kill_before(record: int) -> Kill:
    """A kill just before that record of a block is written, counted from 1: a tracer stops the system call."""

    def kill(node: GoNode, blockchain: Path) -> None:
        words = [*tracer(journal(blockchain), record), "-p", str(node.process.pid)]
        subprocess.run(words, check=False, capture_output=True, timeout=30)
        node.process.wait(timeout=10)

    return kill


def kill_at_random(chance: random.Random) -> Kill:
    """A kill at some moment after the first record of a block, before or after the last."""

    def kill(node: GoNode, blockchain: Path) -> None:
        file = journal(blockchain)
        size = file.stat().st_size
        deadline = time.monotonic() + 30
        while file.stat().st_size == size:
            assert time.monotonic() < deadline, "no block"
        moment = time.perf_counter() + chance.uniform(0, LONGEST_WRITING_SECONDS)
        while time.perf_counter() < moment:
            pass
        node.kill()

    return kill


def whole_head(left: Stored) -> int:
    """The number of the last block that has all of its records, one of which is that something points at it."""
    records = left.blockchain
    number = left.head
    while True:
        block_hash = records.get(b"c" + number.to_bytes(8, "big"))
        prefixes = "hd" if number == 0 else "hbdr"
        if block_hash is not None and all(prefix.encode() + block_hash in records for prefix in prefixes):
            return number
        number -= 1


def is_half_written(left: Stored, whole: int) -> bool:
    """Whether a head pointer names another block than the last one that is whole."""
    # The head hash is written before the head number.
    return whole < left.head or left.blockchain[b"ohash"] != left.blockchain[b"c" + whole.to_bytes(8, "big")]


class Killed:
    """One data directory, in which Go nodes are killed and ours go on; counts what was found."""

    def __init__(self, kind: Kind, folder: Path) -> None:
        self._kind, self._folder = kind, folder
        self._go_client = named_binary(kind.binary)
        self._chain = new_chain(kind, self._go_client, folder)
        self.kills = self.halves = self.blocks = 0

    def go_on(self, kill: Kill, *, transactions: int) -> None:
        """Let a Go node seal, kill it at its next block, and hold our start against what it left."""
        self.kills += 1
        blockchain = self._chain.data_dir / "blockchain"
        with self.theirs() as node:
            node.wait_for_height(self.blocks + 1)
            load = Load(node)
            for number in range(transactions):
                load.send("transfer", number % ACCOUNTS, RECEIVER, value=1, gas=21_000)
            kill(node, blockchain)
            written = max(int(found) for found in _NEW_BLOCK.findall(node.messages))
        left = stored(shutil.copytree(self._chain.data_dir, self._folder / f"left-{self.kills}"))
        whole = whole_head(left)
        is_half = is_half_written(left, whole)
        self.halves += is_half
        assert written <= whole <= left.head <= whole + 1
        with RunningNode(self._chain.data_dir, self._chain.genesis, *self._kind.flags) as ours:
            found = _HEAD.search(ours.messages)
            assert found is not None
            assert int(found[1]) == whole
            assert (REPAIRED in ours.messages) is is_half
            ours.wait_for_height(whole + 1)
            self.blocks = ours.height
            assert ours.stop() == 0

    def theirs(self) -> GoNode:
        """A Go node on the directory."""
        log = self._folder / f"go-{self.kills}.log"
        return GoNode(self._go_client, self._chain.data_dir, self._chain.genesis, log, flags=self._kind.flags)

    def close(self) -> None:
        """Have a Go node start on what is there at the end, and seal on."""
        with self.theirs() as node:
            node.wait_for_height(self.blocks + 1)
        print(f"{self.kills} kills, {self.blocks} blocks; {self.halves} heads were half-written, and were given up")


@needs_strace
@pytest.mark.parametrize("kind", HALF_WRITING, ids=lambda kind: kind.name)
def test_a_block_is_given_up_where_one_of_its_records_is_missing_and_no_other(kind: Kind, tmp_path: Path) -> None:
    killed = Killed(kind, tmp_path)
    for record in range(1, RECORDS_OF_EMPTY_BLOCK + 1):
        killed.go_on(kill_before(record), transactions=0)
    # Body and header are in the block already when the first pointer names it.
    assert killed.halves == RECORDS_OF_EMPTY_BLOCK - 3
    for record in range(1, RECORDS_OF_EMPTY_BLOCK + ACCOUNTS + 1, 3):
        killed.go_on(kill_before(record), transactions=ACCOUNTS)
    killed.close()


@pytest.mark.parametrize("kind", KILLED, ids=lambda kind: kind.name)
def test_a_kill_at_any_moment_costs_no_block_that_was_whole(kind: Kind, tmp_path: Path) -> None:
    kill = kill_at_random(seeded("kills of a Go node"))
    killed = Killed(kind, tmp_path)
    for _ in range(ROUNDS):
        killed.go_on(kill, transactions=ACCOUNTS)
    killed.close()


@needs_strace
def test_a_restore_that_was_killed_is_finished_by_us(go_client: str, tmp_path: Path) -> None:
    chance = seeded("kills of a Go node that restores")
    archive, genesis = NETWORK / "full.dat", NETWORK / "genesis.json"
    assert restore(tmp_path / "whole", archive, genesis).returncode == 0
    expected = stored(tmp_path / "whole")
    halves, heads = 0, []
    for number in range(ROUNDS):
        data_dir = tmp_path / f"node-{number}"
        doomed = doomed_client(go_client, tmp_path, data_dir, chance.randint(*RECORDS_OF_RESTORE))
        with GoNode(doomed, data_dir, genesis, tmp_path / f"go-{number}.log", archive) as node:
            node.process.wait(timeout=60)
        left = stored(shutil.copytree(data_dir, tmp_path / f"left-{number}"))
        whole = whole_head(left)
        is_half = is_half_written(left, whole)
        halves += is_half
        heads.append(whole)
        done = restore(data_dir, archive, genesis)
        assert done.returncode == 0, done.stderr
        assert (REPAIRED in done.stderr) is is_half
        found = stored(data_dir)
        assert found.blockchain == expected.blockchain
        assert found.state(found.head) == expected.state(expected.head)
    print(f"{ROUNDS} kills at the heads {sorted(heads)}; {halves} of them were half-written")


@needs_strace
@pytest.mark.parametrize("record", range(1, RECORDS_OF_GENESIS + 1))
def test_a_first_start_that_was_killed_is_begun_anew_by_us(record: int, go_client: str, tmp_path: Path) -> None:
    kind = HALF_WRITING[0]
    chain = new_chain(kind, go_client, tmp_path)
    doomed = doomed_client(go_client, tmp_path, chain.data_dir, record)
    with GoNode(doomed, chain.data_dir, chain.genesis, tmp_path / "go.log", flags=kind.flags) as node:
        node.process.wait(timeout=60)
    with plyvel.DB(str(shutil.copytree(chain.data_dir / "blockchain", tmp_path / "left"))) as blocks:
        assert len(dict(blocks)) == record - 1
    with RunningNode(chain.data_dir, chain.genesis, *kind.flags) as ours:
        ours.wait_for_height(1)
        assert ours.stop() == 0
    with GoNode(go_client, chain.data_dir, chain.genesis, tmp_path / "go-again.log", flags=kind.flags) as node:
        node.wait_for_height(2)


def doomed_client(go_client: str, folder: Path, data_dir: Path, record: int) -> Path:
    """A command like the Go client's that is killed before it writes that record of a new block database."""
    command = folder / f"doomed-{data_dir.name}"
    words = [*tracer(data_dir / "blockchain" / FIRST_JOURNAL, record), "-D", go_client]
    # Detached, so that the process is the node itself; records are counted by thread, so that there are few.
    command.write_text(f'#!/bin/sh\nGOMAXPROCS=1 exec {shlex.join(words)} "$@"\n')
    command.chmod(0o700)
    return command


def restore(data_dir: Path, archive: Path, genesis: Path) -> subprocess.CompletedProcess[str]:
    """Restore with this program."""
    return run(["restore", archive, "--data-dir", data_dir, "--chain", genesis])
