"""Adds single blocks to the chain by the same way as a restore: prepared, verified, executed, committed, synced."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polygon_edge._core import prepare
from polygon_edge.execution.importer import Committer, Imported, Importer
from polygon_edge.execution.pipeline import Limits, PreparedRun

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from polygon_edge._core import Chain, Rules
    from polygon_edge.consensus.engine import Engine


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
        try:
            importer.import_run(prepared)
        finally:
            committer.finish()
