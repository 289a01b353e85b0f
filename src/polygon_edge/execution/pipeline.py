"""Prepares runs of blocks ahead of their execution.

Owns the thread that reads records and hands them to the core for decoding, roots and signer recovery; knows nothing of
validators, state or where records come from.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from polygon_edge._core import prepare

if TYPE_CHECKING:
    from types import TracebackType

    from polygon_edge._core import Rules, Run
    from polygon_edge.source import RawRecord

Item = TypeVar("Item")

PATIENCE_SECONDS = 5.0
"""How long a producer that is no longer needed may take to notice; preparing a run takes a second at most."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What bounds a run, whichever comes first, so that memory is bounded and progress never waits long."""

    blocks: int = 256
    bytes: int = 1 << 20
    gas: int = 250_000_000


@dataclass(frozen=True, slots=True)
class PreparedRun:
    """A run of blocks with the place of each record in its source, for messages."""

    run: Run
    offsets: tuple[int | None, ...]


class Ahead(Generic[Item]):
    """Iterates over `source` in a thread of its own, at most `depth` items ahead of the consumer.

    An error of the source reaches the consumer after the items before it. Leaving the `with` block ends the thread at
    its next item, also while it waits for room.
    """

    def __init__(self, source: Iterable[Item], *, depth: int, name: str) -> None:
        self._source = source
        self._queue: queue.Queue[Item | _End] = queue.Queue(maxsize=depth)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._produce, name=name, daemon=True)

    def __enter__(self) -> Iterator[Item]:
        self._thread.start()
        return self._consume()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed.set()
        # The producer may stand before a full queue: make room until it has seen that nobody reads any more. One that
        # waits for its source, as before a silent pipe, is left behind: an error must not wait for it.
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self._thread.is_alive() and time.monotonic() < deadline:
            with contextlib.suppress(queue.Empty):
                self._queue.get(timeout=0.02)

    def _produce(self) -> None:
        end = _End(None)
        try:
            for item in self._source:
                self._queue.put(item)
                if self._closed.is_set():
                    return
        except BaseException as error:  # noqa: BLE001 - raised again in the consumer's thread
            end = _End(error)
        self._queue.put(end)

    def _consume(self) -> Iterator[Item]:
        while True:
            item = self._queue.get()
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item


@dataclass(frozen=True, slots=True)
class _End:
    """The last thing in a queue: why the source ended."""

    error: BaseException | None


def prepared_runs(rules: Rules, runs: Iterable[Sequence[RawRecord]]) -> Iterator[PreparedRun]:
    """Prepare one run after the other; each knows the seals of the run before it."""
    previous: Run | None = None
    for records in runs:
        previous = prepare(rules, [record.raw for record in records], previous)
        yield PreparedRun(run=previous, offsets=tuple(record.offset for record in records))
