"""Measures how evenly a lone validator seals: idle, under load, and while backups of its chain run.

One node, one block a second. The same node is idle, takes transactions, is backed up by two clients that begin again
as soon as they have ended, and last both at once; between the phases it is left alone. For each phase: the intervals
from one durable block to the next, as the node's own log has them, and how late after its timestamp each was durable.
What counts is the ratio to the idle phase of the same run: the mean interval, and the share of blocks that came more
than 5 % of the block time early or late.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "tools")]

from tests.node.chain import fresh_chain  # noqa: E402
from tests.node.running import RunningNode  # noqa: E402
from tests.program import COMMAND  # noqa: E402

from demonstration.load import CHAIN_ID, accounts  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

RESULTS = REPOSITORY / "benches" / "results"
BLOCK_SECONDS = 1
GAS_LIMIT = 50_000_000
BATCH = 20
FILL_BYTES = 100_000
MIB = 1 << 20
SEALED = re.compile(r"^(\S+) \[INFO\] \S+: block sealed: number=(\d+) .* transactions=(\d+) ", re.MULTILINE)
RECEIVER = "0x" + "42" * 20


@dataclass(frozen=True)
class Phase:
    """What was measured in one phase; seconds, and shares of one."""

    name: str
    blocks: int
    transactions: int
    backups: int
    mean_interval: float
    deviation: float
    shortest_interval: float
    longest_interval: float
    uneven_share: float
    mean_delay: float
    longest_delay: float
    resident_mib: float


class Transactions:
    """Signed transactions of all accounts in turn, with nonces that go on."""

    def __init__(self) -> None:
        self._accounts = accounts()
        self._nonces = [0] * len(self._accounts)
        self._turn = 0

    def sign(self, count: int, *, data: bytes = b"", gas: int = 21_000) -> list[str]:
        return [self._sign(data, gas) for _ in range(count)]

    def _sign(self, data: bytes, gas: int) -> str:
        index = self._turn = (self._turn + 1) % len(self._accounts)
        transaction: dict[str, Any] = {
            "nonce": self._nonces[index],
            "gasPrice": 1,
            "gas": gas,
            "value": 1,
            "to": RECEIVER,
            "data": data,
            "chainId": CHAIN_ID,
        }
        self._nonces[index] += 1
        return "0x" + bytes(self._accounts[index].sign_transaction(transaction).raw_transaction).hex()


def send(client: httpx.Client, url: str, transactions: list[str]) -> None:
    batch = [
        {"jsonrpc": "2.0", "id": index, "method": "eth_sendRawTransaction", "params": [raw]}
        for index, raw in enumerate(transactions)
    ]
    answers = client.post(url, json=batch).json()
    refused = [answer for answer in answers if "error" in answer]
    if refused:
        raise SystemExit(f"a transaction was refused: {refused[0]}")


def send_evenly(url: str, transactions: list[str], rate: float) -> None:
    """Send `rate` transactions a second, in small batches."""
    began = time.monotonic()
    with httpx.Client(timeout=30) as client:
        for start in range(0, len(transactions), BATCH):
            time.sleep(max(0.0, began + start / rate - time.monotonic()))
            send(client, url, transactions[start : start + BATCH])


def back_up_again_and_again(
    node: RunningNode, folder: Path, name: str, ended: threading.Event, done: list[float]
) -> None:
    while not ended.is_set():
        out = folder / f"{name}-{len(done)}.dat"
        began = time.monotonic()
        subprocess.run(
            [*COMMAND, "backup", "--grpc-address", node.grpc, "--out", str(out)], check=True, capture_output=True
        )
        done.append(time.monotonic() - began)
        out.unlink()


def fill(node: RunningNode, transactions: Transactions, size: int) -> None:
    """Make the chain as large as `size` bytes, with blocks of some megabytes."""
    gas = 21_000 + 4 * FILL_BYTES
    with httpx.Client(timeout=60) as client:
        for raw in transactions.sign(size // FILL_BYTES, data=bytes(FILL_BYTES), gas=gas):
            send(client, node.rpc_url, [raw])
    node.wait_for("the filling", lambda: node.rpc("txpool_status")["pending"] in (0, "0x0"))


def sealed(node: RunningNode) -> Iterator[tuple[float, int, int]]:
    """When each block was durable, its number and its transactions."""
    for moment, number, transactions in SEALED.findall(node.messages):
        yield datetime.fromisoformat(moment).timestamp(), int(number), int(transactions)


def measure(
    name: str, node: RunningNode, seconds: float, folder: Path, *, load: list[str], rate: float, clients: int
) -> Phase:
    first = node.height + 1
    ended = threading.Event()
    done: list[float] = []
    workers = [
        threading.Thread(target=back_up_again_and_again, args=(node, folder, f"{name}-{index}", ended, done))
        for index in range(clients)
    ]
    if load:
        workers.append(threading.Thread(target=send_evenly, args=(node.rpc_url, load, rate)))
    for worker in workers:
        worker.start()
    time.sleep(seconds)
    last = node.height
    ended.set()
    for worker in workers:
        worker.join()
    blocks = [(moment, number, count) for moment, number, count in sealed(node) if first <= number <= last]
    intervals = [after[0] - before[0] for before, after in itertools.pairwise(blocks)]
    timestamps = {
        number: int(node.rpc("eth_getBlockByNumber", hex(number), False)["timestamp"], 16) for _, number, _ in blocks
    }
    delays = [moment - timestamps[number] for moment, number, _ in blocks]
    uneven = sum(abs(interval - BLOCK_SECONDS) > 0.05 * BLOCK_SECONDS for interval in intervals)
    return Phase(
        name=name,
        blocks=len(blocks),
        transactions=sum(count for _, _, count in blocks),
        backups=len(done),
        mean_interval=round(statistics.fmean(intervals), 4),
        deviation=round(statistics.pstdev(intervals), 4),
        shortest_interval=round(min(intervals), 3),
        longest_interval=round(max(intervals), 3),
        uneven_share=round(uneven / len(intervals), 3),
        mean_delay=round(statistics.fmean(delays), 4),
        longest_delay=round(max(delays), 3),
        resident_mib=round(node.resident_bytes / MIB, 1),
    )


def line(phase: Phase, idle: Phase) -> str:
    return (
        f"{phase.name:18} {phase.blocks:6} {phase.transactions:8} {phase.backups:7} {phase.mean_interval:9.4f}"
        f" {phase.mean_interval / idle.mean_interval:7.4f} {phase.deviation:9.4f} {phase.longest_interval:8.3f}"
        f" {phase.uneven_share:7.1%} {phase.mean_delay:9.4f} {phase.longest_delay:8.3f} {phase.resident_mib:8.1f}"
    )


HEADING = (
    f"{'phase':18} {'blocks':>6} {'txs':>8} {'backups':>7} {'mean s':>9} {'ratio':>7} {'deviation':>9} {'longest':>8}"
    f" {'uneven':>7} {'delay s':>9} {'longest':>8} {'RSS MiB':>8}"
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=30, help="how long each phase lasts (default: 30)")
    parser.add_argument("--rate", type=float, default=300, help="transactions a second under load (default: 300)")
    parser.add_argument("--fill", type=int, default=40, help="MB of blocks that the backups find (default: 40)")
    arguments = parser.parse_args()
    seconds, rate = arguments.seconds, arguments.rate
    transactions = Transactions()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sealing-")))
        chain = fresh_chain(folder, "--block-gas-limit", str(GAS_LIMIT))
        flags = ("--block-time", str(BLOCK_SECONDS), "--max-enqueued", "100000", "--max-slots", "8192")
        node = stack.enter_context(RunningNode(chain.data_dir, chain.genesis, *flags))
        fill(node, transactions, arguments.fill * 1_000_000)
        plan = [("idle", 0.0, 0), ("load", rate, 0), ("two backups", 0.0, 2), ("load and backups", rate, 2)]
        found: list[Phase] = []
        print(HEADING, flush=True)
        for name, phase_rate, clients in plan:
            load = transactions.sign(int(phase_rate * seconds))
            time.sleep(2 * BLOCK_SECONDS)
            found.append(measure(name, node, seconds, folder, load=load, rate=phase_rate, clients=clients))
            print(line(found[-1], found[0]), flush=True)
        if node.stop() != 0:
            raise SystemExit("the node did not end in order")
    RESULTS.mkdir(exist_ok=True)
    ratios = {phase.name: round(phase.mean_interval / found[0].mean_interval, 4) for phase in found}
    document = {"cores": os.cpu_count(), "ratios_to_idle": ratios, "phases": [asdict(phase) for phase in found]}
    (RESULTS / "sealing.json").write_text(json.dumps(document, indent=1) + "\n")
    print(f"\nall figures: {(RESULTS / 'sealing.json').relative_to(REPOSITORY)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
