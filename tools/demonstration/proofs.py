"""What a demonstration shows: the last table, and the error that ends it early."""

from __future__ import annotations

from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table

console = Console(highlight=False, soft_wrap=True)


class DemoError(Exception):
    """What the demonstration found is not what it should be."""


@dataclass
class Proofs:
    """What was shown, one line each, with what it was held against."""

    rows: list[tuple[str, str]] = field(default_factory=list)

    def add(self, proved: str, against: str) -> None:
        """Adds a line to the last table."""
        self.rows.append((proved, against))

    def show(self, seconds: float) -> None:
        """Prints the table."""
        table = Table(title=f"What was proved, in {seconds:.0f} seconds", title_justify="left", expand=False)
        table.add_column("shown")
        table.add_column("held against")
        for row in self.rows:
            table.add_row(*row)
        console.print(table)
