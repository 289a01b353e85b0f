"""The file `<out>.part`: a flat archive that is being written, and how it becomes `<out>`.

Owns its bytes and its name: only whole records are ever appended, its metadata can be rewritten, it is published by a
rename that replaces nothing. Whether the records belong together is decided by whoever appends them.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Self, cast

from polygon_edge.archive.flat import FlatArchive, Metadata, Record, encode_metadata
from polygon_edge.archive.lineage import Lineage, LineageError, NotABlockError
from polygon_edge.archive.publication import publish
from polygon_edge.disk import reporting_full_disk
from polygon_edge.errors import (
    ArchiveExistsError,
    ArchiveMetadataError,
    ArchiveReadError,
    ArchiveRecordError,
    ArchiveTruncatedError,
    ArchiveWriteError,
    StoppedBySignalError,
)

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator
    from types import TracebackType

logger = logging.getLogger(__name__)

FILE_MODE = 0o644
MOVE_BYTES = 1 << 22
RUN_BLOCKS = 4096
RUN_BYTES = 1 << 20
RESUME_REMEDY = "an earlier backup did not finish; --resume continues it"


class ArchivePart:
    """The part of the archive `out`, open and locked: no second process writes to it. Close it after use."""

    def __init__(self, out: Path, descriptor: int, size: int) -> None:
        self.out = out
        self.path = part_of(out)
        self._descriptor = descriptor
        self._size = size
        self._metadata_size = 0

    @classmethod
    def create(cls, out: Path) -> Self:
        """Make a new, empty part.

        Raises ArchiveExistsError for an `out` or a part that is there already, DiskFullError, ArchiveWriteError.
        """
        refuse_existing(out)
        path = part_of(out)
        try:
            with _reporting(path):
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
        except FileExistsError as error:
            raise ArchiveExistsError(str(path), RESUME_REMEDY) from error
        return cls._locked(out, descriptor)

    @classmethod
    def open(cls, out: Path) -> Self | None:
        """Open the part that an earlier backup left, None when there is none.

        Raises ArchiveExistsError for an `out` that is there already, ArchiveReadError for a part that is no file or is
        being written.
        """
        refuse_existing(out, is_part_welcome=True)
        path = part_of(out)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ArchiveReadError(str(path), 0, error) from error
        return cls._locked(out, descriptor)

    @classmethod
    def _locked(cls, out: Path, descriptor: int) -> Self:
        failure: OSError | None = None
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            failure = OSError(errno.EINVAL, "not a regular file")
        else:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                failure = OSError(error.errno, "another backup writes it")
        if failure is not None:
            os.close(descriptor)
            raise ArchiveReadError(str(part_of(out)), 0, failure)
        return cls(out, descriptor, status.st_size)

    def close(self) -> None:
        """Close the file; nothing happens the second time."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def size(self) -> int:
        """Bytes of the file, metadata included."""
        return self._size

    @property
    def has_blocks(self) -> bool:
        """Whether anything follows the metadata."""
        return self._size > self._metadata_size

    def recover(self, stop: threading.Event) -> Lineage | None:
        """Check what an earlier backup wrote and return it as a lineage to go on with, None when there is nothing.

        A torn tail is cut, and the last whole block with it: only a block's successor proves it. Raises
        ArchiveRecordError for blocks that contradict each other, since such a file is not continued; ArchiveReadError,
        ArchiveWriteError, StoppedBySignalError.
        """
        try:
            with os.fdopen(os.dup(self._descriptor), "rb", buffering=0) as stream:
                stream.seek(0)
                lineage, end = self._scan(cast("BinaryIO", stream), stop)
        except ArchiveMetadataError as error:
            # A promise that was never wholly written: nothing after it can be there either.
            logger.warning("%s: begun anew", error)
            lineage, end = None, 0
        with _reporting(self.path):
            os.ftruncate(self._descriptor, end)
        self._size = end
        self._metadata_size = min(self._metadata_size, end)
        return lineage

    def _scan(self, stream: BinaryIO, stop: threading.Event) -> tuple[Lineage | None, int]:
        """Read the whole file; returns its proven blocks and the byte at which the last of them ends."""
        archive = FlatArchive(stream, str(self.path))
        self._metadata_size = archive.offset
        lineage: Lineage | None = None
        unproven: list[Record] = []
        torn: Exception | None = None
        try:
            for run in archive.runs(RUN_BLOCKS, RUN_BYTES):
                if stop.is_set():
                    raise StoppedBySignalError(None)
                lineage = lineage or Lineage(archive.first_height)
                records = unproven + run
                unproven = records[-1:]
                try:
                    lineage.follow([record.raw for record in records[:-1]])
                except LineageError as error:
                    unproven = records[error.index :]
                    raise self._contradiction(unproven[0].offset, error) from error
        except ArchiveTruncatedError as error:
            torn = error
        except ArchiveRecordError as error:
            if isinstance(error.__cause__, LineageError) and not isinstance(error.__cause__, NotABlockError):
                raise
            torn = error
        end = unproven[0].offset if unproven else self._metadata_size
        if torn is not None:
            logger.warning("%s; the %d bytes from %d on are dropped", torn, self._size - end, end)
        return lineage, end

    def _contradiction(self, offset: int, error: LineageError) -> ArchiveRecordError:
        problem = f"damaged, so that it cannot be continued; remove it: {error.problem}"
        return ArchiveRecordError(str(self.path), offset, problem, expected=error.expected, found=error.found)

    def write_metadata(self, metadata: Metadata) -> None:
        """Write the promise, or replace it; blocks behind one of another size are moved.

        A kill while they are moved leaves a part that `recover` cuts, never one that looks whole. Raises DiskFullError,
        ArchiveWriteError.
        """
        record = encode_metadata(metadata)
        shift = len(record) - self._metadata_size
        with _reporting(self.path):
            if shift:
                self._move_blocks(shift)
            _write_at(self._descriptor, record, 0)
        self._metadata_size = len(record)
        self._size += shift

    def _move_blocks(self, shift: int) -> None:
        """Move all after the metadata by `shift` bytes, in an order that overwrites nothing that is still needed."""
        begin, end = self._metadata_size, self._size
        places = range(begin, end, MOVE_BYTES)
        for place in places if shift < 0 else reversed(places):
            piece = os.pread(self._descriptor, min(MOVE_BYTES, end - place), place)
            _write_at(self._descriptor, piece, place + shift)
        if shift < 0:
            os.ftruncate(self._descriptor, end + shift)

    def append(self, records: bytes) -> None:
        """Append whole records, or nothing of them; raises DiskFullError, ArchiveWriteError."""
        try:
            with _reporting(self.path, self._size):
                _write_at(self._descriptor, records, self._size)
        except BaseException:
            os.ftruncate(self._descriptor, self._size)
            raise
        self._size += len(records)

    def publish(self) -> None:
        """Sync the file and give it its name.

        Raises ArchiveExistsError when something else took that meanwhile: the part then stays. DiskFullError,
        ArchiveWriteError.
        """
        with _reporting(self.path):
            os.fsync(self._descriptor)
            publish(self.path, self.out)

    def discard(self) -> None:
        """Remove the file."""
        self.path.unlink(missing_ok=True)

    def drop_last(self, size: int) -> None:
        """Cut the last record, which has `size` bytes."""
        with _reporting(self.path):
            os.ftruncate(self._descriptor, self._size - size)
        self._size -= size


def part_of(out: Path) -> Path:
    """The file that is written before it becomes `out`."""
    return out.with_name(out.name + ".part")


def refuse_existing(out: Path, *, is_part_welcome: bool = False) -> None:
    """Raise ArchiveExistsError when `out`, or its part unless that `is_part_welcome`, is there already."""
    if os.path.lexists(out):
        raise ArchiveExistsError(str(out))
    part = part_of(out)
    if not is_part_welcome and os.path.lexists(part):
        raise ArchiveExistsError(str(part), RESUME_REMEDY)


@contextlib.contextmanager
def _reporting(path: Path, offset: int = 0) -> Iterator[None]:
    """Turn what the system says about `path` into DiskFullError or ArchiveWriteError; a name that is taken passes."""
    try:
        with reporting_full_disk(path):
            yield
    except FileExistsError:
        raise
    except OSError as error:
        raise ArchiveWriteError(str(path), offset, error) from error


def _write_at(descriptor: int, content: bytes, place: int) -> None:
    view = memoryview(content)
    while view:
        written = os.pwrite(descriptor, view, place)
        view = view[written:]
        place += written
