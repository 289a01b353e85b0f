"""Reads an archive once, without a database: decodes headers and follows parent hashes.

Verifies no seal and executes nothing. By which hash the blocks are linked is read off the blocks themselves, or taken
from a genesis file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from polygon_edge import _core
from polygon_edge.archive.info import ArchiveInfo, BrokenLink, End, HashRule, Misplaced, ValidatorType
from polygon_edge.archive.lineage import MOST_PAIRS_TRIED, TYPES, Types, hash_by, types_that_give
from polygon_edge.chain.generation import Generation
from polygon_edge.chain.genesis_block import genesis_block
from polygon_edge.chain.rules import rules_of
from polygon_edge.chain.schedule import schedule_of
from polygon_edge.errors import (
    ArchiveError,
    ArchiveIncompleteError,
    ArchiveMetadataError,
    ArchiveRecordError,
    StoppedBySignalError,
    UnsupportedGenesisError,
)

if TYPE_CHECKING:
    import threading
    from collections.abc import Sequence

    from polygon_edge.archive.flat import FlatArchive, Record
    from polygon_edge.chain.genesis import Genesis

RUN_BLOCKS = 256
RUN_BYTES = 1 << 20
MOST_FAULTS_LISTED = 100
"""Faults of one kind that are listed; all are counted. An archive may consist of nothing else."""


def inspect(archive: FlatArchive, genesis: Genesis | None = None, stop: threading.Event | None = None) -> ArchiveInfo:
    """Read `archive` to its end and return what it holds; damage is a part of the answer, not raised.

    With `genesis` the hash rule is the chain's and the genesis hash is compared. Raises GenesisError, and
    StoppedBySignalError when `stop` was set.
    """
    return _Inspection(archive, genesis).run(stop)


class _Tip(NamedTuple):
    """The last block read; its hash is certain only once the next block's parent hash agrees."""

    record: Record
    summary: _core.HeaderSummary
    hash: bytes | None


class _Inspection:
    """One pass: a rule is looked for, then each block is held against the hash of the one before."""

    def __init__(self, archive: FlatArchive, genesis: Genesis | None) -> None:
        self._archive = archive
        self._info = ArchiveInfo(archive.name, archive.metadata)
        self._type = "ecdsa"
        self._tip: _Tip | None = None
        self._first: _Tip | None = None
        self._tried: list[BrokenLink] = []
        self._tried_count = 0
        self._is_rule_given = genesis is not None
        if genesis is not None:
            self._take_genesis(genesis)

    def _take_genesis(self, genesis: Genesis) -> None:
        engine = genesis.params.engine
        is_later = genesis.generation is not Generation.G1
        if engine.name == "ibft":
            self._info.rule = HashRule.IBFT_G3 if is_later else HashRule.IBFT_G1
            entry = schedule_of(engine).at(0).entry
            self._type = "ecdsa" if entry is None else entry.validator_type
        elif engine.name in {"dev", "dummy"}:
            self._info.rule = HashRule.PLAIN_16 if is_later else HashRule.PLAIN_15
        else:
            self._info.reason = f"the engine {engine.name} has a rule of its own"
        try:
            self._info.genesis_hash = genesis_block(rules_of(genesis), genesis).hash
        except UnsupportedGenesisError:
            # What can be read of such a chain is still worth reading; the document says that nothing was compared.
            self._info.genesis_hash = None

    def run(self, stop: threading.Event | None) -> ArchiveInfo:
        info = self._info
        try:
            for records in self._archive.runs(RUN_BLOCKS, RUN_BYTES):
                self._take_run(records)
                if info.damage is not None:
                    break
                if stop is not None and stop.is_set():
                    raise StoppedBySignalError(None if self._tip is None else self._tip.summary.number)
        except ArchiveError as error:
            info.damage = error
        info.size = self._archive.size or self._archive.offset
        if info.damage is None:
            self._check_end()
        self._finish()
        return info

    def _check_end(self) -> None:
        try:
            self._archive.check_end(None if self._tip is None else self._tip.summary.number)
        except ArchiveIncompleteError as error:
            self._info.incomplete = error
        except ArchiveMetadataError:
            # More than promised: every block can be restored, `keeps_height` tells.
            return

    def _take_run(self, records: Sequence[Record]) -> None:
        """Take one run of records, up to the first that is no block."""
        info = self._info
        summaries = self._summarise(records)
        for index, record in enumerate(records):
            summary = summaries[index]
            if isinstance(summary, str):
                height = None if self._tip is None else self._tip.summary.number + 1
                problem = f"not a block: {summary}"
                info.damage = ArchiveRecordError(self._archive.name, record.offset, problem, height=height)
                return
            before = (info.rule, self._type)
            self._compare(record, summary)
            block_hash = summary.hash if info.rule is not None else None
            if before != (info.rule, self._type) and info.rule is not None:
                # The run was summarised by another rule than the one that holds from here on.
                block_hash = hash_by(record.raw, info.rule, Types(self._type, self._type))
                summaries[index + 1 :] = self._summarise(records[index + 1 :])
            self._add(record, summary, block_hash)

    def _compare(self, record: Record, summary: _core.HeaderSummary) -> None:
        """Hold a block against the one before it: whether it is the next, and names its hash."""
        info, tip = self._info, self._tip
        if tip is None:
            return
        expected = tip.summary.number + 1
        if summary.number == expected:
            self._check_link(tip, record, summary)
            return
        info.misplaced_count += 1
        if len(info.misplaced) < MOST_FAULTS_LISTED:
            repeats = record.raw == tip.record.raw
            info.misplaced.append(Misplaced(record.offset, expected, summary.number, repeats))

    def _add(self, record: Record, summary: _core.HeaderSummary, block_hash: bytes | None) -> None:
        info = self._info
        info.blocks += 1
        info.transactions += summary.transactions
        # The gas that a genesis file claims was used by no transaction.
        info.gas += summary.gas_used if summary.number else 0
        self._tip = _Tip(record, summary, block_hash)
        if self._first is None:
            self._first = self._tip

    def _check_link(self, tip: _Tip, record: Record, summary: _core.HeaderSummary) -> None:
        info = self._info
        if info.rule is None:
            self._look_for_rule(tip, record, summary)
            return
        if tip.hash == summary.parent_hash:
            return
        types = types_that_give(tip.record.raw, info.rule, summary.parent_hash)
        if types is None:
            self._note_broken(BrokenLink(record.offset, summary.number, tip.hash, summary.parent_hash))
            return
        self._settle(tip, types, summary.parent_hash)

    def _settle(self, tip: _Tip, types: Types, block_hash: bytes) -> None:
        """Take the validator types of the tip for certain, and go on with them."""
        if self._first is not None and self._first.record.offset == tip.record.offset:
            self._first = tip._replace(hash=block_hash)
        if self._info.rule in {HashRule.IBFT_G1, HashRule.IBFT_G3}:
            listed = self._info.validator_types
            if not listed and self._first is not None and self._first.record.offset != tip.record.offset:
                listed.append(ValidatorType(self._first.summary.number, self._type))
            if not listed or listed[-1].type != types.own:
                listed.append(ValidatorType(tip.summary.number, types.own))
        self._type = types.own

    def _note_broken(self, link: BrokenLink) -> None:
        self._info.broken_link_count += 1
        if len(self._info.broken_links) < MOST_FAULTS_LISTED:
            self._info.broken_links.append(link)

    def _look_for_rule(self, tip: _Tip, record: Record, summary: _core.HeaderSummary) -> None:
        if self._is_rule_given or self._tried_count == MOST_PAIRS_TRIED:
            return
        for rule in HashRule:
            types = types_that_give(tip.record.raw, rule, summary.parent_hash)
            if types is not None:
                self._info.rule, self._type = rule, types.own
                # Pairs that no rule could link are broken under this one as well.
                for link in self._tried:
                    self._note_broken(link)
                self._settle(tip, types, summary.parent_hash)
                return
        self._tried_count += 1
        self._tried.append(BrokenLink(record.offset, summary.number, None, summary.parent_hash))

    def _summarise(self, records: Sequence[Record]) -> list[_core.HeaderSummary | str]:
        """Summarise by the rule and type that hold now; the hashes mean nothing as long as there is no rule."""
        rule = self._info.rule or HashRule.PLAIN_15
        return _core.summarise([record.raw for record in records], rule.function, rule.generation, self._type)

    def _finish(self) -> None:
        info, first, tip = self._info, self._first, self._tip
        if first is None or tip is None:
            info.reason = info.reason or "there is no block"
            return
        info.last_plain_hashes = tuple(
            found
            for rule in (HashRule.PLAIN_15, HashRule.PLAIN_16)
            if (found := hash_by(tip.record.raw, rule, TYPES[0])) is not None
        )
        if info.rule is None:
            few = "there is only one block" if info.blocks == 1 else "no known rule links the blocks"
            info.reason = info.reason or few
        else:
            if first.hash is None:
                first = first._replace(hash=self._unconfirmed(first.record, info.rule))
            if tip.hash is None or tip.hash != info.metadata.hash:
                tip = tip._replace(hash=self._unconfirmed(tip.record, info.rule, info.metadata.hash))
            if info.rule.function == "ibft" and not info.validator_types:
                info.validator_types.append(ValidatorType(first.summary.number, self._type))
        info.first, info.last = _end(first), _end(tip)

    def _unconfirmed(self, record: Record, rule: HashRule, promised: bytes | None = None) -> bytes | None:
        """The hash of a block that no later block names: `promised` if some types give it, else by the last type."""
        if promised is not None and types_that_give(record.raw, rule, promised) is not None:
            return promised
        likely = sorted(TYPES, key=lambda types: (types.own != self._type, types.parent != self._type))
        return next((found for types in likely if (found := hash_by(record.raw, rule, types)) is not None), None)


def _end(tip: _Tip) -> End:
    summary = tip.summary
    return End(summary.number, tip.hash, summary.parent_hash, summary.timestamp, summary.state_root)
