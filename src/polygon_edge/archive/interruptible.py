"""A file or pipe that can be left while it has nothing to give.

Knows no format. A read from a pipe whose other end is silent never returns by itself, and the interpreter starts it
anew after a signal: without this a stop would wait for the writer.
"""

from __future__ import annotations

import io
import os
import select
import sys
from typing import TYPE_CHECKING

from polygon_edge.archive.flat import STANDARD_STREAM
from polygon_edge.errors import StoppedBySignalError

if TYPE_CHECKING:
    import threading
    from pathlib import Path

    from _typeshed import WriteableBuffer

LOOK_SECONDS = 0.1
"""How long a silent pipe is waited for before `stop` is looked at again."""


class InterruptibleFile(io.RawIOBase):
    """The file `file`, or standard input for `-`, unbuffered; a read raises StoppedBySignalError once `stop` is set."""

    def __init__(self, file: str | Path, stop: threading.Event) -> None:
        self._stop = stop
        # Below any buffer of the interpreter's own: that one would wait until it is full.
        self._descriptor = os.dup(sys.stdin.fileno()) if str(file) == STANDARD_STREAM else os.open(file, os.O_RDONLY)

    def readable(self) -> bool:
        """Whether it can be read: always."""
        return True

    def fileno(self) -> int:
        """The descriptor."""
        return self._descriptor

    def tell(self) -> int:
        """The place of the next byte; raises OSError for a pipe."""
        return os.lseek(self._descriptor, 0, os.SEEK_CUR)

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Read once into `buffer`, as much as there is; 0 at the end."""
        while not self._stop.is_set():
            ready, _, _ = select.select([self._descriptor], [], [], LOOK_SECONDS)
            if ready:
                return os.readv(self._descriptor, [buffer])
        raise StoppedBySignalError(None)

    def close(self) -> None:
        """Close the descriptor; nothing happens the second time."""
        if not self.closed:
            os.close(self._descriptor)
        super().close()
