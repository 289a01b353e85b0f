"""A sealing node and its doors as an attacker sees them: bytes on sockets; and what must hold afterwards."""

from __future__ import annotations

import itertools
import json
import os
import random
import re
import socket
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.node.chain import FreshChain
    from tests.node.running import RunningNode

ROUNDS = "POLYGON_EDGE_HOSTILE_ROUNDS"
SEED = "POLYGON_EDGE_HOSTILE_SEED"

BLOCK_SECONDS = 1
LATEST_ANSWER_SECONDS = 10.0
"""A machine under this load may be slow, but an honest client is still answered."""

MOST_RESIDENT_BYTES = 400 << 20
LONGEST_GAP_SECONDS = 6 * BLOCK_SECONDS


def rounds(usual: int) -> int:
    """How many rounds to go: `usual` times what the environment asks for."""
    return usual * int(os.environ.get(ROUNDS) or 1)


def is_long() -> bool:
    """Whether the environment asks for more than the short slice."""
    return rounds(1) > 1


def seeded(what: str) -> random.Random:
    """Chance that the environment can repeat; the seed is printed."""
    seed = int(os.environ.get(SEED) or random.SystemRandom().getrandbits(32))
    print(f"{what}: {SEED}={seed}")
    return random.Random(f"{seed} {what}")


@dataclass(frozen=True)
class Door:
    """An address to connect to."""

    host: str
    port: int

    @classmethod
    def of(cls, address: str) -> Door:
        host, _, port = address.removeprefix("http://").rpartition(":")
        return cls(host, int(port))

    def connect(self, seconds: float = 5.0) -> socket.socket:
        return socket.create_connection((self.host, self.port), timeout=seconds)

    @contextmanager
    def connections(self, count: int, first: bytes = b"") -> Iterator[list[socket.socket]]:
        """Hold `count` connections that have sent `first` and nothing more."""
        held: list[socket.socket] = []
        try:
            for _ in range(count):
                with suppress(OSError):
                    held.append(self.connect())
                    held[-1].sendall(first)
            yield held
        finally:
            for connection in held:
                connection.close()

    def talk(self, *parts: bytes, seconds: float = 5.0) -> bytes:
        """Send `parts` and return what comes back until the other side closes, resets or is silent for `seconds`."""
        with self.connect(seconds) as connection:
            with suppress(OSError):
                for part in parts:
                    connection.sendall(part)
            return read_all(connection)


def read_all(connection: socket.socket) -> bytes:
    """Read until the other side closes, resets or is silent for too long."""
    received = bytearray()
    with suppress(OSError):
        while chunk := connection.recv(1 << 16):
            received += chunk
    return bytes(received)


def is_closed(connection: socket.socket) -> bool:
    """Whether the other side has closed or reset the connection; what it sent before is thrown away."""
    connection.setblocking(False)
    try:
        while connection.recv(1 << 16):
            pass
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def post_bytes(body: bytes, *headers: str) -> bytes:
    """A whole HTTP request with `body`, after which the server is to close."""
    lines = ("POST / HTTP/1.1", "Host: node", f"Content-Length: {len(body)}", "Connection: close", *headers)
    return "\r\n".join((*lines, "", "")).encode() + body


def call(method: str, *params: object, request_id: object = 1) -> dict[str, object]:
    """One JSON-RPC request."""
    return {"jsonrpc": "2.0", "id": request_id, "method": method, "params": list(params)}


def check_answer(answer: Any) -> None:
    """Hold one JSON-RPC answer against what any answer must be; an internal error is a slip of ours."""
    assert isinstance(answer, dict), answer
    if "error" in answer:
        error = answer["error"]
        assert isinstance(error["code"], int), answer
        assert isinstance(error["message"], str), answer
        assert error["code"] != -32603, answer
    else:
        assert "result" in answer, answer


@dataclass
class Target:
    """The node under attack, with what it was before."""

    node: RunningNode
    chain: FreshChain
    client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=LATEST_ANSWER_SECONDS))

    def __post_init__(self) -> None:
        self.started_at = self.node.height

    @property
    def http(self) -> Door:
        return Door.of(self.node.rpc_url)

    @property
    def grpc(self) -> Door:
        return Door.of(self.node.grpc)

    def post(self, body: bytes | str) -> Any:
        """Post a body as an honest client would, whatever it holds; returns the document of the answer."""
        response = self.client.post(self.node.rpc_url, content=body)
        assert response.status_code == 200, response
        return json.loads(response.content)

    def ask(self, requests: Iterable[dict[str, object]], batch: int = 20) -> list[Any]:
        """Send requests in batches and return all answers, each of them checked."""
        answers: list[Any] = []
        waiting = list(requests)
        for start in range(0, len(waiting), batch):
            part = waiting[start : start + batch]
            found = self.post(json.dumps(part))
            assert isinstance(found, list), found
            assert len(found) == len(part)
            answers += found
        for answer in answers:
            check_answer(answer)
        return answers

    @property
    def proc(self) -> Path:
        """What the system knows of the node."""
        return Path(f"/proc/{self.node.process.pid}")

    @property
    def peak_resident_bytes(self) -> int:
        """The most memory that the node ever held."""
        status = (self.proc / "status").read_text()
        found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
        assert found is not None
        return int(found[1]) << 10

    def check_health(self) -> None:
        """The node lives, answers, has not grown and has met nothing that it did not expect."""
        assert self.node.process.poll() is None, self.node.messages[-4000:]
        deadline = time.monotonic() + LATEST_ANSWER_SECONDS
        while True:
            # A flood that has just ended may still fill the queue of connections.
            try:
                assert self.post(json.dumps(call("eth_chainId")))["result"]
                break
            except httpx.TransportError:
                assert time.monotonic() < deadline, "an honest client is not answered"
                time.sleep(0.05)
        assert "Traceback" not in self.node.messages, self.node.messages[-4000:]
        assert self.peak_resident_bytes < MOST_RESIDENT_BYTES

    def check_sealing(self) -> None:
        """Blocks came all the time and come still."""
        self.node.wait_for_height(self.node.height + 2, seconds=LONGEST_GAP_SECONDS)
        times = [
            int(answer["result"]["timestamp"], 16)
            for answer in self.ask(
                call("eth_getBlockByNumber", hex(number), False)
                for number in range(self.started_at, self.node.height + 1)
            )
        ]
        gaps = [after - before for before, after in itertools.pairwise(times)]
        print(
            f"{len(times)} blocks under attack, longest gap {max(gaps)} s,"
            f" mean {sum(gaps) / len(gaps):.2f} s; peak {self.peak_resident_bytes >> 20} MiB"
        )
        assert max(gaps) <= LONGEST_GAP_SECONDS
