from __future__ import annotations

import errno
import io
import os
import tracemalloc
from typing import TYPE_CHECKING, BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polygon_edge.archive import flat
from polygon_edge.archive.flat import FlatArchive, Metadata, Record, decode_metadata, encode_metadata, write_flat
from polygon_edge.chain import rlp
from polygon_edge.chain.rlp import Item, RlpError
from polygon_edge.errors import (
    ArchiveError,
    ArchiveExistsError,
    ArchiveIncompleteError,
    ArchiveMetadataError,
    ArchiveReadError,
    ArchiveRecordError,
    ArchiveTruncatedError,
    DiskFullError,
    SourceError,
)
from polygon_edge.source import BlockSource, RawBlock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HASH = bytes(range(32))


def block(number: int, size: int = 0) -> bytes:
    header: list[Item] = [bytes(32), bytes(32), bytes(20), bytes(32), bytes(32), bytes(32), bytes(256)]
    header += [rlp.integer(number), rlp.integer(number), b"", b"", b"", bytes(size), bytes(32), bytes(8)]
    return rlp.encode([header, [], []])


def archive_of(*numbers: int, promised: int | None = None) -> bytes:
    last = promised if promised is not None else max(numbers, default=0)
    return encode_metadata(Metadata(last, HASH)) + b"".join(map(block, numbers))


def reader(content: bytes, **options: int) -> FlatArchive:
    return FlatArchive(io.BytesIO(content), "a.dat", **options)


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


class Trickle(io.RawIOBase):
    """A pipe that hands out `step` bytes at a time, and refuses to be asked for more than the reader may ask."""

    def __init__(self, content: bytes, step: int) -> None:
        self.rest = content
        self.step = step

    def read(self, size: int = -1) -> bytes:
        assert 0 < size <= flat.READ_SIZE
        given_out, self.rest = self.rest[: min(size, self.step)], self.rest[min(size, self.step) :]
        return given_out


def pipe(content: bytes, step: int) -> BinaryIO:
    return Trickle(content, step)  # type: ignore[return-value]


class Blocks:
    """A source of blocks held in memory, which may lie."""

    name = "memory"

    def __init__(self, *numbers: int) -> None:
        self.numbers = numbers
        self.first_height = numbers[0]
        self.last_height = numbers[-1]

    def blocks(self, first: int, last: int) -> Iterator[RawBlock]:  # noqa: ARG002 - it lies
        return (RawBlock(number, block(number), None) for number in self.numbers)


# --- metadata


@given(st.integers(min_value=0, max_value=(1 << 64) - 1), st.binary(min_size=32, max_size=32))
def test_metadata_round_trips(height: int, block_hash: bytes) -> None:
    encoded = encode_metadata(Metadata(height, block_hash))
    assert 35 <= len(encoded) <= 43
    assert decode_metadata(encoded) == Metadata(height, block_hash)


def test_metadata_bytes_are_those_of_the_fact_sheet() -> None:
    assert encode_metadata(Metadata(0, HASH))[:3] == bytes.fromhex("e280a0")
    assert encode_metadata(Metadata(100, HASH))[:3] == bytes.fromhex("e264a0")


def test_surplus_metadata_items_are_ignored() -> None:
    assert decode_metadata(rlp.encode([b"\x05", HASH, b"more", []])) == Metadata(5, HASH)


@pytest.mark.parametrize("metadata", [Metadata(-1, HASH), Metadata(1 << 64, HASH), Metadata(1, HASH[:31])])
def test_metadata_that_cannot_be_written_raises(metadata: Metadata) -> None:
    with pytest.raises(ValueError, match="not archive metadata"):
        encode_metadata(metadata)


@pytest.mark.parametrize(
    "item", [b"", [], [b"\x05"], [[], HASH], [bytes(9), HASH], [b"\x05", []], [b"\x05", HASH[:31]], [b"\x05", HASH * 2]]
)
def test_records_that_are_not_metadata_raise(item: Item) -> None:
    with pytest.raises(RlpError):
        decode_metadata(rlp.encode(item))


@pytest.mark.parametrize(
    ("content", "offset", "message"),
    [
        (b"", 0, "empty file"),
        (b"hello", 0, "no metadata"),
        (encode_metadata(Metadata(24, HASH))[:20], 20, "cut"),
        (b"\xf9\x01", 2, "cut"),
        (b"\xff\x7f" + b"\xff" * 60, 0, "length"),
        (b"\xc0", 0, "no metadata"),
    ],
)
def test_a_broken_start_is_named(content: bytes, offset: int, message: str) -> None:
    with pytest.raises(ArchiveMetadataError, match=message) as raised:
        reader(content)
    assert raised.value.offset == offset


# --- records


@given(st.integers(min_value=1, max_value=400), st.lists(st.integers(min_value=0, max_value=2000), max_size=6))
def test_a_pipe_that_trickles_gives_the_same_records_as_a_file(step: int, sizes: list[int]) -> None:
    raws = [block(number, size) for number, size in enumerate(sizes)]
    content = encode_metadata(Metadata(len(raws), HASH)) + b"".join(raws)
    records = list(FlatArchive(pipe(content, step), "pipe").records())
    assert [record.raw for record in records] == raws
    assert [content[record.offset : record.offset + len(record.raw)] for record in records] == raws


@given(st.binary(max_size=300), st.integers(min_value=0, max_value=1000))
def test_no_bytes_do_anything_but_give_records_or_an_archive_error(tail: bytes, cut: int) -> None:
    content = archive_of(0, 1)[:cut] + tail
    records: list[Record] = []
    end = len(content)
    try:
        for record in reader(content).records():
            records.append(record)  # noqa: PERF402 - those before an error count
    except ArchiveError as error:
        end = error.offset
    assert sum(len(record.raw) for record in records) <= end <= len(content)


def test_every_cut_is_noticed_and_placed() -> None:
    content = archive_of(5, 6, 7)
    bounds = [35]
    for number in (5, 6, 7):
        bounds.append(bounds[-1] + len(block(number)))
    for cut in range(35, len(content)):
        archive = reader(content[:cut])
        whole = sum(bound <= cut for bound in bounds) - 1
        if cut in bounds:
            assert len(list(archive.records())) == whole
            with pytest.raises(ArchiveIncompleteError) as incomplete:
                archive.check_end()
            assert incomplete.value.offset == cut
        else:
            with pytest.raises(ArchiveTruncatedError) as truncated:
                list(archive.records())
            assert truncated.value.offset == bounds[whole]
            assert truncated.value.height == (None if whole == 0 else 5 + whole)


@pytest.mark.parametrize("length", ["ffffffffffffffffff", "ff7fffffffffffffff", "ff0000007fffffffff", "fbffffffff"])
@pytest.mark.parametrize("is_pipe", [False, True])
def test_a_hostile_length_is_refused_without_memory_for_it(length: str, is_pipe: bool, tmp_path: Path) -> None:
    content = archive_of(0, 1, promised=9) + bytes.fromhex(length) + bytes(64)
    (tmp_path / "a.dat").write_bytes(content)
    archive = FlatArchive(pipe(content, 4096), "pipe") if is_pipe else FlatArchive.open(tmp_path / "a.dat")
    tracemalloc.start()
    with archive, pytest.raises(ArchiveError) as raised:
        list(archive.records())
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()
    assert raised.value.offset == len(archive_of(0, 1))
    assert raised.value.height == 2
    assert "length" in raised.value.problem


def test_a_record_longer_than_a_pipe_says_how_much_was_there() -> None:
    content = archive_of(0, 1)[:-10]
    with pytest.raises(ArchiveTruncatedError) as raised:
        list(FlatArchive(pipe(content, 100), "pipe").records())
    assert raised.value.found == f"{len(block(1)) - 10} left"
    assert raised.value.expected == f"{len(block(1))} bytes"


def test_a_record_longer_than_allowed_is_refused() -> None:
    content = encode_metadata(Metadata(0, HASH)) + block(0, 3 * flat.READ_SIZE)
    assert len(list(reader(content).records())) == 1
    with pytest.raises(ArchiveRecordError, match="at most 1000 bytes"):
        list(reader(content, maximum_record_size=1000).records())


@pytest.mark.parametrize(
    ("inserted", "message"),
    [
        (b"\x00", "expected a list, found byte 0x00"),
        (b"\xc0", "no header in it"),
        (b"\xc1\x05", "no header in it"),
        (encode_metadata(Metadata(1, HASH)), "metadata .height 1. inside the blocks"),
    ],
)
def test_a_record_that_is_no_block_is_named_after_the_good_ones(inserted: bytes, message: str) -> None:
    archive = reader(archive_of(0, 1) + inserted + block(2))
    runs = archive.runs(10, 10_000)
    assert [record.raw for record in next(runs)] == [block(0), block(1)]
    with pytest.raises(ArchiveRecordError, match=message) as raised:
        next(runs)
    assert raised.value.offset == len(archive_of(0, 1))
    assert raised.value.height == 2


class Dying(Trickle):
    """A medium that fails after its content."""

    def read(self, size: int = -1) -> bytes:
        given_out = super().read(size)
        if not given_out:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return given_out


def test_a_medium_that_fails_is_named_with_its_byte_after_the_good_records() -> None:
    content = archive_of(0, 1, 2)[:-5]
    runs = FlatArchive(Dying(content, 700), "disk").runs(10, 10_000)  # type: ignore[arg-type]
    assert [record.raw for record in next(runs)] == [block(0), block(1)]
    with pytest.raises(ArchiveReadError, match="Input/output error") as raised:
        next(runs)
    assert raised.value.offset == len(content)


def test_a_first_record_without_a_height_is_named() -> None:
    with pytest.raises(ArchiveRecordError, match="not a block"):
        list(reader(encode_metadata(Metadata(0, HASH)) + rlp.encode([[], [], []])).records())


def test_a_record_without_a_height_leaves_the_next_height_unknown() -> None:
    archive = reader(archive_of(0) + rlp.encode([[], [], []]) + b"\0")
    with pytest.raises(ArchiveRecordError) as raised:
        list(archive.records())
    assert raised.value.height is None


def test_runs_are_bounded_by_count_and_by_bytes() -> None:
    content = archive_of(*range(7))
    assert [len(run) for run in reader(content).runs(3, 1 << 20)] == [3, 3, 1]
    assert [len(run) for run in reader(content).runs(100, 2 * len(block(1)))] == [2, 2, 2, 1]
    assert [len(run) for run in reader(content).runs(100, 1)] == [1] * 7
    assert list(reader(archive_of()).runs(3, 100)) == []


def test_a_broken_first_record_of_a_run_raises_at_once() -> None:
    with pytest.raises(ArchiveRecordError):
        next(reader(archive_of() + b"\0").runs(3, 100))


# --- as a source


def test_an_archive_is_a_source() -> None:
    source: BlockSource = reader(archive_of(3, 4, 5, 6))
    assert (source.name, source.first_height, source.last_height) == ("a.dat", 3, 6)
    assert [chosen.number for chosen in source.blocks(4, 5)] == [4, 5]


def test_asking_for_the_first_height_loses_no_record() -> None:
    archive = reader(archive_of(3, 4))
    assert archive.offset == 35
    assert archive.first_height == 3
    assert archive.offset == 35
    assert archive.first_height == 3
    assert [record.offset for record in archive.records()] == [35, 35 + len(block(3))]
    assert archive.records_read == 2
    assert archive.offset == archive.size or archive.size is None


def test_an_archive_without_blocks_has_no_first_height() -> None:
    with pytest.raises(ArchiveIncompleteError, match="no blocks"):
        _ = reader(archive_of(promised=3)).first_height


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ((0, 1, 3), "expected block 2, found block 3"),
        ((0, 1, 1, 2), "expected block 2, found block 1"),
        ((2, 3), "expected block 1, found block 2"),
        ((0, 1), "end after block 1"),
        ((0,), "no such block"),
    ],
)
def test_a_missing_block_is_named_and_never_skipped(numbers: tuple[int, ...], message: str) -> None:
    with pytest.raises(ArchiveError, match=message):
        list(reader(archive_of(*numbers)).blocks(1, 2))


def test_a_block_without_a_height_is_named() -> None:
    with pytest.raises(ArchiveRecordError, match="not a block"):
        list(reader(archive_of(0) + rlp.encode([[], [], []])).blocks(0, 1))


def test_the_end_is_compared_with_the_promise() -> None:
    def read(content: bytes) -> FlatArchive:
        archive = reader(content)
        list(archive.records())
        return archive

    read(archive_of(0, 1, 2)).check_end()
    read(archive_of(0, 1, 2)).check_end(2)
    with pytest.raises(ArchiveMetadataError, match="expected 0, found 2"):
        read(archive_of(0, 1, 2, promised=0)).check_end()
    with pytest.raises(ArchiveIncompleteError, match="expected blocks up to 5, found end after block 2"):
        read(archive_of(0, 1, 2, promised=5)).check_end()
    with pytest.raises(ArchiveMetadataError, match="expected 1, found 2"):
        read(archive_of(0, 1, 2, promised=1)).check_end()
    with pytest.raises(ArchiveIncompleteError, match="no blocks"):
        read(archive_of(promised=3)).check_end()


def test_standard_input_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    read_end, write_end = os.pipe()
    os.write(write_end, archive_of(0, 1))
    os.close(write_end)
    with os.fdopen(read_end) as stream:
        monkeypatch.setattr("sys.stdin", stream)
        archive = FlatArchive.open("-")
        assert archive.name == "standard input"
        assert archive.size is None
        assert len(list(archive.records())) == 2


def test_a_file_that_is_no_archive_is_closed_again(tmp_path: Path) -> None:
    (tmp_path / "a.dat").write_bytes(b"text")
    with pytest.raises(ArchiveMetadataError, match=r"a\.dat: byte 0"):
        FlatArchive.open(tmp_path / "a.dat")


# --- writing


def test_what_is_written_is_metadata_and_records_and_nothing_else(tmp_path: Path) -> None:
    out = tmp_path / "out.dat"
    size = write_flat(Blocks(3, 4, 5), out, 3, 5, HASH)
    assert out.read_bytes() == archive_of(3, 4, 5)
    assert size == len(archive_of(3, 4, 5))
    assert names(tmp_path) == ["out.dat"]


def test_standard_output_gets_the_archive(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr("sys.stdout", stream)
    write_flat(Blocks(0, 1), "-", 0, 1, HASH)
    assert stream.buffer.getvalue() == archive_of(0, 1)


def test_an_existing_file_is_left_alone(tmp_path: Path) -> None:
    out = tmp_path / "out.dat"
    out.write_bytes(b"precious")
    with pytest.raises(ArchiveExistsError):
        write_flat(Blocks(0), out, 0, 0, HASH)
    assert out.read_bytes() == b"precious"


def test_a_file_that_appears_meanwhile_is_left_alone(tmp_path: Path) -> None:
    out = tmp_path / "out.dat"

    class Intruder(Blocks):
        def blocks(self, first: int, last: int) -> Iterator[RawBlock]:
            out.write_bytes(b"precious")
            return super().blocks(first, last)

    with pytest.raises(ArchiveExistsError):
        write_flat(Intruder(0), out, 0, 0, HASH)
    assert out.read_bytes() == b"precious"
    assert names(tmp_path) == ["out.dat"]


@pytest.mark.parametrize("numbers", [(0, 2), (1, 2), (0, 1)])
def test_a_source_that_lies_leaves_no_archive(numbers: tuple[int, ...], tmp_path: Path) -> None:
    with pytest.raises(SourceError):
        write_flat(Blocks(*numbers), tmp_path / "out.dat", 0, 2, HASH)
    assert names(tmp_path) == []


@pytest.mark.parametrize(("number", "raised"), [(errno.ENOSPC, DiskFullError), (errno.EIO, OSError)])
def test_a_failing_write_leaves_no_archive(
    number: int, raised: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(raised):
        write_flat(Blocks(0, 1), tmp_path / "out.dat", 0, 1, HASH)
    assert names(tmp_path) == []


# --- recorded archives


MALFORMED = {
    "truncated-at-boundary.dat": (22, 41651, None, "blocks up to 24"),
    "truncated-mid-record.dat": (7, 7807, 7, "expected 15533 bytes, found 7766 left"),
    "truncated-in-length.dat": (7, 7807, 7, "cut inside its length"),
    "truncated-in-metadata.dat": (0, 20, None, "metadata is cut"),
    "flip-metadata-height.dat": (25, 44963, None, "blocks up to 25"),
    "flip-metadata-prefix.dat": (0, 0, None, "no metadata"),
    "flip-record-prefix.dat": (21, 40547, 21, "expected a list"),
    "flip-record-length.dat": (22, 41650, 22, "not a block"),
    "hostile-length-ff-ff.dat": (7, 7807, 7, "length"),
    "hostile-length-ff-7f.dat": (7, 7807, 7, "length"),
    "hostile-length-ff-00.dat": (7, 7807, 7, "length"),
    "hostile-length-fb-ff.dat": (7, 7807, 7, "length"),
    "hostile-metadata.dat": (0, 0, None, "length"),
    "trailing-bytes.dat": (25, 44963, 25, "expected a list"),
    "empty-list-record.dat": (21, 40547, 21, "not a block"),
    "zero-tail.dat": (21, 40547, 21, "expected a list"),
    "twice.dat": (25, 44963, 25, "metadata .height 24. inside the blocks"),
    "metadata-only.dat": (0, 35, None, "no blocks"),
    "empty.dat": (0, 0, None, "empty file"),
    "random.dat": (0, 0, None, "no metadata"),
    "text.dat": (0, 0, None, "no metadata"),
}


@pytest.mark.parametrize("name", MALFORMED)
@pytest.mark.parametrize("is_pipe", [False, True])
def test_recorded_damage_is_named_after_the_blocks_before_it(name: str, is_pipe: bool, shared: Path) -> None:
    blocks, offset, height, message = MALFORMED[name]
    file = shared / "golden/malformed" / name
    read = 0

    def read_all() -> None:
        nonlocal read
        with FlatArchive(pipe(file.read_bytes(), 5000), name) if is_pipe else FlatArchive.open(file) as archive:
            for run in archive.runs(4, 1 << 20):
                read += len(run)
            archive.check_end()

    with pytest.raises(ArchiveError, match=message) as raised:
        read_all()
    assert (read, raised.value.offset, raised.value.height) == (blocks, offset, height)


@pytest.mark.parametrize(("name", "number"), [("gap.dat", 21), ("swapped-blocks.dat", 21), ("gap-at-start.dat", 0)])
def test_a_recorded_gap_is_named(name: str, number: int, shared: Path) -> None:
    with FlatArchive.open(shared / "golden/malformed" / name) as archive, pytest.raises(ArchiveRecordError) as raised:
        list(archive.blocks(0, 24))
    assert raised.value.expected == f"block {number}"
    assert raised.value.offset == (40547 if number else 35)


@pytest.mark.parametrize("network", ["v0.6.3/poa-ecdsa", "v0.6.3/poa-bls", "v0.6.3/single", "v0.6.3/dev"])
def test_a_recorded_archive_is_written_back_bit_for_bit(network: str, shared: Path, tmp_path: Path) -> None:
    file = shared / "golden" / network / "full.dat"
    with FlatArchive.open(file) as archive:
        first, (last, last_hash) = archive.first_height, archive.metadata
        write_flat(archive, tmp_path / "copy.dat", first, last, last_hash)
    assert (tmp_path / "copy.dat").read_bytes() == file.read_bytes()
