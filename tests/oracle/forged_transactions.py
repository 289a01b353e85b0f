"""Changes of the transactions of a block: which they are, in which order, and what stands in each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.oracle.parts import other_form
from tests.oracle.twin import integer

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.oracle.material import Change, Material
    from tests.oracle.parts import Parts

TYPES = (b"\0", b"\1", b"\2", b"\x7f", b"\xff")
CHAIN_ID, ACCESS_LIST = 0, 8
"""Where in the payload of a dynamic fee they stand (§2.4)."""


def transaction_changes(material: Material) -> dict[str, Change]:
    """Every change of a transaction that there is, and every one of their list."""
    return _list_changes(material) | _single_changes(material)


def foreign_transactions(material: Material) -> Change:
    """Take over transactions of another block."""

    def change(parts: Parts) -> None:
        units = parts.units
        for unit in material.any_parts().units[: material.chance.choice((1, 1, 5))]:
            units.insert(material.chance.randint(0, len(units)), unit)
        parts.units = units

    return change


def _rearranged(new: Callable[[list[Any]], object]) -> Change:
    def change(parts: Parts) -> None:
        units = parts.units
        new(units)
        parts.units = units

    return change


def _list_changes(material: Material) -> dict[str, Change]:
    chance = material.chance
    return {
        "one less": _rearranged(lambda units: units.pop(chance.randrange(len(units)))),
        "one twice": _rearranged(lambda units: units.append(chance.choice(units))),
        "turned round": _rearranged(lambda units: units.reverse()),
        "shuffled": _rearranged(chance.shuffle),
        "none": _rearranged(lambda units: units.clear()),
    }


def _single_changes(material: Material) -> dict[str, Change]:
    chance = material.chance

    def one(new: Callable[[list[Any]], object]) -> Change:
        """Change one transaction: its type, if it has one, and its payload."""
        return _rearranged(lambda units: new(chance.choice(units)))

    def edited(new: Callable[[bytes], bytes]) -> Change:
        def change(unit: list[Any]) -> None:
            payload = unit[-1]
            position = chance.choice([at for at, item in enumerate(payload) if isinstance(item, bytes)])
            payload[position] = new(payload[position])

        return one(change)

    def from_another(unit: list[Any]) -> None:
        other = chance.choice(chance.choice([material.real, material.any_parts()]).units)
        position = chance.randrange(len(unit[-1]))
        unit[-1][position] = other[-1][position]

    def retyped(unit: list[Any]) -> None:
        unit[:-1] = [chance.choice(TYPES)] if len(unit) == 1 or chance.random() < 0.7 else []

    return {
        "an item damaged": edited(material.damaged),
        "a number changed": edited(material.number_near),
        "leading zeros": edited(lambda old: b"\0" + old),
        "an item of another": one(from_another),
        "a surplus item": one(lambda unit: unit[-1].append(b"more")),
        "an item less": one(lambda unit: unit[-1].pop()),
        "the other form of the signature": one(_turn_signature),
        "another type": one(retyped),
        "an access list": one(lambda unit: _set_dynamic(unit, ACCESS_LIST, [[b"\x11" * 20, [bytes(32)]]])),
        "another chain id": one(lambda unit: _set_dynamic(unit, CHAIN_ID, integer(chance.randrange(1 << 20)))),
    }


def _turn_signature(unit: list[Any]) -> None:
    v, r, s = unit[-1][-3:]
    parity = int.from_bytes(v, "big")
    turned = other_form(r.rjust(32, b"\0") + s.rjust(32, b"\0") + b"\0")
    # 0 and 1 of a typed one; else 27 and 28, 35 and 36 and so on.
    unit[-1][-3] = integer(parity ^ 1 if len(unit) > 1 else parity + (1 if parity % 2 else -1))
    unit[-1][-1] = turned[32:64].lstrip(b"\0")


def _set_dynamic(unit: list[Any], position: int, content: Any) -> None:
    if len(unit) == 1:
        raise ValueError("not a dynamic fee")
    unit[-1][position] = content
