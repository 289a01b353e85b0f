"""Reads and writes Polygon Edge's own archive: a metadata record, then block records, back to back (§1.1).

Owns the bytes of the file: where records start and end, what is cut, what is too long. It does not know whether a block
is valid; it does know which height was due where the bytes stop making sense.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, Self

from polygon_edge.archive.publication import publish
from polygon_edge.chain import rlp
from polygon_edge.chain.block import HASH_SIZE, block_number
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
    from types import TracebackType

READ_SIZE = 1 << 20
"""Bytes asked for in one read, and the most by which the buffer grows before the bytes are really there."""

MAXIMUM_RECORD_SIZE = 1 << 30
"""A longer record is refused. A block of this size would need more than 4e9 gas for its bytes alone."""

MAXIMUM_METADATA_SIZE = 1 << 16
"""Metadata is 35 to 43 bytes; surplus items are allowed (§1.1), a book is not."""

STANDARD_STREAM = "-"
_LONGEST_PREFIX = 9


class Metadata(NamedTuple):
    """The first record: the height the archive promises and a 32-byte hash, often not the block's (§1.3)."""

    height: int
    hash: bytes


class Record(NamedTuple):
    """One block record: the byte at which it starts in the archive, and all its bytes, prefix included."""

    offset: int
    raw: bytes


def encode_metadata(metadata: Metadata) -> bytes:
    """Encode the metadata record (§1.1).

    35 to 43 bytes. Raises ValueError on a hash that is not 32 bytes or a height over 64 bits.
    """
    if len(metadata.hash) != HASH_SIZE or not 0 <= metadata.height < 1 << 64:
        raise ValueError(f"not archive metadata: {metadata}")
    return rlp.encode([rlp.integer(metadata.height), metadata.hash])


def decode_metadata(record: bytes) -> Metadata:
    """Decode a metadata record: at least two items, surplus ones ignored, a hash of exactly 32 bytes (§1.1).

    Raises RlpError.
    """
    items = rlp.decode(record)
    if not isinstance(items, list) or len(items) < 2:
        raise rlp.RlpError(0, "metadata must be a list of at least 2 items")
    height, block_hash = items[0], items[1]
    if not isinstance(height, bytes) or len(height) > 8:
        raise rlp.RlpError(0, "the metadata height must be at most 8 bytes")
    if not isinstance(block_hash, bytes) or len(block_hash) != HASH_SIZE:
        raise rlp.RlpError(0, f"the metadata hash must be {HASH_SIZE} bytes")
    return Metadata(int.from_bytes(height, "big"), block_hash)


class FlatArchive:
    """One pass over a flat archive, from a file or a pipe; a `BlockSource`.

    The metadata is read at once (ArchiveMetadataError). Records come in file order from `records`, `runs` or `blocks`,
    which share one position: a pipe cannot be read twice. Memory is bounded by the longest record that is really there,
    never by the length one claims.
    """

    def __init__(self, stream: BinaryIO, name: str, *, maximum_record_size: int = MAXIMUM_RECORD_SIZE) -> None:
        self.name = name
        self._stream = stream
        self._maximum_record_size = maximum_record_size
        self._buffer = b""
        self._position = 0
        self._base = 0
        self._size = _size_of(stream)
        self._pending: Record | None = None
        self._first_number: int | None = None
        self._last: Record | None = None
        self.records_read = 0
        self.metadata = self._read_metadata()

    @classmethod
    def open(cls, file: str | Path, *, maximum_record_size: int = MAXIMUM_RECORD_SIZE) -> Self:
        """Open the archive `file`, or standard input for `-`; raises ArchiveMetadataError and OSError."""
        if str(file) == STANDARD_STREAM:
            return cls(sys.stdin.buffer, "standard input", maximum_record_size=maximum_record_size)
        # The reader keeps its own buffer: a second one below it would only copy.
        stream = Path(file).open("rb", buffering=0)  # noqa: SIM115 - closed by close()
        try:
            return cls(stream, str(file), maximum_record_size=maximum_record_size)
        except BaseException:
            stream.close()
            raise

    def close(self) -> None:
        """Close the stream."""
        self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def offset(self) -> int:
        """The byte up to which the archive was read: the start of the next record."""
        return self._base + self._position if self._pending is None else self._pending.offset

    @property
    def size(self) -> int | None:
        """Bytes of the whole archive, None for a pipe."""
        return self._size

    @property
    def first_height(self) -> int:
        """Height of the first record; raises ArchiveError when there is none or it is not a block."""
        if self._first_number is None:
            self._pending = self._next_record()
        if self._first_number is None:
            raise self._incomplete(None)
        return self._first_number

    @property
    def last_height(self) -> int:
        """The height that the metadata promises; `check_end` tells whether it kept its word."""
        return self.metadata.height

    @property
    def expected_height(self) -> int | None:
        """The height due at the next record read, one above the last one's claim; None before the first record."""
        if self._last is None:
            return None
        try:
            return block_number(self._last.raw) + 1
        except rlp.RlpError:
            return None

    def records(self) -> Iterator[Record]:
        """Yield the remaining records in file order.

        Raises ArchiveError at the first that is broken, after all before it.
        """
        while True:
            record, self._pending = self._pending, None
            record = record or self._next_record()
            if record is None:
                return
            self.records_read += 1
            yield record

    def runs(self, max_blocks: int, max_bytes: int) -> Iterator[list[Record]]:
        """Yield the remaining records in lists of at most `max_blocks` and `max_bytes`; a longer record comes alone.

        When a record is broken, the good ones before it come as a last, shorter list, and only then the error: a block
        that is wrong in itself is named before whatever its wrong length did to those after it.
        """
        run: list[Record] = []
        size = 0
        records = self.records()
        while True:
            try:
                record = next(records, None)
            except ArchiveError:
                if run:
                    yield run
                raise
            if record is None:
                break
            if run and (len(run) == max_blocks or size + len(record.raw) > max_bytes):
                yield run
                run, size = [], 0
            run.append(record)
            size += len(record.raw)
        if run:
            yield run

    def blocks(self, first: int, last: int) -> Iterator[RawBlock]:
        """Yield the blocks `first` to `last`, both included.

        Raises ArchiveError when one is missing or out of order.
        """
        due = first
        for record in self.records():
            try:
                number = block_number(record.raw)
            except rlp.RlpError as error:
                raise ArchiveRecordError(self.name, record.offset, f"not a block: {error}", height=due) from error
            if due == first and number < first:
                continue
            if number != due:
                raise ArchiveRecordError(
                    self.name, record.offset, "wrong block", expected=f"block {due}", found=f"block {number}"
                )
            yield RawBlock(number, record.raw, record.offset)
            if number == last:
                return
            due += 1
        raise ArchiveIncompleteError(
            self.name, self.offset, "the archive ends early", height=due, expected=last, found=self._end(due, first)
        )

    @staticmethod
    def _end(due: int, first: int) -> str:
        return "no such block" if due == first else f"end after block {due - 1}"

    def check_end(self, last_number: int | None = None) -> None:
        """Check, after the last record, that the archive holds what its metadata promised.

        `last_number` is the height of the last block as the caller decoded it; without it, the last record's own claim.
        Raises ArchiveIncompleteError when blocks are missing, ArchiveMetadataError when there are more than promised,
        as in what Go writes for `--to 0` (§1.3).
        """
        promised = self.metadata.height
        due = self.expected_height
        if last_number is None and due is not None:
            last_number = due - 1
        if last_number is None or last_number < promised:
            raise self._incomplete(last_number)
        if last_number > promised:
            raise ArchiveMetadataError(
                self.name, 0, "metadata height does not match the last block", expected=promised, found=last_number
            )

    def _incomplete(self, last_number: int | None) -> ArchiveIncompleteError:
        found = "no blocks" if last_number is None else f"end after block {last_number}"
        return ArchiveIncompleteError(
            self.name,
            self.offset,
            "the archive ends early",
            expected=f"blocks up to {self.metadata.height}",
            found=found,
        )

    def _read_metadata(self) -> Metadata:
        self._fill(_LONGEST_PREFIX)
        if not self._buffer:
            raise ArchiveMetadataError(self.name, 0, "empty file, no metadata")
        if self._buffer[0] < 0xC0:
            raise ArchiveMetadataError(
                self.name, 0, "no metadata", expected="a list", found=f"byte 0x{self._buffer[0]:02x}"
            )
        size = _record_size(self._buffer, 0)
        if size is not None and size > MAXIMUM_METADATA_SIZE:
            raise ArchiveMetadataError(
                self.name, 0, "no metadata: length", expected=f"at most {MAXIMUM_METADATA_SIZE} bytes", found=size
            )
        if size is None or not self._fill(size):
            end = self._base + len(self._buffer)
            expected = "its length" if size is None else f"{size} bytes"
            raise ArchiveMetadataError(self.name, end, "metadata is cut", expected=expected, found=f"{end} bytes")
        try:
            metadata = decode_metadata(self._buffer[:size])
        except rlp.RlpError as error:
            raise ArchiveMetadataError(self.name, 0, f"no metadata: {error}") from error
        self._position = size
        return metadata

    def _next_record(self) -> Record | None:
        position = self._position
        if len(self._buffer) - position < _LONGEST_PREFIX:
            self._fill(_LONGEST_PREFIX)
            position = self._position
            if position == len(self._buffer):
                return None
        buffer = self._buffer
        prefix = buffer[position]
        if prefix < 0xC0:
            raise self._broken("not a block", expected="a list", found=f"byte 0x{prefix:02x}")
        size = _record_size(buffer, position)
        if size is None:
            left = len(buffer) - position
            raise ArchiveTruncatedError(
                self.name,
                self.offset,
                "record cut inside its length",
                height=self.expected_height,
                expected=f"{prefix - 0xF7 + 1} bytes",
                found=f"{left} bytes",
            )
        end = position + size
        if end > len(buffer):
            self._check_length(size)
            if not self._fill(size):
                raise self._truncated(size, len(self._buffer) - self._position)
            buffer, position = self._buffer, self._position
            end = position + size
        raw = buffer[position:end]
        record = Record(self._base + position, raw)
        header = position + (1 if prefix <= 0xF7 else prefix - 0xF6)
        if header >= end or buffer[header] < 0xC0:
            raise self._broken(_what_it_is(raw))
        if self._first_number is None:
            try:
                self._first_number = block_number(raw)
            except rlp.RlpError as error:
                raise self._broken(f"not a block: {error}") from error
        self._position = end
        self._last = record
        return record

    def _check_length(self, size: int) -> None:
        """Refuse a length before a byte is allocated for it."""
        if self._size is not None and size > self._size - self.offset:
            raise self._truncated(size, self._size - self.offset)
        if size > self._maximum_record_size:
            raise self._broken(
                "record length", expected=f"at most {self._maximum_record_size} bytes", found=f"{size} bytes"
            )

    def _truncated(self, size: int, left: int) -> ArchiveTruncatedError:
        return ArchiveTruncatedError(
            self.name,
            self.offset,
            "record length beyond the end of the archive",
            height=self.expected_height,
            expected=f"{size} bytes",
            found=f"{left} left",
        )

    def _broken(self, problem: str, *, expected: object = None, found: object = None) -> ArchiveRecordError:
        return ArchiveRecordError(
            self.name, self.offset, problem, height=self.expected_height, expected=expected, found=found
        )

    def _fill(self, wanted: int) -> bool:
        """Have `wanted` bytes in the buffer from the position on; False when the stream ends before."""
        chunks = [self._buffer[self._position :]]
        have = len(chunks[0])
        while have < wanted:
            try:
                chunk = self._stream.read(READ_SIZE)
            except OSError as error:
                raise ArchiveReadError(self.name, self._base + self._position + have, error) from error
            if not chunk:
                break
            chunks.append(chunk)
            have += len(chunk)
        self._base += self._position
        self._position = 0
        self._buffer = b"".join(chunks)
        return have >= wanted


def _size_of(stream: BinaryIO) -> int | None:
    """Size of a regular file that stands at its start, else None: then only reading tells where it ends."""
    try:
        status = os.fstat(stream.fileno())
        if stat.S_ISREG(status.st_mode) and stream.tell() == 0:
            return status.st_size
    except OSError:
        pass
    return None


def _record_size(buffer: bytes, position: int) -> int | None:
    """Bytes of the list at `position`, prefix included.

    None when its length is cut. The list prefix itself was checked.
    """
    prefix = buffer[position]
    if prefix <= 0xF7:
        return prefix - 0xBF
    start = position + 1
    stop = start + prefix - 0xF7
    if stop > len(buffer):
        return None
    return stop - position + int.from_bytes(buffer[start:stop], "big")


def _what_it_is(record: bytes) -> str:
    try:
        metadata = decode_metadata(record)
    except rlp.RlpError:
        return "not a block: no header in it"
    return f"not a block: metadata (height {metadata.height}) inside the blocks"


def write_flat(source: BlockSource, out: str | Path, first: int, last: int, metadata_hash: bytes) -> int:
    """Write the blocks `first` to `last` of `source` as a flat archive and return its size in bytes.

    `out` is a new file, published by rename once complete and synced, or `-` for standard output. `metadata_hash` is
    the hash of block `last`. Raises ArchiveExistsError, SourceError, DiskFullError and whatever the source raises; then
    `out` does not exist.
    """
    if str(out) == STANDARD_STREAM:
        size = _write(source, sys.stdout.buffer, first, last, metadata_hash)
        sys.stdout.buffer.flush()
        return size
    out = Path(out)
    part = out.with_name(out.name + ".part")
    if os.path.lexists(out):
        raise ArchiveExistsError(str(out))
    try:
        with part.open("wb", buffering=READ_SIZE) as stream:
            size = _write(source, stream, first, last, metadata_hash)
            stream.flush()
            os.fsync(stream.fileno())
        publish(part, out)
    except BaseException as error:
        part.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise DiskFullError(str(out), None, shutil.disk_usage(out.parent).free) from error
        raise
    return size


def _write(source: BlockSource, stream: BinaryIO, first: int, last: int, metadata_hash: bytes) -> int:
    size = stream.write(encode_metadata(Metadata(last, metadata_hash)))
    due = first
    for block in source.blocks(first, last):
        if block.number != due:
            raise SourceError(source.name, "wrong block", f"block {due}", f"block {block.number}")
        size += stream.write(block.raw)
        due += 1
    if due != last + 1:
        raise SourceError(source.name, "the source ended early", f"block {last}", f"end after block {due - 1}")
    return size
