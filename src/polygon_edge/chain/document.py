"""A JSON document read as Go's encoding/json reads one (§5.1), each value knowing its path for error messages.

Keys of Go structs match whatever their case, unknown keys are ignored, and of several matching keys the last in the
file counts. Keys of Go maps are exact. A null counts as an absent key.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from decimal import ROUND_DOWN, Decimal
from typing import NoReturn, Self, TypeAlias

Pairs: TypeAlias = "list[tuple[str, object]]"
ErrorMaker: TypeAlias = Callable[[str, str, str], Exception]
"""Makes the error for (JSON path, expected, found)."""

_DECIMAL = re.compile(r"[0-9]+\Z")
_HEXADECIMAL = re.compile(r"0x([0-9a-fA-F]+)\Z")
_LONGEST_QUANTITY = 1024
_NANOSECONDS = {
    "ns": 1,
    "us": 1_000,
    "\u00b5s": 1_000,
    "\u03bcs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_DURATION_PART = re.compile(rf"([0-9]+\.?[0-9]*|\.[0-9]+)({'|'.join(_NANOSECONDS)})")
_DURATION = re.compile(rf"(?:{_DURATION_PART.pattern})+\Z")


class _Object:
    """Key and value pairs in file order, so that doubled keys stay visible."""

    def __init__(self, pairs: Pairs) -> None:
        self.pairs = pairs


class Value:
    """One value of the document; `path` names it, such as `genesis.alloc.0x….balance`."""

    def __init__(self, data: object, path: str, error: ErrorMaker) -> None:
        self._data = data
        self.path = path
        self._error = error

    @classmethod
    def parse(cls, text: bytes, error: ErrorMaker) -> Self:
        """Parse a whole document; raises what `error` makes for text that is not JSON."""

        def refuse(constant: str) -> NoReturn:
            raise ValueError(f"{constant} is not JSON")

        try:
            # Go replaces bytes that are not UTF-8 instead of failing.
            data = json.loads(text.decode("utf-8", "replace"), object_pairs_hook=_Object, parse_constant=refuse)
        except (ValueError, RecursionError) as problem:
            raise error("", "JSON", f"something else: {problem}") from problem
        return cls(data, "", error)

    def refuse(self, expected: str, found: str | None = None) -> Exception:
        """Return (not raise) the error that this value is not what was expected."""
        return self._error(self.path, expected, self._shown() if found is None else found)

    def _shown(self) -> str:
        match self._data:
            case None:
                return "null"
            case _Object():
                return "an object"
            case list():
                return "a list"
            case str():
                text = self._data if len(self._data) <= 80 else self._data[:77] + "..."
                return f'"{text}"'
            case _:
                return json.dumps(self._data)

    def _child(self, data: object, key: str) -> Value:
        return Value(data, f"{self.path}.{key}" if self.path else key, self._error)

    def _pairs(self) -> Pairs:
        if not isinstance(self._data, _Object):
            raise self.refuse("an object")
        return self._data.pairs

    @property
    def is_null(self) -> bool:
        """Whether the value is null."""
        return self._data is None

    @property
    def is_object(self) -> bool:
        """Whether the value is an object."""
        return isinstance(self._data, _Object)

    def field(self, name: str) -> Value | None:
        """Return the value of a Go struct's field `name`, None when absent or null; raises for other than objects."""
        folded = _fold(name)
        found: Value | None = None
        for key, data in self._pairs():
            if key == name or _fold(key) == folded:
                found = None if data is None else self._child(data, key)
        return found

    def entry(self, name: str) -> Value | None:
        """Return the value at the exact key `name` of a Go map, None when absent or null.

        Raises when this is not an object.
        """
        found = dict(self._pairs()).get(name)
        return None if found is None else self._child(found, name)

    def entries(self) -> dict[str, Value]:
        """Return the entries of a Go map, the last of each key, in file order."""
        return {key: self._child(data, key) for key, data in self._pairs()}

    def items(self) -> Iterator[Value]:
        """Yield the values of a list."""
        if not isinstance(self._data, list):
            raise self.refuse("a list")
        for index, data in enumerate(self._data):
            yield Value(data, f"{self.path}[{index}]", self._error)

    def text(self) -> str:
        """Return a string."""
        if not isinstance(self._data, str):
            raise self.refuse("a string")
        return self._data

    def boolean(self) -> bool:
        """Return true or false."""
        if not isinstance(self._data, bool):
            raise self.refuse("true or false")
        return self._data

    def unsigned(self, bits: int = 64) -> int:
        """Return a whole JSON number of at most `bits` bits, not a string."""
        if isinstance(self._data, bool) or not isinstance(self._data, int) or not 0 <= self._data < 1 << bits:
            raise self.refuse(f"a number below 2^{bits}")
        return self._data

    def truncated_number(self) -> int:
        """Return a JSON number as Go reads it into an `interface{}`: through a double, then cut to 64 unsigned bits."""
        if isinstance(self._data, bool) or not isinstance(self._data, int | float):
            raise self.refuse("a number")
        number = float(self._data) if abs(self._data) < 1 << 64 else -1.0
        if not 0 <= number < 1 << 64:
            raise self.refuse("a number below 2^64")
        return int(number)

    def quantity(self, bits: int = 64) -> int:
        """Return a decimal or 0x hex string of at most `bits` bits (§5.1); a bare number is refused, as in Go."""
        text = self.text()
        number: int | None = None
        if len(text) <= _LONGEST_QUANTITY:
            if _DECIMAL.match(text):
                number = int(text)
            elif match := _HEXADECIMAL.match(text):
                number = int(match[1], 16)
        if number is None or number >= 1 << bits:
            raise self.refuse(f"a string with a decimal or 0x number below 2^{bits}")
        return number

    def loose_number(self) -> int:
        """Return a JSON number, or a decimal or 0x hex string, below 2^63, as the fork list of IBFT has them (§5.4).

        A number with a fraction is rounded, as in Go.
        """
        if isinstance(self._data, str):
            return self.quantity(63)
        if isinstance(self._data, bool) or not isinstance(self._data, int | float):
            raise self.refuse("a number, or a string with one")
        # Go reads it as a double.
        number = float(self._data) if abs(self._data) < 1 << 63 else -1.0
        if not 0 <= number < 1 << 63:
            raise self.refuse("a number below 2^63")
        return int(number + 0.5)

    def duration(self) -> int:
        """Return nanoseconds, given as a JSON number or as Go writes durations, such as `1m30s` (§5.4)."""
        if isinstance(self._data, str):
            nanoseconds = _nanoseconds(self._data)
            if nanoseconds is None:
                raise self.refuse("a duration such as 2s")
            return nanoseconds
        return self.truncated_number()

    def hex_bytes(self) -> bytes:
        """Return a string of hex digits as bytes, `0x` optional; odd or bad digits are refused (§5.3)."""
        digits = self.text().removeprefix("0x")
        decoded = lenient_hex(digits)
        if len(decoded) * 2 != len(digits):
            raise self.refuse("hex bytes")
        return decoded

    def hash(self) -> bytes:
        """32 bytes by Go's lenient reading: left-padded or cut on the left, up to the first bad digit (§5.1)."""
        return fixed_bytes(self.text(), 32)

    def address(self) -> bytes:
        """Exactly 20 bytes of hex (§5.1)."""
        decoded = lenient_hex(_even(self.text()))
        if len(decoded) != 20:
            raise self.refuse("an address of 20 bytes")
        return decoded


def _nanoseconds(text: str) -> int | None:
    """Read a Go duration of no sign, none where it is not one; fractions of a nanosecond are cut."""
    if text == "0":
        return 0
    if len(text) > _LONGEST_QUANTITY or not _DURATION.match(text):
        return None
    total = Decimal(0)
    for number, unit in _DURATION_PART.findall(text):
        total += (Decimal(number) * _NANOSECONDS[unit]).to_integral_value(ROUND_DOWN)
    return int(total) if total < 1 << 63 else None


def duration_text(nanoseconds: int) -> str:
    """Write a duration of a second or more as Go does, such as `1m30s`."""
    seconds, fraction = divmod(nanoseconds, 1_000_000_000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    text = f"{seconds}.{fraction:09}".rstrip("0").rstrip(".") + "s"
    if hours:
        return f"{hours}h{minutes}m{text}"
    return f"{minutes}m{text}" if minutes else text


def fixed_bytes(text: str, size: int) -> bytes:
    """Read hex as Go's `StringToHash` and `StringToAddress` do: left-padded with zeros, or the last `size` bytes kept
    (§5.1).
    """
    return lenient_hex(_even(text)).rjust(size, b"\0")[-size:]


def lenient_hex(digits: str) -> bytes:
    """Decode pairs of hex digits up to the first that is none."""
    matched = re.match(r"(?:[0-9a-fA-F]{2})*", digits)
    return bytes.fromhex(matched[0]) if matched else b""


def _even(text: str) -> str:
    digits = text.removeprefix("0x")
    # Go counts bytes here, not characters.
    return "0" + digits if len(digits.encode("utf-8", "replace")) % 2 else digits


def same_key(key: str, name: str) -> bool:
    """Whether `key` in the file is the field `name` of a Go struct."""
    return _fold(key) == _fold(name)


def _fold(key: str) -> str:
    # The two letters outside ASCII that Go folds into it.
    return key.lower().replace("\u017f", "s")
