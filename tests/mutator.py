"""Damages real bytes and real JSON documents, from a seed: mutant `number` is the same on every machine."""

from __future__ import annotations

import copy
import json
import os
import random
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator, Sequence

SEED = int(os.environ.get("POLYGON_EDGE_SEED", "1"))

EXTREME_BYTES = bytes((0x00, 0x01, 0x7F, 0x80, 0x81, 0xB7, 0xB8, 0xBF, 0xC0, 0xC1, 0xF7, 0xF8, 0xFB, 0xFF))
HOSTILE_PREFIXES = tuple(
    bytes((base, *length))
    for base in (0xBF, 0xFF)
    for length in (b"\xff" * 8, b"\x7f" + b"\xff" * 7, bytes(4) + b"\x7f\xff\xff\xff", bytes(8), bytes(7) + b"\x38")
)
STRANGE_VALUES: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1.5,
    1e300,
    (1 << 63) - 1,
    1 << 63,
    (1 << 64) - 1,
    1 << 64,
    10**4000,
    "",
    "0",
    "0x",
    "0x0",
    "0xg",
    "-1",
    " 1",
    "1_0",
    "\u0661",
    "\ud800",
    "9" * 1025,
    "0x" + "f" * 64,
    "0x" + "f" * 65,
    "0x" + "12" * 20,
    "x" * 5000,
    [],
    [[]],
    {},
    {"": None},
)


def mutations(default: int) -> int:
    """How many mutants to make: `default`, or what POLYGON_EDGE_MUTATIONS says for a run by hand."""
    return int(os.environ.get("POLYGON_EDGE_MUTATIONS", str(default)))


def report(ends: Counter[str]) -> None:
    """Show how the mutants ended, for a run by hand with `-s`."""
    sys.stdout.write(f"{dict(ends.most_common())}\n")


def generator(number: int) -> random.Random:
    """The source of chance of mutant `number`."""
    return random.Random(SEED << 64 | number)


def damaged_bytes(chance: random.Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """`content` with one to three damages; splices take their second half from `others`."""
    damaged = bytearray(content)
    for _ in range(1 + chance.getrandbits(8) % 3):
        place = chance.randrange(len(damaged)) if damaged else 0
        end = place + 1 + chance.randrange(12)
        match chance.randrange(9):
            case 0 if damaged:
                damaged[place] ^= 1 << chance.randrange(8)
            case 1 if damaged:
                damaged[place] = chance.choice(EXTREME_BYTES)
            case 2:
                damaged[place:place] = chance.randbytes(end - place)
            case 3:
                del damaged[place:end]
            case 4:
                del damaged[place:]
            case 5:
                other = chance.choice(others)
                damaged[place:] = other[chance.randrange(len(other)) :]
            case 6:
                damaged[place:place] = chance.choice(HOSTILE_PREFIXES)
            case 7:
                damaged[place:end] = bytes(end - place)
            case _:
                # The first prefixes of a file carry the lengths that matter most.
                damaged[: 1 + place % 12] = chance.choice(HOSTILE_PREFIXES)[: 1 + place % 9]
    return bytes(damaged)


def damaged_document(chance: random.Random, document: object) -> bytes:
    """The JSON `document` with one or two values, keys or items changed; one in six is damaged as text as well."""
    changed = copy.deepcopy(document)
    for _ in range(1 + chance.getrandbits(1)):
        places = list(_places(changed))
        if not places:
            break
        _damage_place(chance, *chance.choice(places))
    text = json.dumps(changed).encode()
    if chance.randrange(6) == 0:
        text = damaged_bytes(chance, text, [text])
    return text


def _places(value: object) -> Iterator[tuple[Any, Any]]:
    """Every container with every key or index in it."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield value, key
            yield from _places(inner)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield value, index
            yield from _places(inner)


def _damage_place(chance: random.Random, container: Any, key: Any) -> None:
    value = container[key]
    match chance.randrange(7):
        case 0:
            del container[key]
        case 1:
            container[key] = {"nested": value} if chance.getrandbits(1) else [value]
        case 2 if isinstance(container, dict):
            renamed = chance.choice((str(key).upper(), str(key).lower(), str(key) + "x", "", "\ud800"))
            container[renamed] = container.pop(key)
        case 2:
            container.insert(key, value)
        case 3 if isinstance(value, str):
            text = damaged_bytes(chance, value.encode("utf-8", "replace"), [b"0x00"])
            container[key] = text.decode("utf-8", "replace")
        case 4 if isinstance(value, int):
            container[key] = value + chance.choice((-1, 1, 1 << 31, 1 << 62))
        case _:
            container[key] = chance.choice(STRANGE_VALUES)
