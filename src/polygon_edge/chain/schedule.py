"""Which rules of IBFT hold at which height: the fork list of a genesis file, spread out (§5.4, §6.11).

Nothing here knows a block: who validates is worked out from this by `consensus`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from polygon_edge.chain.engine import Engine, ForkEntry
    from polygon_edge.chain.validator import ValidatorSet, ValidatorType


class Regime(NamedTuple):
    """What holds from block `first` on, up to the next regime.

    `entry` is the fork entry that tells who validates: the last in the file that covers the height, None where none
    does. `counts_votes` says that the nonce must be a vote and votes are counted, `ends_epochs_empty` that the last
    block of an epoch holds no transactions. The Go client asks for each of these two among the entries of one kind
    only, so where entries overlap they are not always those of `entry`.
    """

    first: int
    entry: ForkEntry | None
    counts_votes: bool
    ends_epochs_empty: bool


@dataclass(frozen=True, slots=True)
class Schedule:
    """The regimes of a chain in ascending order, from block 0 on; none for an engine without validators.

    `replacements` maps the block from which a PoA entry's own validators count to these validators.
    """

    regimes: tuple[Regime, ...] = ()
    replacements: Mapping[int, ValidatorSet] = field(default_factory=dict)
    epoch_size: int = 1

    def at(self, number: int) -> Regime:
        """Return the regime of block `number`; raises LookupError for an engine without any."""
        index = bisect_right(self.regimes, number, key=_first) - 1
        if index < 0:
            raise LookupError(number)
        return self.regimes[index]

    def pieces(self, first: int, last: int) -> Iterator[tuple[int, int, Regime]]:
        """Yield the blocks `first` to `last` cut at every change of regime or replacement: first, last, regime."""
        cuts = sorted({*(regime.first for regime in self.regimes), *self.replacements})
        start = first
        while start <= last:
            after = bisect_right(cuts, start)
            end = min(last, cuts[after] - 1) if after < len(cuts) else last
            yield start, end, self.at(start)
            start = end + 1

    @property
    def has_votes(self) -> bool:
        """Whether votes are counted at some height, so that there are snapshots."""
        return any(regime.counts_votes for regime in self.regimes)

    @property
    def has_bls(self) -> bool:
        """Whether validators have BLS keys at some height."""
        return any(regime.entry is not None and regime.entry.validator_type == "bls" for regime in self.regimes)

    def contract_height(self, number: int, entry: ForkEntry) -> int:
        """Return the block in whose state the contract tells the validators of block `number` under `entry` (§6.11)."""
        begin = number // self.epoch_size * self.epoch_size
        end_before = begin - 1 if begin else 0
        return end_before if end_before >= entry.first else max(entry.first - 1, 0)

    def rebuild_height(self, head: int) -> int:
        """Return the greatest block up to `head` after which no earlier vote matters.

        It is the end of an epoch in which votes are counted, the block before a replacement, or block 0.
        """
        found = 0
        for index, regime in enumerate(self.regimes):
            if not regime.counts_votes or regime.first > head:
                continue
            following = self.regimes[index + 1].first - 1 if index + 1 < len(self.regimes) else head
            end = min(following, head) // self.epoch_size * self.epoch_size
            if end >= regime.first:
                found = max(found, end)
        return max(found, *(first - 1 for first in self.replacements if first - 1 <= head), 0)


def _first(regime: Regime) -> int:
    return regime.first


def validator_types(schedule: Schedule) -> tuple[tuple[int, ValidatorType], ...]:
    """Return the heights at which the type of validators and seals changes, the first being 0."""
    found: list[tuple[int, ValidatorType]] = []
    for regime in schedule.regimes:
        if regime.entry is not None and (not found or found[-1][1] != regime.entry.validator_type):
            found.append((regime.first, regime.entry.validator_type))
    return tuple(found)


def stake_heights(schedule: Schedule) -> tuple[tuple[int, bool], ...]:
    """Return the heights from which the nonce is free (True) or must be a vote (False), the first being 0."""
    found: list[tuple[int, bool]] = []
    for regime in schedule.regimes:
        if not found or found[-1][1] == regime.counts_votes:
            found.append((regime.first, not regime.counts_votes))
    return tuple(found)


def schedule_of(engine: Engine) -> Schedule:
    """Spread out the fork list of `engine`; empty for engines other than IBFT."""
    entries = engine.entries
    changes = {entry.first for entry in entries} | {entry.last + 1 for entry in entries if entry.last is not None}
    regimes: list[Regime] = []
    for first in sorted(changes | {0}) if entries else ():
        covering = [entry for entry in entries if entry.covers(first)]
        regime = Regime(
            first=first,
            entry=covering[-1] if covering else None,
            counts_votes=any(entry.kind == "PoA" for entry in covering),
            ends_epochs_empty=any(entry.kind == "PoS" for entry in covering),
        )
        if not regimes or regimes[-1][1:] != regime[1:]:
            regimes.append(regime)
    # From block 2 on: nothing is inserted before block 1 that could set them (§4.10 of the other sheet).
    replacements = {
        entry.first: entry.validators
        for entry in entries
        if entry.kind == "PoA" and entry.validators is not None and entry.first > 1
    }
    return Schedule(tuple(regimes), replacements, engine.epoch_size)
