"""A Go client as a process: started on a data directory, asked by JSON-RPC, ended by SIGINT."""

from __future__ import annotations

import json
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.ports import free_ports

BINARY = "POLYGON_EDGE_GO_063"
BINARY_132 = "POLYGON_EDGE_GO_132"
STOP_SECONDS = 10
STOP_TRIES = 6


class GoNode:
    """A node that finds no peers; it seals only where the directory holds the key of the only validator.

    `archive` is restored by it while it starts; `flags` are further ones. What it logs goes to `log`.
    """

    def __init__(
        self,
        binary: str | Path,
        directory: Path,
        genesis: Path,
        log: Path,
        archive: Path | None = None,
        *,
        flags: Sequence[str] = (),
    ) -> None:
        grpc, rpc, peers = free_ports(3)
        self.grpc = f"127.0.0.1:{grpc}"
        words: list[str | Path] = [
            "server",
            "--data-dir",
            directory,
            "--chain",
            genesis,
            "--no-discover",
            "--grpc-address",
            f"127.0.0.1:{grpc}",
            "--jsonrpc",
            f"127.0.0.1:{rpc}",
            "--libp2p",
            f"127.0.0.1:{peers}",
        ]
        if archive is not None:
            words += ["--restore", archive]
        words += flags
        self._url = f"http://127.0.0.1:{rpc}"
        self._log = log
        with log.open("wb") as stream:
            self.process = subprocess.Popen([str(binary), *map(str, words)], stdout=stream, stderr=stream)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is not None:
            return
        # A signal that arrives while it still closes its restore ends only that, so it may have to be asked again.
        for _ in range(STOP_TRIES):
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(timeout=STOP_SECONDS)
            except subprocess.TimeoutExpired:
                continue
            return
        self.process.kill()
        self.process.wait()
        raise TimeoutError(f"the Go client did not end after {STOP_TRIES} signals")

    def ask(self, method: str, *parameters: object) -> Any:
        """Return the answer's document; raises OSError while nobody listens."""
        question = {"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}
        request = urllib.request.Request(self._url, json.dumps(question).encode())  # noqa: S310 - the local node
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - as above
            return json.loads(answer.read())

    def rpc(self, method: str, *params: object) -> Any:
        """Return the answer's result; fails for an error."""
        answer = self.ask(method, *params)
        assert "error" not in answer, answer
        return answer["result"]

    @property
    def messages(self) -> str:
        """What it logged so far."""
        return self._log.read_text(errors="replace")

    def height(self) -> int | None:
        """Height of the head; none while it does not answer. Raises RuntimeError when the process has ended."""
        if self.process.poll() is not None:
            raise RuntimeError(f"the Go client ended with {self.process.returncode}:\n{self.messages[-4000:]}")
        try:
            return int(self.rpc("eth_blockNumber"), 16)
        except OSError:
            return None

    def wait_for(
        self, what: str, condition: Callable[[], bool], seconds: float = 60, interval_seconds: float = 0.1
    ) -> None:
        """Wait until `condition` holds; raises TimeoutError."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError(f"not within {seconds} s: {what}\n{self.messages[-4000:]}")
            time.sleep(interval_seconds)

    def wait_for_height(self, height: int, seconds: float = 60, interval_seconds: float = 0.1) -> None:
        """Wait until the head is at `height` or above; raises TimeoutError."""
        self.wait_for(f"block {height}", lambda: (self.height() or 0) >= height, seconds, interval_seconds)

    def kill(self) -> None:
        """End it without a chance to clean up."""
        self.process.kill()
        self.process.wait()
