"""What all clients together hold is bounded, however many there are."""

from __future__ import annotations

import json
import socket
import threading
import time
from contextlib import ExitStack
from typing import Any

import pytest
from tests.jsonrpc.door import Door, Headless, backend_of

from polygon_edge.jsonrpc.context import Limits
from polygon_edge.jsonrpc.dispatch import MAXIMUM_VALUES, Dispatcher
from polygon_edge.jsonrpc.room import Room
from polygon_edge.jsonrpc.rpc_error import RpcError

REQUEST = b'{"jsonrpc":"2.0","id":1,"method":"net_version","params":[]}'


def test_a_room_is_shared_and_given_back() -> None:
    room = Room(10)
    with room.request() as first, room.request() as second:
        first.hold(6)
        second.hold(4)
        with pytest.raises(RpcError, match=r"hold 10 bytes, and 1 more do not fit into 10; try again later"):
            second.hold(5)
        first.hold(2)
        second.hold(8)
    with room.request() as third:
        third.hold(10)


def test_a_small_share_costs_nothing_and_is_given_in_any_case() -> None:
    room = Room(10, free=3)
    with room.request() as large, room.request() as small:
        large.hold(9)
        small.hold(3)
        with pytest.raises(RpcError, match="4 more do not fit"):
            small.hold(4)
        small.hold(2)
        large.hold(3)
        small.hold(10)


def post(body: bytes, length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    return b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (size, body)


def test_bodies_that_stop_half_way_keep_others_out_only_as_long_as_they_last() -> None:
    limits = Limits(room_bytes=10_000, free_bytes=1_000, body_bytes=4_000)
    with Door(backend_of(Headless()), limits) as door:
        with ExitStack() as stack:
            for _ in range(5):
                stalled = stack.enter_context(socket.create_connection(door.address))
                stalled.sendall(post(b" " * 3_000, 4_000))
            deadline = time.monotonic() + 10
            while "error" not in (answer := door.post(REQUEST + b" " * 2_000).json()):
                assert time.monotonic() < deadline
            assert "try again later" in answer["error"]["message"]
            assert door.post(REQUEST).json()["result"] == "10631"
        deadline = time.monotonic() + 10
        while "error" in door.post(REQUEST + b" " * 2_000).json():
            assert time.monotonic() < deadline


def test_an_answer_that_does_not_fit_is_replaced_by_an_error() -> None:
    with Door(backend_of(Headless(), name="x" * 20_000), Limits(room_bytes=10_000, free_bytes=1_000)) as door:
        answer = door.post(b'{"jsonrpc":"2.0","id":1,"method":"web3_clientVersion","params":[]}').json()
        assert "do not fit into 10000" in answer["error"]["message"]
        assert door.post(REQUEST).json()["result"] == "10631"


class SlowHead:
    """A chain whose head takes its time, and which counts how many ask at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asking = 0
        self.most = 0

    @property
    def head(self) -> tuple[int, bytes]:
        with self._lock:
            self._asking += 1
            self.most = max(self.most, self._asking)
        time.sleep(0.05)
        with self._lock:
            self._asking -= 1
        return 7, bytes(32)


@pytest.mark.parametrize(("padding", "most"), [(0, 4), (2_000, 1)], ids=["small bodies", "large bodies"])
def test_large_bodies_are_worked_on_one_at_a_time(padding: int, most: int) -> None:
    chain = SlowHead()
    body = b'{"jsonrpc":"2.0","id":1,"method":"eth_blockNumber","params":[]}' + b" " * padding
    answers: list[Any] = []
    with Door(backend_of(chain), Limits(small_body_bytes=1_000, threads=4)) as door:
        clients = [threading.Thread(target=lambda: answers.append(door.post(body).json())) for _ in range(8)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
    assert [answer["result"] for answer in answers] == ["0x7"] * 8
    assert chain.most == most


@pytest.mark.parametrize("mark", ["[],", "{},", "0,"])
def test_a_body_of_too_many_values_is_refused_before_it_is_decoded(mark: str) -> None:
    body = ('{"id":1,"method":"m","params":[' + mark * (MAXIMUM_VALUES + 1) + "0]}").encode()
    answer = json.loads(Dispatcher({}, 0).answer(body))
    assert "request too complex: expected at most 100000 values" in answer["error"]["message"]
    allowed = ('{"id":1,"method":"m","params":[' + mark * (MAXIMUM_VALUES // 2 - 10) + "0]}").encode()
    assert json.loads(Dispatcher({}, 0).answer(allowed))["error"]["code"] == -32601
