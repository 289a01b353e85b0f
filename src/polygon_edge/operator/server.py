"""Answers the operator: `v1.System` on gRPC (§4.1), served from snapshots of the block database.

Owns the service and the listening address. It reads blocks and nothing else: no export ever waits for the one who
seals, nor makes it wait. Peers are not its business yet: there are none.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, TypeAlias, TypeVar

import grpc
import grpc.aio
from google.protobuf.empty_pb2 import Empty

from polygon_edge.errors import DataDirectoryError, ListenError
from polygon_edge.operator.proto import system_pb2

if TYPE_CHECKING:
    from collections.abc import Callable

    Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]

logger = logging.getLogger(__name__)

SERVICE = "v1.System"

MOST_EXPORTS = 4
"""Exports at the same time. Each holds at most two chunks here and two in gRPC, and keeps one reader busy."""

MOST_SUBSCRIPTIONS = 64
MOST_CALLS = 256
"""Calls of all kinds at the same time; more are refused by gRPC itself."""

EVENTS_KEPT = 64
"""Head changes that wait for a slow subscriber; after that the oldest are lost, as all but one are with Go."""

LAST_READ_SECONDS = 5.0
"""How long a stop waits for a read that is still going on."""

READERS = MOST_EXPORTS + 2

SERVER_OPTIONS = (
    # A block can be larger than gRPC's own limit of 4 MiB; a request never is.
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", 1 << 16),
    ("grpc.max_concurrent_streams", 128),
    ("grpc.max_metadata_size", 1 << 14),
    ("grpc.max_allowed_incoming_connections", 256),
    ("grpc.server_handshake_timeout_ms", 10_000),
    # Two nodes on one address would share its connections, instead of the second being told.
    ("grpc.so_reuseport", 0),
    # Finds clients that are gone without a word, and lets clients ask as often as is reasonable.
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
)

Result = TypeVar("Result")


class BlockSnapshot(Protocol):
    """The blocks of a chain as they were at one moment."""

    @property
    def head(self) -> tuple[int, bytes]:
        """Number and hash of its last block."""
        ...

    def block(self, number: int) -> bytes | None:
        """Network RLP of block `number`."""
        ...

    def chunk(self, first: int, last: int) -> tuple[int, bytes] | None:
        """Records from `first` on, by the chunk rule of §4.1: the last height in it and the bytes, none without."""
        ...

    def close(self) -> None:
        """Release it."""
        ...


class ServedChain(Protocol):
    """What is asked of the chain: its head, and a snapshot."""

    @property
    def head(self) -> tuple[int, bytes] | None:
        """Number and hash of the last committed block."""
        ...

    def block(self, number: int) -> bytes | None:
        """Network RLP of block `number`."""
        ...

    def snapshot(self) -> BlockSnapshot:
        """The blocks as they are now."""
        ...


class Heads(Protocol):
    """Tells whoever subscribed of every new head, from a thread of its own."""

    def subscribe(self, callback: Callable[[int, bytes], None]) -> Callable[[], None]:
        """Call `callback` with number and hash of each new head; returns what ends that."""
        ...


class OperatorServer:
    """The operator's gRPC server of one node: `start` it inside a running event loop, `stop` it there.

    `peer_address` is the multiaddress of the node, empty without a network. `export_delay_seconds` waits that long
    before each chunk, so that an export lasts long enough to be watched.
    """

    def __init__(
        self,
        chain: ServedChain,
        chain_id: int,
        heads: Heads,
        *,
        peer_address: str = "",
        export_delay_seconds: float = 0.0,
    ) -> None:
        self._chain = chain
        self._chain_id = chain_id
        self._heads = heads
        self._peer_address = peer_address
        self._delay_seconds = export_delay_seconds
        self._readers: ThreadPoolExecutor | None = None
        self._server: grpc.aio.Server | None = None
        self._stopping = asyncio.Event()
        self._exports: set[_Reading] = set()
        self._subscriptions = 0

    async def start(self, address: str) -> int:
        """Listen on `address` ("host:port", port 0 for any free one) and serve; returns the port.

        Raises ListenError.
        """
        _refuse_taken(address)
        server = grpc.aio.server(options=SERVER_OPTIONS, maximum_concurrent_rpcs=MOST_CALLS)
        server.add_generic_rpc_handlers((self._handler(),))
        try:
            port = server.add_insecure_port(address)
        except RuntimeError as error:
            raise ListenError(address, error) from error
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="operator")
        await server.start()
        self._server = server
        return port

    async def stop(self, grace_seconds: float = 1.0) -> None:
        """Take no new calls, let running ones go on for `grace_seconds`, then cut them; nothing happens before `start`.

        Subscriptions, which never end by themselves, end at once.
        """
        self._stopping.set()
        if self._server is not None:
            await self._server.stop(grace_seconds)
            self._server = None
        # A cancelled export still has a reader at work; afterwards no snapshot is open.
        deadline = time.monotonic() + LAST_READ_SECONDS
        while self._exports and time.monotonic() < deadline:
            await asyncio.sleep(0.005)
        if self._readers is not None:
            # A read takes milliseconds; what nobody waits for any more is not begun.
            self._readers.shutdown(wait=True, cancel_futures=True)
            self._readers = None

    def _handler(self) -> grpc.GenericRpcHandler:
        unary, stream = grpc.unary_unary_rpc_method_handler, grpc.unary_stream_rpc_method_handler
        messages = system_pb2
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                "GetStatus": unary(self.get_status, Empty.FromString, messages.ServerStatus.SerializeToString),
                "PeersAdd": unary(
                    self.peers_add, messages.PeersAddRequest.FromString, messages.PeersAddResponse.SerializeToString
                ),
                "PeersList": unary(self.peers_list, Empty.FromString, messages.PeersListResponse.SerializeToString),
                "PeersStatus": unary(
                    self.peers_status, messages.PeersStatusRequest.FromString, messages.Peer.SerializeToString
                ),
                "Subscribe": stream(self.subscribe, Empty.FromString, messages.BlockchainEvent.SerializeToString),
                "BlockByNumber": unary(
                    self.block_by_number,
                    messages.BlockByNumberRequest.FromString,
                    messages.BlockResponse.SerializeToString,
                ),
                "Export": stream(
                    self.export, messages.ExportRequest.FromString, messages.ExportEvent.SerializeToString
                ),
            },
        )

    async def get_status(self, _request: Empty, context: Context) -> system_pb2.ServerStatus:
        """Answer with chain id, head and the peer address."""
        head = await self._read(lambda: self._chain.head, context)
        if head is None:
            await context.abort(grpc.StatusCode.UNKNOWN, "the chain has no blocks")
        number, block_hash = head
        return system_pb2.ServerStatus(
            network=self._chain_id,
            current=system_pb2.ServerStatus.Block(number=number, hash=_text(block_hash)),
            p2pAddr=self._peer_address,
        )

    async def peers_add(self, _request: system_pb2.PeersAddRequest, context: Context) -> system_pb2.PeersAddResponse:
        """Refuse: there is no network to add a peer to."""
        return await _abort_without_network(context)

    async def peers_list(self, _request: Empty, _context: Context) -> system_pb2.PeersListResponse:
        """Answer with the connected peers: none."""
        return system_pb2.PeersListResponse()

    async def peers_status(self, _request: system_pb2.PeersStatusRequest, context: Context) -> system_pb2.Peer:
        """Refuse: there is no network that could know the peer."""
        return await _abort_without_network(context)

    async def block_by_number(
        self, request: system_pb2.BlockByNumberRequest, context: Context
    ) -> system_pb2.BlockResponse:
        """Answer with one block's record."""
        raw = await self._read(lambda: self._chain.block(request.number), context)
        if raw is None:
            await context.abort(grpc.StatusCode.UNKNOWN, f"block #{request.number} not found")
        return system_pb2.BlockResponse(data=raw)

    # Streams are written, not yielded: a generator that its client has left is cleared away by the garbage collector,
    # some time, and until then an export would keep its place.

    async def subscribe(self, _request: Empty, context: Context) -> None:
        """Send one event for each head from now on, until the client or the node ends it."""
        if self._subscriptions >= MOST_SUBSCRIPTIONS:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, f"{MOST_SUBSCRIPTIONS} subscriptions are open")
        loop = asyncio.get_running_loop()
        waiting: deque[tuple[int, bytes]] = deque(maxlen=EVENTS_KEPT)
        changed = asyncio.Event()

        def take(number: int, block_hash: bytes) -> None:
            waiting.append((number, block_hash))
            changed.set()

        def on_head(number: int, block_hash: bytes) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(take, number, block_hash)

        self._subscriptions += 1
        unsubscribe = self._heads.subscribe(on_head)
        try:
            while await self._happens(changed):
                changed.clear()
                while waiting:
                    number, block_hash = waiting.popleft()
                    header = system_pb2.BlockchainEvent.Header(number=number, hash=_text(block_hash))
                    await context.write(system_pb2.BlockchainEvent(added=[header]))
        finally:
            unsubscribe()
            self._subscriptions -= 1

    async def _happens(self, event: asyncio.Event) -> bool:
        """Wait for `event`; False when the server stops first."""
        tasks = {asyncio.ensure_future(event.wait()), asyncio.ensure_future(self._stopping.wait())}
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
        return not self._stopping.is_set()

    async def export(self, request: system_pb2.ExportRequest, context: Context) -> None:
        """Send the blocks of the range in chunks; an end of 0 follows the head, a missing block ends the stream."""
        first, last = getattr(request, "from"), request.to or None
        if last is not None and first >= last:
            await context.abort(grpc.StatusCode.UNKNOWN, "to must be greater than from")
        if len(self._exports) >= MOST_EXPORTS:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, f"{MOST_EXPORTS} exports are running already")
        reading = _Reading(self._chain, first, last)
        self._exports.add(reading)
        ahead = self._begin(reading.next_event)
        try:
            while (event := await _result(ahead, context)) is not None:
                # The next chunk is read while this one is on its way, and no more than that one.
                ahead = self._begin(reading.next_event)
                if self._delay_seconds:
                    await asyncio.sleep(self._delay_seconds)
                await context.write(event)
        finally:
            # A thread may still be reading, and a call that is cancelled may be cancelled once more while it waits.
            ahead.add_done_callback(lambda read: self._end(reading, read))

    def _end(self, reading: _Reading, read: asyncio.Future[Any]) -> None:
        if not read.cancelled():
            read.exception()  # nobody else will look at it
        reading.close()
        self._exports.discard(reading)

    def _begin(self, read: Callable[[], Result]) -> asyncio.Future[Result]:
        """Have a thread of the server's own run `read`."""
        if self._readers is None:
            raise RuntimeError("the server is not running")
        return asyncio.get_running_loop().run_in_executor(self._readers, read)

    async def _read(self, read: Callable[[], Result], context: Context) -> Result:
        return await _result(self._begin(read), context)


class _Reading:
    """Where an export stands; used by one thread at a time."""

    def __init__(self, chain: ServedChain, first: int, last: int | None) -> None:
        self._chain = chain
        self._next = first
        self._last = last
        self._snapshot: BlockSnapshot | None = None

    def next_event(self) -> system_pb2.ExportEvent | None:
        """The next chunk, None after the last block of the range or of the chain."""
        if self._last is not None and self._next > self._last:
            return None
        found = self._chunk()
        if found is None and self._has_moved():
            found = self._chunk()
        if found is None:
            return None
        first, (last, data) = self._next, found
        self._next = last + 1
        head = self._chain.head
        latest = last if head is None else head[0]
        return system_pb2.ExportEvent(to=last, latest=latest, data=data, **{"from": first})

    def _chunk(self) -> tuple[int, bytes] | None:
        if self._snapshot is None:
            self._snapshot = self._chain.snapshot()
        return self._snapshot.chunk(self._next, self._snapshot.head[0] if self._last is None else self._last)

    def _has_moved(self) -> bool:
        """Whether the chain has blocks that the snapshot, which is dropped, did not have."""
        self.close()
        head = self._chain.head
        return head is not None and head[0] >= self._next

    def close(self) -> None:
        """Release the snapshot."""
        if self._snapshot is not None:
            self._snapshot.close()
            self._snapshot = None


async def _result(read: asyncio.Future[Result], context: Context) -> Result:
    """What was read; a database that is closed meanwhile ends the call."""
    try:
        return await asyncio.shield(read)
    except DataDirectoryError as error:
        await context.abort(grpc.StatusCode.UNAVAILABLE, str(error))
        raise


async def _abort_without_network(context: Context) -> NoReturn:
    await context.abort(grpc.StatusCode.UNIMPLEMENTED, "this node has no peers: it has no network yet")
    raise AssertionError


def _refuse_taken(address: str) -> None:
    """Raise ListenError, with the reason that gRPC keeps to itself, when nothing can listen on `address`."""
    host, _, port = address.rpartition(":")
    try:
        found = socket.getaddrinfo(
            host.strip("[]") or None, _port(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, kind, protocol, _, place = found[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
            # Only listening finds one who listens on the same port of all addresses.
            probe.listen(1)
    except (OSError, ValueError) as error:
        raise ListenError(address, error) from error


def _port(text: str) -> int:
    number = int(text)
    if number >> 16:
        # The system would take it modulo 2^16.
        raise ValueError(f"{text} is no port")
    return number


def _text(block_hash: bytes) -> str:
    return "0x" + block_hash.hex()
