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

from polygon_edge import _core
from polygon_edge.consensus.validators import Vote
from polygon_edge.errors import BlockRuleError, Rule, StoppedBySignalError
from polygon_edge.execution.doubts import Doubts

if TYPE_CHECKING:
    from collections.abc import Callable

    from polygon_edge._core import Chain, Executed, Rules, Run, Violation
    from polygon_edge.consensus.engine import Engine, Plan
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
    `is_strict` refuses blocks that keep every rule and are doubtful all the same (see `doubts`); `source_name` is named
    in errors.
    """

    def __init__(
        self,
        chain: Chain,
        rules: Rules,
        engine: Engine,
        committer: Committer,
        *,
        limits: Limits,
        stop: threading.Event,
        source_name: str,
        is_strict: bool = False,
    ) -> None:
        self._chain = chain
        self._rules = rules
        self._engine = engine
        self._committer = committer
        self._limits = limits
        self._stop = stop
        self._source_name = source_name
        self._doubts = Doubts(engine.schedule, is_strict=is_strict, source_name=source_name)
        self._timestamp: int | None = None

    def import_run(self, prepared: PreparedRun) -> None:
        """Verify, execute and hand over one run.

        Raises BlockRuleError for the first rule that the first bad block breaks, with everything before it handed over;
        a block that repeats the head is skipped with a warning.
        """
        run = prepared.run
        start = 0
        while start < len(run):
            number, block_hash, _ = self._chain.tip
            if run.identity(start) == (number, block_hash):
                logger.warning("%s: block %d stands there twice, skipped", self._source_name, number)
                start += 1
                continue
            plan = self._plan(run, start, number)
            start = self._import_planned(prepared, start, plan)

    def close(self) -> None:
        """Say what was only counted while blocks were imported."""
        self._doubts.close()

    def _import_planned(self, prepared: PreparedRun, start: int, plan: Plan | None) -> int:
        """Verify, execute and hand over the blocks from `start` on as far as `plan` goes; returns where that ended."""
        run = prepared.run
        number, block_hash, gas_limit = self._chain.tip
        sets, stop, voting_end = [], len(run), len(run)
        if plan is not None:
            sets = [(number, self._engine.validators(number)), *plan.segments]
            voting_end = start + plan.last - plan.first + 1
            # A block whose vote breaks a rule may break an earlier one.
            stop = voting_end if plan.refusal is None else voting_end + 1
        parent = (number, block_hash, gas_limit)
        held, violation = run.verify(self._rules, start, parent, sets, self._chain.tip_round, stop)
        held = min(held, voting_end)
        doubt = None
        if plan is not None:
            doubts = self._doubts.of(run, start, held, self._parent_timestamp())
            doubt = self._doubts.first_refused(doubts)
            if doubt is not None:
                held = doubt.index
            else:
                self._doubts.warn(run, doubts)
            self._execute(prepared, start, held, plan)
            if held > start:
                self._timestamp = run.timestamp(held - 1)
        if doubt is not None:
            raise self._doubts.error(run, doubt, prepared.offsets[doubt.index])
        if violation is not None and run.identity(held) != self._chain.tip[:2]:
            raise self._broken(prepared, violation)
        if plan is not None and plan.refusal is not None and held == voting_end:
            raise self._refused(prepared, plan.refusal, held)
        return held

    def _parent_timestamp(self) -> int:
        if self._timestamp is None:
            header = self._chain.header(self._chain.tip[0])
            # What was executed and is not committed was executed here.
            self._timestamp = 0 if header is None else _core.decode_header(header).timestamp
        return self._timestamp

    def _plan(self, run: Run, start: int, head: int) -> Plan | None:
        """What the blocks from `start` on do to the validators; none where already the first has the wrong number."""
        first = head + 1
        stop = run.consecutive(start, first)
        if stop == start:
            return None
        votes = [Vote(*vote) for vote in run.votes(start, stop)]
        return self._engine.plan(first, head + stop - start, votes, self._hashes(run, start, first))

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
        self._engine.commit(plan, plan.first + stop - start - 1, self._hashes(run, start, plan.first))

    def _refused(self, prepared: PreparedRun, refusal: BlockRuleError, index: int) -> BlockRuleError:
        return BlockRuleError(
            refusal.rule,
            refusal.number,
            hash=refusal.hash,
            what=refusal.what,
            offset=prepared.offsets[index],
            expected=refusal.expected,
            found=refusal.found,
            file=self._source_name,
        )

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
