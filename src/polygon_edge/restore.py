"""The verb `restore`: an archive becomes a data directory, every block checked and executed.

Owns the order of the work: what is already there is skipped, what follows is prepared ahead, imported and committed; a
mark says so until the promised height is reached. Header rules and execution are the core's, who may sign is
`consensus`'s, the bytes of the archive are `archive`'s.
"""

from __future__ import annotations

import contextlib
import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from polygon_edge import _core
from polygon_edge.chain.block import block_number
from polygon_edge.chain.genesis_block import core_rules, genesis_block
from polygon_edge.chain.rlp import RlpError
from polygon_edge.chain.rules import initial_validators, rules_of
from polygon_edge.consensus.snapshot_files import load_state, save_state
from polygon_edge.consensus.validators import SealedHeader, Snapshots, resume, start_state
from polygon_edge.errors import (
    ArchiveIncompleteError,
    ArchiveMetadataError,
    BlockRuleError,
    ConsensusFileError,
    Rule,
    StoppedBySignalError,
)
from polygon_edge.execution.importer import Committer, Imported, Importer
from polygon_edge.execution.pipeline import Ahead, Limits, prepared_runs
from polygon_edge.store.data_dir import DataDirectory, RestoreMark

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Sequence

    from polygon_edge.chain.genesis import Genesis
    from polygon_edge.chain.rules import Rules
    from polygon_edge.observe.progress import Progress
    from polygon_edge.source import RawRecord

logger = logging.getLogger(__name__)

RUNS_AHEAD = 2
"""Prepared runs that may wait for the importer."""

LEAST_BYTES_PER_ARCHIVE_BYTE = 2
"""What a restore writes at least for a byte of the archive (blocks, look-ups and state; measured: 2.4 to 9)."""


class Promise(Protocol):
    """The last block of an archive, as its metadata names it."""

    @property
    def height(self) -> int: ...
    @property
    def hash(self) -> bytes: ...


class Archive(Protocol):
    """What a restore needs of an archive: its promise, and one pass over its records."""

    @property
    def name(self) -> str: ...
    @property
    def size(self) -> int | None: ...
    @property
    def offset(self) -> int: ...
    @property
    def metadata(self) -> Promise: ...
    def runs(self, max_blocks: int, max_bytes: int) -> Iterator[Sequence[RawRecord]]: ...


@dataclass(slots=True)
class RestoreReport:
    """What a restore did: heights imported in this run (none when nothing was), the head of the directory now."""

    genesis_hash: bytes
    head: int
    head_hash: bytes
    state_root: bytes = b""
    first: int | None = None
    last: int | None = None
    blocks: int = 0
    transactions: int = 0
    gas: int = 0
    seconds: float = 0.0

    def document(self) -> dict[str, object]:
        """The report as the JSON document of `--json`: hashes as 0x hex, heights and counts as numbers."""
        return {
            "from": self.first,
            "to": self.last,
            "head": self.head,
            "head_hash": "0x" + self.head_hash.hex(),
            "state_root": "0x" + self.state_root.hex(),
            "genesis_hash": "0x" + self.genesis_hash.hex(),
            "blocks": self.blocks,
            "transactions": self.transactions,
            "gas": self.gas,
            "seconds": round(self.seconds, 3),
        }


@dataclass(slots=True)
class Restore:
    """One restore into an opened chain.

    `to` ends it at a height below the archive's end; `strict` turns warnings about the metadata into errors; `stop`
    ends it at the next block boundary.
    """

    archive: Archive
    directory: DataDirectory
    chain: _core.Chain
    genesis: Genesis
    stop: threading.Event
    progress: Progress
    to: int | None = None
    strict: bool = False
    limits: Limits = field(default_factory=Limits)

    def run(self) -> RestoreReport:
        """Restore, and return what was done.

        Raises BlockRuleError, ArchiveError, GenesisError, DataDirectoryError, DiskFullError, or StoppedBySignalError
        when `stop` was set; whatever was committed before stays, and a later run continues there.
        """
        started = time.monotonic()
        rules = rules_of(self.genesis)
        block = genesis_block(rules, self.genesis)
        self.chain.start(core_rules(rules), block)
        number, block_hash, _ = self.chain.tip
        report = RestoreReport(genesis_hash=block.hash, head=number, head_hash=block_hash)
        if not self._is_complete():
            self._mark(number)
            self._import(rules, report)
        else:
            self._settle_validators(rules, report)
        self._settle_mark(report.head)
        report.state_root = self.chain.state_root
        report.seconds = time.monotonic() - started
        return report

    @property
    def _target(self) -> int:
        """The height that ends this restore."""
        promised = self.archive.metadata.height
        return promised if self.to is None else self.to

    def _is_complete(self) -> bool:
        """Whether the chain holds what the archive promises already, so that nothing has to be read."""
        promised = self.archive.metadata.height
        return promised > 0 and self.chain.canonical_hash(promised) == self.archive.metadata.hash

    def _mark(self, head: int) -> None:
        if head >= self._target:
            return
        size = self.archive.size
        if size is not None and head == 0 and self.to is None:
            self.directory.require_free(size * LEAST_BYTES_PER_ARCHIVE_BYTE)
        mark = RestoreMark(self.archive.metadata.height, self.archive.metadata.hash, self.to)
        self.directory.write_mark(mark)

    def _settle_mark(self, head: int) -> None:
        """Take the mark away once the height that it names is committed."""
        mark = self.directory.read_mark()
        if mark is not None and head >= (mark.height if mark.target is None else mark.target):
            self.directory.remove_mark()

    def _import(self, rules: Rules, report: RestoreReport) -> None:
        snapshots = self._snapshots(rules, report)

        def on_imported(imported: Imported) -> None:
            if report.first is None:
                report.first = imported.first
            report.head = report.last = imported.last
            report.head_hash = imported.last_hash
            report.blocks += imported.last - imported.first + 1
            report.transactions += imported.transactions
            report.gas += imported.gas
            self.progress.update(
                blocks=imported.last - imported.first + 1,
                transactions=imported.transactions,
                gas=imported.gas,
                head=imported.last,
            )

        committer = Committer(self.chain, on_imported)
        importer = Importer(
            self.chain,
            core_rules(rules),
            snapshots,
            committer,
            limits=self.limits,
            stop=self.stop,
            source_name=self.archive.name,
        )
        new = NewRecords(self, report.genesis_hash, report.head)
        try:
            prepared = prepared_runs(core_rules(rules), new.runs())
            with Ahead(prepared, depth=RUNS_AHEAD, name="prepare") as runs:
                for run in runs:
                    importer.import_run(run)
                    if self.stop.is_set():
                        raise StoppedBySignalError(self.chain.tip[0])  # noqa: TRY301 - one of three that notice
        except StoppedBySignalError as stopped:
            # Whoever noticed it, perhaps while it waited for a silent pipe, need not know the height.
            raise StoppedBySignalError(self.chain.tip[0]) from stopped
        finally:
            committer.finish()
            save_state(self.directory.consensus, snapshots.state, _core.keccak256)
        self._check_promise(new)

    def _settle_validators(self, rules: Rules, report: RestoreReport) -> None:
        """Write the consensus files anew unless they are those of the head.

        They are written after the last commit, and a kill between the two leaves all blocks and no files, or old ones.
        """
        with contextlib.suppress(ConsensusFileError):
            state = load_state(self.directory.consensus)
            if state is not None and state.last_block == report.head:
                return
        save_state(self.directory.consensus, self._snapshots(rules, report).state, _core.keccak256)

    def _snapshots(self, rules: Rules, report: RestoreReport) -> Snapshots:
        """The validators at the head, from the files or, where they are missing or damaged, from the headers."""
        if report.head == 0:
            return Snapshots(start_state(report.genesis_hash, initial_validators(self.genesis)), rules.epoch_size)
        try:
            loaded = load_state(self.directory.consensus)
        except ConsensusFileError as error:
            logger.warning("%s; the validators are taken from the headers of the epoch", error)
            loaded = None

        def header_of(number: int) -> SealedHeader:
            return SealedHeader(*self.chain.sealed_header(number))

        return resume(loaded, report.head, rules.epoch_size, header_of)

    def _check_promise(self, new: NewRecords) -> None:
        """Hold what was read against the metadata (D-15): fewer blocks are an error, the rest a warning unless strict."""
        name, promised, offset = self.archive.name, self.archive.metadata.height, self.archive.offset
        last = new.last
        if self.to is not None and new.reached_limit:
            return
        if last is None or last < self._target:
            found = "no blocks" if last is None else f"the end after block {last}"
            raise ArchiveIncompleteError(
                name, offset, "the archive ends early", expected=f"blocks up to {self._target}", found=found
            )
        if last > promised:
            self._doubt("metadata height does not match the last block", promised, last)
        elif self.archive.metadata.hash not in {self.chain.canonical_hash(last), self.chain.plain_hash(last)}:
            self._doubt("metadata hash is not the last block's", self.archive.metadata.hash, self.chain.canonical_hash(last))

    def _doubt(self, problem: str, expected: object, found: object) -> None:
        doubt = ArchiveMetadataError(self.archive.name, 0, problem, expected=expected, found=found)
        if self.strict:
            raise doubt
        logger.warning("%s", doubt)


class NewRecords:
    """The records of an archive that the chain does not have yet, up to the height asked for.

    Blocks at or below the old head whose hash is that of the chain are passed over without recovering a signature, as
    in the Go client (§1.5). Whatever does not follow is left to the importer, which names the rule.
    """

    def __init__(self, restore: Restore, genesis_hash: bytes, head: int) -> None:
        self._restore = restore
        self._genesis_hash = genesis_hash
        self._head = head
        self.last: int | None = None
        self.reached_limit = False

    def runs(self) -> Iterator[Sequence[RawRecord]]:
        """Yield the new records in runs; raises BlockRuleError for a block 0 that is not the chain's."""
        limits = self._restore.limits
        is_skipping = True
        for records in self._restore.archive.runs(limits.blocks, limits.bytes):
            skipped = self._known(records) if is_skipping else 0
            is_skipping = skipped == len(records)
            wanted = self._wanted(records[skipped:])
            if wanted:
                yield wanted
            if self.reached_limit:
                return

    def _known(self, records: Sequence[RawRecord]) -> int:
        """How many records at the start are of blocks that the chain has."""
        restore = self._restore
        for index, summary in enumerate(_core.summarise([record.raw for record in records], "ibft", "G1")):
            if isinstance(summary, str) or summary.number > self._head:
                return index
            if self.last is not None and summary.number != self.last + 1:
                return index
            ours = restore.chain.canonical_hash(summary.number)
            if summary.hash != ours:
                raise BlockRuleError(
                    Rule.PARENT_LINK,
                    summary.number,
                    hash=summary.hash,
                    offset=records[index].offset,
                    what="genesis hash" if summary.number == 0 else "a different block of a height that the chain has",
                    expected=ours,
                    found=summary.hash or "extra data that cannot be decoded",
                    file=restore.archive.name,
                )
            self.last = summary.number
            if restore.to is not None and self.last >= restore.to:
                self.reached_limit = True
                return index + 1
        return len(records)

    def _wanted(self, records: Sequence[RawRecord]) -> Sequence[RawRecord]:
        if self.reached_limit:
            return []
        for index, record in enumerate(records):
            try:
                number = block_number(record.raw)
            except RlpError:
                continue
            if self._restore.to is not None and number > self._restore.to:
                self.reached_limit = True
                return records[:index]
            self.last = number
        return records
