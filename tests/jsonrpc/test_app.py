from __future__ import annotations

import asyncio
import signal
import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest
from tests.jsonrpc.door import Door, Headless, backend_of

from polygon_edge.errors import ListenError
from polygon_edge.jsonrpc.app import JsonRpcServer
from polygon_edge.jsonrpc.context import Limits, SyncProgress

if TYPE_CHECKING:
    from collections.abc import Iterator

REQUEST = b'{"id":1,"method":"net_version"}'
ANSWER = b'{"jsonrpc":"2.0","id":1,"result":"10631"}'
SHORT = Limits(header_seconds=0.3, body_seconds=0.3, idle_seconds=0.3, stall_seconds=0.3)


@pytest.fixture(scope="module")
def door() -> Iterator[Door]:
    with Door(backend_of(Headless())) as opened:
        yield opened


@pytest.fixture(scope="module")
def impatient_door() -> Iterator[Door]:
    with Door(backend_of(Headless()), SHORT) as opened:
        yield opened


def connect(door: Door) -> socket.socket:
    return socket.create_connection(door.address, timeout=10)


def read_to_end(connection: socket.socket) -> bytes:
    found = b""
    try:
        while chunk := connection.recv(65536):
            found += chunk
    except ConnectionResetError:
        pass
    return found


def read_until(connection: socket.socket, end: bytes) -> None:
    """Read until `end` has come; fails when the other side closes first."""
    found = b""
    while end not in found:
        chunk = connection.recv(65536)
        assert chunk, found
        found += chunk


def send_slowly(connection: socket.socket, content: bytes) -> int:
    """Send byte by byte, and return how many went before the other side closed."""
    for sent in range(len(content)):
        try:
            connection.sendall(content[sent : sent + 1])
        except (BrokenPipeError, ConnectionResetError):
            return sent
        time.sleep(0.02)
    return len(content)


@pytest.mark.parametrize("path", ["/", "/any/path?x=1", "/ws2"])
def test_every_path_serves_posts(door: Door, path: str) -> None:
    answer = door.client.post(path, content=REQUEST)
    assert (answer.status_code, answer.content) == (200, ANSWER)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["access-control-allow-methods"] == "POST, OPTIONS"
    assert "X-CSRF-Token" in answer.headers["access-control-allow-headers"]
    assert answer.headers["access-control-allow-origin"] == "*"


def test_a_get_tells_who_answers(door: Door) -> None:
    answer = door.client.get("/x")
    assert answer.content == b'{"name":"polygon-edge","chain_id":10631,"version":""}'
    assert answer.headers["content-type"] == "application/json"


def test_options_has_an_empty_body_and_other_verbs_are_refused_in_words(door: Door) -> None:
    options = door.client.options("/")
    assert (options.status_code, options.content) == (200, b"")
    refused = door.client.request("PUT", "/")
    assert (refused.status_code, refused.content) == (200, b"method PUT not allowed")


def test_only_listed_origins_are_allowed() -> None:
    with Door(backend_of(Headless(), allowed_origins=("https://a.example",))) as door:
        for origin, allowed in (("https://a.example", "https://a.example"), ("https://b.example", None)):
            answer = door.client.post("/", content=REQUEST, headers={"Origin": origin})
            assert answer.headers.get("access-control-allow-origin") == allowed
        assert "access-control-allow-origin" not in door.client.get("/").headers


def test_web_sockets_are_told_what_to_use_instead(door: Door) -> None:
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    for answer in (door.client.get("/ws"), door.client.get("/ws", headers=upgrade)):
        assert answer.status_code == 501
        assert "eth_getFilterChanges" in answer.json()["error"]["message"]


def test_a_body_above_the_limit_is_refused_and_the_connection_closed() -> None:
    with Door(backend_of(Headless()), Limits(body_bytes=1000)) as door:
        assert door.post(REQUEST + b" " * (1000 - len(REQUEST))).content == ANSWER
        answer = door.post(REQUEST + b" " * 1_000_000)
        assert answer.json()["error"] == {"code": -32600, "message": "request too large: expected at most 1000 bytes"}
        assert answer.headers["connection"] == "close"
        assert door.post(REQUEST).content == ANSWER


def test_a_large_answer_arrives_whole() -> None:
    with Door(backend_of(Headless(), name="x" * 300_000)) as door:
        answer = door.client.get("/")
        assert len(answer.content) == int(answer.headers["content-length"]) > 300_000
        assert door.result("web3_clientVersion").startswith("xxx")


def test_a_restore_under_way_is_told() -> None:
    with Door(backend_of(Headless(), sync_progress=lambda: SyncProgress(1, 16, 255))) as door:
        assert door.result("eth_syncing") == {
            "type": "restore",
            "startingBlock": "0x1",
            "currentBlock": "0x10",
            "highestBlock": "0xff",
        }


def test_an_answer_does_not_wait_for_the_client_to_acknowledge_its_header(door: Door) -> None:
    begun = time.monotonic()
    for _ in range(50):
        door.post(REQUEST)
    assert time.monotonic() - begun < 1  # 40 ms each if it did


def test_requests_in_one_go_are_answered_one_after_the_other(door: Door) -> None:
    request = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(REQUEST), REQUEST)
    last = request.replace(b"Host: x", b"Host: x\r\nConnection: close")
    with connect(door) as connection:
        connection.sendall(request * 5 + last)
        assert read_to_end(connection).count(ANSWER) == 6


def test_what_is_not_http_is_refused_and_closed(door: Door) -> None:
    for garbage in (
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00" * 20 + b"\r\n\r\n",
        b"\0" * 70_000,
    ):
        with connect(door) as connection:
            connection.sendall(garbage)
            assert read_to_end(connection).startswith((b"HTTP/1.1 400", b""))
    assert door.post(REQUEST).content == ANSWER


@pytest.mark.parametrize(
    "start", [b"", b"POST / HTTP/1.1\r\nHost: x\r\n"], ids=["a silent connection", "a header without an end"]
)
def test_a_connection_without_a_whole_header_is_closed(impatient_door: Door, start: bytes) -> None:
    with connect(impatient_door) as connection:
        connection.sendall(start)
        assert read_to_end(connection) == b""


def test_a_header_that_trickles_in_is_cut_off(impatient_door: Door) -> None:
    with connect(impatient_door) as connection:
        begun = time.monotonic()
        assert send_slowly(connection, b"P" * 200) < 200
        assert time.monotonic() - begun < 3


def test_a_header_that_trickles_in_after_an_answer_is_cut_off_too(impatient_door: Door) -> None:
    request = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(REQUEST), REQUEST)
    with connect(impatient_door) as connection:
        connection.sendall(request)
        read_until(connection, ANSWER)
        connection.sendall(b"POST / ")
        assert read_to_end(connection) == b""


def test_a_body_that_does_not_end_is_answered_with_an_error(impatient_door: Door) -> None:
    with connect(impatient_door) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        answer = read_to_end(connection)
    assert b"request incomplete: expected the body within 0.3 seconds, found 1 bytes" in answer
    assert answer.startswith(b"HTTP/1.1 200 OK")


def test_an_idle_connection_is_closed(impatient_door: Door) -> None:
    with connect(impatient_door) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        begun = time.monotonic()
        assert read_to_end(connection).endswith(b'"version":""}')
        assert time.monotonic() - begun < 3


def test_a_client_that_does_not_read_is_cut_off() -> None:
    with Door(backend_of(Headless(), name="x" * 20_000_000), SHORT) as door, socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(10)
        connection.connect(door.address)
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(1)
        assert len(read_to_end(connection)) < 20_000_000


def test_a_slow_client_that_does_read_gets_everything() -> None:
    with Door(backend_of(Headless(), name="x" * 2_000_000), SHORT) as door, socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        connection.settimeout(10)
        connection.connect(door.address)
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        found = 0
        while chunk := connection.recv(40_000):
            found += len(chunk)
            time.sleep(0.02)
        assert found > 2_000_000


def test_connections_beyond_the_limit_are_refused_at_once() -> None:
    with Door(backend_of(Headless()), Limits(connections=3)) as door:
        held = [connect(door) for _ in range(3)]
        try:
            for connection in held:
                connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                read_until(connection, b'"version":""}')
            with connect(door) as refused:
                assert read_to_end(refused) == b""
        finally:
            for connection in held:
                connection.close()
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            with connect(door) as again:
                again.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                if read_to_end(again).startswith(b"HTTP/1.1 200"):
                    return
        pytest.fail("no connection is taken again")


def test_a_client_that_leaves_early_harms_nobody(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(20):
        with connect(door) as connection:
            connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
    assert door.post(REQUEST).content == ANSWER
    assert not caplog.records


def test_a_method_that_takes_long_does_not_block_the_others() -> None:
    begun, release = threading.Event(), threading.Event()

    def slow() -> None:
        begun.set()
        release.wait(20)

    with Door(backend_of(Headless(), sync_progress=slow)) as door:
        slow_call = threading.Thread(target=door.ask, args=("eth_syncing",))
        slow_call.start()
        assert begun.wait(10)
        assert door.post(REQUEST).content == ANSWER
        release.set()
        slow_call.join(20)


def test_an_address_in_use_is_known_before_the_start() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ListenError) as failure:
            JsonRpcServer(backend_of(Headless()), "127.0.0.1", port)
    assert str(failure.value) == f"listen tcp 127.0.0.1:{port}: bind: address already in use"
    assert failure.value.address == f"127.0.0.1:{port}"


def test_a_server_that_was_never_started_releases_its_address() -> None:
    server = JsonRpcServer(backend_of(Headless()), "127.0.0.1", 0)
    _, port = server.address
    asyncio.run(server.stop())
    with socket.create_server(("127.0.0.1", port)):
        pass


def test_it_listens_on_version_6_addresses_too() -> None:
    server = JsonRpcServer(backend_of(Headless()), "::1", 0)
    assert server.address[0] == "::1"
    asyncio.run(server.stop())


def test_signals_stay_as_they_are_and_a_stop_ends_open_connections() -> None:
    async def life() -> None:
        server = JsonRpcServer(backend_of(Headless()), "127.0.0.1", 0)
        before = signal.getsignal(signal.SIGINT)
        await server.start()
        assert signal.getsignal(signal.SIGINT) is before
        reader, writer = await asyncio.open_connection(*server.address)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 200")
        await asyncio.wait_for(server.stop(), 5)
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()

    asyncio.run(life())


def test_a_stop_does_not_wait_for_a_client_that_does_not_read(caplog: pytest.LogCaptureFixture) -> None:
    limits = Limits(stop_seconds=0.3)
    with socket.socket() as connection, Door(backend_of(Headless(), name="x" * 20_000_000), limits) as door:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(door.address)
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.recv(100)
        begun = time.monotonic()
    assert time.monotonic() - begun < 3
    assert not [record for record in caplog.records if record.levelname != "DEBUG"]


def test_a_stop_waits_for_a_method_that_still_reads() -> None:
    begun, ended = threading.Event(), threading.Event()

    def slow() -> None:
        begun.set()
        time.sleep(0.5)
        ended.set()

    with Door(backend_of(Headless(), sync_progress=slow), Limits(stop_seconds=0.1)) as door, connect(door) as left:
        body = b'{"id":1,"method":"eth_syncing"}'
        left.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        assert begun.wait(10)
    assert ended.is_set()


def test_large_answers_that_nobody_reads_leave_room_for_small_ones() -> None:
    with Door(backend_of(Headless(), name="x" * 6_000_000), Limits(room_bytes=10_000_000)) as door:
        body = b'{"id":1,"method":"web3_clientVersion"}'
        with connect(door) as idle:
            idle.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            assert idle.recv(1000)
            assert "try again later" in door.post(body).json()["error"]["message"]
            assert door.post(REQUEST).content == ANSWER
        deadline = time.monotonic() + 10
        while "result" not in door.post(body).json():
            assert time.monotonic() < deadline
