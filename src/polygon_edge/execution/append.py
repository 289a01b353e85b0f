"""Adds single blocks to the chain by the same way as a restore: prepared, verified, executed, committed, synced."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Final

from polygon_edge._core import prepare
from polygon_edge.execution.importer import Committer, Imported, Importer
from polygon_edge.execution.pipeline import Limits, PreparedRun

if TYPE_CHECKING:
    from collections.abc import Callable

    from polygon_edge._core import Chain, Rules
    from polygon_edge.consensus.engine import Engine

SLOW_SECONDS: Final = 5.0
"""After so long without a commit the log says what the node waits for."""

logger = logging.getLogger(__name__)


class Appender:
    """Takes one block after the other on top of the head; `on_imported` is called after each synced commit."""

    def __init__(
        self,
        chain: Chain,
        rules: Rules,
        engine: Engine,
        *,
        stop: threading.Event,
        source_name: str,
        on_imported: Callable[[Imported], None],
    ) -> None:
        self._chain = chain
        self._rules = rules
        self._engine = engine
        self._stop = stop
        self._source_name = source_name
        self._on_imported = on_imported

    def append(self, record: bytes) -> None:
        """Verify, execute and commit the block in `record` (network RLP); returns when it is durable.

        Raises BlockRuleError for a block that breaks a rule, StoppedBySignalError before its execution, and what a
        commit raises.
        """
        prepared = PreparedRun(prepare(self._rules, [record]), (None,))
        committer = Committer(self._chain, self._on_imported)
        importer = Importer(
            self._chain,
            self._rules,
            self._engine,
            committer,
            limits=Limits(),
            stop=self._stop,
            source_name=self._source_name,
        )
        slow = threading.Timer(SLOW_SECONDS, self._say_slow, (self._chain.tip[0] + 1,))
        slow.daemon = True
        slow.start()
        try:
            importer.import_run(prepared)
        finally:
            committer.finish()
            slow.cancel()

    def _say_slow(self, number: int) -> None:
        logger.warning(
            "%s: block %d is not written yet after %.0f s: the disk or the machine is slow",
            self._source_name,
            number,
            SLOW_SECONDS,
        )
