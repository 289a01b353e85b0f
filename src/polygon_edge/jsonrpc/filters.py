"""Filters that a client polls: what has happened since it asked last (§5.4).

A filter is a position in the chain, not a list that grows: what it has to tell is read when it is asked for. So nothing
is lost however long a poll is due, and an abandoned filter costs a few hundred bytes until it expires.
"""

from __future__ import annotations

import secrets
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from polygon_edge.jsonrpc.codec import data
from polygon_edge.jsonrpc.rpc_error import RpcError

if TYPE_CHECKING:
    from collections.abc import Callable

    from polygon_edge.jsonrpc.history import History
    from polygon_edge.jsonrpc.logs import LogQuery, LogSearch

EXPIRY_SECONDS: Final = 60.0
MAXIMUM_FILTERS: Final = 4096
MAXIMUM_BLOCKS_PER_POLL: Final = 1000
"""A client that is further behind gets the rest with its next polls."""


@dataclass(slots=True)
class _Filter:
    """`reported` is the last block whose news the client has; `query` is none for a filter of blocks."""

    query: LogQuery | None
    reported: int
    expires: float
    lock: threading.Lock = field(default_factory=threading.Lock)


class Filters:
    """The filters of all clients; any thread may use them. `clock` gives seconds and only moves forward."""

    def __init__(self, history: History, search: LogSearch, clock: Callable[[], float] = time.monotonic) -> None:
        self._history = history
        self._search = search
        self._clock = clock
        self._lock = threading.Lock()
        self._filters: dict[str, _Filter] = {}

    def install(self, query: LogQuery | None) -> str:
        """Watch for logs that `query` asks for, whatever its bounds, or for blocks; returns the filter's name.

        Raises RpcError while there are too many filters.
        """
        reported = self._history.head_number()
        with self._lock:
            self._drop_expired()
            if len(self._filters) >= MAXIMUM_FILTERS:
                raise RpcError(f"too many filters: {MAXIMUM_FILTERS} are in use, try again later")
            name = data(secrets.token_bytes(16))
            self._filters[name] = _Filter(query, reported, self._clock() + EXPIRY_SECONDS)
        return name

    def uninstall(self, name: str) -> bool:
        """Forget a filter and say whether there was one."""
        with self._lock:
            self._drop_expired()
            return self._filters.pop(name, None) is not None

    def changes(self, name: str) -> list[object]:
        """Return the hashes of new blocks, or the new logs, since the last call, and keep the filter for longer.

        Raises RpcError where there is no such filter.
        """
        watched = self._get(name)
        with watched.lock:
            first = watched.reported + 1
            last = min(self._history.head_number(), watched.reported + MAXIMUM_BLOCKS_PER_POLL)
            found: list[object]
            if watched.query is None:
                found = [data(self._history.hash(height)) for height in range(first, last + 1)]
            else:
                logs, last = self._search.collect(watched.query, first, last)
                found = list(logs)
            watched.reported = last
        with self._lock:
            watched.expires = self._clock() + EXPIRY_SECONDS
        return found

    def query_of(self, name: str) -> LogQuery:
        """Return what a filter of logs asks for; raises RpcError where there is no such filter or it is for blocks."""
        query = self._get(name).query
        if query is None:
            raise RpcError("casting filter object to logFilter error")
        return query

    def _get(self, name: str) -> _Filter:
        with self._lock:
            self._drop_expired()
            found = self._filters.get(name)
        if found is None:
            raise RpcError("filter not found")
        return found

    def _drop_expired(self) -> None:
        now = self._clock()
        for name in [name for name, watched in self._filters.items() if watched.expires <= now]:
            del self._filters[name]
