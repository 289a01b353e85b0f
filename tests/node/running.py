"""A node as its operator runs it: a process of its own, its log, its doors on ports that the system chose."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import httpx
from tests.program import COMMAND

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PATIENCE_SECONDS = 60.0
_LISTENING = re.compile(r"(gRPC|JSON-RPC) server listening on (\S+)")
_BLOCK = re.compile(r"block sealed: number=(\d+) hash=(0x[0-9a-f]{64})")


class RunningNode:
    """`polygon-edge server` in a process of its own; leaving the `with` block ends it, by SIGKILL if it still runs.

    `log` holds what it writes to standard error, from this start on. Standard output goes into a file beside it, or to
    the descriptor `output`, which is closed here. Standard input is the file `input`, or empty.
    """

    def __init__(
        self,
        data_dir: Path,
        genesis: Path,
        *flags: str,
        log: Path | None = None,
        wait: bool = True,
        output: int | None = None,
        input: Path | None = None,
    ) -> None:
        self._rpc_url: str | None = None
        self.data_dir = data_dir
        self.genesis = genesis
        self.log = log or data_dir.with_name(data_dir.name + ".log")
        self._output = self.log.with_suffix(".out")
        self._client = httpx.Client(timeout=30)
        with (
            self.log.open("wb") as errors,
            self._output.open("wb") if output is None else open(output, "wb") as out,
            (input or Path(os.devnull)).open("rb") as given,
        ):
            self.process = subprocess.Popen(
                self.words(flags),
                cwd=self.cwd,
                stdin=given,
                stdout=out,
                stderr=errors,
                start_new_session=True,
            )
        if wait:
            try:
                self.wait_for_doors()
            except BaseException:
                self.kill()
                raise

    def words(self, flags: tuple[str, ...]) -> list[str]:
        """The command line."""
        places = ("--data-dir", str(self.data_dir), "--chain", str(self.genesis))
        return [*COMMAND, "server", *places, "--grpc-address", "127.0.0.1:0", "--jsonrpc", "127.0.0.1:0", *flags]

    @property
    def cwd(self) -> Path | None:
        """The folder it runs in, None for this process's."""
        return None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self.process.poll() is None:
            self.kill()
        self._client.close()

    @property
    def messages(self) -> str:
        """What it wrote to standard error so far."""
        return self.log.read_text(errors="replace")

    @property
    def output(self) -> str:
        """What it wrote to standard output so far."""
        return self._output.read_text(errors="replace")

    def _address(self, door: str) -> str | None:
        for name, address in _LISTENING.findall(self.messages):
            if name == door:
                return str(address)
        return None

    @property
    def grpc(self) -> str:
        """Address of the gRPC door."""
        address = self._address("gRPC")
        assert address is not None, self.messages
        return address

    @property
    def rpc_url(self) -> str:
        """URL of the JSON-RPC door."""
        if self._rpc_url is None:
            address = self._address("JSON-RPC")
            assert address is not None, self.messages
            self._rpc_url = f"http://{address}"
        return self._rpc_url

    def wait_for(self, what: str, condition: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until `condition` holds; fails with the log when the node ends first or it takes too long."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert self.process.poll() is None, f"ended with {self.process.returncode} before {what}:\n{self.messages}"
            assert time.monotonic() < deadline, f"not within {seconds} s: {what}\n{self.messages}"
            time.sleep(0.02)

    def wait_for_doors(self) -> None:
        """Wait until both doors are open."""
        self.wait_for("its doors open", lambda: self._address("JSON-RPC") is not None)

    def wait_for_line(self, text: str, seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until `text` stands in the log."""
        self.wait_for(f"the line {text!r}", lambda: text in self.messages, seconds)

    def wait_for_height(self, height: int, seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until the head is at `height` or above."""
        self.wait_for(f"block {height}", lambda: self.height >= height, seconds)

    def rpc(self, method: str, *params: object) -> Any:
        """Ask the JSON-RPC door; returns the result, fails for an error."""
        answer = self.rpc_answer({"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)})
        assert "error" not in answer, answer
        return answer["result"]

    def rpc_answer(self, request: object) -> Any:
        """Send any JSON document to the JSON-RPC door and return the answer's document."""
        return self._client.post(self.rpc_url, json=request).json()

    @property
    def height(self) -> int:
        """Number of the head."""
        return int(self.rpc("eth_blockNumber"), 16)

    def block_hash(self, number: int) -> str:
        """Hash of a block."""
        return str(self.rpc("eth_getBlockByNumber", hex(number), False)["hash"])

    @property
    def sealed(self) -> list[tuple[int, str]]:
        """Number and hash of every block that the log says was sealed."""
        return [(int(number), block_hash) for number, block_hash in _BLOCK.findall(self.messages)]

    @property
    def resident_bytes(self) -> int:
        """Resident memory now."""
        with open(f"/proc/{self.process.pid}/statm") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Send a signal and return the exit status."""
        self.send(number)
        return self.process.wait(PATIENCE_SECONDS)

    def kill(self) -> None:
        """End it without a chance to clean up."""
        self.process.kill()
        self.process.wait(PATIENCE_SECONDS)


def run(
    words: Sequence[object], cwd: Path | None = None, seconds: float = PATIENCE_SECONDS
) -> subprocess.CompletedProcess[str]:
    """Run one command of the program to its end, in the folder `cwd`."""
    return subprocess.run(
        [*COMMAND, *map(str, words)], cwd=cwd, capture_output=True, text=True, check=False, timeout=seconds
    )
