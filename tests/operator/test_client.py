"""Asking a node: its answers, its errors in the Go client's words, and a wait that a signal can leave."""

from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from tests.operator.serving import GrowingChain, ScriptedNode, ServedNode, event

from polygon_edge.errors import NodeError, StoppedBySignalError
from polygon_edge.operator import client as client_module
from polygon_edge.operator.client import NodeClient
from polygon_edge.source import Chunk, NodeStatus

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.golden.recorded import Network

    from polygon_edge.source import ExportingNode


@pytest.fixture(scope="module")
def chain(poa: Network, tmp_path_factory: pytest.TempPathFactory) -> GrowingChain:
    return GrowingChain.of(poa.archive("full.dat", tmp_path_factory.mktemp("archive")))


@pytest.fixture
def node(chain: GrowingChain) -> Iterator[ServedNode]:
    with ServedNode(chain) as served:
        yield served


def test_a_node_says_what_it_is(chain: GrowingChain, node: ServedNode) -> None:
    with NodeClient(node.address) as client:
        asked: ExportingNode = client
        assert asked.name == node.address
        assert asked.status() == NodeStatus(10631, 150, chain.hash(150), "")


def test_a_block_is_given_or_is_not_there(chain: GrowingChain, node: ServedNode) -> None:
    with NodeClient(node.address) as client:
        assert client.block(0) == chain.records[0]
        assert client.block(150) == chain.records[150]
        assert client.block(151) is None
        assert client.block((1 << 64) - 1) is None


def test_an_export_comes_in_chunks(chain: GrowingChain, node: ServedNode) -> None:
    with NodeClient(node.address) as client, client.export(5, 20) as chunks:
        assert [chunk for chunk in chunks if chunk] == [Chunk(5, 20, b"".join(chain.records[5:21]))]


def test_a_chunk_may_be_larger_than_grpc_likes(chain: GrowingChain) -> None:
    data = bytes(9 << 20)
    with (
        ScriptedNode(chain, lambda *_: iter([event(0, 1, data)])) as node,
        NodeClient(node.address) as client,
        client.export(0, 1) as chunks,
    ):
        assert [len(chunk.data) for chunk in chunks if chunk] == [9 << 20]


def test_the_end_of_what_a_node_gives_is_an_end_and_its_error_an_error(chain: GrowingChain) -> None:
    def one_chunk_then_failure(_request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        yield event(0, 0, b"\xc0")
        context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "enough")

    with ScriptedNode(chain, one_chunk_then_failure) as node, NodeClient(node.address) as client:
        with client.export(0, 5) as chunks:
            assert next(filter(None, chunks)) == Chunk(0, 0, b"\xc0")
            with pytest.raises(NodeError) as caught:
                list(chunks)
        assert str(caught.value) == "rpc error: code = ResourceExhausted desc = enough"
        assert (caught.value.address, caught.value.status) == (node.address, "ResourceExhausted")


def test_a_node_that_is_not_there_is_named() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
    with NodeClient(address) as client:
        with pytest.raises(NodeError, match=r"^rpc error: code = Unavailable desc = ") as caught:
            client.status()
        assert address in str(caught.value)
        with pytest.raises(NodeError, match="Unavailable"):
            client.block(1)
        with client.export(0, 1) as chunks, pytest.raises(NodeError, match="Unavailable"):
            list(chunks)


@pytest.mark.parametrize(("height", "block_hash"), [(-1, "0x" + "00" * 32), (1, ""), (1, "0x00"), (1, "x\x1b[2J" * 99)])
def test_a_status_without_a_head_is_an_error(
    chain: GrowingChain, monkeypatch: pytest.MonkeyPatch, height: int, block_hash: str
) -> None:
    from polygon_edge.operator.proto import system_pb2  # noqa: PLC0415

    def status(*_: object) -> system_pb2.ServerStatus:
        return system_pb2.ServerStatus(current=system_pb2.ServerStatus.Block(number=height, hash=block_hash))

    monkeypatch.setattr(ScriptedNode, "_status", status)
    with (
        ScriptedNode(chain, lambda *_: iter(())) as node,
        NodeClient(node.address) as client,
        pytest.raises(NodeError, match="no head in the status") as caught,
    ):
        client.status()
    assert str(caught.value).isprintable()


def test_a_wait_for_a_node_that_says_nothing_ends_with_a_signal() -> None:
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with NodeClient(address, stop) as client:
            threading.Timer(0.2, stop.set).start()
            began = time.monotonic()
            with pytest.raises(StoppedBySignalError):
                client.status()
            assert 0.1 < time.monotonic() - began < 2


def test_an_export_that_has_gone_silent_can_be_left(
    chain: GrowingChain, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(client_module, "SILENCE_SECONDS", 0.05)
    released = threading.Event()

    def silent(_request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        yield event(0, 0, b"\xc0")
        context.add_callback(released.set)
        released.wait(20)

    with ScriptedNode(chain, silent) as node, NodeClient(node.address) as client:
        began = time.monotonic()
        with client.export(0, 5) as chunks:
            found = [next(chunks) for _ in range(4)]
        assert found.count(None) >= 2
        assert time.monotonic() - began < 5
        assert caplog.text.count(f"nothing from {node.address} for 0 s; still waiting") == 1
        # The node hears that nobody listens any more.
        assert released.wait(5)


def test_an_export_can_be_left_with_chunks_waiting(chain: GrowingChain) -> None:
    many = [event(number, number, bytes(100_000)) for number in range(100)]
    with ScriptedNode(chain, lambda *_: iter(many)) as node:
        client = NodeClient(node.address)
        with client, client.export(0, 99) as chunks:
            assert next(filter(None, chunks)).first == 0
        assert not [thread for thread in threading.enumerate() if thread.name == "export"]
