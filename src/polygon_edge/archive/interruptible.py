"""Files and pipes that can be left while they have nothing to give, or nobody takes what they are given.

Knows no format. A read from a pipe whose other end is silent never returns by itself, and the interpreter starts it
anew after a signal: without this a stop would wait for the writer.
"""

from __future__ import annotations

import contextlib
import io
import os
import select
import stat
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
        if str(file) == STANDARD_STREAM:
            self._descriptor = os.dup(sys.stdin.fileno())
        else:
            # A named pipe that nobody writes to yet would keep us here, whatever signal comes.
            self._descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK)

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
                with contextlib.suppress(BlockingIOError):  # another reader was quicker
                    return os.readv(self._descriptor, [buffer])
        raise StoppedBySignalError(None)

    def close(self) -> None:
        """Close the descriptor; nothing happens the second time."""
        if not self.closed:
            os.close(self._descriptor)
        super().close()


class InterruptibleOutput:
    """The descriptor `descriptor` as an output; a write raises StoppedBySignalError once `stop` is set.

    It waits for a slow reader, but only for as long as nobody asks it to stop.
    """

    def __init__(self, descriptor: int, stop: threading.Event) -> None:
        self._descriptor = descriptor
        self._stop = stop
        self._is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)

    def write(self, content: bytes) -> None:
        """Write all of `content`; raises StoppedBySignalError, BrokenPipeError when the reader is gone, OSError."""
        view = memoryview(content)
        while view:
            if not self._is_file:
                self._wait()
            # A pipe that can be written takes this much without blocking; more could block with a signal pending.
            written = os.write(self._descriptor, view if self._is_file else view[: select.PIPE_BUF])
            view = view[written:]

    def _wait(self) -> None:
        while not self._stop.is_set():
            _, ready, _ = select.select([], [self._descriptor], [], LOOK_SECONDS)
            if ready:
                return
        raise StoppedBySignalError(None)
