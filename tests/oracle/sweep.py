"""Tries many forged blocks at many heights of a recorded chain, and has each that is accepted explained."""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.oracle.forger import Forger, Variant
from tests.oracle.forgery import ForgedNetwork, opened, outcome_of, restore
from tests.oracle.parts import MINER
from tests.oracle.verdict import Outcome, UnexplainedError, Weakness, explain

from polygon_edge.errors import BlockRuleError, PolygonEdgeError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from polygon_edge import _core

FOLLOWING = 2
"""Real blocks that must still fit on top of an accepted one."""


@dataclass
class Tally:
    """How many forgeries there were, by what refused them or why they were accepted."""

    refused: Counter[str] = field(default_factory=Counter)
    accepted: Counter[str] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        return sum(self.refused.values()) + self.accepted["in all"]

    def add(self, other: Tally) -> None:
        self.refused.update(other.refused)
        self.accepted.update(other.accepted)


def heights(network: ForgedNetwork, count: int) -> list[int]:
    """About `count` heights, ascending: first what is special about the chain, then evenly spread ones.

    Special are the blocks around a change of validators or of their kind, around the end of an epoch and around a
    vote, and the first blocks.
    """
    last = len(network.blocks) - 1 - FOLLOWING
    special = {1, 2, 3}
    before = None
    for number in range(1, last + 1):
        parts = network.parts(number)
        validators = parts.extra[0] if parts.extra else None
        if before is not None and validators != before:
            special |= {number - 2, number - 1, number, number + 1}
        before = validators
        if parts.form.kind != parts.form.parent_kind:
            special |= {number - 1, number, number + 1}
        if parts.form.is_sealed and not network.is_staked(number) and parts.header[MINER] != bytes(20):
            special.add(number)
    spread = range(1, last + 1, max(1, last // count))
    epochs = range(network.epoch_size, last + 1, network.epoch_size) if network.epoch_size else ()
    chosen = [number for number in sorted(special | {*epochs}) if 1 <= number <= last]
    if len(chosen) > count:
        chosen = chosen[:: len(chosen) // count + 1]
    return sorted({*chosen, *list(spread)[: count - len(chosen) if len(chosen) < count else 0]})


class Sweep:
    """One recorded chain, restored height by height below `folder`."""

    def __init__(self, network: ForgedNetwork, folder: Path) -> None:
        self._network = network
        self._base, self._scratch = folder / "base", folder / "scratch"

    def run(self, numbers: Sequence[int], variants: int, seed: int) -> Tally:
        """Try `variants` forgeries in the place of each of these blocks, which ascend; returns how they ended.

        Raises UnexplainedError for the first that is accepted and should not have been.
        """
        tally = Tally()
        for number in numbers:
            with opened(self._base) as chain:
                self._restore(self._base, chain, number - 1, *self._network.blocks)
            self._try_at(number, variants, seed, tally)
        return tally

    def _restore(self, folder: Path, chain: _core.Chain, to: int, *raws: bytes) -> None:
        restore(self._network, folder, chain, raws, promised=len(self._network.blocks) - 1, to=to)

    def _try_at(self, number: int, variants: int, seed: int, tally: Tally) -> None:
        forger = Forger(self._network, number, seed)
        real = self._outcome_of(number, self._network.blocks[number])
        if real is None:
            raise UnexplainedError(f"{self._network.name}: the real block {number} is refused")
        position = 0
        while position < variants:
            shutil.rmtree(self._scratch, ignore_errors=True)
            shutil.copytree(self._base, self._scratch)
            with opened(self._scratch) as chain:
                while position < variants:
                    position += 1
                    variant = forger.variant()
                    refused = self._refusal(chain, number, variant.raw)
                    if refused is not None:
                        tally.refused[refused] += 1
                        continue
                    self._judge(chain, number, real, variant, tally)
                    break
        # What was refused left nothing behind that would matter to the real block.
        after = self._outcome_of(number, self._network.blocks[number], afresh=False)
        if after is not None and after != real:
            raise UnexplainedError(f"{self._network.name}: the real block {number} is another after all that")

    def _refusal(self, chain: _core.Chain, number: int, raw: bytes) -> str | None:
        """What refused the block, none where it is the head now."""
        before = chain.head
        reason = "nothing new in it"
        try:
            restore(self._network, self._scratch, chain, [raw], promised=number)
        except BlockRuleError as error:
            reason = error.rule.value
        except PolygonEdgeError as error:
            reason = type(error).__name__
        return reason if chain.head == before else None

    def _judge(self, chain: _core.Chain, number: int, real: Outcome, variant: Variant, tally: Tally) -> None:
        found = outcome_of(self._network, self._scratch, chain, number)
        try:
            if not self._network.form(number).is_sealed and found.block_hash != real.block_hash:
                # Whoever writes a chain that nobody seals writes another one; the real one does not go on from there.
                weaknesses = {"another chain, that nobody seals"}
                self._must_not_follow(chain, number)
            else:
                explained = explain(self._network, number, real, found, variant.raw)
                weaknesses = {weakness.value for weakness in explained}
                if found.validators == real.validators and not explained & {Weakness.VOTE, Weakness.PROPOSER}:
                    self._must_follow(chain, number)
        except UnexplainedError as error:
            text = f"{self._network.name}, block {number}, {'; '.join(variant.changes)}: {error}: {variant.raw.hex()}"
            raise UnexplainedError(text) from None
        tally.accepted["in all"] += 1
        tally.accepted.update(weaknesses)

    def _must_follow(self, chain: _core.Chain, number: int) -> None:
        following = self._network.blocks[number + 1 : number + 1 + FOLLOWING]
        try:
            restore(self._network, self._scratch, chain, following, promised=number + len(following))
        except PolygonEdgeError as error:
            raise UnexplainedError(f"the real blocks do not fit on top: {error}") from None

    def _must_not_follow(self, chain: _core.Chain, number: int) -> None:
        try:
            restore(self._network, self._scratch, chain, [self._network.blocks[number + 1]], promised=number + 1)
        except BlockRuleError:
            return
        raise UnexplainedError("the real block fits on top of a block of another hash")

    def _outcome_of(self, number: int, raw: bytes, *, afresh: bool = True) -> Outcome | None:
        """What the chain holds after this block; none where the block is refused, or the head is past it already."""
        if afresh:
            shutil.rmtree(self._scratch, ignore_errors=True)
            shutil.copytree(self._base, self._scratch)
        with opened(self._scratch) as chain:
            if chain.head is None or chain.head[0] >= number:
                return None
            if self._refusal(chain, number, raw) is not None:
                return None
            return outcome_of(self._network, self._scratch, chain, number)
