"""Owns how long work over blocks is shown: a bar on a terminal, log lines everywhere else, both on standard error.

A verb is handed a `Progress` and calls `update`; it never learns which kind it talks to.
"""

import logging
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Final, Protocol, Self, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.progress import Progress as TerminalBar
from rich.text import Text

LOG_INTERVAL_SECONDS: Final = 5.0

logger = logging.getLogger(__name__)

Clock = Callable[[], float]


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


class Tally:
    """Sums of the work reported so far and the rates they make, in seconds of ``clock``."""

    def __init__(self, total_blocks: int | None, clock: Clock) -> None:
        self.total_blocks = total_blocks
        self.blocks = 0
        self.transactions = 0
        self.gas = 0
        self.size = 0
        self.head: int | None = None
        self._clock = clock
        self._started = clock()

    def add(self, *, blocks: int, transactions: int, gas: int, size: int = 0, head: int) -> None:
        """Adds one report."""
        self.blocks += blocks
        self.transactions += transactions
        self.gas += gas
        self.size += size
        self.head = head

    @property
    def elapsed_seconds(self) -> float:
        """Seconds since the work began."""
        return self._clock() - self._started

    def per_second(self, amount: int) -> float:
        """The mean rate of ``amount`` since the work began; 0 before any time has passed."""
        elapsed = self.elapsed_seconds
        return amount / elapsed if elapsed > 0 else 0.0

    @property
    def remaining_seconds(self) -> float | None:
        """The time the missing blocks would take at the mean rate; None while that cannot be told."""
        rate = self.per_second(self.blocks)
        if self.total_blocks is None or rate == 0:
            return None
        return max(self.total_blocks - self.blocks, 0) / rate

    def describe_rate(self) -> str:
        """The mean rate as text: of bytes where bytes are reported, else of transactions; nothing before a block."""
        if not self.blocks:
            return ""
        if self.size:
            return f"{self.per_second(self.size) / 1e6:.1f} MB/s"
        return f"{self.per_second(self.transactions):.0f} tx/s"

    def describe(self) -> str:
        """The figures as one line of text; rates and sums are left out where there is nothing to sum up."""
        if not self.blocks:
            return "no blocks" if self.total_blocks is None else f"none of {self.total_blocks} blocks"
        blocks = f"{self.blocks}" if self.total_blocks is None else f"{self.blocks}/{self.total_blocks}"
        parts = [f"{blocks} blocks"]
        if self.size:
            parts += [f"{self.size / 1e6:.1f} MB", f"{self.per_second(self.blocks):.0f} blocks/s", self.describe_rate()]
        else:
            parts += [
                f"{self.transactions} transactions",
                self.describe_rate(),
                f"{self.per_second(self.gas) / 1e6:.1f} Mgas/s",
            ]
        if self.head is not None:
            parts.insert(0, f"head {self.head}")
        return ", ".join(parts)


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


class RateColumn(ProgressColumn):
    """The mean rate, as a column of the bar."""

    def __init__(self, tally: Tally) -> None:
        super().__init__()
        self._tally = tally

    def render(self, task: Task) -> Text:  # noqa: ARG002 -- the name belongs to the base class
        """Renders the mean rate since the work began."""
        return Text(self._tally.describe_rate())


class BarProgress:
    """Progress as a bar that redraws itself on a terminal: blocks, rate, estimated time left."""

    def __init__(
        self, description: str, total_blocks: int | None, console: Console, *, clock: Clock = time.monotonic
    ) -> None:
        self._tally = Tally(total_blocks, clock)
        self._bar = TerminalBar(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("blocks"),
            RateColumn(self._tally),
            TimeRemainingColumn(),
            console=console,
        )
        self._task = self._bar.add_task(description, total=total_blocks)

    def update(self, *, blocks: int, transactions: int = 0, gas: int = 0, size: int = 0, head: int) -> None:
        """Adds work and lets the bar advance."""
        self._tally.add(blocks=blocks, transactions=transactions, gas=gas, size=size, head=head)
        self._bar.update(self._task, advance=blocks)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Leaves the bar as it is last and gives the terminal back."""
        self._bar.stop()


def show_progress(description: str, total_blocks: int | None, stream: TextIO | None = None) -> ShownProgress:
    """Chooses the bar where ``stream`` (standard error by default) is a terminal, log lines where it is not.

    ``total_blocks`` is None where the end is not known, as when an archive comes through a pipe.
    """
    target = stream if stream is not None else sys.stderr
    console = Console(file=target)
    if console.is_terminal and not console.is_dumb_terminal:
        return BarProgress(description, total_blocks, console)
    return LogProgress(description, total_blocks)
