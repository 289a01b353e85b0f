"""What the Go client forgets to check of a block, and what becomes of a block that would not have stood the check.

Such blocks are valid: chains that have them are followed. They are warned of, or refused where the operator asks for
it.
"""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING

from polygon_edge.errors import BlockRuleError, Rule

if TYPE_CHECKING:
    from polygon_edge._core import Doubt, Run
    from polygon_edge.chain.schedule import Schedule

logger = logging.getLogger(__name__)

WARNED_SINGLY = 3
"""Blocks of one kind that are warned of by their number; the others are counted."""


class Doubts:
    """Looks at blocks that keep every rule: order of timestamps, bloom, transactions at the end of an epoch (§7.1).

    `is_strict` makes of each doubt a rule that is broken. `source_name` is named in messages.
    """

    def __init__(self, schedule: Schedule, *, is_strict: bool, source_name: str) -> None:
        self._epoch_size = schedule.epoch_size
        self._empty_ends = [(regime.first, regime.ends_epochs_empty) for regime in schedule.regimes]
        self._is_strict = is_strict
        self._source_name = source_name
        self._counts: Counter[str] = Counter()

    def of(self, run: Run, start: int, stop: int, parent_timestamp: int) -> list[Doubt]:
        """Return the doubts about the blocks `start` to `stop` (excluded), in their order."""
        return run.doubts(start, stop, parent_timestamp, self._epoch_size, self._empty_ends)

    def first_refused(self, doubts: list[Doubt]) -> Doubt | None:
        """Return the doubt that counts as a broken rule, none unless strict."""
        return doubts[0] if self._is_strict and doubts else None

    def warn(self, run: Run, doubts: list[Doubt]) -> None:
        """Warn of the first blocks of each kind."""
        for doubt in doubts:
            self._counts[doubt.rule] += 1
            if self._counts[doubt.rule] <= WARNED_SINGLY:
                logger.warning("%s", self.error(run, doubt))

    def error(self, run: Run, doubt: Doubt, offset: int | None = None) -> BlockRuleError:
        """Return the doubt as the error that it is where the operator asks for it."""
        identity = run.identity(doubt.index)
        number, block_hash = identity or (0, None)
        return BlockRuleError(
            Rule(doubt.rule),
            number,
            hash=block_hash,
            offset=offset,
            expected=doubt.expected,
            found=doubt.found,
            file=self._source_name,
        )

    def close(self) -> None:
        """Warn once of all the blocks that were only counted."""
        for rule, count in self._counts.items():
            if count > WARNED_SINGLY:
                logger.warning("%s: %d more blocks like these: %s", self._source_name, count - WARNED_SINGLY, rule)
        self._counts.clear()
