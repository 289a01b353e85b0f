"""Both locks of both databases, seen from other processes while a restore runs, and after it (§4.1)."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from polygon_edge import _core

NETWORK = Path(__file__).parent.parent / "data" / "v0.6.3" / "poa-ecdsa"
PROGRAM = [sys.executable, "-m", "polygon_edge.cli.main"]
DATABASES = ("blockchain", "trie")
KINDS = ("flock", "lockf")
DATABASE_EXIT_CODE = 13

# A process of its own, because a process never meets its own fcntl lock.
PROBE = """
import fcntl, sys
kind, file = sys.argv[1:]
with open(file, "r+b") as lock:
    try:
        getattr(fcntl, kind)(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("held")
    else:
        print("free")
"""

HOLDER = """
import fcntl, sys
kind, file = sys.argv[1:]
with open(file, "w+b") as lock:
    getattr(fcntl, kind)(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    print("held", flush=True)
    sys.stdin.read()
"""


def probe(directory: Path) -> dict[tuple[str, str], str]:
    """How each kind of lock stands on LOCK of each database."""
    return {
        (database, kind): subprocess.run(
            [sys.executable, "-c", PROBE, kind, directory / database / "LOCK"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
        for database in DATABASES
        for kind in KINDS
    }


def all_are(state: str) -> dict[tuple[str, str], str]:
    return {(database, kind): state for database in DATABASES for kind in KINDS}


def command(archive: Path | str, directory: Path) -> list[str]:
    words = ["restore", archive, "--data-dir", directory, "--chain", NETWORK / "genesis.json", "--run-blocks", 5]
    return [*PROGRAM, *map(str, words)]


@contextmanager
def live_restore(directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A restore that has committed blocks and waits for more of its archive; the rest comes when the block ends."""
    content = (NETWORK / "full.dat").read_bytes()
    process = subprocess.Popen(
        command("-", directory), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert process.stdin is not None
    try:
        half = len(content) // 2
        process.stdin.write(content[:half])
        process.stdin.flush()
        journal = directory / "blockchain"
        end = time.monotonic() + 60
        # Block 0 is a few kilobytes; more means that blocks of the archive are there.
        while sum(file.stat().st_size for file in journal.glob("*.log")) < 1 << 16:
            assert process.poll() is None
            assert time.monotonic() < end, "the restore does not begin"
            time.sleep(0.02)
        yield process
        process.stdin.write(content[half:])
        process.stdin.close()
        assert process.wait(timeout=60) == 0, process.stderr and process.stderr.read()
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stderr):
            if stream is not None:
                stream.close()


def head(directory: Path) -> int | None:
    with _core.Chain.open(directory, create=False) as chain:
        return chain.head and chain.head[0]


def test_both_locks_are_held_while_a_restore_runs_and_free_right_after(tmp_path: Path) -> None:
    with live_restore(tmp_path) as process:
        assert probe(tmp_path) == all_are("held")
        # A probe opens and closes LOCK, which must not have cost the restore its own locks.
        assert probe(tmp_path) == all_are("held")
        assert process.poll() is None
    assert probe(tmp_path) == all_are("free")
    assert head(tmp_path) == 150


def test_locks_are_free_after_a_kill(tmp_path: Path) -> None:
    restore = live_restore(tmp_path)
    process = restore.__enter__()
    process.kill()
    process.wait()
    assert probe(tmp_path) == all_are("free")
    with pytest.raises(BrokenPipeError):
        restore.__exit__(None, None, None)


def test_a_second_restore_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    with live_restore(tmp_path):
        second = subprocess.run(command(NETWORK / "full.dat", tmp_path), capture_output=True, text=True, check=False)
        assert second.returncode == DATABASE_EXIT_CODE
        assert str(tmp_path) in second.stderr
        assert "is locked" in second.stderr
        assert probe(tmp_path) == all_are("held")
    assert head(tmp_path) == 150


@pytest.mark.parametrize("is_new", [True, False], ids=["new", "with blocks"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("database", DATABASES)
def test_a_foreign_holder_of_either_lock_is_respected(tmp_path: Path, database: str, kind: str, is_new: bool) -> None:
    if is_new:
        (tmp_path / database).mkdir()
    else:
        subprocess.run(command(NETWORK / "part-0-50.dat", tmp_path), check=True, capture_output=True)
    file = tmp_path / database / "LOCK"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, kind, file], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    refused = subprocess.run(command(NETWORK / "full.dat", tmp_path), capture_output=True, text=True, check=False)
    assert refused.returncode == DATABASE_EXIT_CODE
    assert f"{tmp_path / database} is locked" in refused.stderr
    holder.communicate("")
    subprocess.run(command(NETWORK / "full.dat", tmp_path), check=True, capture_output=True)
    assert head(tmp_path) == 150
