"""The archive that a command names: a file, or `-` for standard input."""

from __future__ import annotations

from typing import BinaryIO, cast

from polygon_edge.archive.flat import STANDARD_STREAM, FlatArchive
from polygon_edge.archive.interruptible import InterruptibleFile
from polygon_edge.cli.stop import stop_requested
from polygon_edge.errors import ArchiveReadError


def open_archive(file: str) -> FlatArchive:
    """Open the archive so that a signal is noticed also while a pipe is silent.

    Raises ArchiveReadError, ArchiveMetadataError and StoppedBySignalError.
    """
    try:
        stream = InterruptibleFile(file, stop_requested)
    except OSError as error:
        raise ArchiveReadError(file, 0, error) from error
    try:
        return FlatArchive(cast("BinaryIO", stream), "standard input" if file == STANDARD_STREAM else file)
    except BaseException:
        stream.close()
        raise
