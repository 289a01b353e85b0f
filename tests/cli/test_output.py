"""How results are laid out, against what the Go client printed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click
import pytest

from polygon_edge.chain.json_text import json_text
from polygon_edge.cli import commands
from polygon_edge.cli.edge_command import EdgeCommand
from polygon_edge.cli.output import block, columns, key_values, show

if TYPE_CHECKING:
    from tests.golden.recorded import Network
    from tests.program import Command


def recorded(poa: Network, *words: str) -> list[str]:
    """What the Go client printed for every recorded command that starts with these words."""
    found = [row["stdout"] for row in poa.rows("cli.jsonl") if row["argv"][: len(words)] == list(words)]
    outputs = [text for text in found if text.startswith("\n[")]
    assert outputs
    return outputs


def test_keys_and_values_are_laid_out_as_the_go_client_does(poa: Network) -> None:
    for output in recorded(poa, "status"):
        rows = [tuple(line.split(" = ")) for line in output.splitlines()[2:]]
        given = [(key.rstrip(), value) for key, value in rows]
        assert block("CLIENT STATUS", key_values(given)) == output


def test_an_empty_value_shows_as_none() -> None:
    assert key_values([("a", ""), ("long", 0), ("b", None)]) == "a    = <none>\nlong = 0\nb    = None"
    assert key_values([]) == ""


def test_columns_are_two_spaces_apart() -> None:
    assert columns([("a", "bb", ""), ("ccc", "d")]) == "a    bb  <none>\nccc  d"
    assert columns([]) == ""


def test_a_value_may_hold_a_bar() -> None:
    # The Go client takes it for the border of a column.
    assert key_values([("File", "a|b")]) == "File = a|b"


def test_a_block_has_a_title_and_ends_its_lines() -> None:
    assert block("TITLE", "one", "two\nthree", "") == "\n[TITLE]\none\ntwo\nthree\n\n"


def test_json_is_compact_and_escaped_as_go_does() -> None:
    document = {"a": [1, True, None], "b": '<é&>\u2028"\\', "c": "\udcff"}
    text = json_text(document)
    assert text == '{"a":[1,true,null],"b":"\\u003cé\\u0026\\u003e\\u2028\\"\\\\","c":"\ufffd"}'
    assert json.loads(text) == document | {"c": "\ufffd"}
    assert json_text({"a": {}, "b": [1]}, 4) == '{\n    "a": {},\n    "b": [\n        1\n    ]\n}'


def test_recorded_documents_come_back_byte_for_byte(poa: Network) -> None:
    compared = 0
    for row in poa.rows("cli.jsonl"):
        for text in (row["stdout"], row["stderr"]):
            if "--json" in row["argv"] and text.startswith(("{", "[")):
                for line in text.splitlines():
                    assert json_text(json.loads(line)) == line
                    compared += 1
    assert compared > 20


@pytest.mark.parametrize(
    "words",
    [["print", "--json"], ["--json", "print"], ["print", "--json=false"], ["--json=false", "print"]],
    ids=" ".join,
)
def test_json_counts_wherever_it_stands(words: list[str], command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command(cls=EdgeCommand)
    def printing() -> None:
        show("text\n", {"a": 1})

    monkeypatch.setitem(commands.root.commands, "print", printing)
    assert command("print").output == "text\n"
    ended: Any = command(*words)
    assert (ended.exit_code, ended.output) == (0, '{"a":1}\n')
