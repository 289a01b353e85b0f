"""The reader of flat archives against damaged real ones: whatever the bytes, records or an ArchiveError."""

from __future__ import annotations

import io
import os
import tracemalloc
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import pytest
from tests.mutator import damaged_bytes, generator, mutations, report

from polygon_edge import _core
from polygon_edge.archive.flat import FlatArchive, Metadata, Record, decode_metadata, encode_metadata
from polygon_edge.chain.block import block_number
from polygon_edge.chain.rlp import RlpError
from polygon_edge.errors import ArchiveError

DATA = Path(__file__).parent.parent / "data"


@pytest.fixture(scope="module")
def archives() -> list[bytes]:
    """Short archives: the metadata and one to six blocks, from everywhere in a recorded network."""
    with FlatArchive.open(DATA / "v0.6.3/poa-ecdsa/full.dat") as archive:
        blocks = [record.raw for record in archive.records()]
    short = []
    for first in range(0, len(blocks), 4):
        last = min(first + first % 6, len(blocks) - 1)
        short.append(encode_metadata(Metadata(last, bytes(32))) + b"".join(blocks[first : last + 1]))
    return [archive for archive in short if len(archive) < 20_000]


def read(stream: BinaryIO, how: int) -> tuple[FlatArchive | None, list[Record], ArchiveError | None]:
    """Read all there is in one of three ways; any error outside of the family fails the test."""
    records: list[Record] = []
    archive = None
    try:
        archive = FlatArchive(stream, "a.dat", maximum_record_size=1 << 20)
        if how == 0:
            records.extend(archive.records())
        elif how == 1:
            for run in archive.runs(3, 4096):
                assert 1 <= len(run) <= 3
                records.extend(run)
        else:
            first = archive.first_height
            for block in archive.blocks(first, archive.last_height):
                assert block.offset is not None
                records.append(Record(block.offset, block.raw))
        archive.check_end()
    except ArchiveError as error:
        return archive, records, error
    return archive, records, None


def file_of(content: bytes) -> BinaryIO:
    stream = os.fdopen(os.memfd_create("archive"), "w+b", buffering=0)
    stream.write(content)
    stream.seek(0)
    return stream


def test_damaged_archives_give_records_or_an_error_of_the_family(archives: list[bytes]) -> None:
    ends: Counter[str] = Counter()
    for number in range(mutations(12_000)):
        chance = generator(number)
        content = damaged_bytes(chance, chance.choice(archives), archives)
        # As a pipe, whose end is not known, or as a file, whose size is.
        with io.BytesIO(content) if number % 2 else file_of(content) as stream:
            archive, records, error = read(stream, number % 3)
        ends[type(error).__name__ if error else "read to the end"] += 1
        if error is not None:
            assert 0 <= error.offset <= len(content), number
        for record in records:
            assert content[record.offset : record.offset + len(record.raw)] == record.raw, number
        for before, after in pairwise(records):
            assert before.offset + len(before.raw) == after.offset, number
        if error is None and archive is not None and number % 3 < 2:
            assert archive.offset == len(content), number
        if number % 20 == 0:
            # The core has its own fuzzing; here it is about the border: errors come as values, no panic crosses it.
            summaries = _core.summarise([record.raw for record in records], "ibft", "G1")
            assert len(summaries) == len(records)
            for record, summary in zip(records, summaries, strict=True):
                if not isinstance(summary, str):
                    assert summary.number == block_number(record.raw), number
    report(ends)
    assert min(ends[end] for end in ("read to the end", "ArchiveTruncatedError", "ArchiveRecordError")) > 0


def test_damaged_metadata_is_metadata_or_an_rlp_error(archives: list[bytes]) -> None:
    real = [archive[:40] for archive in archives]
    decoded = 0
    count = mutations(20_000)
    for number in range(count):
        chance = generator(number)
        content = damaged_bytes(chance, chance.choice(real), real)
        try:
            metadata = decode_metadata(content)
        except RlpError:
            continue
        decoded += 1
        assert 0 <= metadata.height < 1 << 64
        assert len(metadata.hash) == 32
        assert decode_metadata(encode_metadata(metadata)) == metadata
    assert 0 < decoded < count


def test_a_damaged_length_allocates_no_more_than_there_is(archives: list[bytes]) -> None:
    tracemalloc.start()
    try:
        for number in range(1_000):
            chance = generator(number)
            content = damaged_bytes(chance, chance.choice(archives), archives)
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            with io.BytesIO(content) as stream:
                read(stream, number % 3)
            # The content, its buffer, its records; nothing of the size that a length claims.
            assert tracemalloc.get_traced_memory()[1] - before < 6 * len(content) + (1 << 16), number
    finally:
        tracemalloc.stop()
