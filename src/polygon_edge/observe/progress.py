"""Owns how long work over blocks is shown: a bar on a terminal, log lines everywhere else, both on standard error.

A verb is handed a `Progress` and calls `update`; it never learns which kind it talks to.
"""

import logging
import os
import sys
import time
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Final, Protocol, Self, TextIO

from polygon_edge.observe.tally import Clock, Tally

LOG_INTERVAL_SECONDS: Final = 5.0
DUMB_TERMINALS: Final = ("dumb", "unknown")

logger = logging.getLogger(__name__)


class Progress(Protocol):
    """What work that executes blocks reports to."""

    def update(self, *, blocks: int, transactions: int, gas: int, head: int) -> None:
        """Adds work that is done for good: ``blocks``, ``transactions`` and ``gas`` since the last call.

        ``head`` is the number of the last block that is now stored.
        """
        ...


class TransferProgress(Protocol):
    """What work that moves blocks without looking into them reports to; rates are then shown in bytes."""

    def update(self, *, blocks: int, size: int, head: int) -> None:
        """Adds ``blocks`` of ``size`` bytes since the last call; ``head`` is the number of the last one."""
        ...


class ShownProgress(AbstractContextManager["ShownProgress"], Protocol):
    """Progress of either kind that somebody can see; the end of the ``with`` block shows the last figures, also after
    an error.
    """

    def update(self, *, blocks: int, transactions: int = 0, gas: int = 0, size: int = 0, head: int) -> None:
        """Adds work since the last call."""
        ...


class LogProgress:
    """Progress as log lines: one every few seconds while work is reported, and one at the end."""

    def __init__(
        self,
        description: str,
        total_blocks: int | None,
        *,
        interval_seconds: float = LOG_INTERVAL_SECONDS,
        clock: Clock = time.monotonic,
    ) -> None:
        self._description = description
        self._interval_seconds = interval_seconds
        self._clock = clock
        self._tally = Tally(total_blocks, clock)
        self._last_line = clock()

    def update(self, *, blocks: int, transactions: int = 0, gas: int = 0, size: int = 0, head: int) -> None:
        """Adds work; writes a line when the last one is old enough."""
        self._tally.add(blocks=blocks, transactions=transactions, gas=gas, size=size, head=head)
        now = self._clock()
        if now - self._last_line < self._interval_seconds:
            return
        self._last_line = now
        remaining = self._tally.remaining_seconds
        estimate = "" if remaining is None else f", about {remaining:.0f} s left"
        logger.info("%s: %s%s", self._description, self._tally.describe(), estimate)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Writes the last line, which says whether the work came to its end."""
        state = "finished" if kind is None else "stopped"
        logger.info(
            "%s %s: %s in %.1f s",
            self._description,
            state,
            self._tally.describe(),
            self._tally.elapsed_seconds,
        )


def show_progress(description: str, total_blocks: int | None, stream: TextIO | None = None) -> ShownProgress:
    """Chooses the bar where ``stream`` (standard error by default) is a terminal, log lines where it is not.

    ``total_blocks`` is None where the end is not known, as when an archive comes through a pipe.
    """
    target = stream if stream is not None else sys.stderr
    if not target.isatty() or os.environ.get("TERM") in DUMB_TERMINALS:
        return LogProgress(description, total_blocks)
    # Imported only now, because it is a sixth of the start of a command that nobody watches.
    from rich.console import Console  # noqa: PLC0415

    from polygon_edge.observe.terminal import BarProgress  # noqa: PLC0415

    return BarProgress(description, total_blocks, Console(file=target))
