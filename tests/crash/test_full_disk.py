"""A disk that fills up: noticed before where it can be foreseen, survived where not."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.crash.network import CARRIED, Network, complete, head_of, network

from polygon_edge.restore import LEAST_BYTES_PER_ARCHIVE_BYTE

FULL = 14
PROGRAM = [sys.executable, "-m", "polygon_edge.cli.main"]
LIMITED_PROGRAM = [
    sys.executable,
    "-c",
    (
        "import resource, sys; from polygon_edge.cli.main import main; size = int(sys.argv[1]);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)); sys.exit(main(sys.argv[2:]))"
    ),
]


@pytest.fixture(scope="module")
def carried() -> Network:
    """The network that the repository carries, whatever the environment names: the sizes below are made for it."""
    return network(CARRIED, CARRIED / "full.dat")


def restore(
    program: list[str], network: Network, directory: Path, *, from_pipe: bool
) -> subprocess.CompletedProcess[str]:
    archive = "-" if from_pipe else network.archive
    words = ["restore", archive, "--data-dir", directory, "--chain", network.genesis, "--run-blocks", 2]
    with network.archive.open("rb") as stream:
        return subprocess.run(
            [*program, *map(str, words)],
            stdin=stream if from_pipe else None,
            capture_output=True,
            text=True,
            check=False,
        )


def reported(stderr: str) -> int | None:
    """The head in the last line of progress; none when there was none."""
    heads = re.findall(r"restore stopped: head (\d+),", stderr)
    return int(heads[-1]) if heads else None


class SmallDisk:
    """A file system in memory that can grow."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def mount(self, kibibytes: int, *options: str) -> None:
        choice = ",".join([*options, f"size={kibibytes}k"])
        command = [shutil.which("mount") or "mount", "-t", "tmpfs", "-o", choice, "tmpfs", str(self.folder)]
        subprocess.run(command, check=True, capture_output=True)

    def grow(self, kibibytes: int) -> None:
        self.mount(kibibytes, "remount")

    def unmount(self) -> None:
        subprocess.run([shutil.which("umount") or "umount", str(self.folder)], check=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    disk = SmallDisk(tmp_path / "disk")
    disk.folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    try:
        disk.mount(256)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"a small file system cannot be mounted here: {error.stderr.decode().strip()}")
    yield disk
    disk.unmount()


def test_a_disk_too_small_for_the_archive_is_refused_before_a_block_is_written(
    carried: Network, small_disk: SmallDisk
) -> None:
    directory = small_disk.folder / "data"
    done = restore(PROGRAM, carried, directory, from_pipe=False)
    assert done.returncode == FULL, done.stderr
    needed = LEAST_BYTES_PER_ARCHIVE_BYTE * carried.archive.stat().st_size
    assert f"disk full: needs {needed} bytes, has " in done.stderr
    small_disk.grow(8192)
    assert head_of(directory) == 0
    complete(carried, directory)


@pytest.mark.parametrize("kibibytes", [64, 150, 256, 384, 500])
def test_a_disk_that_fills_up_keeps_what_was_committed(carried: Network, small_disk: SmallDisk, kibibytes: int) -> None:
    small_disk.grow(kibibytes)
    directory = small_disk.folder / "data"
    done = restore(PROGRAM, carried, directory, from_pipe=True)
    assert done.returncode == FULL, done.stderr
    assert str(directory) in done.stderr
    again = restore(PROGRAM, carried, directory, from_pipe=True)
    assert again.returncode == FULL, "no room yet, and that is still what it says"
    small_disk.grow(8192)
    assert (head_of(directory) or 0) == (reported(done.stderr) or 0)
    complete(carried, directory)


@pytest.mark.parametrize("size", [1 << 12, 1 << 16, 1 << 17, 3 << 17])
def test_a_file_that_may_not_grow_is_a_full_disk_as_well(carried: Network, tmp_path: Path, size: int) -> None:
    done = restore([*LIMITED_PROGRAM, str(size)], carried, tmp_path, from_pipe=True)
    assert done.returncode == FULL, done.stderr
    assert (head_of(tmp_path) or 0) == (reported(done.stderr) or 0)
    complete(carried, tmp_path)
