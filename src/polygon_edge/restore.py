"""The verb `restore`: an archive becomes a data directory, every block checked and executed.

Owns the order of the work: what is already there is skipped, what follows is prepared ahead, imported and committed; a
mark says so until the promised height is reached. Header rules and execution are the core's, who may sign is
`consensus`'s, the bytes of the archive are `archive`'s.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from polygon_edge.chain.genesis_block import core_rules
from polygon_edge.chain.rules import rules_of
from polygon_edge.consensus.head_validators import complete_files, save_validators, validators_at_head
from polygon_edge.errors import (
    ArchiveIncompleteError,
    ArchiveMetadataError,
    BlockRuleError,
    DataDirectoryError,
    Rule,
    StoppedBySignalError,
)
from polygon_edge.execution.importer import Committer, Imported, Importer
from polygon_edge.execution.new_records import NewRecords
from polygon_edge.execution.pipeline import Ahead, Limits, prepared_runs
from polygon_edge.store.data_dir import DataDirectory, RestoreMark
from polygon_edge.store.start import refuse_other_generation, start_chain

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Sequence

    from polygon_edge._core import Chain
    from polygon_edge.chain.genesis import Genesis
    from polygon_edge.chain.rules import Rules
    from polygon_edge.observe.progress import Progress
    from polygon_edge.source import RawRecord

logger = logging.getLogger(__name__)

RUNS_AHEAD = 2
"""Prepared runs that may wait for the importer."""

LEAST_BYTES_PER_ARCHIVE_BYTE = 1
"""What a restore writes at least for a byte of the archive (blocks, look-ups and state; measured: 1.8 to 9)."""


class Promise(Protocol):
    """The last block of an archive, as its metadata names it."""

    @property
    def height(self) -> int:
        """Its height."""
        ...

    @property
    def hash(self) -> bytes:
        """Its hash, 32 bytes; not always the block's own (§1.3)."""
        ...


class Archive(Protocol):
    """What a restore needs of an archive: its promise, and one pass over its records."""

    @property
    def name(self) -> str:
        """What messages call it."""
        ...

    @property
    def size(self) -> int | None:
        """Bytes of all of it, none for a pipe."""
        ...

    @property
    def offset(self) -> int:
        """Bytes read so far."""
        ...

    @property
    def metadata(self) -> Promise:
        """What it promises."""
        ...

    def runs(self, max_blocks: int, max_bytes: int) -> Iterator[Sequence[RawRecord]]:
        """Yield the remaining records in lists of bounded size; raise at the first that is broken, after the rest."""
        ...

    def check_end(self, last_number: int | None = None) -> None:
        """Raise when the blocks read, the last of them `last_number`, are not what the metadata promises."""
        ...


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

    `to` ends it at a height below the archive's end; `strict` turns doubts about metadata and blocks into errors;
    `stop` ends it at the next block boundary.
    """

    archive: Archive
    directory: DataDirectory
    chain: Chain
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
        block = start_chain(self.chain, rules, self.genesis)
        number, block_hash, _ = self.chain.tip
        report = RestoreReport(genesis_hash=block.hash, head=number, head_hash=block_hash)
        if not self._is_complete():
            self._mark(number)
            self._import(rules, report)
        else:
            complete_files(self.chain, self.directory.consensus, self.genesis, rules)
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
        if self._target > promised:
            return False
        return promised > 0 and self.chain.canonical_hash(promised) == self.archive.metadata.hash

    def _mark(self, head: int) -> None:
        if head >= self._target:
            return
        size = self.archive.size
        if size is not None and head == 0 and self.to is None:
            self.directory.require_free(size * LEAST_BYTES_PER_ARCHIVE_BYTE)
        try:
            earlier = self.directory.read_mark()
        except DataDirectoryError as error:
            logger.warning("%s; the promise of this archive takes its place", error)
            earlier = None
        # A part of what an earlier, unfinished restore promised does not make the rest of that promise void.
        if earlier is None or earlier.end < self._target:
            metadata = self.archive.metadata
            self.directory.write_mark(RestoreMark(metadata.height, metadata.hash, self.to))

    def _settle_mark(self, head: int) -> None:
        """Take the mark away once the height that it names is committed, or the block that it names by its hash.

        The hash counts because a promised height may be damaged or a greater one was wanted: no archive of the chain
        may ever reach that. A mark that asks for more was left by an earlier restore and stays: this one kept a part
        of that promise, and a validator that seals now would seal on half a chain.
        """
        mark = self.directory.read_mark()
        if mark is None:
            return
        if head < mark.end and mark.hash not in self._hashes(min(head, mark.height)) | self._hashes(head):
            logger.warning(
                "an earlier restore wanted block %d and the head is %d: the directory stays marked as unfinished (%s)",
                mark.end,
                head,
                self.directory.mark,
            )
            return
        self.directory.remove_mark()

    def _hashes(self, number: int) -> set[bytes | None]:
        """What an archive may call the hash of a block: its own, and the plain one of archives made with `--to`."""
        return {self.chain.canonical_hash(number), self.chain.plain_hash(number)}

    def _import(self, rules: Rules, report: RestoreReport) -> None:
        engine = validators_at_head(self.chain, self.directory.consensus, self.genesis, rules)

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
            if imported.last >= self._target:
                self._settle_mark(imported.last)

        committer = Committer(self.chain, on_imported)
        importer = Importer(
            self.chain,
            core_rules(rules),
            engine,
            committer,
            limits=self.limits,
            stop=self.stop,
            source_name=self.archive.name,
            is_strict=self.strict,
        )
        new = NewRecords(self.chain, rules, source_name=self.archive.name, to=self.to, stop=self.stop)
        try:
            records = new.of(self.archive.runs(self.limits.blocks, self.limits.bytes))
            prepared = prepared_runs(core_rules(rules), records)
            with Ahead(prepared, depth=RUNS_AHEAD, name="prepare") as runs:
                for run in runs:
                    importer.import_run(run)
        except StoppedBySignalError as stopped:
            # Whoever noticed it, perhaps while it waited for a silent pipe, need not know the height.
            raise StoppedBySignalError(self.chain.tip[0]) from stopped
        except BlockRuleError as error:
            # A block 1 beside the chain's own breaks the same rule, but says nothing of the genesis block.
            if (error.number, error.rule, error.what) == (1, Rule.PARENT_LINK, "parentHash"):
                refuse_other_generation(rules, self.genesis, _bytes_of(error.found), cause=error)
            raise
        finally:
            importer.close()
            committer.finish()
            save_validators(self.directory.consensus, engine)
        self._check_promise(new)

    def _check_promise(self, new: NewRecords) -> None:
        """Hold what was read against the metadata (D-15): fewer blocks are an error, the rest a warning by default."""
        archive, last = self.archive, new.last
        if self.to is not None and (last is None or last < self.to):
            found = "no blocks" if last is None else f"end after block {last}"
            raise ArchiveIncompleteError(
                archive.name, archive.offset, "the archive ends early", expected=f"blocks up to {self.to}", found=found
            )
        if self.to is not None and (new.reached_limit or self.to < archive.metadata.height):
            return
        try:
            archive.check_end(last)
        except ArchiveMetadataError as doubt:
            self._doubt(doubt)
            return
        if last is None or archive.metadata.hash in self._hashes(last):
            return
        self._doubt(
            ArchiveMetadataError(
                archive.name,
                0,
                "metadata hash is not the last block's",
                expected=archive.metadata.hash,
                found=self.chain.canonical_hash(last),
            )
        )

    def _doubt(self, doubt: ArchiveMetadataError) -> None:
        if self.strict:
            raise doubt
        logger.warning("%s", doubt)


def _bytes_of(found: object) -> bytes:
    """A hash as the core shows it in a violation."""
    return bytes.fromhex(str(found).removeprefix("0x"))
