"""Commands that the Go client has as well: words, flags and failures."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import click
import pytest
from tests.cli.test_main import FAILURES

from polygon_edge.cli import commands
from polygon_edge.cli.edge_command import (
    EdgeCommand,
    EdgeGroup,
    StrictEdgeCommand,
    exclude_flags,
    is_set,
    require_flags,
)
from polygon_edge.cli.flags import Boolean

if TYPE_CHECKING:
    from tests.program import Command

    from polygon_edge.errors import PolygonEdgeError


@pytest.fixture(autouse=True)
def example(monkeypatch: pytest.MonkeyPatch) -> None:
    """Adds commands with a flag of each kind."""

    @click.command(cls=EdgeCommand)
    @click.option("--seal", type=Boolean(), default=True)
    @click.option("--name", default="")
    @click.option("--other-name", default="")
    @click.option("--many", multiple=True)
    def example(seal: bool, name: str, other_name: str, many: tuple[str, ...]) -> None:
        if name == "both":
            require_flags("seal", "many")
        exclude_flags("name", "other_name")
        click.echo(f"{seal} {is_set('seal')} {name} {other_name} {many}")

    @click.command(cls=StrictEdgeCommand)
    def strict() -> None:
        click.echo("ran")

    @click.group(cls=EdgeGroup)
    def parent() -> None:
        """Hold commands."""

    parent.add_command(example)
    monkeypatch.setitem(commands.root.commands, "example", example)
    monkeypatch.setitem(commands.root.commands, "strict", strict)
    monkeypatch.setitem(commands.root.commands, "parent", parent)


@pytest.mark.parametrize(
    ("words", "printed"),
    [
        ([], "True False   ()"),
        (["--seal"], "True True   ()"),
        (["--seal=false"], "False True   ()"),
        (["--seal=0", "--seal"], "True True   ()"),
        (["--name", "--seal"], "True False --seal  ()"),
        (["--name=--seal"], "True False --seal  ()"),
        (["--name", "--json"], "True False --json  ()"),
        (["--many", "a,b", "--many", "c"], "True False   ('a,b', 'c')"),
    ],
)
def test_booleans_take_a_value_only_after_an_equals_sign(words: list[str], printed: str, command: Command) -> None:
    ended = command("example", *words)
    assert (ended.exit_code, ended.output, ended.errors) == (0, printed + "\n", "")


@pytest.mark.parametrize("words", [["--seal", "false"], ["false", "--seal"], ["--", "--seal=false"]])
def test_a_stray_word_is_ignored_but_not_in_silence(words: list[str], command: Command) -> None:
    ended = command("example", *words)
    assert (ended.exit_code, ended.output.split()[0]) == (0, "True")
    assert ended.errors.startswith("Warning: ignored: '")
    in_json = command("example", *words[:2], "--json") if "--" not in words else command("--json", "example", *words)
    assert (in_json.exit_code, in_json.errors) == (0, "")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["example", "--seal=maybe"], "expected true or false, found 'maybe'"),
        (["example", "--nothing"], "No such option"),
        (["example", "--na", "x"], "No such option"),
        (["example", "--name"], "requires an argument"),
        (["example", "--name", "both"], 'required flag(s) "seal", "many" not set'),
        (["example", "--name", "a", "--other-name", "b"], "only one of these flags can be given: --name, --other-name"),
        (["strict", "word"], "unexpected extra argument (word)"),
        (["nothing"], "No such command"),
        (["parent", "nothing"], "No such command"),
    ],
)
def test_a_usage_error_ends_with_1_and_its_message_stands_first_and_last(
    words: list[str], message: str, command: Command
) -> None:
    ended = command(*words)
    assert (ended.exit_code, ended.output) == (1, "")
    first, *_, last = ended.errors.splitlines()
    assert message in last
    assert first == f"Error: {last}"
    assert "\nUsage: polygon-edge" in ended.errors
    in_json = command("--json", *words)
    assert (in_json.exit_code, in_json.error) == (1, {"error": last})
    assert in_json.errors.count("\n") == 1


@pytest.mark.parametrize("words", [["parent"], ["parent", "--json"], ["--json", "parent"]])
def test_a_parent_alone_prints_its_help(words: list[str], command: Command) -> None:
    ended = command(*words)
    assert (ended.exit_code, ended.errors) == (0, "")
    assert "Usage: polygon-edge parent" in ended.output


def test_a_command_below_a_parent_runs_once_and_alone(command: Command) -> None:
    assert command("parent", "example", "--seal=false").output == "False True   ()\n"


@pytest.mark.parametrize(
    ("error", "own_code"),
    [*FAILURES, (OSError(errno.EROFS, os.strerror(errno.EROFS), "data"), 14)],
    ids=lambda value: type(value).__name__,
)
def test_every_failure_ends_with_1_and_a_signal_with_130(
    error: PolygonEdgeError, own_code: int, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    @click.command(cls=EdgeCommand)
    def fail() -> None:
        raise error

    monkeypatch.setitem(commands.root.commands, "fail", fail)
    exit_code = 130 if own_code == 130 else 1
    plain = command("fail")
    assert (plain.exit_code, plain.output, plain.errors) == (exit_code, "", f"{error}\n")
    document = command("fail", "--json")
    assert (document.exit_code, document.output, document.error) == (exit_code, "", {"error": str(error)})


@pytest.mark.parametrize(
    "words", [["peers", "list"], ["txpool", "status", "--grpc-address", "a"], ["monitor"], ["whitelist", "--help"]]
)
def test_a_command_that_only_the_go_client_has_is_refused_by_name(words: list[str], command: Command) -> None:
    problem = f"polygon-edge {words[0]} is not in this version yet"
    ended = command(*words)
    assert (ended.exit_code, ended.output) == (1, "")
    assert ended.errors.startswith(f"Error: {problem}\nUsage: polygon-edge ")
    assert ended.errors.endswith(f"\n{problem}\n")
    in_json = command(*words, "--json")
    assert (in_json.exit_code, in_json.output, in_json.error) == (1, "", {"error": problem})


def test_a_command_that_was_added_is_no_longer_refused(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command(cls=EdgeCommand)
    def peers() -> None:
        click.echo("none")

    monkeypatch.setitem(commands.root.commands, "peers", peers)
    assert command("peers").output == "none\n"
