"""The HTTP door: what is answered to which request, and the server that the node starts and stops (§5.1).

Owns the listening socket, the threads in which methods run, and the way of bytes in and out. What they say is decided
in `dispatch`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from polygon_edge.errors import ListenError
from polygon_edge.jsonrpc.connection import Connection
from polygon_edge.jsonrpc.context import Limits
from polygon_edge.jsonrpc.dispatch import Dispatcher, refusal
from polygon_edge.jsonrpc.eth import Eth
from polygon_edge.jsonrpc.net import Net
from polygon_edge.jsonrpc.room import Room
from polygon_edge.jsonrpc.rpc_error import RpcError
from polygon_edge.jsonrpc.txpool import TxPool
from polygon_edge.jsonrpc.web3 import Web3

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from starlette.types import ASGIApp, Receive, Scope, Send

    from polygon_edge.jsonrpc.context import Backend
    from polygon_edge.jsonrpc.dispatch import Method
    from polygon_edge.jsonrpc.room import Share

logger = logging.getLogger(__name__)

_BACKLOG: Final = 256
_CHUNK_BYTES: Final = 64 * 1024
_DISCARDED_BYTES: Final = 32 * 1024 * 1024
"""How much of a body that is too large is still read, and dropped: a client that is cut off while it sends does not see
the answer."""
_ALLOWED_HEADERS: Final = "Accept, Content-Type, Content-Length, Accept-Encoding, X-CSRF-Token, Authorization"


def methods(backend: Backend) -> dict[str, Method]:
    """Return every method there is, by its full name."""
    found: dict[str, Method] = {}
    for namespace in (Eth(backend), Net(backend), Web3(backend), TxPool(backend)):
        found |= namespace.methods()
    return found


class JsonRpcEndpoint:
    """Answers HTTP requests at every path but `/ws`. The status is always 200, as tools of the Go client expect."""

    def __init__(self, backend: Backend, threads: ThreadPoolExecutor, limits: Limits) -> None:
        self._dispatcher = Dispatcher(methods(backend), backend.batch_limit)
        self._threads = threads
        self._limits = limits
        self._room = Room(limits.room_bytes, limits.free_bytes)
        # JSON takes many times its size while it is decoded, and no other thread runs meanwhile.
        self._large = asyncio.Semaphore(limits.large_bodies)
        self._allowed_origins = backend.allowed_origins
        self._about = json.dumps(
            {"name": backend.name, "chain_id": backend.chain_id, "version": backend.version}, separators=(",", ":")
        ).encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, unless the client has gone."""
        request = Request(scope, receive)
        with contextlib.suppress(ClientDisconnect), self._room.request() as share:
            response = await self._response(request, share)
            await response(scope, receive, send)

    async def _response(self, request: Request, share: Share) -> Response:
        headers = self._headers(request)
        if request.method == "POST":
            try:
                body = await self._body(request, share)
            except RpcError as error:
                # What is left of the body is still on its way and would be taken for the next request.
                return _json(refusal(error), headers | {"Connection": "close"})
            answer = await self._answer(body)
            try:
                share.hold(len(answer))
            except RpcError as error:
                answer = refusal(error)
                share.hold(len(answer))
            return _json(answer, headers)
        if request.method == "GET":
            return _json(self._about, headers)
        if request.method == "OPTIONS":
            return _json(b"", headers)
        return _json(f"method {request.method} not allowed".encode(), headers)

    async def _answer(self, body: bytes) -> bytes:
        loop = asyncio.get_running_loop()
        if len(body) <= self._limits.small_body_bytes:
            return await loop.run_in_executor(self._threads, self._dispatcher.answer, body)
        async with self._large:
            return await loop.run_in_executor(self._threads, self._dispatcher.answer, body)

    async def _body(self, request: Request, share: Share) -> bytes:
        limits = self._limits
        body = bytearray()
        size = 0
        try:
            async with asyncio.timeout(limits.body_seconds):
                async for chunk in request.stream():
                    size += len(chunk)
                    if size <= limits.body_bytes:
                        share.hold(size)
                        body += chunk
                    elif size > limits.body_bytes + _DISCARDED_BYTES:
                        break
        except TimeoutError as error:
            raise RpcError(
                f"request incomplete: expected the body within {limits.body_seconds:g} seconds, found {size} bytes"
            ) from error
        if size > limits.body_bytes:
            raise RpcError(f"request too large: expected at most {limits.body_bytes} bytes")
        return bytes(body)

    def _headers(self, request: Request) -> dict[str, str]:
        headers = {
            "Content-Type": "application/json",
            "Access-Control-Allow-Methods": "POST, OPTIONS",
            "Access-Control-Allow-Headers": _ALLOWED_HEADERS,
        }
        origin = request.headers.get("origin")
        if "*" in self._allowed_origins:
            headers["Access-Control-Allow-Origin"] = "*"
        elif origin is not None and origin in self._allowed_origins:
            headers["Access-Control-Allow-Origin"] = origin
        return headers


class WebSocketPlaceholder:
    """Says at `/ws` that subscriptions are not there yet, and what to use instead."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer any request."""
        error = RpcError(
            "WebSocket subscriptions are not available yet: use POST, and eth_newFilter or eth_newBlockFilter with"
            " eth_getFilterChanges"
        )
        await Response(refusal(error), 501, {"Content-Type": "application/json"})(scope, receive, send)


def application(backend: Backend, threads: ThreadPoolExecutor, limits: Limits) -> ASGIApp:
    """Return the ASGI application that answers for `backend`; methods run in `threads`."""
    return Starlette(
        routes=[
            Route("/ws", WebSocketPlaceholder()),
            Route("/{path:path}", JsonRpcEndpoint(backend, threads, limits)),
        ]
    )


class JsonRpcServer:
    """Serves `backend` at `host` and `port` (0: any free one), once it is started.

    The socket is bound when the object is made, so that an address in use is known before anything else starts: raises
    ListenError.
    """

    def __init__(self, backend: Backend, host: str, port: int, limits: Limits | None = None) -> None:
        self._limits = Limits() if limits is None else limits
        self._backend = backend
        self._socket = _bound_socket(host, port)
        self._threads: ThreadPoolExecutor | None = None
        self._server: _Server | None = None
        self._serving: asyncio.Task[None] | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that it is bound to."""
        host, port = self._socket.getsockname()[:2]
        return host, port

    async def start(self) -> None:
        """Serve from now on, in the running event loop; returns when the first connection would be accepted."""
        limits = self._limits
        self._threads = ThreadPoolExecutor(limits.threads, thread_name_prefix="jsonrpc")
        _route_log()
        config = uvicorn.Config(
            application(self._backend, self._threads, limits),
            http=Connection.bounded(limits),
            ws="none",
            interface="asgi3",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            backlog=_BACKLOG,
            timeout_keep_alive=limits.idle_seconds,  # type: ignore[arg-type]  # handed to call_later as it is
            h11_max_incomplete_event_size=limits.header_bytes,
        )
        self._server = _Server(config)
        host, port = self.address
        self._serving = asyncio.create_task(self._server.serve([self._socket]), name="jsonrpc")
        while not self._server.started and not self._serving.done():
            await asyncio.sleep(0.005)
        if self._serving.done():
            self._serving.result()
        logger.info("JSON-RPC server listening on %s", _address_text(host, port))

    async def stop(self) -> None:
        """Take no more connections, let running requests end for some seconds, and return when all is released."""
        if self._server is not None and self._serving is not None:
            self._server.should_exit = True
            ended, _ = await asyncio.wait({self._serving}, timeout=self._limits.stop_seconds)
            if not ended:
                for connection in list(self._server.server_state.connections):
                    connection.transport.abort()
            await self._serving
        self._socket.close()
        if self._threads is not None:
            # A method cannot be interrupted; whoever closes the databases next must not find one still reading.
            self._threads.shutdown(wait=False, cancel_futures=True)
            await asyncio.to_thread(self._threads.shutdown)


class _Server(uvicorn.Server):
    """uvicorn without its hands on the signals: those belong to the node."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _ForwardedLog(logging.Handler):
    """Passes uvicorn's lines on; what a client can cause at will, which is all but errors, is for debugging only."""

    def emit(self, record: logging.LogRecord) -> None:
        level = record.levelno if record.levelno >= logging.ERROR else logging.DEBUG
        logger.log(level, record.getMessage(), exc_info=record.exc_info)


def _route_log() -> None:
    theirs = logging.getLogger("uvicorn")
    theirs.handlers = [_ForwardedLog()]
    theirs.propagate = False


def _json(body: bytes, headers: dict[str, str]) -> Response:
    if len(body) <= _CHUNK_BYTES:
        return Response(body, headers=headers)
    return StreamingResponse(_chunks(body), headers=headers | {"Content-Length": str(len(body))})


async def _chunks(body: bytes) -> AsyncIterator[bytes]:
    """Cut a large answer, so that no more of it is copied than the client is about to read."""
    view = memoryview(body)
    for start in range(0, len(body), _CHUNK_BYTES):
        yield bytes(view[start : start + _CHUNK_BYTES])


def _bound_socket(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        bound = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except (OSError, OverflowError) as error:
        raise ListenError(_address_text(host, port), error) from error
    # Connections inherit it. Without it the body waits 40 ms for the client to acknowledge the header; asyncio sets it
    # only where a socket names its protocol, which this one does not.
    bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return bound


def _address_text(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
