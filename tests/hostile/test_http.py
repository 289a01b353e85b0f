"""Hostile bytes to the HTTP under JSON-RPC: an error or a closed connection, and the honest are served meanwhile."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from tests.hostile.attack import call, is_closed, is_long, post_bytes, read_all, rounds, seeded

if TYPE_CHECKING:
    from tests.hostile.attack import Target

CHAIN_ID = json.dumps(call("eth_chainId")).encode()
LONGEST_HALF_OPEN_SECONDS = 90

GARBAGE = {
    "nothing": b"",
    "line ends": b"\r\n" * 10_000,
    "zeros": bytes(100_000),
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)) * 2,
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9),
    "HTTP/0.9": b"GET /\r\n\r\n",
    "HTTP/9.9": b"GET / HTTP/9.9\r\n\r\n",
    "no version": b"POST /\r\nContent-Length: 2\r\n\r\n{}",
    "a method without end": b"G" * 1_000_000,
    "a path without end": b"GET /" + b"a" * 1_000_000,
    "a header without end": b"GET / HTTP/1.1\r\nX: " + b"a" * 1_000_000,
    "headers without end": b"GET / HTTP/1.1\r\n" + b"X: a\r\n" * 200_000,
    "a negative length": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n{}",
    "a length that is no number": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x10\r\n\r\n{}",
    "a length of 400 digits": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " + b"9" * 400 + b"\r\n\r\n{}",
    "two lengths": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "length and chunks": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"0\r\n\r\n",
    "an unknown encoding": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "a chunk without size": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
    "a chunk of 2^64": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000000\r\n",
    "a chunk extension without end": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;"
    + b"a" * 1_000_000,
    "no host": b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}",
    "folded headers": b"POST / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\n{}",
    "a carriage return in a header": b"POST / HTTP/1.1\r\nHost: a\rb\r\n\r\n",
    "an upgrade": b"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n\x81\xff",
    "a promise to go on": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n",
    "an unknown method": b"BREW / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "a trace": b"TRACE / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "a proxy request": b"CONNECT 127.0.0.1:1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "a path of dots": b"GET /../../../../etc/passwd HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "a path of percents": b"GET /%ff%00%2e HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
def test_garbage_is_refused_or_the_connection_closed(target: Target, garbage: bytes) -> None:
    answer = target.http.talk(garbage, seconds=0.3)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 "), answer[:200]
    assert b"root:" not in answer


def test_random_bytes_are_refused_or_the_connection_closed(target: Target) -> None:
    chance = seeded("random bytes for HTTP")
    whole = post_bytes(CHAIN_ID)
    for number in range(rounds(100)):
        if number % 2:
            sent = chance.randbytes(chance.randint(1, 2_000)) + b"\r\n\r\n"
        else:
            damaged = bytearray(whole)
            for _ in range(chance.randint(1, 3)):
                damaged[chance.randrange(len(damaged))] = chance.randrange(256)
            sent = bytes(damaged)
        answer = target.http.talk(sent, seconds=0.05)
        assert answer == b"" or answer.startswith(b"HTTP/1.1 "), answer[:200]


def test_a_body_that_is_too_large_is_refused_before_it_is_all_there(target: Target) -> None:
    before = target.node.resident_bytes
    header = "POST / HTTP/1.1\r\nHost: a\r\n"
    mebibyte = bytes(1 << 20)
    for framing, part in (
        (f"Content-Length: {1 << 30}", mebibyte),
        ("Transfer-Encoding: chunked", b"100000\r\n" + mebibyte + b"\r\n"),
    ):
        sent = 0
        with target.http.connect() as connection:
            connection.sendall((header + framing + "\r\n\r\n").encode())
            with suppress(OSError):
                for _ in range(512):
                    connection.sendall(part)
                    sent += 1
            answer = read_all(connection)
        assert sent < 256, "the server goes on reading"
        assert answer == b"" or b'"error"' in answer
    assert target.node.resident_bytes - before < 64 << 20


def test_bodies_that_never_end_are_bounded_all_together(target: Target) -> None:
    header = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000\r\n\r\n"
    with target.http.connections(rounds(60), header + bytes(4_000_000)):
        target.node.wait_for_height(target.node.height + 1)
        target.check_health()


def test_half_open_requests_do_not_keep_others_from_being_served(target: Target) -> None:
    header = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n"
    with (
        target.http.connections(60) as silent,
        target.http.connections(60, header) as without_body,
        target.http.connections(60, header + b"\r\n{") as within_body,
    ):
        began = time.monotonic()
        target.node.wait_for_height(target.node.height + 1)
        target.check_health()
        held = [*silent, *without_body, *within_body]
        # A byte now and then must not count as progress.
        while is_long() and time.monotonic() < began + LONGEST_HALF_OPEN_SECONDS:
            for connection in [*without_body, *within_body]:
                with suppress(OSError):
                    connection.send(b"X")
            time.sleep(1)
            if all(is_closed(connection) for connection in held):
                break
        if is_long():
            print(f"{len(held)} half-open connections closed within {time.monotonic() - began:.0f} s")
            assert all(is_closed(connection) for connection in held)


def test_thousands_of_connections_are_turned_away_and_forgotten(target: Target) -> None:
    for first in (b"", b"POST / HTTP/1.1\r\n", post_bytes(CHAIN_ID)):
        with target.http.connections(rounds(1_000) if first == b"" else rounds(300), first):
            assert target.node.process.poll() is None
        target.check_health()
    descriptors = len(list((target.proc / "fd").iterdir()))
    assert descriptors < 500, "connections that are gone are kept"


def test_pipelined_requests_are_answered_in_order_or_not_at_all(target: Target) -> None:
    count = 300
    request = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s"
    bodies = [json.dumps(call("eth_chainId", request_id=number)).encode() for number in range(count)]
    sent = b"".join(request % (len(body), body) for body in bodies)
    answer = target.http.talk(sent + post_bytes(CHAIN_ID), seconds=10)
    found = [json.loads(part.split(b"\r\n\r\n")[1])["id"] for part in answer.split(b"HTTP/1.1 200 OK")[1:]]
    assert found == [*range(count), 1]


def test_who_never_reads_the_answers_is_not_served_for_ever(target: Target) -> None:
    before = target.node.resident_bytes
    about = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 1_000
    with target.http.connections(8) as greedy:
        for connection in greedy:
            connection.settimeout(0.2)
            with suppress(OSError):
                for _ in range(200):
                    connection.sendall(about)
        target.node.wait_for_height(target.node.height + 1)
        assert target.node.resident_bytes - before < 64 << 20
