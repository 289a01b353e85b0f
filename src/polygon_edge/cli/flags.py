"""Values of flags, read as the Go client reads them (§1.0)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from polygon_edge.chain.generation import Generation

if TYPE_CHECKING:
    from collections.abc import Callable

_NUMBER_OR_HEXADECIMAL = re.compile(r"0[xX]([0-9a-fA-F]+)|([0-9]+)", re.ASCII)
_LITERAL = re.compile(r"[+-]?[0-9a-zA-Z_]+", re.ASCII)
_OCTAL = re.compile(r"0[0-7_]+")
_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})
_LONGEST_NUMBER = 256


def number_or_hexadecimal(text: str, bits: int = 64) -> int:
    """Read a decimal number, or a hexadecimal one after 0x, of at most `bits` bits; raises ValueError."""
    match = _NUMBER_OR_HEXADECIMAL.fullmatch(text) if len(text) <= _LONGEST_NUMBER else None
    if match is None:
        raise ValueError(f"expected a decimal number or 0x and hex digits, found {text!r}")
    number = int(match[1], 16) if match[1] else int(match[2])
    if number >= 1 << bits:
        raise ValueError(f"expected a number below 2^{bits}, found {text}")
    return number


def integer_literal(text: str) -> int:
    """Read a whole number as a Go literal: decimal, 0x, 0o, 0b or octal after a 0, `_` between digits.

    Raises ValueError.
    """
    if len(text) > _LONGEST_NUMBER or not _LITERAL.fullmatch(text):
        raise ValueError(f"not a number: {text!r}")
    sign, digits = (text[0], text[1:]) if text[0] in "+-" else ("", text)
    return int(sign + ("0o" + digits[1:] if _OCTAL.fullmatch(digits) else digits), 0)


class Height(click.ParamType[int]):
    """A block height: decimal, or hexadecimal with 0x."""

    name = "height"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read the number; a height is not negative and fits 64 bits."""
        if isinstance(value, int):
            return value
        try:
            return number_or_hexadecimal(str(value))
        except ValueError:
            self.fail(f"expected a block height (decimal or 0x hex), found {value!r}", param, ctx)


class Integer(click.ParamType[int]):
    """A whole number from `lowest` to `highest`, written as a Go literal."""

    name = "number"

    def __init__(self, lowest: int = 0, highest: int = (1 << 64) - 1) -> None:
        self.lowest = lowest
        self.highest = highest

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read the number and hold it against the range."""
        if isinstance(value, int):
            return value
        text = str(value)
        try:
            number = integer_literal(text)
            # Go's unsigned flags take no sign at all.
            signed_unsigned = self.lowest >= 0 and text[0] in "+-"
        except ValueError:
            number, signed_unsigned = self.lowest - 1, True
        if signed_unsigned or not self.lowest <= number <= self.highest:
            self.fail(f"expected a whole number from {self.lowest} to {self.highest}, found {value!r}", param, ctx)
        return number


class Boolean(click.ParamType[bool]):
    """True or false; `--flag` alone is true, false needs `--flag=false`.

    The command must be an `EdgeCommand`: it turns the flag alone into `--flag=true`.
    """

    name = "boolean"

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:  # noqa: ARG002
        """Show in the help that a value needs `=`."""
        return "[=true|false]"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> bool:
        """Read the word as Go does."""
        if isinstance(value, bool):
            return value
        if str(value) in _TRUE:
            return True
        if str(value) not in _FALSE:
            self.fail(f"expected true or false, found {value!r}", param, ctx)
        return False


def grpc_address_unused(command: Callable[..., Any]) -> Callable[..., Any]:
    """Accept `--grpc-address` for a command that never contacts a node: the Go client has it on whole families."""
    return click.option("--grpc-address", hidden=True, expose_value=False)(command)


def generation_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Let the operator name the generation of a chain whose genesis file does not tell it."""
    return click.option(
        "--generation",
        type=click.Choice(Generation, case_sensitive=False),
        help="Generation of the chain; needed for G2 (v0.7.2 to v0.8.1), else the genesis file tells it.",
    )(command)
