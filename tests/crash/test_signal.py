"""A stop by signal: the exit code says so, what was reported is all there, and the same command goes on."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from tests.crash.network import Network, complete, head_of, rounds, seeded

from polygon_edge.consensus.snapshot_files import load_state
from polygon_edge.store.data_dir import DataDirectory

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
STOPPED = 130
PROGRAM = [sys.executable, "-m", "polygon_edge.cli.main"]
LONGEST_STOP_SECONDS = 30


def command(network: Network, archive: Path | str, directory: Path) -> list[str]:
    words = ["restore", archive, "--data-dir", directory, "--chain", network.genesis, "--run-blocks", 2, "--json"]
    return [*PROGRAM, *map(str, words)]


def stopped_after(stderr: str) -> int | None:
    """The height that a stopped restore names; none when it had not come as far as a chain."""
    error = json.loads(stderr.strip().splitlines()[-1])
    assert error["kind"] == "StoppedBySignalError"
    found = re.fullmatch(r"stopped by a signal(?: after block (\d+))?", error["error"])
    assert found, error
    return None if found[1] is None else int(found[1])


def check_stopped(network: Network, directory: Path, named: int | None) -> None:
    """The directory is at the height named, in databases and consensus files, and the next run completes it."""
    head = head_of(directory)
    if named is not None:
        assert head == named
        state = load_state(DataDirectory(directory).consensus)
        assert state is not None
        assert state.last_block == named
        assert DataDirectory(directory).is_unfinished
    complete(network, directory)


def test_a_stop_at_any_moment_ends_at_a_block_boundary(recorded: Network, tmp_path: Path) -> None:
    chance = seeded("stops of a restore")
    began = time.monotonic()
    subprocess.run(command(recorded, recorded.archive, tmp_path / "whole"), check=True, capture_output=True)
    lifetime = time.monotonic() - began
    outcomes = {"outside its handlers": 0, "before a chain": 0, "midway": 0, "done": 0}
    for number in range(rounds(5)):
        directory = tmp_path / f"round-{number}"
        process = subprocess.Popen(
            command(recorded, recorded.archive, directory), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
        )
        time.sleep(chance.uniform(0, lifetime))
        process.send_signal(chance.choice(STOP_SIGNALS))
        _, stderr = process.communicate(timeout=LONGEST_STOP_SECONDS)
        if process.returncode < 0 or "KeyboardInterrupt" in stderr:
            # The interpreter itself was coming up or going down: nothing of the program had run, or all of it.
            outcomes["outside its handlers"] += 1
            assert not directory.exists() or head_of(directory) == recorded.head
            continue
        if process.returncode == 0:
            outcomes["done"] += 1
        else:
            assert process.returncode == STOPPED, stderr
            named = stopped_after(stderr)
            outcomes["before a chain" if named is None else "midway"] += 1
            check_stopped(recorded, directory, named)
    print(f"signals at any moment of a life of {lifetime:.2f} s: {outcomes}")


def feed(process: subprocess.Popen[str], content: bytes) -> None:
    assert process.stdin is not None
    with suppress(BrokenPipeError):
        os.write(process.stdin.fileno(), content)


def test_a_stop_is_noticed_while_a_pipe_is_silent(recorded: Network, tmp_path: Path) -> None:
    chance = seeded("stops before a silent pipe")
    content = recorded.archive.read_bytes()[: 1 << 20]
    midway = 0
    for number in range(rounds(5)):
        directory = tmp_path / f"round-{number}"
        process = subprocess.Popen(
            command(recorded, "-", directory),
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        fed = content[: chance.randrange(len(content))]
        for start in range(0, len(fed), 1 << 15):
            feed(process, fed[start : start + (1 << 15)])
        wait_for_databases(process, directory if len(fed) > 50 else None, chance)
        process.send_signal(chance.choice(STOP_SIGNALS))
        assert process.wait(timeout=LONGEST_STOP_SECONDS) == STOPPED
        assert process.stdin is not None
        assert process.stderr is not None
        named = stopped_after(process.stderr.read())
        process.stdin.close()
        process.stderr.close()
        midway += bool(named)
        check_stopped(recorded, directory, named)
    print(f"signals before a silent pipe: {rounds(5)}, {midway} with blocks committed before")
    assert midway > 0


def wait_for_databases(process: subprocess.Popen[str], directory: Path | None, chance: random.Random) -> None:
    """Wait until the restore has begun, then for a moment left to chance."""
    while directory is not None and not DataDirectory(directory).is_unfinished:
        assert process.poll() is None
        time.sleep(0.01)
    time.sleep(chance.uniform(0.5, 1) if directory is None else chance.uniform(0, 0.5))


@pytest.mark.parametrize("delay", [0.0, 0.005, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3])
def test_a_stop_in_the_first_moments_leaves_nothing_that_does_not_open(
    recorded: Network, tmp_path: Path, delay: float
) -> None:
    # From a pipe that never ends, so that no machine is fast enough to be done before the signal.
    process = subprocess.Popen(
        command(recorded, "-", tmp_path),
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    feed(process, recorded.archive.read_bytes()[: 1 << 15])
    time.sleep(delay)
    process.terminate()
    assert process.wait(timeout=LONGEST_STOP_SECONDS) in {STOPPED, -signal.SIGTERM}
    assert process.stdin is not None
    assert process.stderr is not None
    named = stopped_after(process.stderr.read()) if process.returncode == STOPPED else None
    process.stdin.close()
    process.stderr.close()
    check_stopped(recorded, tmp_path, named)


def test_the_second_signal_ends_it_at_once() -> None:
    busy = (
        "import time; from polygon_edge.cli import stop; stop.install(); print('ready', flush=True);"
        "stop.stop_requested.wait(); print('asked', flush=True); time.sleep(600)"
    )
    process = subprocess.Popen([sys.executable, "-c", busy], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "asked\n"
    assert process.poll() is None
    process.send_signal(signal.SIGHUP)
    assert process.wait(timeout=LONGEST_STOP_SECONDS) == STOPPED
    process.stdout.close()
