"""Makes forged blocks by chance: fields, transactions, validators and seals changed, hashes repaired without the keys.

What it draws follows from the seed alone. Whether a forgery may be accepted is `verdict`'s to say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from eth_hash.auto import keccak
from tests.oracle.forged_seals import SealForger
from tests.oracle.forged_transactions import foreign_transactions, transaction_changes
from tests.oracle.material import STRANGERS, Material
from tests.oracle.parts import (
    BASE_FEE,
    COMMITTED_SEALS,
    DIFFICULTY,
    EXTRA_DATA,
    MINER,
    MIX_HASH,
    NONCE,
    NUMBER,
    PARENT_SEALS,
    ROUND,
    TIMESTAMP,
    VALIDATORS,
    Parts,
    encode,
)
from tests.oracle.twin import address_of, integer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.oracle.forgery import ForgedNetwork
    from tests.oracle.material import Change

MOST_CHANGES = 3


class Variant(NamedTuple):
    """A forged block and what was done to it, in order."""

    raw: bytes
    changes: tuple[str, ...]


class Forger:
    """Forges block `number` of a recorded chain."""

    def __init__(self, network: ForgedNetwork, number: int, seed: int) -> None:
        self._material = Material(network, number, seed)
        self._seals = SealForger(self._material)
        self._changes = self._known()

    def variant(self) -> Variant:
        """Draw one to three changes, then repairs; never the real block itself."""
        while True:
            parts, names = self._material.real.changed(lambda _: None), []
            for _ in range(self._material.chance.choice((1, 1, 1, 2, MOST_CHANGES))):
                group = self._material.chance.choice(list(self._changes))
                name = self._material.chance.choice(list(self._changes[group]))
                try:
                    self._changes[group][name](parts)
                except (IndexError, ValueError, TypeError, AttributeError):
                    # What an earlier change left has no place for this one.
                    continue
                names.append(f"{group}: {name}")
            names += self._repaired(parts)
            try:
                raw = parts.raw
            except (TypeError, ValueError):
                continue
            if self._material.chance.random() < 0.08:
                raw, name = self._bytes_changed(raw)
                names.append(name)
            if raw != self._material.network.blocks[self._material.number]:
                return Variant(raw, tuple(names))

    def _repaired(self, parts: Parts) -> list[str]:
        done = []
        repairs: list[tuple[str, float, Callable[[Parts], object]]] = [
            ("transactions root", 0.5, Parts.repair_transactions_root)
        ]
        if parts.form.is_sealed:
            repairs += [
                ("sealed anew by one", 0.15, self._material.propose),
                ("sealed anew by all", 0.1, self._seals.seal_with_all),
            ]
        for name, share, repair in repairs:
            needed = parts.transactions != self._material.real.transactions if name == "transactions root" else True
            if needed and self._material.chance.random() < share:
                try:
                    repair(parts)
                except (IndexError, ValueError, TypeError, AttributeError):
                    continue
                done.append(f"repaired: {name}")
        return done

    def _known(self) -> dict[str, dict[str, Change]]:
        changes = {"header": self._header_changes(), "block": self._block_changes()}
        if self._material.real.transactions:
            changes["transactions"] = transaction_changes(self._material)
        changes["payload"] = {"of another block": foreign_transactions(self._material)}
        if self._material.real.form.is_sealed:
            changes["extra data"] = self._extra_changes()
            changes["validators"] = self._validator_changes()
            changes["proposer seal"] = self._seals.proposer_changes()
            changes["committed seals"] = self._seals.seals_changes(COMMITTED_SEALS)
            changes["parent seals"] = self._seals.seals_changes(PARENT_SEALS)
        return changes

    def _header_changes(self) -> dict[str, Change]:
        chance, real = self._material.chance, self._material.real

        def edit(positions: Sequence[int], new: Callable[[bytes], bytes]) -> Change:
            def change(parts: Parts) -> None:
                position = chance.choice(positions)
                parts.header[position] = new(parts.header[position])

            return change

        def of_another_block(parts: Parts) -> None:
            position = chance.choice([position for position in range(len(parts.header)) if position != EXTRA_DATA])
            parts.header[position] = self._material.any_parts().header[position]

        def renumbered(parts: Parts) -> None:
            parts.header[NUMBER] = parts.header[DIFFICULTY] = self._material.number_near(parts.header[NUMBER])

        def voting(parts: Parts) -> None:
            candidates = [*real.extra[VALIDATORS], address_of(STRANGERS[0])] if real.extra else []
            candidate = chance.choice([*candidates, bytes(20)])
            parts.header[MINER] = candidate if isinstance(candidate, bytes) else encode(candidate)
            parts.header[NONCE] = chance.choice((bytes(8), b"\xff" * 8))

        numbers = list(range(DIFFICULTY, TIMESTAMP + 1))
        return {
            "damaged": edit([*range(EXTRA_DATA), MIX_HASH], self._material.damaged),
            "of another block": of_another_block,
            "number changed": edit(numbers, self._material.number_near),
            "leading zeros": edit([*numbers, *range(BASE_FEE, len(real.header))], lambda old: b"\0" + old),
            "renumbered": renumbered,
            "another vote": voting,
            "nonce turned": edit([NONCE], lambda old: bytes(0xFF - byte for byte in old)),
            "nonce of another kind": edit([NONCE], lambda _: chance.randbytes(chance.choice((1, 7, 8)))),
            "base fee": self._base_fee,
            "an item less": lambda parts: parts.header.pop(),
            "an item more": lambda parts: parts.header.append(chance.choice([b"", b"more", [b"more"]])),
        }

    def _base_fee(self, parts: Parts) -> None:
        fee = integer(self._material.chance.choice((0, 1, 10**9, (1 << 64) - 1, 1 << 64)))
        parts.header[BASE_FEE:] = [fee]

    def _block_changes(self) -> dict[str, Change]:
        chance = self._material.chance

        def uncle(parts: Parts) -> None:
            parts.uncles = [list(parts.header)]
            parts.header[1] = keccak(encode(parts.uncles))

        def body_of_another(parts: Parts) -> None:
            parts.transactions = self._material.any_parts().transactions

        def whole(parts: Parts) -> None:
            other = self._material.any_parts()
            parts.form, parts.header, parts.transactions = other.form, other.header, other.transactions
            parts.vanity, parts.extra = other.vanity, other.extra

        return {
            "a surplus item": lambda parts: parts.surplus.append(chance.choice([b"", b"more", [b"more"]])),
            "an uncle": uncle,
            "body of another block": body_of_another,
            "another block": whole,
        }

    def _extra_changes(self) -> dict[str, Change]:
        chance = self._material.chance

        def set_round(content: Callable[[], Any]) -> Change:
            def change(parts: Parts) -> None:
                while len(parts.extra) <= ROUND:
                    parts.extra.append([] if len(parts.extra) == PARENT_SEALS else b"")
                parts.extra[ROUND] = content()

            return change

        def of_another_block(parts: Parts) -> None:
            other = self._material.any_parts()
            parts.vanity, parts.extra = other.vanity, other.extra

        def item_of_another_block(parts: Parts) -> None:
            item = chance.randrange(len(parts.extra))
            parts.extra[item] = self._material.any_parts().extra[item]

        return {
            "vanity": lambda parts: setattr(parts, "vanity", self._material.damaged(parts.vanity)),
            "of another block": of_another_block,
            "an item of another block": item_of_another_block,
            "an item less": lambda parts: parts.extra.pop(),
            "surplus items": lambda parts: parts.extra.extend([b"more", [b"and more"]]),
            "bytes after it": lambda parts: setattr(parts, "after_extra", chance.randbytes(5)),
            "two items exchanged": lambda parts: parts.extra.insert(
                chance.randrange(4), parts.extra.pop(chance.randrange(4))
            ),
            "another round": set_round(lambda: chance.choice((0, 1, 2, 1 << 63)).to_bytes(8, "big")),
            "no round": set_round(lambda: b""),
            "a round of another length": set_round(lambda: chance.randbytes(chance.choice((1, 7, 9)))),
            "a list for a round": set_round(lambda: [b""]),
        }

    def _validator_changes(self) -> dict[str, Change]:
        chance = self._material.chance

        def edit(new: Callable[[list[Any]], object]) -> Change:
            return lambda parts: new(parts.extra[VALIDATORS])

        def damaged(validators: list[Any]) -> None:
            position = chance.randrange(len(validators))
            entry = validators[position]
            if isinstance(entry, bytes):
                validators[position] = self._material.damaged(entry)
            else:
                item = chance.randrange(len(entry))
                entry[item] = self._material.damaged(entry[item])

        def keys_exchanged(validators: list[Any]) -> None:
            first, second = chance.sample(range(len(validators)), 2)
            validators[first][1], validators[second][1] = validators[second][1], validators[first][1]

        def stranger(validators: list[Any]) -> None:
            address = address_of(chance.choice(self._material.keys))
            position = chance.randrange(len(validators))
            old = validators[position]
            validators[position] = address if isinstance(old, bytes) else [address, old[1]]

        def of_the_other_kind(validators: list[Any]) -> None:
            validators[:] = [
                [entry, b"\xc0" + bytes(47)] if isinstance(entry, bytes) else entry[0] for entry in validators
            ]

        def of_another_height(parts: Parts) -> None:
            parts.extra[VALIDATORS] = self._material.any_parts().extra[VALIDATORS]

        def own_chain(parts: Parts) -> None:
            parts.extra[VALIDATORS] = [address_of(key) for key in STRANGERS]
            parts.seal_as(STRANGERS[0], STRANGERS)

        return {
            "one less": edit(lambda validators: validators.pop(chance.randrange(len(validators)))),
            "one twice": edit(lambda validators: validators.append(chance.choice(validators))),
            "turned round": edit(lambda validators: validators.reverse()),
            "shuffled": edit(chance.shuffle),
            "none": edit(lambda validators: validators.clear()),
            "one damaged": edit(damaged),
            "a stranger": edit(stranger),
            "keys exchanged": edit(keys_exchanged),
            "of the other kind": edit(of_the_other_kind),
            "of another height": of_another_height,
            "a chain of strangers": own_chain,
        }

    def _bytes_changed(self, raw: bytes) -> tuple[bytes, str]:
        chance = self._material.chance
        position = chance.randrange(len(raw))
        turned = bytes((raw[position] ^ 1 << chance.randrange(8),))
        choices = {
            "bytes: a bit turned": raw[:position] + turned + raw[position + 1 :],
            "bytes: one less": raw[:position] + raw[position + 1 :],
            "bytes: one more": raw[:position] + bytes((chance.randrange(256),)) + raw[position:],
            "bytes: a list with a longer length": longer_length(raw),
        }
        name = chance.choice(list(choices))
        return choices[name], name


def longer_length(raw: bytes) -> bytes:
    """The same list, its length written with a leading zero byte; what is short gets the long form."""
    first = raw[0]
    if first < 0xF8:
        return bytes((0xF8, first - 0xC0)) + raw[1:]
    size = first - 0xF7
    if size == 8:
        return raw
    return bytes((first + 1,)) + b"\0" + raw[1:]
