"""The table of the recorded chains that came out as the Go client had them; a run of these tests ends with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

import pytest

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter
    from tests.golden.recorded import Network


class Proved(NamedTuple):
    """One chain: the head it was restored to, and how many recorded receipts and accounts are equal."""

    name: str
    head: int
    head_hash: str
    state_root: str
    receipts: int
    accounts: int

    @classmethod
    def of(cls, name: str, network: Network, *, receipts: int, accounts: int = 0) -> Proved:
        """Return the row of a chain whose restore ended as recorded."""
        about = network.about
        return cls(name, about["blocks"], about["headHash"], about["headStateRoot"], receipts, accounts)


class Table(Protocol):
    """Takes a row for a chain of which everything was compared."""

    def __call__(self, row: Proved, /) -> None:
        """Add the row."""


ROWS: pytest.StashKey[list[Proved]] = pytest.StashKey()


@pytest.fixture
def table(request: pytest.FixtureRequest) -> Table:
    """Where a test enters the chain that it has proved."""
    return request.config.stash.setdefault(ROWS, []).append


def pytest_terminal_summary(terminalreporter: TerminalReporter, config: pytest.Config) -> None:
    """Print the table, if any chain was proved."""
    proved = config.stash.setdefault(ROWS, [])
    if not proved:
        return
    rows = sorted(proved)
    terminalreporter.section("recorded chains, restored to their recorded head")
    width = max(len(row.name) for row in rows)
    terminalreporter.write_line(f"{'chain':{width}} {'head':>6} {'hash':12} {'state root':12} receipts accounts")
    for row in rows:
        terminalreporter.write_line(
            f"{row.name:{width}} {row.head:6} {row.head_hash[:12]} {row.state_root[:12]} "
            f"{row.receipts:8} {row.accounts or '-':>8}"
        )
