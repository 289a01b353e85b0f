"""The verb `backup`: the blocks of a running node become an archive.

Owns the order of the work: which range and what its true hash is, room on the disk, every chunk held against the one
before it while it flows, and what is left behind when the work ends early. How a node is asked is `operator`'s, the
bytes of the file are `archive`'s.
"""

from __future__ import annotations

import logging
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from polygon_edge import _core
from polygon_edge.archive.flat import Metadata, encode_metadata
from polygon_edge.archive.info import HashRule
from polygon_edge.archive.lineage import Lineage, LineageError, split_records
from polygon_edge.archive.part import ArchivePart, refuse_existing
from polygon_edge.chain.rlp import RlpError
from polygon_edge.disk import free_bytes
from polygon_edge.errors import DiskFullError, SourceEndedError, SourceError, StoppedBySignalError, UsageError

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from pathlib import Path

    from polygon_edge.observe.progress import ShownProgress, TransferProgress
    from polygon_edge.source import Chunk, ExportingNode

logger = logging.getLogger(__name__)

SAMPLED_BLOCKS = 8
"""Blocks whose size is looked at to estimate the archive's."""

PLENTY_BYTES_PER_BLOCK = 1 << 20
"""With this much room for each block nothing has to be estimated."""


class BackupReport(NamedTuple):
    """What was written: first and last height in the archive, its name, the hash of the last block."""

    first: int
    last: int
    out: str
    hash: bytes

    def document(self) -> dict[str, object]:
        """The report as the JSON document of `--json` (§1.2)."""
        return {"from": self.first, "to": self.last, "out": self.out}


class _Goal(NamedTuple):
    """What the archive is to hold: heights `first` to `last`, and the 32-byte hash of the last block."""

    first: int
    last: int
    hash: bytes


@dataclass(slots=True)
class Backup:
    """One backup of `node`, from height `first` to `last`, both included; None stands for 0 and for the head.

    `stop` ends it at the next block boundary. `show` is told how many blocks there will be, and shows them.
    """

    node: ExportingNode
    stop: threading.Event
    show: Callable[[int], ShownProgress]
    first: int | None = None
    last: int | None = None

    def to_file(self, out: Path, *, resume: bool = False) -> BackupReport:
        """Write the archive `out`, by way of a part that is published once it is whole, and return what it holds.

        With `resume` the part of an earlier backup is continued. Raises ArchiveExistsError with everything untouched;
        NodeError, SourceError, DiskFullError or ArchiveWriteError and then leaves the part, if it holds blocks, and
        nothing else; StoppedBySignalError after giving its name to a shortened archive whose metadata says so.
        """
        refuse_existing(out, is_part_welcome=resume)
        part = ArchivePart.open(out) if resume else None
        if resume and part is None:
            logger.warning("there is nothing to resume: the backup begins anew")
        try:
            lineage = None if part is None else part.recover(self.stop)
            goal = self._goal(lineage)
            lineage = lineage or Lineage(goal.first)
            part = part or ArchivePart.create(out)
            self._fill(part, lineage, goal)
            part.publish()
        finally:
            if part is not None:
                part.close()
        return BackupReport(goal.first, goal.last, str(out), goal.hash)

    def to_stream(self, write: Callable[[bytes], None], name: str) -> BackupReport:
        """Write the archive with `write`, which may raise StoppedBySignalError, and return what it holds.

        What was written cannot be taken back: an archive that ends early promises more than it holds, and that is said.
        Raises as `to_file` does.
        """
        goal = self._goal(None)
        lineage = Lineage(goal.first)
        written: int | None = None

        def append(records: bytes) -> None:
            nonlocal written
            write(records)
            written = lineage.last

        write(encode_metadata(Metadata(goal.last, goal.hash)))
        try:
            self._fetch(lineage, goal, append)
        except BaseException as error:
            end = "before its first block" if written is None else f"after block {written}"
            logger.warning("%s: the archive ends %s although it promises block %d", name, end, goal.last)
            if isinstance(error, StoppedBySignalError):
                raise StoppedBySignalError(written) from error
            raise
        return BackupReport(goal.first, goal.last, name, goal.hash)

    def _goal(self, found: Lineage | None) -> _Goal:
        """Settle the range with the node; `found` is what a part holds already."""
        first = self._first(found)
        status = self.node.status()
        if first > status.height:
            raise SourceError(
                self.node.name, "the range begins above the head", f"block {first}", f"head {status.height}"
            )
        last, last_hash = status.height, status.hash
        if self.last is not None and self.last < status.height:
            last = self.last
            last_hash = self._hash_below(last + 1)
        elif self.last is not None and self.last > status.height:
            logger.warning("the head of the node is block %d: the backup ends there, not at %d", last, self.last)
        if found is not None and found.last is not None and found.last >= last:
            raise SourceError(
                self.node.name,
                "the part holds more than is asked for",
                f"less than block {last}",
                f"block {found.last}",
            )
        return _Goal(first, last, last_hash)

    def _first(self, found: Lineage | None) -> int:
        if found is None:
            return self.first or 0
        if self.first is not None and self.first != found.first:
            raise UsageError(f"the part to resume begins with block {found.first}, not with block {self.first}")
        return found.first

    def _hash_below(self, number: int) -> bytes:
        """The hash of the block below `number`, as that block names it: the one hash that needs no rule (D-13)."""
        raw = self.node.block(number)
        if raw is None:
            raise SourceError(self.node.name, "a block below the head is missing", f"block {number}", "no such block")
        summary = _summary(raw)
        if isinstance(summary, str):
            raise SourceError(self.node.name, "not a block", f"block {number}", summary)
        if summary.number != number:
            raise SourceError(self.node.name, "wrong block", f"block {number}", f"block {summary.number}")
        return summary.parent_hash

    def _fill(self, part: ArchivePart, lineage: Lineage, goal: _Goal) -> None:
        """Fetch into `part` what it lacks; whatever happens, leave behind only what can be trusted."""
        kept = lineage.last

        def append(records: bytes) -> None:
            nonlocal kept
            part.append(records)
            kept = lineage.last

        try:
            self._check_space(part, lineage.due, goal.last)
            part.write_metadata(Metadata(goal.last, goal.hash))
            logger.info("metadata: block %d, hash 0x%s", goal.last, goal.hash.hex())
            self._fetch(lineage, goal, append)
        except StoppedBySignalError as stopped:
            raise StoppedBySignalError(self._shorten(part, lineage)) from stopped
        except BaseException:
            if kept is None:
                part.discard()
            else:
                logger.warning(
                    "%s holds blocks %d to %d: the same command with --resume goes on there",
                    part.path,
                    lineage.first,
                    kept,
                )
            raise

    def _check_space(self, part: ArchivePart, first: int, last: int) -> None:
        """Refuse what cannot fit: most blocks are at least as large as the middle one of a sample."""
        count = last - first + 1
        free = free_bytes(part.path)
        if free >= count * PLENTY_BYTES_PER_BLOCK:
            return
        step = max(1, (count - 1) // (SAMPLED_BLOCKS - 1))
        sampled = [self.node.block(number) for number in range(first, last + 1, step)]
        sizes = [len(raw) for raw in sampled if raw is not None]
        if not sizes:
            return
        needed = int(statistics.median_low(sizes) * count)
        if needed > free:
            raise DiskFullError(str(part.path), needed, free)
        likely = int(statistics.mean(sizes) * count)
        if likely > free:
            logger.warning("%s may need about %d bytes and has %d", part.path, likely, free)

    def _fetch(self, lineage: Lineage, goal: _Goal, append: Callable[[bytes], None]) -> None:
        """Have the node give the blocks from `lineage.due` on, and append them as soon as they are known to follow."""
        with self.show(goal.last - lineage.due + 1) as progress:
            if lineage.due == goal.last:
                # `Export` refuses a range of one block, and takes an end at 0 for an open one (D-16).
                raw = self.node.block(goal.last)
                if raw is not None:
                    self._take(raw, lineage, goal, append, progress)
            else:
                with self.node.export(lineage.due, goal.last) as chunks:
                    for chunk in chunks:
                        if self.stop.is_set():
                            raise StoppedBySignalError(lineage.last)
                        if chunk is not None:
                            self._check_claim(chunk, lineage)
                            self._take(chunk.data, lineage, goal, append, progress)
                        if lineage.due > goal.last:
                            break
            if lineage.due <= goal.last:
                raise SourceEndedError(self.node.name, lineage.due, goal.last, after=lineage.last)
            self._check_hash(lineage, goal)

    def _check_claim(self, chunk: Chunk, lineage: Lineage) -> None:
        if chunk.first != lineage.due:
            raise SourceError(self.node.name, "wrong chunk", f"block {lineage.due}", f"blocks from {chunk.first} on")

    def _take(
        self, data: bytes, lineage: Lineage, goal: _Goal, append: Callable[[bytes], None], progress: TransferProgress
    ) -> None:
        """Append whole records that follow what is there, or nothing."""
        due = lineage.due
        try:
            records = split_records(data)
        except RlpError as error:
            raise SourceError(self.node.name, "not whole blocks", f"block {due} and later", str(error)) from error
        if not 0 < len(records) <= goal.last - due + 1:
            left = f"1 to {goal.last - due + 1} blocks from block {due} on"
            raise SourceError(self.node.name, "wrong chunk", left, f"{len(records)} blocks")
        try:
            lineage.follow(records)
        except LineageError as error:
            raise SourceError(self.node.name, error.problem, error.expected, error.found) from error
        append(data)
        progress.update(blocks=len(records), size=len(data), head=due + len(records) - 1)

    def _check_hash(self, lineage: Lineage, goal: _Goal) -> None:
        """Hold the last block against the hash that the metadata has named, where a rule is known that computes it."""
        agrees = lineage.has_hash(goal.hash)
        if agrees is False:
            raise SourceError(self.node.name, f"hash of block {goal.last}", goal.hash, lineage.last_hash)
        if agrees is None or lineage.is_unlinked:
            logger.warning("no known rule gives the hashes of this chain: heights were checked, parent links were not")

    def _shorten(self, part: ArchivePart, lineage: Lineage) -> int | None:
        """Make what `part` holds an archive that promises no more, under its final name; returns its last height."""
        last, last_hash = lineage.last, lineage.last_hash
        if last is None:
            part.discard()
            return None
        if last_hash is None and last > lineage.first:
            # Without a rule the last block has no hash that is known, but it names that of the block before.
            part.drop_last(lineage.last_size)
            last, last_hash = last - 1, lineage.last_parent_hash
        if last_hash is None:
            logger.warning("%s holds block %d, whose hash is not known: --resume goes on there", part.path, last)
            return last
        part.write_metadata(Metadata(last, last_hash))
        part.publish()
        logger.warning("%s was shortened to the blocks %d to %d, and says so", part.out, lineage.first, last)
        return last


def _summary(raw: bytes) -> _core.HeaderSummary | str:
    """What the block in `raw` says of itself; its hash is not asked for, so any rule will do."""
    rule = HashRule.PLAIN_15
    return _core.summarise([raw], rule.function, rule.generation)[0]
