r"""Arguments for a contract's constructor as text, and as the bytes that stand behind its code (§1.3).

The grammar: a bare literal, a text in double quotes with `\` before what it would end at, a list in brackets, nested
for arrays and structs. What a literal means is decided by the type of its parameter.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NoReturn, TypeAlias

from polygon_edge.chain.address import parse_address
from polygon_edge.errors import ArtifactError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from polygon_edge.chain.document import Value

Argument: TypeAlias = "str | list[Argument]"

DEEPEST = 32
"""Lists in lists; no contract nests its parameters like that."""

_ARRAY = re.compile(r"(.+)\[([0-9]*)\]\Z", re.DOTALL)
_DECIMAL = re.compile(r"[+-]?[0-9]+\Z")
_HEXADECIMAL = re.compile(r"0[xX]([0-9a-fA-F]+)\Z")
_BYTES = re.compile(r"(?:0x)?((?:[0-9a-fA-F]{2})*)\Z")
_LONGEST_NUMBER = 256
_BOOLEANS = {"true": True, "false": False}


def parse_argument(text: str) -> Argument:
    """Read one argument; raises ArtifactError that names the place in `text` where it breaks the grammar."""
    reader = _Reader(text)
    found = reader.argument(0)
    reader.skip_spaces()
    if not reader.is_at_end:
        reader.refuse("its end; a text with this letter needs double quotes")
    return found


def encode_arguments(inputs: Sequence[Value], arguments: Sequence[Argument]) -> bytes:
    """Encode `arguments` for the constructor's parameters `inputs` of the ABI; raises ArtifactError."""
    # Takes a while to import, and hardly anybody needs it.
    from eth_abi.abi import encode  # noqa: PLC0415
    from eth_abi.exceptions import EncodingError, ParseError  # noqa: PLC0415

    if len(inputs) != len(arguments):
        raise ArtifactError("--constructor-args", f"{len(inputs)} arguments", str(len(arguments)))
    types = [_type(parameter) for parameter in inputs]
    names = [_name(parameter, index) for index, parameter in enumerate(inputs)]
    values = [
        _value(kind, parameter, argument, name)
        for kind, parameter, argument, name in zip(types, inputs, arguments, names, strict=True)
    ]
    for kind, value, name, argument in zip(types, values, names, arguments, strict=True):
        try:
            encode([kind], [value])
        except (EncodingError, ParseError, ValueError, TypeError) as error:
            raise ArtifactError(f"argument {name}", kind, repr(argument)) from error
    return encode(types, values)


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0

    @property
    def is_at_end(self) -> bool:
        return self._position >= len(self._text)

    @property
    def _next(self) -> str:
        return self._text[self._position : self._position + 1]

    def refuse(self, expected: str) -> NoReturn:
        found = f"{self._next!r} at letter {self._position + 1} of {self._text!r}" if self._next else "its end"
        raise ArtifactError(f"argument {self._text!r}", expected, found)

    def skip_spaces(self) -> None:
        while self._next == " ":
            self._position += 1

    def argument(self, depth: int) -> Argument:
        self.skip_spaces()
        match self._next:
            case '"':
                return self._quoted()
            case "[":
                return self._list(depth)
            case "" | "," | "]":
                self.refuse("a value")
        return self._literal()

    def _quoted(self) -> str:
        self._position += 1
        letters = []
        while self._next != '"':
            if self._next == "\\":
                self._position += 1
            if self.is_at_end:
                self.refuse("a closing double quote")
            letters.append(self._next)
            self._position += 1
        self._position += 1
        return "".join(letters)

    def _list(self, depth: int) -> list[Argument]:
        if depth >= DEEPEST:
            self.refuse(f"at most {DEEPEST} lists in each other")
        self._position += 1
        items: list[Argument] = []
        while True:
            self.skip_spaces()
            if self._next == "]":
                self._position += 1
                return items
            if self._next == "," and items:
                self._position += 1
                continue
            items.append(self.argument(depth + 1))

    def _literal(self) -> str:
        begin = self._position
        while self._next not in {"", ",", "]"}:
            if self._next == "[":
                self.refuse("no bracket inside a literal")
            self._position += 1
        return self._text[begin : self._position]


def _name(parameter: Value, index: int) -> str:
    name = parameter.field("name")
    return name.text() if name is not None and name.text() else str(index)


def _type(parameter: Value) -> str:
    """The type as signatures spell it: a tuple as the types of its components."""
    kind = parameter.field("type")
    if kind is None:
        raise parameter.refuse("key type", "nothing")
    text = kind.text()
    if not text.startswith("tuple"):
        return {"uint": "uint256", "int": "int256"}.get(text, text)
    return f"({','.join(map(_type, _components(parameter)))}){text.removeprefix('tuple')}"


def _components(parameter: Value) -> list[Value]:
    components = parameter.field("components")
    return [] if components is None else list(components.items())


def _value(kind: str, parameter: Value, argument: Argument, name: str) -> object:
    """`argument` as the value that the encoder takes for the type `kind`; `parameter` has the components of tuples."""
    array = _ARRAY.match(kind)
    if array is not None:
        return [_value(array[1], parameter, item, name) for item in _items(argument, kind, name)]
    if kind.startswith("("):
        components = _components(parameter)
        items = _items(argument, kind, name)
        if len(items) != len(components):
            raise ArtifactError(f"argument {name}", f"{len(components)} values for {kind}", str(len(items)))
        return tuple(
            _value(_type(component), component, item, name) for component, item in zip(components, items, strict=True)
        )
    if isinstance(argument, list):
        raise ArtifactError(f"argument {name}", kind, "a list")
    if kind == "string":
        return argument
    found = _plain_value(kind, argument.strip(" "))
    if found is None:
        raise ArtifactError(f"argument {name}", kind, repr(argument))
    return found


def _items(argument: Argument, kind: str, name: str) -> list[Argument]:
    if isinstance(argument, str):
        raise ArtifactError(f"argument {name}", f"a list in brackets for {kind}", repr(argument))
    return argument


def _plain_value(kind: str, text: str) -> object:
    """A literal as a value of a type that is one word; None where it is none."""
    if kind == "bool":
        return _BOOLEANS.get(text)
    if kind == "address":
        return _address(text)
    if kind.startswith(("uint", "int")):
        return _whole_number(text)
    digits = _BYTES.match(text) if kind.startswith("bytes") else None
    return None if digits is None else bytes.fromhex(digits[1])


def _address(text: str) -> bytes | None:
    try:
        return parse_address(text)
    except ValueError:
        return None


def _whole_number(text: str) -> int | None:
    if len(text) > _LONGEST_NUMBER:
        return None
    if _DECIMAL.match(text):
        return int(text)
    hexadecimal = _HEXADECIMAL.match(text)
    return None if hexadecimal is None else int(hexadecimal[1], 16)
