"""What a forger has at hand: chance, the blocks of a recorded chain, and keys that are worth nothing to it.

Everything that is drawn follows from the seed alone.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, TypeAlias

from eth_keys.datatypes import PrivateKey
from tests.oracle.parts import PROPOSER_SEAL, Parts
from tests.oracle.twin import integer, seal

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.oracle.forgery import ForgedNetwork

STRANGERS = [PrivateKey(bytes((index,)) * 32) for index in range(1, 6)]

Change: TypeAlias = "Callable[[Parts], object]"


class Material:
    """For a forgery of block `number`: the keys are those of strangers, and of one validator where there is one."""

    def __init__(self, network: ForgedNetwork, number: int, seed: int) -> None:
        self.network = network
        self.number = number
        self.real = network.parts(number)
        self.chance = random.Random(f"{network.name} {number} {seed}")
        self.keys = [*STRANGERS[:2], *([network.insider] if network.insider else [])]

    def key(self) -> PrivateKey:
        return self.chance.choice(self.keys)

    def propose(self, parts: Parts) -> None:
        parts.extra[PROPOSER_SEAL] = seal(self.key(), parts.proposer_digest)

    def any_parts(self) -> Parts:
        """Another block, mostly one nearby."""
        last = len(self.network.blocks) - 1
        near = range(max(1, self.number - 3), min(last, self.number + 3) + 1)
        numbers = near if self.chance.random() < 0.7 else range(1, last + 1)
        return self.network.parts(self.chance.choice([number for number in numbers if number != self.number]))

    def neighbour(self, step: int) -> Parts:
        number = self.number + step
        if not 1 <= number < len(self.network.blocks):
            raise IndexError(number)
        return self.network.parts(number)

    def damaged(self, content: bytes) -> bytes:
        """One bit turned, one byte less or more, zeros, or nothing left."""
        if not content:
            return self.chance.randbytes(self.chance.choice((1, 8, 20, 32)))
        position = self.chance.randrange(len(content))
        turned = bytes((content[position] ^ 1 << self.chance.randrange(8),))
        return self.chance.choice(
            [
                content[:position] + turned + content[position + 1 :],
                content[:position] + turned + content[position + 1 :],
                content[:-1],
                content + b"\0",
                b"\0" + content,
                bytes(len(content)),
                b"",
            ]
        )

    def number_near(self, content: bytes) -> bytes:
        value = int.from_bytes(content, "big")
        return integer(
            self.chance.choice(
                [value + 1, max(value - 1, 0), 2 * value, value // 2, 0, 1 << 63, (1 << 64) - 1, 1 << 64]
            )
        )
