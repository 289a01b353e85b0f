"""Imports prepared runs of blocks in order: membership, header rules, execution, commit.

A restore, a sync and sealing all end here. Who signed is known when a run arrives; whether they were allowed to is
decided now, because the set may depend on the blocks before. A height counts as imported only once its commit is
synced.
"""

from __future__ import annotations

import logging
import queue
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from polygon_edge.consensus.validators import Vote
from polygon_edge.errors import BlockRuleError, Rule, StoppedBySignalError

if TYPE_CHECKING:
    from collections.abc import Callable

    from polygon_edge._core import Chain, Executed, Rules, Run, Violation
    from polygon_edge.consensus.validators import Plan, Snapshots
    from polygon_edge.execution.pipeline import Limits, PreparedRun

logger = logging.getLogger(__name__)


class Imported(NamedTuple):
    """Blocks that a synced commit made part of the chain."""

    first: int
    last: int
    last_hash: bytes
    transactions: int
    gas: int


@dataclass(frozen=True, slots=True)
class _Commit:
    """Work for the committer: executed blocks and what to report of them."""

    executed: Executed
    imported: Imported


class Committer:
    """Commits executed runs one after the other in a thread of its own, while the next run executes.

    `on_imported` is called in that thread after each synced commit. After an error nothing more is committed; the error
    reaches the caller of `submit` or `finish`.
    """

    def __init__(self, chain: Chain, on_imported: Callable[[Imported], None]) -> None:
        self._chain = chain
        self._on_imported = on_imported
        self._queue: queue.Queue[_Commit | None] = queue.Queue(maxsize=1)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="commit", daemon=True)
        self._thread.start()

    def submit(self, executed: Executed, imported: Imported) -> None:
        """Hand over executed blocks; waits while two runs are already on their way. Raises what a commit raised."""
        self._queue.put(_Commit(executed, imported))
        self._raise()

    def finish(self) -> None:
        """Wait for every commit handed over, then end the thread. Raises what a commit raised."""
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()
        self._raise()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        while (commit := self._queue.get()) is not None:
            if self._error is not None:
                continue
            try:
                self._chain.commit(commit.executed)
                self._on_imported(commit.imported)
            except BaseException as error:  # noqa: BLE001 - raised again in the importer's thread
                self._error = error


class Importer:
    """Takes prepared runs on top of the chain's head.

    `stop` is looked at between parts of a run: once set, `import_run` raises StoppedBySignalError at a block boundary.
    `source_name` is named in errors.
    """

    def __init__(
        self,
        chain: Chain,
        rules: Rules,
        snapshots: Snapshots,
        committer: Committer,
        *,
        limits: Limits,
        stop: threading.Event,
        source_name: str,
    ) -> None:
        self._chain = chain
        self._rules = rules
        self._snapshots = snapshots
        self._committer = committer
        self._limits = limits
        self._stop = stop
        self._source_name = source_name

    def import_run(self, prepared: PreparedRun) -> None:
        """Verify, execute and hand over one run.

        Raises BlockRuleError for the first rule that the first bad block breaks, with everything before it handed over;
        a block that repeats the head is skipped with a warning.
        """
        run = prepared.run
        start = 0
        while start < len(run):
            number, block_hash, gas_limit = self._chain.tip
            if run.identity(start) == (number, block_hash):
                logger.warning("%s: block %d stands there twice, skipped", self._source_name, number)
                start += 1
                continue
            plan = self._plan(run, start, number)
            sets = [(number, self._snapshots.validators(number)), *plan.segments] if plan else []
            parent = (number, block_hash, gas_limit)
            held, violation = run.verify(self._rules, start, parent, sets, self._chain.tip_round)
            if plan is not None:
                self._execute(prepared, start, held, plan)
            if violation is not None and run.identity(held) != self._chain.tip[:2]:
                raise self._broken(prepared, violation)
            start = held

    def _plan(self, run: Run, start: int, head: int) -> Plan | None:
        """What the blocks from `start` on do to the validators; none where already the first has the wrong number."""
        first = head + 1
        stop = run.consecutive(start, first)
        if stop == start:
            return None
        votes = [Vote(*vote) for vote in run.votes(start, stop)]
        return self._snapshots.plan(first, head + stop - start, votes, self._hashes(run, start, first))

    @staticmethod
    def _hashes(run: Run, start: int, first: int) -> Callable[[int], bytes]:
        def hash_of(number: int) -> bytes:
            identity = run.identity(start + number - first)
            return identity[1] if identity else bytes(32)

        return hash_of

    def _execute(self, prepared: PreparedRun, start: int, stop: int, plan: Plan) -> None:
        run = prepared.run
        position = start
        while position < stop:
            if self._stop.is_set():
                self._settle(run, start, position, plan)
                raise StoppedBySignalError(self._chain.tip[0])
            executed = self._chain.execute(run, position, min(run.cut(position, self._limits.gas), stop))
            count = executed.blocks
            if count:
                transactions, gas = run.weight(position, position + count)
                number, block_hash, _ = self._chain.tip
                imported = Imported(number - count + 1, number, block_hash, transactions, gas)
                self._committer.submit(executed, imported)
            position += count
            if executed.violation is not None:
                self._settle(run, start, position, plan)
                raise self._broken(prepared, executed.violation)
        self._settle(run, start, position, plan)

    def _settle(self, run: Run, start: int, stop: int, plan: Plan) -> None:
        """Move the validators forward as far as the run was executed."""
        self._snapshots.commit(plan, plan.first + stop - start - 1, self._hashes(run, start, plan.first))

    def _broken(self, prepared: PreparedRun, violation: Violation) -> BlockRuleError:
        identity = prepared.run.identity(violation.index)
        expected_number = self._chain.tip[0] + 1
        return BlockRuleError(
            Rule(violation.rule),
            identity[0] if identity and violation.rule != Rule.NUMBER.value else expected_number,
            hash=identity[1] if identity else None,
            what=violation.what,
            offset=prepared.offsets[violation.index],
            expected=violation.expected,
            found=violation.found,
            file=self._source_name,
        )
