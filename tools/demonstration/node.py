"""A server of the program, started as an operator starts it, and what its JSON-RPC says."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from typing import TYPE_CHECKING, Any

import httpx

from demonstration.program import command_line
from demonstration.proofs import DemoError, console

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PATIENCE_SECONDS = 60.0


class Server:
    """`polygon-edge server` in the folder `cwd`; `name` is what messages call it."""

    def __init__(self, name: str, cwd: Path, grpc_port: int, jsonrpc_port: int, *flags: str | Path) -> None:
        self.name = name
        self._client = httpx.Client(timeout=30, trust_env=False, verify=False)  # noqa: S501 - no TLS here at all
        self.url = f"http://127.0.0.1:{jsonrpc_port}"
        for port in (grpc_port, jsonrpc_port):
            require_free(port)
        self._log = cwd / f"{name}.log"
        addresses = ("--grpc-address", f"127.0.0.1:{grpc_port}", "--jsonrpc", f"127.0.0.1:{jsonrpc_port}")
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command_line("server", *flags, *addresses), cwd=cwd, stdout=log, stderr=log
            )
        self._wait()

    @property
    def log(self) -> str:
        """What it said so far."""
        return self._log.read_text(errors="replace")

    def _wait(self) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while "JSON-RPC server listening" not in self.log:
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise DemoError(f"{self.name} did not start: {self.log}")
            time.sleep(0.05)

    def rpc(self, method: str, *params: object) -> Any:  # noqa: ANN401 - any JSON value
        """The result of one JSON-RPC call; an error ends the demonstration."""
        answer = self.answer(method, *params)
        if "error" in answer:
            raise DemoError(f"{self.name}: {method}: {answer['error']}")
        return answer["result"]

    def answer(self, method: str, *params: object) -> dict[str, Any]:
        """The whole answer of one JSON-RPC call."""
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        document: dict[str, Any] = self._client.post(self.url, json=body).json()
        return document

    @property
    def height(self) -> int:
        """Number of its head."""
        return int(self.rpc("eth_blockNumber"), 16)

    def wait_for_height(self, height: int) -> None:
        """Wait until the head is at `height` or above."""
        self.wait(f"block {height}", lambda: self.height >= height)

    def wait(self, what: str, condition: Callable[[], bool]) -> None:
        """Wait until `condition` holds."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise DemoError(f"{self.name}: {what} did not come: {self.log[-2000:]}")
            time.sleep(0.05)

    def block(self, number: int) -> dict[str, Any]:
        """A block with its transactions."""
        found: dict[str, Any] | None = self.rpc("eth_getBlockByNumber", hex(number), True)
        if found is None:
            raise DemoError(f"{self.name}: block {number} is missing")
        return found

    def stop(self) -> None:
        """Send SIGINT; anything but a clean end ends the demonstration."""
        console.print(f"[bold]$ kill -INT  # {self.name}")
        self._process.send_signal(signal.SIGINT)
        exit_code = self._process.wait(PATIENCE_SECONDS)
        console.print(f"  exit code {exit_code}")
        if exit_code != 0 or "Gracefully shutting down client..." not in self.log:
            raise DemoError(f"{self.name} ended with {exit_code}: {self.log[-2000:]}")

    def kill(self) -> None:
        """End it if it still runs."""
        self._client.close()
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


def require_free(port: int) -> None:
    """Say so when something else listens on the port already."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise DemoError(f"port {port} of 127.0.0.1 is taken ({error.strerror}): stop what listens there") from error
