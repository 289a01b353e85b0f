"""SIGKILL at random moments of a restore: the directory reopens as it is, keeps what was reported, and goes on."""

from __future__ import annotations

import os
import random
import select
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.crash.network import Network, complete, head_of, rounds, seeded
from tests.crash.victim import Word

from polygon_edge.consensus.snapshot_files import decode_snapshots, load_state
from polygon_edge.store.data_dir import DataDirectory

VICTIM = Path(__file__).with_name("victim.py")


@dataclass
class Life:
    """What a victim told before it died."""

    words: list[str] = field(default_factory=list)
    reported: int | None = None
    killed: bool = False

    def hear(self, line: str) -> None:
        word, *rest = line.split()
        if word == Word.REPORTED:
            self.reported = int(rest[0])
        else:
            self.words.append(word)

    def ended_in(self, begin: Word, end: Word) -> bool:
        """Whether the process was killed between these two words."""
        marks = [word for word in self.words if word in (begin, end)]
        return self.killed and bool(marks) and marks[-1] == begin


class Victim:
    """A process that restores, until it is killed."""

    def __init__(self, network: Network, directory: Path, run_blocks: int) -> None:
        read_end, write_end = os.pipe()
        arguments = [network.archive, network.genesis, directory, run_blocks, write_end]
        self.process = subprocess.Popen([sys.executable, VICTIM, *map(str, arguments)], pass_fds=[write_end])
        os.close(write_end)
        self._pipe = read_end
        self._rest = b""
        self.life = Life()

    def listen_until(self, word: Word, count: int) -> bool:
        """Wait for the `count`-th `word`; false when the process ended before."""
        seen = 0
        while chunk := os.read(self._pipe, 4096):
            for line in self._lines(chunk):
                self.life.hear(line)
                seen += line.startswith(word)
            if seen >= count:
                return True
        return False

    def listen_for(self, seconds: float) -> None:
        """Take in what is told meanwhile, so that the pipe never fills."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            ready, _, _ = select.select([self._pipe], [], [], left)
            chunk = os.read(self._pipe, 4096) if ready else b""
            for line in self._lines(chunk):
                self.life.hear(line)
            if ready and not chunk:
                return

    def kill(self) -> Life:
        self.process.kill()
        self.life.killed = self.process.wait() < 0
        while chunk := os.read(self._pipe, 1 << 16):
            for line in self._lines(chunk):
                self.life.hear(line)
        os.close(self._pipe)
        return self.life

    def _lines(self, chunk: bytes) -> list[str]:
        *whole, self._rest = (self._rest + chunk).split(b"\n")
        return [line.decode() for line in whole]


def kill_at_any_moment(victim: Victim, chance: random.Random, lifetime: float) -> Life:
    if victim.listen_until(Word.STARTED, 1):
        victim.listen_for(chance.uniform(0, lifetime))
    return victim.kill()


def kill_in_a_commit(victim: Victim, chance: random.Random, commits: int) -> Life:
    if victim.listen_until(Word.COMMITTING, chance.randint(1, max(1, commits))):
        # A commit waits for the disk, so a short sleep still finds it there more often than not.
        time.sleep(chance.choice([0, 0, 0.0002, 0.001]))
    return victim.kill()


def test_a_killed_restore_reopens_and_goes_on(recorded: Network, tmp_path: Path) -> None:
    chance = seeded("kills during a restore")
    run_blocks = 1 if recorded.head <= 200 else 50
    began = time.monotonic()
    whole = Victim(recorded, tmp_path / "whole", run_blocks)
    assert whole.listen_until(Word.STARTED, 1)
    began = time.monotonic()
    assert whole.listen_until(Word.DONE, 1)
    lifetime = time.monotonic() - began
    commits = whole.kill().words.count(Word.COMMITTED)
    total, inside, killed, heights = rounds(20), 0, 0, []
    for number in range(total):
        directory = tmp_path / f"round-{number}"
        head = 0
        # One directory lives through several kills: what a kill left is what the next one meets.
        for _ in range(chance.randint(1, 2)):
            victim = Victim(recorded, directory, run_blocks)
            if number % 2:
                life = kill_at_any_moment(victim, chance, lifetime)
            else:
                life = kill_in_a_commit(victim, chance, commits - head // run_blocks)
            killed += life.killed
            inside += life.ended_in(Word.COMMITTING, Word.COMMITTED)
            found = head_of(directory)
            assert found is not None
            assert found >= max(head, life.reported or 0), f"round {number}: a height that was reported is lost"
            head = found
        heights.append(head)
        complete(recorded, directory)
    print(f"{total} rounds, {killed} kills, {inside} of them inside a commit; heads {min(heights)} to {max(heights)}")
    assert inside * 5 >= total, "too few kills inside a commit to prove anything"


def test_a_kill_between_the_last_commit_and_the_consensus_files_is_made_good(recorded: Network, tmp_path: Path) -> None:
    complete(recorded, tmp_path)
    consensus = DataDirectory(tmp_path).consensus
    whole = {file.name: file.read_bytes() for file in consensus.iterdir()}
    old = b'{"LastBlock":%d}' % (recorded.head - 1)
    for left in ({}, {"snapshots": whole["snapshots"]}, whole | {"metadata": old}, whole | {"snapshots": b"[{"}):
        shutil.rmtree(consensus)
        consensus.mkdir()
        for name, content in left.items():
            (consensus / name).write_bytes(content)
        assert complete(recorded, tmp_path).blocks == 0
        # Old snapshots of earlier epochs need not come back; those of this epoch decide who may sign.
        assert (consensus / "metadata").read_bytes() == whole["metadata"]
        state = load_state(consensus)
        assert state is not None
        assert state.snapshots[-1].validators == decode_snapshots(whole["snapshots"])[-1].validators


def seconds_to_block_0(network: Network, directory: Path) -> float:
    victim = Victim(network, directory, 50)
    assert victim.listen_until(Word.OPENING, 1)
    began = time.monotonic()
    assert victim.listen_until(Word.STARTED, 1)
    seconds = time.monotonic() - began
    victim.kill()
    return seconds


def test_a_restore_killed_at_its_very_start_always_reopens(recorded: Network, tmp_path: Path) -> None:
    chance = seeded("kills at the first start")
    birth = min(seconds_to_block_0(recorded, tmp_path / f"whole-{number}") for number in range(3))
    total, inside, states = rounds(20), 0, {"nothing": 0, "no head": 0, "block 0": 0, "more": 0}
    for number in range(total):
        directory = tmp_path / f"round-{number}"
        victim = Victim(recorded, directory, 50)
        assert victim.listen_until(Word.OPENING, 1)
        # Counted from the moment before the first folder is made.
        time.sleep(chance.uniform(0, birth))
        life = victim.kill()
        inside += Word.STARTED not in life.words
        left = sorted(entry.name for entry in directory.glob("*/*"))
        head = head_of(directory)
        states["nothing" if not left else "no head" if head is None else "block 0" if head == 0 else "more"] += 1
        complete(recorded, directory)
    print(f"{total} rounds, {inside} killed before block 0 was reported; found: {states}")
    assert inside * 5 >= total, "too few kills before block 0 to prove anything"
