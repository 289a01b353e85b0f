"""Which records of an archive the chain does not have yet."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from polygon_edge import _core
from polygon_edge.chain.block import block_number
from polygon_edge.chain.rlp import RlpError
from polygon_edge.errors import BlockRuleError, Rule, StoppedBySignalError

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterable, Iterator, Sequence

    from polygon_edge.chain.rules import Rules
    from polygon_edge.source import RawRecord


class NewRecords:
    """The records of a source that are new to the chain, up to the height asked for.

    Blocks at or below the chain's head whose hash is that of the chain are passed over without recovering a signature,
    as in the Go client (§1.5). Whatever does not follow is left to the importer, which names the rule. After the walk
    `last` is the height of the last record read, none without any, and `reached_limit` tells whether `to` ended it.
    """

    def __init__(
        self, chain: _core.Chain, rules: Rules, *, source_name: str, to: int | None, stop: threading.Event
    ) -> None:
        self._chain = chain
        self._rules = rules
        self._source_name = source_name
        self._to = to
        self._stop = stop
        self._head = chain.tip[0]
        self.last: int | None = None
        self.reached_limit = False

    def of(self, runs: Iterable[Sequence[RawRecord]]) -> Iterator[Sequence[RawRecord]]:
        """Yield what is new in `runs`; raises BlockRuleError for a block that is not the chain's of its height."""
        is_skipping = True
        for records in runs:
            if is_skipping and self._stop.is_set():
                raise StoppedBySignalError(self._head)
            skipped = self._known(records) if is_skipping else 0
            is_skipping = skipped == len(records)
            wanted = self._wanted(records[skipped:])
            if wanted:
                yield wanted
            if self.reached_limit:
                return

    def _known(self, records: Sequence[RawRecord]) -> int:
        """How many records at the start are of blocks that the chain has."""
        for index, summary in enumerate(self._summaries(records)):
            if isinstance(summary, str) or summary.number > self._head:
                return index
            if self.last is not None and summary.number not in {self.last, self.last + 1}:
                return index
            ours = self._chain.canonical_hash(summary.number)
            if summary.hash != ours:
                raise BlockRuleError(
                    Rule.PARENT_LINK,
                    summary.number,
                    hash=summary.hash,
                    offset=records[index].offset,
                    what="genesis hash" if summary.number == 0 else "a different block of a height that the chain has",
                    expected=ours,
                    found=summary.hash or "extra data that cannot be decoded",
                    file=self._source_name,
                )
            self.last = summary.number
            if self._to is not None and self.last >= self._to:
                self.reached_limit = True
                return index + 1
        return len(records)

    def _summaries(self, records: Sequence[RawRecord]) -> Iterator[_core.HeaderSummary | str]:
        """Summarise the records by the rules of their heights, those of one type of validators in one call."""
        generation = self._rules.generation.name
        for types, group in groupby(records, self._types_of):
            raw = [record.raw for record in group]
            if types is None:
                yield from _core.summarise(raw, "plain", generation)
            else:
                yield from _core.summarise(raw, "ibft", generation, *types)

    def _types_of(self, record: RawRecord) -> tuple[str, str] | None:
        """The type of validators at the height of the record and one below, none where nobody seals."""
        if not self._rules.has_validators:
            return None
        try:
            number = block_number(record.raw)
        except RlpError:
            number = 0
        types = [type_ for height in (number, max(number - 1, 0)) if (type_ := self._type_at(height))]
        return (types[0], types[-1]) if types else ("ecdsa", "ecdsa")

    def _type_at(self, number: int) -> str | None:
        entry = self._rules.schedule.at(number).entry
        return None if entry is None else entry.validator_type

    def _wanted(self, records: Sequence[RawRecord]) -> Sequence[RawRecord]:
        if self.reached_limit:
            return []
        for index, record in enumerate(records):
            try:
                number = block_number(record.raw)
            except RlpError:
                continue
            if self._to is not None and number > self._to:
                self.reached_limit = True
                return records[:index]
            self.last = number
        return records
