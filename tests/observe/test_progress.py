import io
import logging

import pytest
from rich.console import Console

from polygon_edge.observe.progress import LogProgress, Progress, show_progress
from polygon_edge.observe.tally import Tally
from polygon_edge.observe.terminal import BarProgress


class ManualClock:
    """Seconds that pass only when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    """Text in memory that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "polygon_edge.observe.progress"]


@pytest.fixture(autouse=True)
def _lines_reach_the_test(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("polygon_edge"), "propagate", True)
    caplog.set_level(logging.INFO, logger="polygon_edge")


def test_rates_and_the_time_left_follow_from_what_was_reported(clock: ManualClock) -> None:
    tally = Tally(400, clock)
    tally.add(blocks=60, transactions=600, gas=9_000_000, head=60)
    clock.now += 10
    tally.add(blocks=40, transactions=400, gas=1_000_000, head=100)
    assert tally.elapsed_seconds == 10
    assert tally.per_second(tally.transactions) == 100
    assert tally.remaining_seconds == 30
    assert tally.describe() == "head 100, 100/400 blocks, 1000 transactions, 100 tx/s, 1.0 Mgas/s"


def test_work_that_only_moves_blocks_is_shown_in_bytes(clock: ManualClock) -> None:
    tally = Tally(400, clock)
    tally.add(blocks=60, transactions=0, gas=0, size=30_000_000, head=60)
    clock.now += 10
    tally.add(blocks=40, transactions=0, gas=0, size=20_000_000, head=100)
    assert tally.describe() == "head 100, 100/400 blocks, 50.0 MB, 10 blocks/s, 5.0 MB/s"
    assert tally.describe_rate() == "5.0 MB/s"


def test_before_any_time_has_passed_nothing_is_estimated(clock: ManualClock) -> None:
    tally = Tally(400, clock)
    tally.add(blocks=1, transactions=5, gas=1, head=1)
    assert tally.per_second(tally.transactions) == 0
    assert tally.remaining_seconds is None


def test_without_a_known_end_nothing_is_estimated(clock: ManualClock) -> None:
    tally = Tally(None, clock)
    tally.add(blocks=10, transactions=5, gas=1, head=10)
    clock.now += 1
    assert tally.remaining_seconds is None
    assert tally.describe().startswith("head 10, 10 blocks, ")


def test_more_blocks_than_promised_leave_no_negative_time(clock: ManualClock) -> None:
    tally = Tally(10, clock)
    tally.add(blocks=12, transactions=0, gas=0, head=12)
    clock.now += 1
    assert tally.remaining_seconds == 0


def test_lines_come_every_few_seconds_and_at_the_end(caplog: pytest.LogCaptureFixture, clock: ManualClock) -> None:
    with LogProgress("restore", 100, interval_seconds=5, clock=clock) as progress:
        for head in (10, 20, 30, 40):
            clock.now += 2
            progress.update(blocks=10, transactions=20, gas=0, head=head)
    assert messages(caplog) == [
        "restore: head 30, 30/100 blocks, 60 transactions, 10 tx/s, 0.0 Mgas/s, about 14 s left",
        "restore finished: head 40, 40/100 blocks, 80 transactions, 10 tx/s, 0.0 Mgas/s in 8.0 s",
    ]


def stop_after_one_block(progress: LogProgress) -> None:
    with progress:
        progress.update(blocks=1, transactions=0, gas=0, head=1)
        raise KeyboardInterrupt


def test_an_end_by_an_error_is_not_called_finished(caplog: pytest.LogCaptureFixture, clock: ManualClock) -> None:
    with pytest.raises(KeyboardInterrupt):
        stop_after_one_block(LogProgress("restore", 100, clock=clock))
    (line,) = messages(caplog)
    assert line.startswith("restore stopped: head 1, 1/100 blocks")


def test_nothing_reported_has_no_head(caplog: pytest.LogCaptureFixture, clock: ManualClock) -> None:
    with LogProgress("restore", 100, clock=clock):
        pass
    assert messages(caplog) == ["restore finished: none of 100 blocks in 0.0 s"]


@pytest.mark.parametrize(("total", "figures"), [(100, "none of 100 blocks"), (None, "no blocks")])
def test_work_that_was_stopped_before_its_first_block_has_no_rates(
    total: int | None, figures: str, caplog: pytest.LogCaptureFixture, clock: ManualClock
) -> None:
    shown = LogProgress("backup", total, clock=clock)
    clock.now += 2
    with pytest.raises(KeyboardInterrupt), shown:
        raise KeyboardInterrupt
    assert messages(caplog) == [f"backup stopped: {figures} in 2.0 s"]


def test_a_bar_before_its_first_block_shows_no_rate(clock: ManualClock) -> None:
    terminal = Terminal()
    console = Console(file=terminal, force_terminal=True, width=100, color_system=None)
    with BarProgress("backup", 150, console, clock=clock):
        clock.now += 2
    assert "0/150 blocks" in terminal.getvalue()
    assert "/s" not in terminal.getvalue()


def test_the_bar_shows_blocks_and_rate(clock: ManualClock) -> None:
    terminal = Terminal()
    console = Console(file=terminal, force_terminal=True, width=100, color_system=None)
    with BarProgress("restore", 150, console, clock=clock) as progress:
        clock.now += 2
        progress.update(blocks=150, transactions=236, gas=1, head=150)
    *_, last, cursor_shown_again = terminal.getvalue().splitlines()
    assert "restore" in last
    assert "150/150 blocks" in last
    assert "118 tx/s" in last
    assert cursor_shown_again == "\x1b[?25h"


def test_the_bar_of_moved_blocks_shows_bytes(clock: ManualClock) -> None:
    terminal = Terminal()
    console = Console(file=terminal, force_terminal=True, width=100, color_system=None)
    with BarProgress("backup", 150, console, clock=clock) as progress:
        clock.now += 2
        progress.update(blocks=150, size=3_000_000, head=150)
    assert "1.5 MB/s" in terminal.getvalue()


def test_a_terminal_gets_the_bar_and_a_file_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    assert isinstance(show_progress("restore", 1, Terminal()), BarProgress)
    assert isinstance(show_progress("restore", 1, io.StringIO()), LogProgress)


def test_a_terminal_that_cannot_move_its_cursor_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(show_progress("restore", 1, Terminal()), LogProgress)


def test_standard_error_is_the_place_unless_told_otherwise(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with show_progress("restore", 2) as shown:
        progress: Progress = shown
        progress.update(blocks=2, transactions=0, gas=0, head=2)
    assert capsys.readouterr().out == ""
    assert len(messages(caplog)) == 1
