"""Arguments for a constructor: the grammar of the Go client, and what the types make of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from polygon_edge.chain.constructor_arguments import DEEPEST, encode_arguments, parse_argument
from polygon_edge.chain.document import Value
from polygon_edge.errors import ArtifactError

ADDRESS = "0x768242Da3d073A42e20925D3152D353C168b0d83"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("argument", "argument"),
        ("  two words ", "two words "),
        ('"in quotes, [with] \\"these\\" and \\\\"', 'in quotes, [with] "these" and \\'),
        ('""', ""),
        ("[]", []),
        ("[1, 0x2,3 ]", ["1", "0x2", "3 "]),
        ('[["a", "b"], ["c" "d"],, ]', [["a", "b"], ["c", "d"]]),
        ("[true]", ["true"]),
        ("日本", "日本"),
    ],
)
def test_an_argument_is_a_literal_a_text_or_a_list(text: str, expected: object) -> None:
    assert parse_argument(text) == expected


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "expected a value, found its end"),
        (" ", "expected a value, found its end"),
        (",", "expected a value, found ',' at letter 1"),
        ("[,1]", "expected a value, found ',' at letter 2"),
        ("[1", "expected a value, found its end"),
        ('"open', "expected a closing double quote, found its end"),
        ('"open\\', "expected a closing double quote, found its end"),
        ("a[1]", "expected no bracket inside a literal, found '[' at letter 2"),
        # The Go client drops what follows.
        ("one, two", "expected its end; a text with this letter needs double quotes, found ',' at letter 4"),
        ('"a" b', "expected its end"),
        ("[1]]", "expected its end"),
        ("[" * (DEEPEST + 1), f"expected at most {DEEPEST} lists in each other"),
        ("[" * 100_000, f"expected at most {DEEPEST} lists in each other"),
    ],
)
def test_what_breaks_the_grammar_is_told_with_its_place(text: str, problem: str) -> None:
    with pytest.raises(ArtifactError) as raised:
        parse_argument(text)
    assert problem in str(raised.value)


def inputs(*types: str | dict[str, Any]) -> list[Value]:
    document = [kind if isinstance(kind, dict) else {"name": "", "type": kind} for kind in types]
    value = Value.parse(json.dumps(document).encode(), ArtifactError)
    return list(value.items())


def word(value: int) -> str:
    return f"{value % (1 << 256):064x}"


STRUCT = {"name": "s", "type": "tuple", "components": [{"type": "uint"}, {"name": "ok", "type": "bool"}]}


@pytest.mark.parametrize(
    ("types", "texts", "expected"),
    [
        (["uint256"], ["5"], word(5)),
        (["uint8"], ["0xFf"], word(255)),
        (["int64"], ["-1"], word(-1)),
        (["bool", "bool"], ["true", "false"], word(1) + word(0)),
        (["address"], [ADDRESS], word(int(ADDRESS, 16))),
        (["bytes4"], ["0x01020304"], "01020304" + "00" * 28),
        (["bytes"], ["0102"], word(32) + word(2) + "0102" + "00" * 30),
        (["string"], ["true"], word(32) + word(4) + b"true".hex() + "00" * 28),
        (["uint256[2]"], ["[1, 2 ]"], word(1) + word(2)),
        (["uint8[]", "uint8"], ["[7]", "9"], word(64) + word(9) + word(1) + word(7)),
        ([STRUCT], ["[7,true]"], word(7) + word(1)),
        ([STRUCT | {"type": "tuple[]"}], ["[[7,true],[8,false]]"], "".join(map(word, (32, 2, 7, 1, 8, 0)))),
        ([], [], ""),
    ],
    ids=str,
)
def test_arguments_are_encoded_by_their_types(types: list[Any], texts: list[str], expected: str) -> None:
    assert encode_arguments(inputs(*types), [parse_argument(text) for text in texts]).hex() == expected


@pytest.mark.parametrize(
    ("types", "texts", "problem"),
    [
        (["uint256"], [], "--constructor-args: expected 1 arguments, found 0"),
        (["uint256"], ["1", "2"], "--constructor-args: expected 1 arguments, found 2"),
        ([{"name": "count", "type": "uint8"}], ["256"], "argument count: expected uint8, found '256'"),
        (["uint8"], ["-1"], "argument 0: expected uint8, found '-1'"),
        (["uint256"], ["1e3"], "argument 0: expected uint256, found '1e3'"),
        (["uint256"], ["9" * 300], "argument 0: expected uint256"),
        (["uint256"], ["[1]"], "argument 0: expected uint256, found a list"),
        (["uint256[]"], ["1"], "argument 0: expected a list in brackets for uint256[], found '1'"),
        (["uint256[2]"], ["[1]"], "argument 0: expected uint256[2], found ['1']"),
        ([STRUCT], ["[1]"], "argument s: expected 2 values for (uint256,bool), found 1"),
        (["bool"], ["1"], "argument 0: expected bool, found '1'"),
        (["address"], ["0x12"], "argument 0: expected address, found '0x12'"),
        (["bytes4"], ["0x0102030405"], "argument 0: expected bytes4, found '0x0102030405'"),
        (["bytes"], ["0x123"], "argument 0: expected bytes, found '0x123'"),
        (["fixed128x18"], ["1.5"], "argument 0: expected fixed128x18, found '1.5'"),
        (["uint7"], ["1"], "argument 0: expected uint7, found '1'"),
        ([{"name": "x"}], ["1"], "[0]: expected key type, found nothing"),
    ],
    ids=str,
)
def test_an_argument_that_does_not_fit_is_named(types: list[Any], texts: list[str], problem: str) -> None:
    with pytest.raises(ArtifactError) as raised:
        encode_arguments(inputs(*types), [parse_argument(text) for text in texts])
    assert problem in str(raised.value)
