"""A JSON-RPC door that really listens, in an event loop of its own, and what a test needs behind it."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import httpx

from polygon_edge.chain.generation import Generation
from polygon_edge.chain.rules import Rules
from polygon_edge.jsonrpc.app import JsonRpcServer
from polygon_edge.jsonrpc.context import Backend, Limits

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from polygon_edge import _core


class NoPool:
    """A pool in which nothing waits, of a chain whose accounts are all new."""

    max_slots = 4096
    slots_used = 0

    @property
    def limits(self) -> Self:
        return self

    def add(self, raw: bytes) -> bytes:
        raise AssertionError(raw)

    def find(self, hash: bytes) -> _core.Transaction | None:
        assert len(hash) == 32
        return None

    def next_nonce(self, address: bytes) -> int:
        assert len(address) == 20
        return 0

    def content(self) -> dict[str, dict[bytes, dict[int, _core.Transaction]]]:
        return {"pending": {}, "queued": {}}


class Headless:
    """Stands for a chain of which nothing but its head is asked."""

    head = (7, bytes(32))


EARLY_RULES = Rules(Generation.G1, 10631, dict.fromkeys(("homestead", "istanbul"), 0), "ibft", 20, 0)
LATER_RULES = replace(EARLY_RULES, generation=Generation.G3)


def backend_of(chain: Any, **changes: Any) -> Backend:
    """What a node would hand over for `chain`."""
    described = {
        "chain": chain,
        "rules": EARLY_RULES,
        "name": "polygon-edge",
        "chain_id": 10631,
        "version": "",
        "pool": NoPool(),
        "sync_progress": lambda: None,
    }
    return Backend(**(described | changes))


class Door:
    """Serves a backend inside a `with` block."""

    def __init__(self, backend: Backend, limits: Limits | None = None) -> None:
        self._server = JsonRpcServer(backend, "127.0.0.1", 0, limits)
        self.address = self._server.address
        self.url = f"http://127.0.0.1:{self.address[1]}"
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="event loop of a door")

    def __enter__(self) -> Self:
        self._thread.start()
        self._wait(self._server.start())
        self.client = httpx.Client(base_url=self.url, timeout=30)
        return self

    def __exit__(self, *exception: object) -> None:
        self.client.close()
        self._wait(self._server.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _wait(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def post(self, body: bytes) -> httpx.Response:
        """Send a body as it is."""
        return self.client.post("/", content=body)

    def ask(self, method: str, *params: object) -> Any:
        """The answer to one call."""
        return self.client.post("/", json={"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}).json()

    def result(self, method: str, *params: object) -> Any:
        """The result of one call; fails for an error."""
        answer = self.ask(method, *params)
        assert "error" not in answer, answer
        return answer["result"]
