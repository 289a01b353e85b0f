"""Hostile bytes, messages and clients at the gRPC door: an error or a closed connection, and no export left behind."""

from __future__ import annotations

import struct
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from tests.hostile.attack import is_closed, is_long, rounds, seeded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.hostile.attack import Target

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
UNARY = ("GetStatus", "PeersAdd", "PeersList", "PeersStatus", "BlockByNumber")
STREAMS = ("Subscribe", "Export")
LONGEST_SILENT_SECONDS = 60


def frame(kind: int, stream: int = 0, payload: bytes = b"", flags: int = 0, length: int | None = None) -> bytes:
    size = len(payload) if length is None else length
    return struct.pack(">I", size)[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def literal(name: bytes, value: bytes) -> bytes:
    """A header that no table keeps (RFC 7541 §6.2.2), short enough for one length byte."""
    return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value


def request_headers(path: bytes) -> bytes:
    return b"".join(
        literal(*header)
        for header in (
            (b":method", b"POST"),
            (b":scheme", b"http"),
            (b":path", path),
            (b":authority", b"node"),
            (b"te", b"trailers"),
            (b"content-type", b"application/grpc"),
        )
    )


STATUS = request_headers(b"/v1.System/GetStatus")
START = PREFACE + frame(SETTINGS)
ODD_STREAMS = range(1, 4_001, 2)

GARBAGE = {
    "nothing": b"",
    "HTTP/1.1": b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)) * 2,
    "zeros": bytes(100_000),
    "half a preface": PREFACE[:10],
    "a preface and zeros": PREFACE + bytes(100_000),
    "a frame of 16 MiB": START + frame(DATA, 1, bytes(1_000), length=(1 << 24) - 1),
    "a frame of no known kind": START + frame(0xFF, 1, bytes(100)) * 1_000,
    "data for no stream": START + frame(DATA, 99, bytes(100)),
    "data for stream 0": START + frame(DATA, 0, bytes(100)),
    "headers that are none": START + frame(HEADERS, 1, b"\xff" * 100, flags=5),
    "headers of stream 0": START + frame(HEADERS, 0, STATUS, flags=5),
    "headers that grow a table": START + frame(HEADERS, 1, b"\x3f\xe1\xff\xff\xff\xff\xff\xff" + STATUS, flags=5),
    "an endless header": START
    + frame(HEADERS, 1, STATUS, flags=1)
    + frame(CONTINUATION, 1, literal(b"a" * 100, b"b" * 100) * 50) * 2_000,
    "empty continuations": START + frame(HEADERS, 1, b"", flags=1) + frame(CONTINUATION, 1) * 50_000,
    "settings without end": START + frame(SETTINGS, payload=struct.pack(">HI", 4, 65_535)) * 20_000,
    "settings that are none": START + frame(SETTINGS, payload=bytes(5)),
    "a window beyond all bounds": START + frame(SETTINGS, payload=struct.pack(">HI", 4, 0xFFFFFFFF)),
    "pings without end": START + frame(PING, payload=bytes(8)) * 20_000,
    "window updates of 0": START + frame(WINDOW_UPDATE, payload=bytes(4)) * 1_000,
    "window updates beyond all bounds": START + frame(WINDOW_UPDATE, payload=b"\x7f\xff\xff\xff") * 1_000,
    "priorities without end": START + b"".join(frame(PRIORITY, stream, bytes(5)) for stream in ODD_STREAMS),
    "a promise by a client": START + frame(PUSH_PROMISE, 1, bytes(100)),
    "streams opened and reset": START
    + b"".join(frame(HEADERS, stream, STATUS, flags=4) + frame(RST_STREAM, stream, bytes(4)) for stream in ODD_STREAMS),
    "streams opened and left": START + b"".join(frame(HEADERS, stream, STATUS, flags=4) for stream in ODD_STREAMS),
    "an even stream": START + frame(HEADERS, 2, STATUS, flags=5),
    "a goodbye and more": START + frame(GOAWAY, payload=bytes(8)) + frame(HEADERS, 1, STATUS, flags=5) * 100,
    "a message of 4 GiB": START
    + frame(HEADERS, 1, STATUS, flags=4)
    + frame(DATA, 1, b"\0\xff\xff\xff\xff" + bytes(1_000)),
    "a compressed message": START + frame(HEADERS, 1, STATUS, flags=4) + frame(DATA, 1, b"\1\0\0\0\5hello", flags=1),
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
def test_garbage_ends_its_own_connection_at_most(target: Target, garbage: bytes) -> None:
    with channel(target) as honest:
        assert invoke(honest, "GetStatus")
        target.grpc.talk(garbage, seconds=0.3)
        assert invoke(honest, "GetStatus")


def test_random_frames_end_their_own_connection_at_most(target: Target) -> None:
    chance = seeded("random frames")
    for number in range(rounds(100)):
        if number % 2:
            sent = chance.randbytes(chance.randint(1, 2_000))
        else:
            sent = START + b"".join(
                frame(
                    chance.randrange(12),
                    chance.choice([0, 1, 1, 2, 3, 2**31 - 1]),
                    chance.choice([STATUS, chance.randbytes(chance.randrange(40))]),
                    flags=chance.choice([0, 1, 4, 5, 8, 32, 255]),
                )
                for _ in range(chance.randint(1, 20))
            )
        target.grpc.talk(sent, seconds=0.02)


@contextmanager
def channel(target: Target) -> Iterator[grpc.Channel]:
    options = (("grpc.max_send_message_length", -1), ("grpc.use_local_subchannel_pool", 1))
    with grpc.insecure_channel(target.node.grpc, options=options) as opened:
        yield opened


def invoke(opened: grpc.Channel, method: str, message: bytes = b"", service: str = "v1.System") -> bytes:
    """Call a unary method with any bytes as its message; returns the bytes of the answer."""
    answer: bytes = opened.unary_unary(f"/{service}/{method}", _same, _same)(message, timeout=10)
    return answer


def stream(opened: grpc.Channel, method: str, message: bytes = b"") -> Any:
    return opened.unary_stream(f"/v1.System/{method}", _same, _same)(message, timeout=30)


def _same(message: bytes) -> bytes:
    return message


def test_random_messages_are_answered_or_refused(target: Target) -> None:
    chance = seeded("random messages")
    with channel(target) as opened:
        for _ in range(rounds(40)):
            for method in UNARY:
                with suppress(grpc.RpcError):
                    invoke(opened, method, chance.randbytes(chance.randrange(60)))
            with suppress(grpc.RpcError):
                for _event in stream(opened, "Export", chance.randbytes(chance.randrange(12))):
                    pass


@pytest.mark.parametrize(
    "number", [b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", b"\x08\x80\x80\x80\x80\x80\x80\x80\x80\x01"]
)
def test_heights_beyond_all_bounds_are_not_found(target: Target, number: bytes) -> None:
    with channel(target) as opened:
        with pytest.raises(grpc.RpcError, match="not found"):
            invoke(opened, "BlockByNumber", number)
        assert list(stream(opened, "Export", number)) == []
        until = number.replace(b"\x08", b"\x10", 1)
        assert list(stream(opened, "Export", until))


def test_messages_that_are_too_large_are_refused(target: Target) -> None:
    with channel(target) as opened:
        for size in (1 << 20, 64 << 20):
            for method in ("GetStatus", "BlockByNumber"):
                with pytest.raises(grpc.RpcError) as caught:
                    invoke(opened, method, b"\x0a" + bytes(size))
                assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert invoke(opened, "GetStatus")


def test_what_does_not_exist_is_refused(target: Target) -> None:
    with channel(target) as opened:
        for service, method in (("v1.System", "Nothing"), ("v1.Nothing", "GetStatus"), ("", ""), ("a/b", "c" * 5_000)):
            with pytest.raises(grpc.RpcError) as caught:
                invoke(opened, method, service=service)
            assert caught.value.code() in (grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.RESOURCE_EXHAUSTED)


def test_cancelled_exports_and_subscriptions_leave_nothing_behind(target: Target) -> None:
    with channel(target) as opened:
        for number in range(rounds(60)):
            export = stream(opened, "Export")
            if number % 3:
                # Refused while those before it have not been cleared away yet.
                with suppress(grpc.RpcError):
                    next(export, None)
            export.cancel()
            subscription = stream(opened, "Subscribe")
            subscription.cancel()
            with suppress(grpc.RpcError):
                list(export)
        whole_export(target)


def whole_export(target: Target) -> None:
    """An honest export is served, if need be after those before it have been cleared away."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            with channel(target) as opened:
                assert len(b"".join(stream(opened, "Export"))) > 1_000
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.RESOURCE_EXHAUSTED:
                raise
            time.sleep(0.1)
        else:
            return
    pytest.fail("the exports that are gone still keep their places")


def test_exports_that_nobody_reads_end_with_their_connection(target: Target) -> None:
    no_window = frame(SETTINGS, payload=struct.pack(">HI", 4, 0))
    export = frame(HEADERS, 1, request_headers(b"/v1.System/Export"), flags=4) + frame(DATA, 1, bytes(5), flags=1)
    with target.grpc.connections(rounds(20), PREFACE + no_window + export):
        target.node.wait_for_height(target.node.height + 1)
    whole_export(target)


def test_half_open_connections_do_not_keep_others_from_being_served(target: Target) -> None:
    with (
        target.grpc.connections(60) as silent,
        target.grpc.connections(60, PREFACE[:12]) as half,
        target.grpc.connections(60, START + frame(HEADERS, 1, STATUS, flags=4)) as waiting,
    ):
        began = time.monotonic()
        target.node.wait_for_height(target.node.height + 1)
        with channel(target) as opened:
            assert invoke(opened, "GetStatus")
        while is_long() and not all(is_closed(connection) for connection in [*silent, *half]):
            assert time.monotonic() - began < LONGEST_SILENT_SECONDS
            time.sleep(1)
        if is_long():
            print(f"{len(silent) + len(half)} silent connections closed within {time.monotonic() - began:.0f} s")
        assert len(waiting) == 60


def test_thousands_of_connections_are_turned_away_and_forgotten(target: Target) -> None:
    for first in (b"", START, START + frame(HEADERS, 1, STATUS, flags=5)):
        with target.grpc.connections(rounds(1_000), first):
            assert target.node.process.poll() is None
    whole_export(target)
    descriptors = len(list((target.proc / "fd").iterdir()))
    assert descriptors < 500, "connections that are gone are kept"
