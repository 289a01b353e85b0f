"""How the commands of the Go client print (§1.0): titled blocks of text, or one compact JSON document a line.

What is printed is each command's own; how it fails is decided in `main`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from polygon_edge.chain.json_text import json_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

EMPTY = "<none>"
_JSON_REQUESTED = "polygon_edge.json_requested"


def _request_json(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value:
        context.meta[_JSON_REQUESTED] = True


JSON_OPTION = click.Option(
    ["--json"],
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_request_json,
    help="Print one JSON document.",
)
"""The flag `--json`, the same for every command; `json_requested` says whether it was given.

`EdgeCommand` has it; our own verbs take it as `params=[JSON_OPTION]`.
"""


def json_requested() -> bool:
    """Whether `--json` stands anywhere on the command line of the running command."""
    return bool(click.get_current_context().meta.get(_JSON_REQUESTED, False))


def key_values(rows: Iterable[tuple[str, object]]) -> str:
    """Return a line `key = value` for each row, keys padded to the longest; an empty value shows as `<none>`."""
    shown = [(key, str(value)) for key, value in rows]
    width = max((len(key) for key, _ in shown), default=0)
    return "\n".join(f"{key:<{width}} = {value or EMPTY}" for key, value in shown)


def columns(rows: Iterable[Sequence[object]]) -> str:
    """Return a line for each row, its cells two spaces apart and padded to the longest of their column."""
    shown = [[str(cell) or EMPTY for cell in row] for row in rows]
    count = max(map(len, shown), default=0)
    widths = [max(len(row[index]) for row in shown if index < len(row)) for index in range(count)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip() for row in shown
    )


def block(title: str, *lines: str) -> str:
    """Return a block: an empty line, `[TITLE]`, then `lines` (each may be several), with a line end after each."""
    return "".join(f"{line}\n" for line in ("", f"[{title}]", *lines))


def show(text: str, document: object) -> None:
    """Print a result on standard output: `text` (line ends included) or, with `--json`, `document` on one line."""
    click.echo(json_text(document) + "\n" if json_requested() else text, nl=False)
