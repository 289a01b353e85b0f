"""Owns the bar that shows progress on a terminal."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.progress import Progress as TerminalBar
from rich.text import Text

from polygon_edge.observe.tally import Clock, Tally


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
