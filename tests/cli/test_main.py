"""The root of the commands: how each way to fail leaves the process."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import click
import pytest
from tests.program import COMMAND

from polygon_edge.cli import commands, stop
from polygon_edge.cli.main import main, run
from polygon_edge.errors import (
    ArchiveError,
    BlockRuleError,
    DataDirectoryError,
    DiskFullError,
    GenesisError,
    PolygonEdgeError,
    Rule,
    StoppedBySignalError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.program import Command

FAILURES = [
    (ArchiveError("a.dat", 7, "cut"), 10),
    (BlockRuleError(Rule.NUMBER, 3, expected=3, found=4), 11),
    (GenesisError("genesis.json", "params", "an object", "none"), 12),
    (DataDirectoryError("data", "in use"), 13),
    (DiskFullError("data", 2, 1), 14),
    (StoppedBySignalError(5), 130),
]


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    """Adds a command `fail` that raises."""

    def add(error: BaseException) -> None:
        @click.command()
        @click.option("--json", "as_json", is_flag=True)
        def fail(as_json: bool) -> None:
            assert as_json in {True, False}
            raise error

        monkeypatch.setitem(commands.root.commands, "fail", fail)

    return add


@pytest.mark.parametrize(("error", "exit_code"), FAILURES, ids=[type(error).__name__ for error, _ in FAILURES])
def test_each_family_of_errors_has_its_exit_code(
    error: PolygonEdgeError, exit_code: int, command: Command, failing: Callable[[BaseException], None]
) -> None:
    failing(error)
    plain = command("fail")
    assert (plain.exit_code, plain.output, plain.errors) == (exit_code, "", f"Error: {error}\n")
    document = command("fail", "--json")
    assert (document.exit_code, document.output) == (exit_code, "")
    assert (document.error["error"], document.error["kind"]) == (str(error), type(error).__name__)
    assert document.errors.count("\n") == 1


def test_an_unforeseen_refusal_of_the_disk_is_an_error_without_a_traceback(
    command: Command, failing: Callable[[BaseException], None]
) -> None:
    failing(OSError(errno.EROFS, os.strerror(errno.EROFS), "data"))
    plain = command("fail")
    assert (plain.exit_code, plain.output) == (14, "")
    assert plain.errors == "Error: [Errno 30] Read-only file system: 'data'\n"
    document = command("fail", "--json")
    assert document.exit_code == 14
    assert document.error == {
        "error": "[Errno 30] Read-only file system: 'data'",
        "kind": "OSError",
        "exit_code": 14,
    }


def test_a_mistake_of_ours_is_not_covered_up(command: Command, failing: Callable[[BaseException], None]) -> None:
    failing(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        command("fail")


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["restore", "--help"], ["version", "-h"]])
def test_help_is_a_success_on_standard_output(words: list[str], command: Command) -> None:
    ended = command(*words)
    assert (ended.exit_code, ended.errors) == (0, "")
    assert ended.output.startswith("Usage: polygon-edge ")


def test_help_names_every_command(command: Command) -> None:
    shown = command("--help").output
    names = commands.root.list_commands(click.Context(commands.root))
    assert {"restore", "version"} <= set(names)
    assert all(f"\n  {name} " in shown for name in names)


def test_a_command_is_read_without_what_the_others_need() -> None:
    program = (
        "import sys; from polygon_edge.cli.main import main; ended = main(['backup', '--help'])\n"
        "assert ended == 0 and 'grpc' in sys.modules, ended\n"
        "print(sorted({'uvicorn', 'starlette', 'rich', 'polygon_edge.node'} & sys.modules.keys()))"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout.endswith("[]\n")


@pytest.mark.parametrize("words", [[], ["--json"]])
def test_no_command_prints_the_help_as_the_go_client_does(words: list[str], command: Command) -> None:
    ended = command(*words)
    assert (ended.exit_code, ended.errors) == (0, "")
    assert ended.output.startswith("Usage: polygon-edge ")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["restore"], "Missing argument 'ARCHIVE'"),
        (["restore", "a.dat"], "Missing option '--data-dir'"),
        (["restore", "a.dat", "--data-dir", "d"], "Missing option '--chain'"),
        (["archive", "nothing"], "No such command 'nothing'"),
        (["restore", "--nothing"], "No such option '--nothing'"),
    ],
)
def test_a_usage_error_of_our_own_verbs_names_what_is_wrong(words: list[str], message: str, command: Command) -> None:
    ended = command(*words)
    assert (ended.exit_code, ended.output) == (2, "")
    assert message.replace("'", "") in ended.errors.replace("'", "").replace(":", "")
    in_json = command(*words, "--json")
    assert (in_json.exit_code, in_json.error["kind"]) == (2, "UsageError")


def test_a_command_that_ends_early_keeps_its_exit_code(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    @click.pass_context
    def leave(context: click.Context) -> None:
        context.exit(3)

    monkeypatch.setitem(commands.root.commands, "leave", leave)
    assert command("leave").exit_code == 3


def test_the_console_command_exits_with_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["polygon-edge", "nothing"])
    with pytest.raises(SystemExit) as ended:
        run()
    assert ended.value.code == 1


def test_output_that_nobody_reads_is_no_traceback() -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as gone:
        ended = subprocess.run([*COMMAND, "--help"], stdout=gone, stderr=subprocess.PIPE, check=False, timeout=60)
    assert (ended.returncode, ended.stderr) == (1, b"")


def test_the_first_signal_asks_and_the_second_ends() -> None:
    script = """
import os, signal, sys, time
from polygon_edge.cli import stop
stop.install()
for number in stop.STOP_SIGNALS:
    stop.stop_requested.clear()
    os.kill(os.getpid(), number)
    assert stop.stop_requested.is_set()
print("asked", flush=True)
os.kill(os.getpid(), signal.SIGINT)
print("still here", flush=True)
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False, timeout=60)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, b"asked\n", b"")


def test_a_second_signal_ends_this_process_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    requested = threading.Event()
    codes: list[int] = []
    monkeypatch.setattr(stop, "stop_requested", requested)
    monkeypatch.setattr(os, "_exit", codes.append)
    stop._handle(signal.SIGTERM, None)
    assert (requested.is_set(), codes) == (True, [])
    stop._handle(signal.SIGTERM, None)
    assert codes == [130]


def test_main_takes_over_the_signals(command: Command) -> None:
    assert command("version").exit_code == 0
    assert all(signal.getsignal(number) is stop._handle for number in stop.STOP_SIGNALS)


def test_words_come_from_the_command_line_unless_given(
    monkeypatch: pytest.MonkeyPatch, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["polygon-edge", "version", "--json"])
    assert command("version").exit_code == 0
    assert main() == 0
    assert "version" in json.loads(capsys.readouterr().out)
