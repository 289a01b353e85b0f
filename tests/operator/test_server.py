"""The operator's gRPC of a node: what it answers, what it refuses, and that it neither grows nor hangs."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.protobuf.empty_pb2 import Empty
from google.protobuf.json_format import MessageToDict
from tests.operator.asking import SECONDS, ask, export, failure_of, refusal
from tests.operator.serving import GrowingChain, ServedNode

from polygon_edge import _core
from polygon_edge.errors import ListenError
from polygon_edge.operator import server as server_module
from polygon_edge.operator.proto import system_pb2
from polygon_edge.operator.server import MOST_EXPORTS, OperatorServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.golden.recorded import Network


@pytest.fixture
def channel_to() -> Iterator[Any]:
    """Opens channels to an address; all are closed in the end."""
    channels = []

    def open_channel(address: str) -> grpc.Channel:
        channels.append(grpc.insecure_channel(address, options=[("grpc.max_receive_message_length", -1)]))
        return channels[-1]

    yield open_channel
    for channel in channels:
        channel.close()


def subscribe(channel: grpc.Channel) -> Any:
    call = channel.unary_stream(
        "/v1.System/Subscribe",
        request_serializer=Empty.SerializeToString,
        response_deserializer=system_pb2.BlockchainEvent.FromString,
    )
    return call(Empty(), timeout=SECONDS)


@pytest.fixture(scope="module")
def stored(poa: Network, tmp_path_factory: pytest.TempPathFactory) -> Iterator[_core.Chain]:
    """The chain of a recorded data directory."""
    with _core.Chain.open(poa.data_directory("data-dir", tmp_path_factory.mktemp("node"))) as chain:
        yield chain


@pytest.fixture
def growing(poa: Network, tmp_path: Path) -> GrowingChain:
    return GrowingChain.of(poa.archive("full.dat", tmp_path))


@pytest.fixture
def large() -> GrowingChain:
    """Blocks that each fill a chunk."""
    return GrowingChain([bytes([number]) * 600_000 for number in range(200)], 199)


def test_a_chunk_ends_before_it_is_half_a_mebibyte(channel_to: Any) -> None:
    sizes = [200_000, 200_000, 200_000, 700_000, 10, 524_263, 524_264, 5]
    records = [bytes([number]) * size for number, size in enumerate(sizes)]
    chain = GrowingChain(records, len(records) - 1)
    with ServedNode(chain) as node:
        events = list(export(channel_to(node.address)))
    ranges = [(getattr(event, "from"), event.to) for event in events]
    assert ranges == [(0, 1), (2, 2), (3, 3), (4, 4), (5, 5), (6, 6), (7, 7)]
    assert b"".join(event.data for event in events) == b"".join(records)


def test_an_open_end_follows_the_head(growing: GrowingChain, channel_to: Any) -> None:
    growing.height = 10
    with ServedNode(growing) as node:
        frozen = growing.snapshot

        # The chain grows right after the first snapshot was taken.
        def grow() -> Any:
            taken = frozen()
            growing.height = min(growing.height + 5, 40)
            return taken

        growing.snapshot = grow  # type: ignore[method-assign]
        events = list(export(channel_to(node.address), first=3))
    assert getattr(events[0], "from") == 3
    assert events[-1].to == 40
    assert b"".join(event.data for event in events) == b"".join(growing.records[3:41])
    assert growing.open_snapshots == 0


def test_blocks_that_do_not_exist_end_the_stream(growing: GrowingChain, channel_to: Any) -> None:
    growing.height = 10
    with ServedNode(growing) as node:
        channel = channel_to(node.address)
        assert [(getattr(event, "from"), event.to) for event in export(channel, 8, 20)] == [(8, 10)]
        assert list(export(channel, 11)) == []
        assert list(export(channel, 11, 99)) == []
        assert list(export(channel, 1 << 63, (1 << 64) - 1)) == []
    assert growing.open_snapshots == 0


def test_a_client_that_does_not_read_stops_the_reading(large: GrowingChain, channel_to: Any) -> None:
    with ServedNode(large) as node:
        call = export(channel_to(node.address))
        assert next(call).data == large.records[0]
        before = -1
        while large.chunks_read != before:
            before = large.chunks_read
            time.sleep(0.3)
        # gRPC's windows, the chunk on its way, the one ahead; not two hundred.
        assert large.chunks_read < 60
        call.cancel()


def test_exports_at_the_same_time_are_limited_and_a_cancelled_one_makes_room(
    large: GrowingChain, channel_to: Any
) -> None:
    with ServedNode(large, export_delay_seconds=60.0) as node:
        channel = channel_to(node.address)
        calls = [export(channel) for _ in range(MOST_EXPORTS)]
        wait_for(lambda: large.open_snapshots == MOST_EXPORTS)
        code, text = failure_of(export(channel))
        assert (code, text) == ("RESOURCE_EXHAUSTED", f"{MOST_EXPORTS} exports are running already")
        # Everything else is answered meanwhile.
        assert ask(channel, "GetStatus").current.number == large.height
        calls[0].cancel()
        wait_for(lambda: large.open_snapshots == MOST_EXPORTS - 1)
        calls.append(export(channel))
        wait_for(lambda: large.open_snapshots == MOST_EXPORTS)
    assert large.open_snapshots == 0


def test_exports_that_are_cancelled_at_any_moment_all_make_room(stored: _core.Chain, channel_to: Any) -> None:
    with ServedNode(stored) as node:
        channel = channel_to(node.address)
        for number in range(300):
            call = export(channel)
            if number % 3 == 1:
                # Refused while those before it have not been cleared away yet.
                with contextlib.suppress(grpc.RpcError):
                    next(call)
            call.cancel()

        def is_served() -> bool:
            with contextlib.suppress(grpc.RpcError):
                return bool(next(export(channel)).to > 0)
            return False

        wait_for(is_served)


def wait_for(condition: Any) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_stop_cuts_what_is_open(large: GrowingChain, channel_to: Any) -> None:
    with ServedNode(large, export_delay_seconds=60.0) as node:
        channel = channel_to(node.address)
        exporting, subscribed = export(channel), subscribe(channel)
        wait_for(lambda: large.open_snapshots == 1)
        began = time.monotonic()
        node.stop(grace_seconds=0.2)
        assert time.monotonic() - began < 5
        assert failure_of(exporting)[0] in {"CANCELLED", "UNAVAILABLE"}
        with pytest.raises(StopIteration):
            next(subscribed)
        assert refusal(channel, "GetStatus")[0] == "UNAVAILABLE"
    assert large.open_snapshots == 0


def test_a_subscriber_hears_of_every_head(growing: GrowingChain, channel_to: Any) -> None:
    with ServedNode(growing) as node:
        call = subscribe(channel_to(node.address))
        heard: list[system_pb2.BlockchainEvent] = []
        thread = threading.Thread(target=lambda: heard.extend(next(call) for _ in range(3)))
        thread.start()
        wait_for(lambda: node.server._subscriptions == 1)
        for number in (7, 8, 9):
            node.heads.publish(number, bytes([number]) * 32)
        thread.join(SECONDS)
        call.cancel()
        wait_for(lambda: node.server._subscriptions == 0)
        node.heads.publish(10, bytes(32))
    expected = [{"added": [{"number": str(n), "hash": "0x" + bytes([n] * 32).hex()}]} for n in (7, 8, 9)]
    assert [MessageToDict(event) for event in heard] == expected


def test_a_slow_subscriber_loses_the_oldest_heads(growing: GrowingChain, channel_to: Any) -> None:
    kept = server_module.EVENTS_KEPT
    with ServedNode(growing) as node:
        call = subscribe(channel_to(node.address))
        wait_for(lambda: node.server._subscriptions == 1)

        async def publish_at_once() -> None:
            # From the loop itself: nothing is sent in between.
            for number in range(kept + 10):
                node.heads.publish(number, bytes(32))

        node.run(publish_at_once())
        numbers = [next(call).added[0].number for _ in range(kept)]
        assert numbers == list(range(10, kept + 10))


def test_subscriptions_at_the_same_time_are_limited(
    growing: GrowingChain, channel_to: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "MOST_SUBSCRIPTIONS", 2)
    with ServedNode(growing) as node:
        channel = channel_to(node.address)
        calls = [subscribe(channel) for _ in range(2)]
        wait_for(lambda: node.server._subscriptions == 2)
        assert failure_of(subscribe(channel)) == ("RESOURCE_EXHAUSTED", "2 subscriptions are open")
        for call in calls:
            call.cancel()


def test_an_empty_database_has_no_status(tmp_path: Path, channel_to: Any) -> None:
    with _core.Chain.open(tmp_path) as chain, ServedNode(chain) as node:
        channel = channel_to(node.address)
        assert refusal(channel, "GetStatus") == ("UNKNOWN", "the chain has no blocks")
        assert refusal(channel, "BlockByNumber", number=0) == ("UNKNOWN", "block #0 not found")
        assert list(ask(channel, "PeersList").peers) == []


def test_an_address_in_use_is_named(growing: GrowingChain) -> None:
    with ServedNode(growing) as node:
        second = node.run(node._make(growing, 1, {}))
        with pytest.raises(ListenError) as caught:
            node.run(second.start(node.address))
        assert str(caught.value) == f"listen tcp {node.address}: bind: address already in use"
        node.run(second.stop())


@pytest.mark.parametrize("address", ["127.0.0.1:99999", "127.0.0.1:x", "no.such.host.invalid:1", "192.0.2.1:0"])
def test_an_address_that_cannot_be_listened_on_is_named(growing: GrowingChain, address: str) -> None:
    with ServedNode(growing) as node:
        other = node.run(node._make(growing, 1, {}))
        with pytest.raises(ListenError, match=f"^listen tcp {address}: bind: "):
            node.run(other.start(address))
        node.run(other.stop())


def test_a_request_that_is_too_large_is_refused(growing: GrowingChain, channel_to: Any) -> None:
    with ServedNode(growing) as node:
        channel = channel_to(node.address)
        assert refusal(channel, "PeersAdd", id="x" * (1 << 17))[0] == "RESOURCE_EXHAUSTED"
        assert ask(channel, "GetStatus").current.number == growing.height


@pytest.mark.parametrize("method", ["Export", "BlockByNumber", "PeersStatus"])
def test_a_request_that_is_none_is_an_error(growing: GrowingChain, method: str, channel_to: Any) -> None:
    with ServedNode(growing) as node:
        call = channel_to(node.address).unary_unary(
            f"/v1.System/{method}", request_serializer=None, response_deserializer=None
        )
        with pytest.raises(grpc.RpcError) as caught:
            call(b"\xff" * 100, timeout=SECONDS)
        assert caught.value.code().name in {"INTERNAL", "UNKNOWN"}


def test_bytes_that_are_no_http_close_the_connection_and_nothing_else(growing: GrowingChain, channel_to: Any) -> None:
    with ServedNode(growing) as node, socket.create_connection(("127.0.0.1", node.port), timeout=SECONDS) as raw:
        raw.sendall(b"GET / HTTP/1.1\r\n\r\n" + b"\0" * 1000)
        while raw.recv(4096):
            pass
        assert ask(channel_to(node.address), "GetStatus").current.number == growing.height


def test_a_database_that_is_closed_ends_the_call(poa: Network, tmp_path: Path, channel_to: Any) -> None:
    data_dir = poa.data_directory("data-dir", tmp_path)
    with _core.Chain.open(data_dir) as chain, ServedNode(chain) as node:
        channel = channel_to(node.address)
        chain.close()
        assert refusal(channel, "GetStatus")[0] == "UNAVAILABLE"
        assert refusal(channel, "BlockByNumber", number=1)[0] == "UNAVAILABLE"
        assert failure_of(export(channel))[0] == "UNAVAILABLE"


def test_a_server_that_was_never_started_can_be_stopped(growing: GrowingChain) -> None:
    with ServedNode(growing) as node:
        idle: OperatorServer = node.run(node._make(growing, 1, {}))
        node.run(idle.stop())
