"""Changes of the seals of a block: of its proposer, of its validators, of its parent's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.oracle.parts import (
    AGGREGATE,
    BITMAP,
    COMMITTED_SEALS,
    PARENT_SEALS,
    PROPOSER_SEAL,
    VALIDATORS,
    other_form,
)
from tests.oracle.twin import integer, seal

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.oracle.material import Change, Material
    from tests.oracle.parts import Parts


class SealForger:
    """Forges the seals of one block."""

    def __init__(self, material: Material) -> None:
        self._material = material

    def proposer_changes(self) -> dict[str, Change]:
        """Changes of the proposer seal."""
        chance = self._material.chance

        def edit(new: Callable[[Parts], bytes]) -> Change:
            def change(parts: Parts) -> None:
                parts.extra[PROPOSER_SEAL] = new(parts)

            return change

        return {
            "damaged": edit(lambda parts: self._material.damaged(parts.extra[PROPOSER_SEAL])),
            "in its other form": edit(lambda parts: other_form(parts.extra[PROPOSER_SEAL])),
            "with another parity": edit(
                lambda parts: parts.extra[PROPOSER_SEAL][:64] + bytes((chance.choice((0, 1, 2, 27, 28, 255)),))
            ),
            "of another block": edit(lambda _: self._material.any_parts().extra[PROPOSER_SEAL]),
            "a committed seal": edit(lambda parts: chance.choice(parts.extra[COMMITTED_SEALS])),
            "of somebody else": self._material.propose,
        }

    def seals_changes(self, item: int) -> dict[str, Change]:
        """Changes of the committed seals of the block, or of its parent, whatever their kind."""
        form = self._material.real.form
        kind = form.kind if item == COMMITTED_SEALS else form.parent_kind
        return self._signature_changes(item) if kind == "ecdsa" else self._aggregate_changes(item)

    def seal_with_all(self, parts: Parts) -> None:
        """Seal anew with every key there is."""
        self._material.propose(parts)
        if parts.form.kind == "ecdsa":
            parts.extra[COMMITTED_SEALS] = [seal(key, parts.committed_digest) for key in self._material.keys]

    def _signature_changes(self, item: int) -> dict[str, Change]:
        chance = self._material.chance

        def edit(new: Callable[[list[bytes]], object]) -> Change:
            return lambda parts: new(parts.extra[item])

        def one(new: Callable[[bytes], bytes]) -> Change:
            def change(seals: list[bytes]) -> None:
                position = chance.randrange(len(seals))
                seals[position] = new(seals[position])

            return edit(change)

        def added(parts: Parts) -> None:
            sealed = parts if item == COMMITTED_SEALS else self._material.neighbour(-1)
            own, seals = seal(self._material.key(), sealed.committed_digest), parts.extra[item]
            position = chance.randint(0, len(seals))
            seals[position : position + chance.choice((0, 1))] = [own]

        def proposer_commits(parts: Parts) -> None:
            parts.extra[item][chance.randrange(len(parts.extra[item]))] = parts.extra[PROPOSER_SEAL]

        return {
            "one less": edit(lambda seals: seals.pop(chance.randrange(len(seals)))),
            "one twice": edit(lambda seals: seals.append(chance.choice(seals))),
            "turned round": edit(lambda seals: seals.reverse()),
            "shuffled": edit(chance.shuffle),
            "none": edit(lambda seals: seals.clear()),
            "one damaged": one(self._material.damaged),
            "one in its other form": one(other_form),
            "one in both forms": edit(lambda seals: seals.append(other_form(chance.choice(seals)))),
            "another parity byte": one(lambda old: old[:64] + bytes((chance.choice((0, 1, 2, 27, 28, 255)),))),
            "one of somebody else": added,
            "the proposer's among them": proposer_commits,
            **self._exchanges(item),
        }

    def _exchanges(self, item: int) -> dict[str, Change]:
        """Seals of the same or of another block in the place of these."""

        def taken(source: Callable[[], list[Any]]) -> Change:
            def change(parts: Parts) -> None:
                parts.extra[item] = source()

            return change

        def merged(parts: Parts) -> None:
            others = self._material.neighbour(1).extra[PARENT_SEALS]
            parts.extra[item] += [other for other in others if other not in parts.extra[item]]

        return {
            "of another block": taken(lambda: self._material.any_parts().extra[COMMITTED_SEALS]),
            "those that the next block has of it": taken(lambda: self._material.neighbour(1).extra[PARENT_SEALS]),
            "both": merged,
            "the parent's own": taken(lambda: self._material.neighbour(-1).extra[COMMITTED_SEALS]),
            "of the other kind": taken(lambda: [b"", b""] if self._material.real.form.kind == "ecdsa" else []),
        }

    def _aggregate_changes(self, item: int) -> dict[str, Change]:
        """Changes of the seals of BLS validators: a bitmap and an aggregate."""
        chance = self._material.chance

        def bitmap(new: Callable[[int], int]) -> Change:
            def change(parts: Parts) -> None:
                parts.extra[item][BITMAP] = integer(new(int.from_bytes(parts.extra[item][BITMAP], "big")))

            return change

        def aggregate(new: Callable[[bytes], bytes]) -> Change:
            def change(parts: Parts) -> None:
                parts.extra[item][AGGREGATE] = new(parts.extra[item][AGGREGATE])

            return change

        def zeros(parts: Parts) -> None:
            parts.extra[item][BITMAP] = bytes(chance.choice((1, 9))) + parts.extra[item][BITMAP]

        size = len(self._material.real.extra[VALIDATORS])
        return {
            "a bit turned": bitmap(lambda old: old ^ 1 << chance.randrange(size)),
            "bits beyond the list": bitmap(lambda old: old | 1 << size + chance.randrange(80)),
            "all bits": bitmap(lambda _: (1 << size) - 1),
            "no bits": bitmap(lambda _: 0),
            "other bits": bitmap(lambda _: chance.randrange(1 << size)),
            "leading zeros": zeros,
            "an aggregate damaged": aggregate(self._material.damaged),
            "the negative": aggregate(lambda old: bytes((old[0] ^ 0x20,)) + old[1:]),
            "the point at infinity": aggregate(lambda old: b"\xc0" + bytes(len(old) - 1)),
            "no aggregate": aggregate(lambda _: b""),
            "aggregate of another block": aggregate(
                lambda _: self._material.any_parts().extra[COMMITTED_SEALS][AGGREGATE]
            ),
            "items exchanged": lambda parts: parts.extra[item].reverse(),
            "a surplus item": lambda parts: parts.extra[item].append(b"more"),
            "an empty list": lambda parts: parts.extra[item].clear(),
            **self._exchanges(item),
        }
