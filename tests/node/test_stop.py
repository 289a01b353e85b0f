"""Signals while the doors are busy or a restore runs: the node ends within seconds, and says where it stands."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import grpc
import httpx
import pytest
from google.protobuf.empty_pb2 import Empty
from tests.conftest import recorded_folder
from tests.crash.network import head_of
from tests.golden.recorded import Network
from tests.node.running import RunningNode

from polygon_edge.execution.pipeline import Limits
from polygon_edge.operator.proto import system_pb2
from polygon_edge.store.data_dir import DataDirectory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.node.chain import FreshChain

BLOCK_TIME = ("--block-time", "1")
LONGEST_STOP_SECONDS = 4.0
"""Three seconds are promised; the machine of a test may be busy."""
ENDLESS_CODE = "0x5b600056"
"""Creation code that jumps to its own start until its gas is used up."""
STOPPED = 130
CLOSED = "databases flushed and closed, locks released"


def address_of(place: str) -> tuple[str, int]:
    host, _, port = place.removeprefix("http://").rpartition(":")
    return host, int(port)


@contextlib.contextmanager
def busy_doors(node: RunningNode) -> Iterator[None]:
    """Half-sent requests, idle connections, calls that compute, a subscription and an export that lasts for minutes."""
    with contextlib.ExitStack() as stack:
        for _ in range(5):
            for door in (node.grpc, node.rpc_url):
                stack.enter_context(socket.create_connection(address_of(door)))
            half = stack.enter_context(socket.create_connection(address_of(node.rpc_url)))
            half.sendall(b"POST / HTTP/1.1\r\nHost: node\r\nContent-Length: 1000\r\n\r\n{")

        def compute() -> None:
            request = {
                "jsonrpc": "2.0",
                "id": 1,
                "method": "eth_call",
                "params": [{"data": ENDLESS_CODE, "gas": hex(5_000_000)}, "latest"],
            }
            with contextlib.suppress(httpx.HTTPError), httpx.Client(timeout=10) as client:
                while node.process.poll() is None:
                    client.post(node.rpc_url, json=request)

        callers = [threading.Thread(target=compute, daemon=True) for _ in range(2)]
        for caller in callers:
            caller.start()
        channel = stack.enter_context(grpc.insecure_channel(node.grpc))
        messages: Any = system_pb2
        subscription = channel.unary_stream(
            "/v1.System/Subscribe",
            request_serializer=Empty.SerializeToString,
            response_deserializer=messages.BlockchainEvent.FromString,
        )(Empty())
        export = channel.unary_stream(
            "/v1.System/Export",
            request_serializer=messages.ExportRequest.SerializeToString,
            response_deserializer=messages.ExportEvent.FromString,
        )(messages.ExportRequest())
        next(iter(subscription))
        yield
        export.cancel()
        for caller in callers:
            caller.join(10)


@pytest.fixture
def busy(newborn: FreshChain) -> Iterator[RunningNode]:
    """A node that seals while its doors are busy."""
    with RunningNode(newborn.data_dir, newborn.genesis, *BLOCK_TIME, "--export-delay", "60") as node:
        node.wait_for_height(1)
        with busy_doors(node):
            yield node


def test_a_stop_ends_within_seconds_whatever_the_doors_are_busy_with(busy: RunningNode) -> None:
    began = time.monotonic()
    assert busy.stop() == 0
    assert time.monotonic() - began < LONGEST_STOP_SECONDS
    assert CLOSED in busy.messages
    head, _ = busy.sealed[-1]
    assert head_of(busy.data_dir) == head
    assert json.loads((busy.data_dir / "consensus" / "metadata").read_text()) == {"LastBlock": head}


def test_a_second_signal_does_not_wait_for_the_doors(busy: RunningNode) -> None:
    busy.send(signal.SIGTERM)
    busy.wait_for("the notice", lambda: "Gracefully" in busy.output)
    began = time.monotonic()
    assert busy.stop(signal.SIGINT) == STOPPED
    assert time.monotonic() - began < 1.0
    assert busy.messages.splitlines()[-1] == "shutdown by signal channel"
    head, _ = busy.sealed[-1]
    assert head_of(busy.data_dir) in {head, head + 1}


# ---- inside a restore ------------------------------------------------------------------------------------------------


def test_a_stop_inside_a_restore_exits_130_and_the_next_start_goes_on_from_there(tmp_path: Path) -> None:
    network = Network(recorded_folder("quirks/v0.6.3/all-fuzz"))
    end = network.about["blocks"]
    data_dir, pipe = tmp_path / "data", tmp_path / "pipe"
    os.mkfifo(pipe)
    archive = network.archive("full.dat", tmp_path)
    with RunningNode(data_dir, network.genesis, "--restore", str(pipe)) as node:
        with pipe.open("wb", buffering=0) as writing:
            # A run is imported once it is complete; the pipe stays open and says nothing more.
            writing.write(archive.read_bytes()[: Limits().bytes + 100_000])
            node.wait_for_height(1)
            node.wait_for("a first part", lambda: int(node.rpc("eth_syncing")["currentBlock"], 16) > 0)
            syncing = node.rpc("eth_syncing")
            assert syncing["type"] == "restore"
            found = [int(syncing[name], 16) for name in ("startingBlock", "currentBlock", "highestBlock")]
            assert found == [1, found[1], end]
            assert 1 <= found[1] <= node.height < end
            began = time.monotonic()
            assert node.stop() == STOPPED
            assert time.monotonic() - began < LONGEST_STOP_SECONDS
        height = head_of(data_dir)
        assert height is not None
        assert "[SIGNAL] Caught signal: interrupt" in node.output
        assert node.messages.splitlines()[-1] == f"stopped by a signal after block {height}"
        assert CLOSED in node.messages
        assert not node.sealed
    assert DataDirectory(data_dir).is_unfinished
    assert json.loads((data_dir / "consensus" / "metadata").read_text()) == {"LastBlock": height}
    with RunningNode(data_dir, network.genesis, wait=False, log=tmp_path / "without.log") as node:
        node.wait_for_line("not sealing: a restore into this directory has not finished")
        assert node.stop() == 0
    with RunningNode(data_dir, network.genesis, "--restore", str(archive), log=tmp_path / "again.log") as node:
        node.wait_for_line(f"restored blocks {height + 1} to {end}")
        assert node.rpc("eth_syncing") is False
        assert node.stop() == 0
    assert not DataDirectory(data_dir).is_unfinished
    assert head_of(data_dir) == end


def test_a_stop_before_the_archive_says_its_first_byte_leaves_a_directory_as_new(poa: Network, tmp_path: Path) -> None:
    data_dir, pipe = tmp_path / "data", tmp_path / "pipe"
    os.mkfifo(pipe)
    with RunningNode(data_dir, poa.genesis, "--restore", str(pipe)) as node:
        assert node.rpc("eth_syncing") is False
        assert node.stop(signal.SIGHUP) == STOPPED
    assert "Traceback" not in node.messages
    assert CLOSED in node.messages
    assert not DataDirectory(data_dir).is_unfinished
    assert head_of(data_dir) == 0


@pytest.mark.parametrize(
    ("kind", "problem"),
    [
        ("nothing", "cannot be read: No such file or directory"),
        ("a folder", "cannot be read: Is a directory"),
        ("something else", "byte 0: no metadata"),
        ("empty", "byte 0: empty file, no metadata"),
    ],
)
def test_an_archive_that_cannot_be_one_ends_the_start_before_anything_is_made(
    kind: str, problem: str, poa: Network, tmp_path: Path
) -> None:
    archive = tmp_path / "a.dat"
    match kind:
        case "a folder":
            archive.mkdir()
        case "something else":
            archive.write_bytes(b"text")
        case "empty":
            archive.touch()
    with RunningNode(tmp_path / "data", poa.genesis, "--restore", str(archive), wait=False) as node:
        assert node.process.wait(30) == 1
    assert node.messages.splitlines()[-1].startswith(f"{archive}: {problem}")
    assert "Traceback" not in node.messages
    assert "listening" not in node.messages
    assert not (tmp_path / "data").exists()


def test_an_archive_from_standard_input_is_called_that(poa: Network, tmp_path: Path) -> None:
    archive = poa.archive("full.dat", tmp_path)
    starts = ("restored blocks 1 to 150 from standard input", "has the blocks of standard input already")
    for number, said in enumerate(starts):
        log = tmp_path / f"{number}.log"
        with RunningNode(tmp_path / "data", poa.genesis, "--restore", "-", log=log, input=archive) as node:
            node.wait_for_line(said)
            assert node.stop() == 0
