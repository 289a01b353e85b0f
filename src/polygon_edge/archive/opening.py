"""Opens the archive that a command names, a file or `-`, so that a signal can leave a silent pipe.

In two steps for whoever has to know early that there is such a file, and cannot wait until a pipe says something.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from typing import TYPE_CHECKING, BinaryIO, Self, cast

from polygon_edge.archive.flat import STANDARD_STREAM, FlatArchive
from polygon_edge.archive.interruptible import InterruptibleFile
from polygon_edge.errors import ArchiveReadError, StoppedBySignalError

if TYPE_CHECKING:
    import threading
    from types import TracebackType


class NamedArchive:
    """The archive `file`, open before anything is read from it; leaving the `with` block closes it.

    Raises ArchiveReadError where it cannot be opened.
    """

    def __init__(self, file: str, stop: threading.Event) -> None:
        self._name = "standard input" if file == STANDARD_STREAM else file
        self._archive: FlatArchive | None = None
        try:
            self._stream = InterruptibleFile(file, stop)
        except OSError as error:
            raise ArchiveReadError(file, 0, error) from error
        mode = os.fstat(self._stream.fileno()).st_mode
        self._is_file = stat.S_ISREG(mode)
        if stat.S_ISDIR(mode):
            self.close()
            raise ArchiveReadError(file, 0, OSError(errno.EISDIR, os.strerror(errno.EISDIR)))

    def check_file(self) -> None:
        """Read the metadata if they come from a file, which never makes anybody wait; raises as `read`."""
        if self._is_file:
            # A signal is for whoever reads the blocks: the next read raises it once more.
            with contextlib.suppress(StoppedBySignalError):
                self.read()

    def read(self) -> FlatArchive:
        """Read the metadata, once, and return the archive, which is closed with this.

        Raises ArchiveReadError, ArchiveMetadataError and StoppedBySignalError.
        """
        if self._archive is None:
            self._archive = FlatArchive(cast("BinaryIO", self._stream), self._name)
        return self._archive

    def close(self) -> None:
        """Close the file; nothing happens the second time."""
        self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_archive(file: str, stop: threading.Event) -> FlatArchive:
    """Open the archive; reading ends with StoppedBySignalError soon after `stop` is set, also while a pipe is silent.

    Raises ArchiveReadError, ArchiveMetadataError and StoppedBySignalError.
    """
    opened = NamedArchive(file, stop)
    try:
        return opened.read()
    except BaseException:
        opened.close()
        raise
