"""Nodes to ask: the program's own server in a thread, on a chain of any kind, and servers that follow a script."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Self

import grpc
from google.protobuf.empty_pb2 import Empty

from polygon_edge import _core
from polygon_edge.archive.flat import FlatArchive
from polygon_edge.archive.info import HashRule
from polygon_edge.archive.lineage import TYPES, hash_by
from polygon_edge.execution.head_feed import HeadFeed
from polygon_edge.operator.proto import system_pb2
from polygon_edge.operator.server import OperatorServer, ServedChain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

LIMIT = 524288
PATIENCE_SECONDS = 30.0


class GrowingChain:
    """A chain in memory: the records of an archive that begins at 0, of which it has as many as it was grown to."""

    def __init__(self, records: Sequence[bytes], height: int) -> None:
        self.records = records
        self.height = height
        self.chunks_read = 0
        self.open_snapshots = 0

    @classmethod
    def of(cls, archive: Path, height: int | None = None) -> Self:
        with FlatArchive.open(archive) as source:
            records = [record.raw for record in source.records()]
        return cls(records, len(records) - 1 if height is None else height)

    def hash(self, number: int) -> bytes:
        """The block's hash; for a record that is no block, as some tests use, anything that stays the same."""
        raw = self.records[number]
        return hash_by(raw, HashRule.IBFT_G1, TYPES[0]) or _core.keccak256(raw)

    @property
    def head(self) -> tuple[int, bytes] | None:
        return self.height, self.hash(self.height)

    def block(self, number: int) -> bytes | None:
        return self.records[number] if number <= self.height else None

    def snapshot(self) -> FrozenChain:
        self.open_snapshots += 1
        return FrozenChain(self, self.height)


class FrozenChain:
    """What a growing chain was at one moment."""

    def __init__(self, chain: GrowingChain, height: int) -> None:
        self._chain = chain
        self._height = height

    @property
    def head(self) -> tuple[int, bytes]:
        return self._height, self._chain.hash(self._height)

    def block(self, number: int) -> bytes | None:
        return self._chain.records[number] if number <= self._height else None

    def chunk(self, first: int, last: int) -> tuple[int, bytes] | None:
        self._chain.chunks_read += 1
        found = b""
        number = first
        while number <= min(last, self._height):
            record = self._chain.records[number]
            if found and 24 + len(found) + len(record) >= LIMIT:
                break
            found += record
            number += 1
        return (number - 1, found) if found else None

    def close(self) -> None:
        self._chain.open_snapshots -= 1


class ServedNode:
    """The operator's server on `chain`, in an event loop and a thread of its own."""

    def __init__(self, chain: ServedChain, chain_id: int = 10631, **settings: Any) -> None:
        self.heads = HeadFeed()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="served node")
        self._thread.start()
        self.server = self.run(self._make(chain, chain_id, settings))
        self.port = self.run(self.server.start("127.0.0.1:0"))

    async def _make(self, chain: ServedChain, chain_id: int, settings: dict[str, Any]) -> OperatorServer:
        return OperatorServer(chain, chain_id, self.heads, **settings)

    def run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_SECONDS)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def stop(self, grace_seconds: float = 0.0) -> None:
        self.run(self.server.stop(grace_seconds))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_SECONDS)
        self._loop.close()


class ScriptedNode:
    """A server that answers GetStatus and BlockByNumber from `chain`, but Export by `script`.

    The script is given the request and yields events; it may sleep, raise, or call `context.abort`.
    """

    def __init__(
        self,
        chain: GrowingChain,
        script: Callable[[system_pb2.ExportRequest, grpc.ServicerContext], Iterator[system_pb2.ExportEvent]],
    ) -> None:
        self._chain = chain
        self.exports: list[tuple[int, int]] = []
        self._script = script
        self._server = grpc.server(ThreadPoolExecutor(4), options=[("grpc.max_send_message_length", -1)])
        unary, stream = grpc.unary_unary_rpc_method_handler, grpc.unary_stream_rpc_method_handler
        handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
            "GetStatus": unary(self._status, Empty.FromString, system_pb2.ServerStatus.SerializeToString),
            "BlockByNumber": unary(
                self._block, system_pb2.BlockByNumberRequest.FromString, system_pb2.BlockResponse.SerializeToString
            ),
            "Export": stream(
                self._export, system_pb2.ExportRequest.FromString, system_pb2.ExportEvent.SerializeToString
            ),
        }
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("v1.System", handlers),))
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def _status(self, _request: Empty, _context: grpc.ServicerContext) -> system_pb2.ServerStatus:
        number, block_hash = self._chain.height, self._chain.hash(self._chain.height)
        current = system_pb2.ServerStatus.Block(number=number, hash="0x" + block_hash.hex())
        return system_pb2.ServerStatus(network=10631, current=current)

    def _block(
        self, request: system_pb2.BlockByNumberRequest, context: grpc.ServicerContext
    ) -> system_pb2.BlockResponse:
        raw = self._chain.block(request.number)
        if raw is None:
            context.abort(grpc.StatusCode.UNKNOWN, f"block #{request.number} not found")
        return system_pb2.BlockResponse(data=raw)

    def _export(
        self, request: system_pb2.ExportRequest, context: grpc.ServicerContext
    ) -> Iterator[system_pb2.ExportEvent]:
        self.exports.append((getattr(request, "from"), request.to))
        yield from self._script(request, context)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.stop(0).wait(PATIENCE_SECONDS)


def event(first: int, last: int, data: bytes, latest: int = 150) -> system_pb2.ExportEvent:
    """An event with these claims, whatever its data are."""
    return system_pb2.ExportEvent(to=last, latest=latest, data=data, **{"from": first})
