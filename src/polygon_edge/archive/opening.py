"""Opens the archive that a command names, a file or `-`, so that a signal can leave a silent pipe."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, cast

from polygon_edge.archive.flat import STANDARD_STREAM, FlatArchive
from polygon_edge.archive.interruptible import InterruptibleFile
from polygon_edge.errors import ArchiveReadError

if TYPE_CHECKING:
    import threading


def open_archive(file: str, stop: threading.Event) -> FlatArchive:
    """Open the archive; reading ends with StoppedBySignalError soon after `stop` is set, also while a pipe is silent.

    Raises ArchiveReadError, ArchiveMetadataError and StoppedBySignalError.
    """
    try:
        stream = InterruptibleFile(file, stop)
    except OSError as error:
        raise ArchiveReadError(file, 0, error) from error
    try:
        return FlatArchive(cast("BinaryIO", stream), "standard input" if file == STANDARD_STREAM else file)
    except BaseException:
        stream.close()
        raise
