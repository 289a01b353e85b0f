"""The archive that is being written: what it holds at every moment, and what a later backup makes of it."""

from __future__ import annotations

import os
import re
import resource
import signal
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from polygon_edge.archive import part as part_module
from polygon_edge.archive.flat import FlatArchive, Metadata, encode_metadata
from polygon_edge.archive.part import ArchivePart, part_of
from polygon_edge.errors import (
    ArchiveExistsError,
    ArchiveReadError,
    ArchiveRecordError,
    ArchiveWriteError,
    DiskFullError,
    StoppedBySignalError,
)

if TYPE_CHECKING:
    from tests.golden.recorded import Network

HASH = bytes(range(32))
NOT_STOPPED = threading.Event()


@pytest.fixture(scope="module")
def records(poa: Network, tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    with FlatArchive.open(poa.archive("full.dat", tmp_path_factory.mktemp("archive"))) as source:
        return [record.raw for record in source.records()]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out.dat"


def left_behind(out: Path, *records: bytes, tail: bytes = b"", height: int = 150) -> Path:
    """What an earlier backup left."""
    part = part_of(out)
    part.write_bytes(encode_metadata(Metadata(height, HASH)) + b"".join(records) + tail)
    return part


def opened(out: Path) -> ArchivePart:
    part = ArchivePart.open(out)
    assert part is not None
    return part


def test_a_part_becomes_the_archive(out: Path, records: list[bytes]) -> None:
    with ArchivePart.create(out) as part:
        assert not part.has_blocks
        part.write_metadata(Metadata(2, HASH))
        assert not part.has_blocks
        part.append(records[0])
        part.append(b"".join(records[1:3]))
        assert not out.exists()
        part.publish()
    expected = encode_metadata(Metadata(2, HASH)) + b"".join(records[:3])
    assert out.read_bytes() == expected
    assert part.size == len(expected)
    assert list(out.parent.iterdir()) == [out]
    assert stat.S_IMODE(out.stat().st_mode) & ~0o644 == 0


def test_what_is_there_is_refused_by_name(out: Path) -> None:
    part_of(out).write_bytes(b"earlier")
    with pytest.raises(ArchiveExistsError, match=r"^open .*out\.dat\.part: file exists: .*--resume continues it$"):
        ArchivePart.create(out)
    out.write_bytes(b"archive")
    for attempt in (ArchivePart.create, ArchivePart.open):
        with pytest.raises(ArchiveExistsError, match=r"^open .*out\.dat: file exists$"):
            attempt(out)
    assert (out.read_bytes(), part_of(out).read_bytes()) == (b"archive", b"earlier")


def test_of_two_backups_that_begin_at_once_one_is_refused(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part_module, "refuse_existing", lambda _: None)
    with ArchivePart.create(out), pytest.raises(ArchiveExistsError, match="--resume"):
        ArchivePart.create(out)


def test_nothing_to_open_is_none(out: Path) -> None:
    assert ArchivePart.open(out) is None


def test_a_part_that_is_written_is_not_opened_twice(out: Path) -> None:
    with ArchivePart.create(out), pytest.raises(ArchiveReadError, match="another backup writes it"):
        ArchivePart.open(out)
    with opened(out):
        pass


def test_a_part_that_is_no_file_is_refused(out: Path) -> None:
    part_of(out).symlink_to(out.parent / "elsewhere")
    (out.parent / "elsewhere").touch()
    with pytest.raises(ArchiveReadError):
        ArchivePart.open(out)
    part_of(out).unlink()
    os.mkfifo(part_of(out))
    with pytest.raises(ArchiveReadError, match="not a regular file"):
        ArchivePart.open(out)


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ArchiveWriteError, match="No such file or directory"):
        ArchivePart.create(tmp_path / "no" / "out.dat")


@pytest.mark.parametrize("before", [0, 127, 128, 255, 256, 65535, 65536, (1 << 64) - 1])
@pytest.mark.parametrize("after", [0, 127, 128, 255, 256, 65535, 65536, (1 << 64) - 1])
@pytest.mark.parametrize("move_bytes", [1, 3, 1 << 22])
def test_metadata_of_another_size_moves_the_blocks(
    out: Path, monkeypatch: pytest.MonkeyPatch, before: int, after: int, move_bytes: int
) -> None:
    monkeypatch.setattr(part_module, "MOVE_BYTES", move_bytes)
    blocks = b"\xc0" + bytes(range(100))
    with ArchivePart.create(out) as part:
        part.write_metadata(Metadata(before, HASH))
        part.append(blocks)
        part.write_metadata(Metadata(after, HASH[::-1]))
        part.append(b"\xc0")
        expected = encode_metadata(Metadata(after, HASH[::-1])) + blocks + b"\xc0"
        assert part.size == len(expected)
        assert part.path.read_bytes() == expected


def test_metadata_without_blocks_may_change_its_size(out: Path) -> None:
    with ArchivePart.create(out) as part:
        part.write_metadata(Metadata(1 << 40, HASH))
        part.write_metadata(Metadata(1, HASH))
        part.publish()
    assert out.read_bytes() == encode_metadata(Metadata(1, HASH))


@pytest.mark.parametrize("torn", ["nothing", "one byte", "half", "all but one byte", "zeros", "no block", "text"])
@pytest.mark.parametrize("run_blocks", [1, 2, 3, 4096])
def test_a_torn_tail_is_cut_with_the_block_that_nothing_proves(
    out: Path, records: list[bytes], torn: str, run_blocks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(part_module, "RUN_BLOCKS", run_blocks)
    following = records[5]
    tail = {
        "nothing": b"",
        "one byte": following[:1],
        "half": following[: len(following) // 2],
        "all but one byte": following[:-1],
        "zeros": bytes(100),
        "no block": b"\xc3\xc0\xc0\xc0" * 3,
        "text": b"text",
    }[torn]
    path = left_behind(out, *records[:5], tail=tail)
    with opened(out) as part:
        lineage = part.recover(NOT_STOPPED)
    assert lineage is not None
    assert (lineage.first, lineage.last) in {(0, 3), (0, 4)}
    assert lineage.last == (4 if torn == "no block" else 3)
    expected = encode_metadata(Metadata(150, HASH)) + b"".join(records[: lineage.due])
    assert path.read_bytes() == expected
    assert part.size == len(expected)


def test_one_block_alone_is_fetched_again(out: Path, records: list[bytes]) -> None:
    left_behind(out, records[7])
    with opened(out) as part:
        lineage = part.recover(NOT_STOPPED)
        assert lineage is not None
        assert (lineage.first, lineage.last, lineage.due) == (7, None, 7)
        assert not part.has_blocks


@pytest.mark.parametrize("content", [b"", b"\xe3", encode_metadata(Metadata(150, HASH))[:20], b"text", bytes(100)])
def test_a_part_without_a_whole_promise_is_begun_anew(out: Path, content: bytes) -> None:
    part_of(out).write_bytes(content)
    with opened(out) as part:
        assert part.recover(NOT_STOPPED) is None
        assert part.size == 0
        part.write_metadata(Metadata(1, HASH))
        assert part.size == 35


def test_a_promise_alone_is_nothing_to_go_on_with(out: Path) -> None:
    left_behind(out)
    with opened(out) as part:
        assert part.recover(NOT_STOPPED) is None
        assert not part.has_blocks


@pytest.mark.parametrize("numbers", [(0, 1, 3, 4), (0, 1, 2, 2, 3), (5, 6, 7, 6, 9)])
def test_blocks_that_contradict_each_other_are_not_continued(
    out: Path, records: list[bytes], numbers: tuple[int, ...]
) -> None:
    path = left_behind(out, *(records[number] for number in numbers))
    before = path.read_bytes()
    with opened(out) as part, pytest.raises(ArchiveRecordError, match="cannot be continued; remove it") as caught:
        part.recover(NOT_STOPPED)
    assert caught.value.offset > 36
    assert path.read_bytes() == before


def blocks_left(out: Path) -> int | None:
    """How many blocks a later backup goes on after, None when it refuses."""
    with opened(out) as part:
        try:
            lineage = part.recover(NOT_STOPPED)
        except ArchiveRecordError:
            return None
    return 0 if lineage is None or lineage.last is None else lineage.due


def test_a_kill_while_the_blocks_are_moved_leaves_nothing_that_looks_whole(
    out: Path, records: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    monkeypatch.setattr(part_module, "MOVE_BYTES", 1000)
    blocks = records[:12]
    whole = len(b"".join(blocks))
    for height in (5, 1 << 40):
        for pieces in range(0, whole // 1000, 3):
            path = left_behind(out, *blocks, height=1000)
            done = 0

            def killed_later(descriptor: int, content: bytes, place: int, limit: int = pieces) -> None:
                nonlocal done
                if done == limit:
                    raise Killed
                done += 1
                os.pwrite(descriptor, content, place)

            with opened(out) as part:
                part.recover(NOT_STOPPED)
                monkeypatch.setattr(part_module, "_write_at", killed_later)
                with pytest.raises(Killed):
                    part.write_metadata(Metadata(height, HASH))
            monkeypatch.undo()
            monkeypatch.setattr(part_module, "MOVE_BYTES", 1000)
            number = blocks_left(out)
            # Whatever is left are whole blocks in their order, or nothing.
            assert number is None or path.read_bytes().endswith(b"".join(blocks[:number]))
            path.unlink()


def test_a_signal_leaves_the_scan_and_the_file_as_it_is(out: Path, records: list[bytes]) -> None:
    path = left_behind(out, *records[:5], tail=b"torn")
    before = path.read_bytes()
    stop = threading.Event()
    stop.set()
    with opened(out) as part, pytest.raises(StoppedBySignalError):
        part.recover(stop)
    assert path.read_bytes() == before


@pytest.fixture
def limited_size() -> Iterator[int]:
    """No file may grow beyond this size."""
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    yield 4096
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_leaves_whole_records(out: Path, limited_size: int) -> None:
    with ArchivePart.create(out) as part:
        part.write_metadata(Metadata(9, HASH))
        part.append(bytes(3000))
        with pytest.raises(DiskFullError, match=f"^{re.escape(str(part.path))}: disk full"):
            part.append(bytes(limited_size))
        assert part.path.stat().st_size == part.size == 35 + 3000


def test_a_part_can_be_discarded_and_closed_twice(out: Path) -> None:
    part = ArchivePart.create(out)
    part.discard()
    part.discard()
    part.close()
    part.close()
    assert list(out.parent.iterdir()) == []
