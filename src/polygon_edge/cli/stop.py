"""What a signal does to a running command: the first asks it to end, the second ends it."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
FORCED_EXIT_CODE = 130
STANDARD_ERROR = 2

stop_requested = threading.Event()
"""Set by the first signal; work that can be stopped looks at it."""

_caught: list[signal.Signals] = []
_last_words: list[bytes] = []


def caught_signal() -> signal.Signals | None:
    """Return the first signal that asked to stop, None before there was one."""
    return _caught[0] if _caught else None


def when_forced(text: str) -> None:
    """Have a second signal say `text` on standard error before it ends the process."""
    _last_words[:] = [text.encode() + b"\n"]


def install() -> None:
    """Take over SIGINT, SIGTERM and SIGHUP; call this before anything else.

    Without it a signal in the first moments could leave a half-written directory, as it does with the Go client.
    """
    for number in STOP_SIGNALS:
        signal.signal(number, _handle)


def ignore() -> None:
    """Let no signal change how the process ends, once its work is done and its result is known.

    The interpreter takes its handlers away before it ends: a signal that comes then would kill it.
    """
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _handle(number: int, _frame: FrameType | None) -> None:
    # Work that ends by itself sets the event as well: only a signal makes the next one the second.
    if _caught and stop_requested.is_set():
        # Databases survive this: what is committed is synced, what is not is gone.
        with contextlib.suppress(OSError):
            # Not through the stream: this may have interrupted one who was writing to it.
            os.write(STANDARD_ERROR, b"".join(_last_words))
        os._exit(FORCED_EXIT_CODE)
    _caught[:] = [signal.Signals(number)]
    stop_requested.set()
