"""Asks a running node, ours or the Go client's, over the operator's gRPC (§4.1).

Owns the connection and the answers' shapes. It looks at nothing a block says. Every wait can be left by a signal, also
while the node is silent.
"""

from __future__ import annotations

import logging
import queue
import re
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Self

import grpc
from google.protobuf.empty_pb2 import Empty

from polygon_edge.errors import NodeError, StoppedBySignalError
from polygon_edge.operator.proto import system_pb2
from polygon_edge.source import Chunk, NodeStatus

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from google.protobuf.message import Message

logger = logging.getLogger(__name__)

DEFAULT_ADDRESS = "127.0.0.1:9632"
SERVICE = "/v1.System/"

LARGEST_ANSWER = 256 << 20
"""Bytes of one message; gRPC's own default of 4 MiB is less than a block can have."""

LOOK_SECONDS = 0.1
"""How long an answer is waited for before a signal is looked for."""

ANSWER_SECONDS = 120.0
"""How long one answer, even one large block, may take."""

SILENCE_SECONDS = 30.0
"""After this long without a chunk a log line says so."""

CHANNEL_OPTIONS = (
    ("grpc.max_receive_message_length", LARGEST_ANSWER),
    # Operators' proxies are not meant for a node.
    ("grpc.enable_http_proxy", 0),
    # Finds a node whose machine is gone. A Go server takes more than one ping in five minutes for an attack.
    ("grpc.keepalive_time_ms", 310_000),
    ("grpc.keepalive_timeout_ms", 20_000),
)

_HASH = re.compile(r"0x[0-9a-f]{64}")


class NodeClient:
    """A connection to the node at `address`, made when the first question is asked; close it after use.

    Once `stop` is set every wait ends with StoppedBySignalError.
    """

    def __init__(self, address: str = DEFAULT_ADDRESS, stop: threading.Event | None = None) -> None:
        self._address = address
        self._stop = stop or threading.Event()
        self._channel = grpc.insecure_channel(address, options=CHANNEL_OPTIONS)

    def close(self) -> None:
        """Close the connection; nothing happens the second time."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def name(self) -> str:
        """The address."""
        return self._address

    def status(self) -> NodeStatus:
        """Return chain id and head as they are now; raises NodeError, StoppedBySignalError."""
        answer = self._ask("GetStatus", Empty(), system_pb2.ServerStatus)
        height, block_hash = answer.current.number, answer.current.hash
        if height < 0 or not _HASH.fullmatch(block_hash):
            raise NodeError(self._address, "Internal", f"no head in the status: {height}, {block_hash[:80]!r}")
        return NodeStatus(answer.network, height, bytes.fromhex(block_hash[2:]), answer.p2pAddr)

    def block(self, number: int) -> bytes | None:
        """Return the record of block `number`, none when the node says that it has no such block.

        Raises NodeError, StoppedBySignalError.
        """
        request = system_pb2.BlockByNumberRequest(number=number)
        try:
            answer = self._ask("BlockByNumber", request, system_pb2.BlockResponse)
        except NodeError as error:
            if error.problem == f"block #{number} not found":
                return None
            raise
        data: bytes = answer.data
        return data

    @contextmanager
    def export(self, first: int, last: int) -> Iterator[Iterator[Chunk | None]]:
        """Ask for the blocks `first` to `last`, both included and not the same (§4.1), in chunks as they are sent.

        None stands for a moment in which nothing came, `LOOK_SECONDS` long. Memory is bounded: the node waits for
        whoever takes the chunks. Raises NodeError.
        """
        ask = self._channel.unary_stream(
            SERVICE + "Export",
            request_serializer=system_pb2.ExportRequest.SerializeToString,
            response_deserializer=system_pb2.ExportEvent.FromString,
        )
        call = ask(system_pb2.ExportRequest(to=last, **{"from": first}))
        arrived: queue.Queue[Chunk | grpc.RpcError | None] = queue.Queue(maxsize=1)
        reader = threading.Thread(target=_read, args=(call, arrived), name="export", daemon=True)
        reader.start()
        try:
            yield self._chunks(arrived)
        finally:
            call.cancel()
            while reader.is_alive():
                # It may stand before a full queue.
                with suppress(queue.Empty):
                    arrived.get(timeout=LOOK_SECONDS)

    def _chunks(self, arrived: queue.Queue[Chunk | grpc.RpcError | None]) -> Iterator[Chunk | None]:
        heard = time.monotonic()
        is_silent = False
        while True:
            try:
                found = arrived.get(timeout=LOOK_SECONDS)
            except queue.Empty:
                if not is_silent and time.monotonic() - heard > SILENCE_SECONDS:
                    is_silent = True
                    logger.warning("nothing from %s for %.0f s; still waiting", self._address, SILENCE_SECONDS)
                yield None
                continue
            if found is None:
                return
            if isinstance(found, grpc.RpcError):
                raise self._failure(found) from found
            heard, is_silent = time.monotonic(), False
            yield found

    def _ask(self, method: str, request: Message, answer: type[Any]) -> Any:  # noqa: ANN401 - a message of that type
        ask = self._channel.unary_unary(
            SERVICE + method,
            request_serializer=type(request).SerializeToString,
            response_deserializer=answer.FromString,
        )
        call = ask.future(request, timeout=ANSWER_SECONDS)
        while True:
            if self._stop.is_set():
                call.cancel()
                raise StoppedBySignalError(None)
            try:
                return call.result(timeout=LOOK_SECONDS)
            except grpc.FutureTimeoutError:
                continue
            except grpc.RpcError as error:
                raise self._failure(error) from error

    def _failure(self, error: grpc.RpcError) -> NodeError:
        status, problem = error.code(), error.details() or ""
        if status is grpc.StatusCode.UNAVAILABLE and self._address not in problem:
            problem = f"{self._address}: {problem}"
        return NodeError(self._address, _spelled(status), problem)


def _read(call: Any, arrived: queue.Queue[Chunk | grpc.RpcError | None]) -> None:  # noqa: ANN401 - grpc has no name for it
    """Put what `call` gives into the queue: chunks, at last None, or the error that ended it."""
    try:
        for event in call:
            arrived.put(Chunk(getattr(event, "from"), event.to, event.data))
    except grpc.RpcError as error:
        arrived.put(error)
    else:
        arrived.put(None)


def _spelled(status: grpc.StatusCode) -> str:
    """The name of a status as Go writes it: "ResourceExhausted" for RESOURCE_EXHAUSTED."""
    return "Canceled" if status is grpc.StatusCode.CANCELLED else status.name.title().replace("_", "")
