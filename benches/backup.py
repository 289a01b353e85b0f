"""Backs up the recorded load chains from a running node and prints how fast, beside the Go client on a Go node.

Both ends count: our client on our node, and, with `--go BINARY`, that client on its own node, on a copy of the same
data directory, in the same invocation and in turns. Neither node seals. Time is that of the whole command, from its
start to its end; the memory is each process's own peak. What both wrote is compared byte by byte.

The chain `large` is sealed for the measurement: 300 blocks of about a megabyte. Last, a validator seals a block each
second while its chain is backed up again and again; what is printed is how far apart the blocks are, with and without.
"""

from __future__ import annotations

import argparse
import filecmp
import itertools
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import zstandard

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "tools")]

from tests.interop.go_node import GoNode  # noqa: E402
from tests.node.chain import fresh_chain  # noqa: E402
from tests.node.running import RunningNode  # noqa: E402
from tests.page.test_backup import seal  # noqa: E402
from tests.program import COMMAND  # noqa: E402

from polygon_edge import _core  # noqa: E402
from polygon_edge.chain.genesis import load_genesis  # noqa: E402
from polygon_edge.chain.genesis_block import core_rules  # noqa: E402
from polygon_edge.chain.rules import rules_of  # noqa: E402

from demonstration.load import CHAIN_ID, accounts  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Sequence

LARGE = "large"
CHAINS = ("transfers", "erc20", "long", "mixed", LARGE)
LARGE_BLOCKS = 300
RESULTS = REPOSITORY / "benches" / "results"
SECONDS = 600
MIB = 1 << 20
OTHER_KEY = "0b" * 32
SEALED_BLOCKS = 3000
WATCHED_SECONDS = 20


# A process of its own in between: a child's peak begins with what its parent held when it was started.
MEASURE = """
import json, resource, subprocess, sys, time
began = time.perf_counter()
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
seconds = time.perf_counter() - began
used = resource.getrusage(resource.RUSAGE_CHILDREN)
if done.returncode:
    sys.exit(done.stderr)
print(json.dumps([seconds, used.ru_utime + used.ru_stime, used.ru_maxrss << 10]))
"""


def measured(words: list[str]) -> tuple[float, float, int]:
    """Run a command to its end; its seconds, its processor seconds, its peak in bytes."""
    done = subprocess.run([sys.executable, "-c", MEASURE, *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{words} failed:\n{done.stderr}")
    seconds, processor, peak = json.loads(done.stdout)
    return seconds, processor, peak


def memory_bytes(process: int, kind: str) -> int:
    """Memory of a running process: "VmHWM", its most, with mapped tables of the database; "RssAnon", its own now."""
    found = re.search(rf"{kind}:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())
    if found is None:
        raise SystemExit(f"{kind} of process {process} is not known")
    return int(found[1]) << 10


def processor_seconds(process: int) -> float:
    """Processor seconds that a running process has used."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def backup_once(program: list[str], address: str, server: int, out: Path) -> dict[str, Any]:
    """One backup: seconds, processor seconds and peaks of both ends."""
    out.unlink(missing_ok=True)
    before = processor_seconds(server)
    seconds, processor, peak = measured([*program, "backup", "--grpc-address", address, "--out", str(out)])
    return {
        "seconds": seconds,
        "client_processor_seconds": processor,
        "server_processor_seconds": processor_seconds(server) - before,
        "client_peak_bytes": peak,
        "server_peak_bytes": memory_bytes(server, "VmHWM"),
        "server_own_bytes": memory_bytes(server, "RssAnon"),
    }


def middle(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """The round with the median time, with the highest peaks of all rounds."""
    found = dict(sorted(rounds, key=lambda figures: figures["seconds"])[len(rounds) // 2])
    for name in ("client_peak_bytes", "server_peak_bytes", "server_own_bytes"):
        found[name] = max(figures[name] for figures in rounds)
    return {name: round(value, 3) for name, value in found.items()}


class LargeBlocks:
    """Offers transactions of 120 KB for every block, from one account after the other."""

    def __init__(self, genesis: Path) -> None:
        self._rules = core_rules(rules_of(load_genesis(genesis)))
        self._accounts = accounts()
        self._nonces = [0] * len(self._accounts)

    def candidates(self) -> list[_core.Transaction]:
        """The next transaction of each account."""
        fields: dict[str, Any] = {"gasPrice": 1, "gas": 3_000_000, "to": "0x" + "11" * 20, "value": 0}
        fields |= {"data": os.urandom(120_000), "chainId": CHAIN_ID}
        signed = [
            account.sign_transaction(fields | {"nonce": nonce}).raw_transaction
            for account, nonce in zip(self._accounts, self._nonces, strict=True)
        ]
        return [_core.decode_transaction(self._rules, 1, bytes(raw)) for raw in signed]

    def settle(self, candidates: Sequence[_core.Transaction], outcomes: Sequence[str]) -> None:
        """Go on where a transaction was taken; on a busy machine the time may not do for all."""
        if not {"included", "skipped"}.issuperset(outcomes):
            raise SystemExit(f"a block of {len(candidates)} large transactions: {outcomes}")
        self._nonces = [nonce + (outcome == "included") for nonce, outcome in zip(self._nonces, outcomes, strict=True)]


def recorded(folder: Path, scratch: Path) -> tuple[Path, Path]:
    """Restore a recorded chain; returns data directory and genesis file."""
    archive, data_dir, genesis = scratch / "full.dat", scratch / "ours", folder / "genesis.json"
    with (folder / "full.dat.zst").open("rb") as packed, archive.open("wb") as unpacked:
        zstandard.ZstdDecompressor(max_window_size=1 << 27).copy_stream(packed, unpacked)
    measured([*COMMAND, "restore", str(archive), "--data-dir", str(data_dir), "--chain", str(genesis)])
    return data_dir, genesis


def sealed(scratch: Path) -> tuple[Path, Path]:
    """Seal a chain of large blocks; returns data directory and genesis file."""
    chain = fresh_chain(scratch, "--block-gas-limit", "100000000")
    seal(chain, LARGE_BLOCKS, LargeBlocks(chain.genesis))
    return chain.data_dir, chain.genesis


def measure(name: str, shared: Path, go: Path | None, rounds: int) -> dict[str, Any]:
    """All figures of one chain."""
    with tempfile.TemporaryDirectory(prefix="polygon-edge-bench-") as scratch_name:
        scratch = Path(scratch_name)
        data_dir, genesis = sealed(scratch) if name == LARGE else recorded(shared / "bench" / name, scratch)
        (data_dir / "consensus" / "validator.key").write_text(OTHER_KEY)
        ours: list[dict[str, Any]] = []
        theirs: list[dict[str, Any]] = []
        out, go_out = scratch / "ours.dat", scratch / "theirs.dat"
        with RunningNode(data_dir, genesis) as node:
            blocks = node.height + 1
            ours += [backup_once(list(COMMAND), node.grpc, node.process.pid, out) for _ in range(rounds)]
            node.stop()
        if go is not None:
            shutil.copytree(data_dir, scratch / "theirs")
            with (
                RunningNode(data_dir, genesis) as node,
                GoNode(go, scratch / "theirs", genesis, scratch / "go.log") as go_node,
            ):
                go_node.wait_for_height(blocks - 1, SECONDS)
                for _ in range(rounds):
                    theirs.append(backup_once([str(go)], go_node.grpc, go_node.process.pid, go_out))
                    ours.append(backup_once(list(COMMAND), node.grpc, node.process.pid, out))
        same = [go_out] * bool(theirs) + [archive for archive in [scratch / "full.dat"] if archive.exists()]
        if not all(filecmp.cmp(out, other, shallow=False) for other in same):
            raise SystemExit(f"{name}: two backups of one chain are not the same")
        size = out.stat().st_size
    return {
        "chain": name,
        "blocks": blocks,
        "bytes": size,
        "ours": middle(ours),
        "go": middle(theirs) if theirs else None,
    }


def line(figures: dict[str, Any]) -> str:
    """One row of the table."""

    def half(found: dict[str, Any]) -> str:
        seconds = found["seconds"]
        return (
            f"{seconds:7.2f} {figures['blocks'] / seconds:9.0f} {figures['bytes'] / seconds / 1e6:7.1f} "
            f"{found['client_peak_bytes'] / MIB:7.0f} {found['server_peak_bytes'] / MIB:7.0f} "
            f"{found['server_own_bytes'] / MIB:6.0f} "
            f"{found['client_processor_seconds'] + found['server_processor_seconds']:6.2f}"
        )

    ours, go = figures["ours"], figures["go"]
    beside = "" if go is None else f" | {half(go)} | {go['seconds'] / ours['seconds']:5.1f}x"
    return f"{figures['chain']:10} {half(ours)}{beside}"


COLUMNS = f"{'s':>7} {'blocks/s':>9} {'MB/s':>7} {'client':>7} {'server':>7} {'of own':>6} {'cpu s':>6}"
HEADING = f"{'chain':10} {COLUMNS} | {COLUMNS} | ratio"


def gaps(log: str) -> list[float]:
    """Seconds between the blocks that a log says were sealed."""
    lines = [text.split(" ", 1)[0] for text in log.splitlines() if "block sealed" in text]
    moments = [datetime.fromisoformat(text).timestamp() for text in lines]
    return [later - earlier for earlier, later in itertools.pairwise(moments)]


def interval() -> dict[str, Any]:
    """How far the blocks of a validator are apart, alone and under one backup after the other."""
    with tempfile.TemporaryDirectory(prefix="polygon-edge-bench-") as scratch:
        chain = fresh_chain(Path(scratch))
        seal(chain, SEALED_BLOCKS)
        with RunningNode(chain.data_dir, chain.genesis, "--block-time", "1") as node:
            time.sleep(WATCHED_SECONDS)
            alone = gaps(node.messages)
            begun = len(node.messages)
            deadline = time.monotonic() + WATCHED_SECONDS
            backups = 0
            while time.monotonic() < deadline:
                backup_once(list(COMMAND), node.grpc, node.process.pid, Path(scratch) / "out.dat")
                backups += 1
            under_load = gaps(node.messages[begun:])
            node.stop()
    return {
        "backups": backups,
        "alone_mean_seconds": round(statistics.mean(alone), 4),
        "under_backups_mean_seconds": round(statistics.mean(under_load), 4),
        "alone_longest_seconds": round(max(alone), 4),
        "under_backups_longest_seconds": round(max(under_load), 4),
    }


def main() -> int:
    """Parse the flags and run what they ask for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("chains", nargs="*", default=[], help=f"of {', '.join(CHAINS)} (default: all)")
    parser.add_argument("--go", type=Path, metavar="BINARY", help="a Go client v0.6.3 to measure in the same run")
    parser.add_argument("--rounds", type=int, default=3, help="how often each chain is backed up (default: 3)")
    parser.add_argument("--no-interval", action="store_true", help="leave out the validator that seals meanwhile")
    arguments = parser.parse_args()
    shared = Path(os.environ.get("POLYGON_EDGE_SHARED", REPOSITORY.parent / "shared"))
    if not (shared / "bench").is_dir():
        print(f"no load chains in {shared}/bench: set POLYGON_EDGE_SHARED; nothing was measured", file=sys.stderr)
        return 1
    found = []
    print(f"{'':10} {'ours':{len(COLUMNS)}} | {'Go' if arguments.go else ''}\n{HEADING}", flush=True)
    for name in arguments.chains or CHAINS:
        figures = measure(name, shared, arguments.go, arguments.rounds)
        found.append(figures)
        print(line(figures), flush=True)
    document: dict[str, Any] = {"cores": os.cpu_count(), "load_average": os.getloadavg()[0], "chains": found}
    if not arguments.no_interval:
        sealing = document["sealing"] = interval()
        change = sealing["under_backups_mean_seconds"] / sealing["alone_mean_seconds"] - 1
        print(
            f"\na block every {sealing['alone_mean_seconds']:.3f} s alone "
            f"(longest {sealing['alone_longest_seconds']:.3f}), "
            f"every {sealing['under_backups_mean_seconds']:.3f} s under {sealing['backups']} backups "
            f"(longest {sealing['under_backups_longest_seconds']:.3f}): {change:+.1%}"
        )
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "backup.json").write_text(json.dumps(document, indent=1) + "\n")
    print(f"\nall figures: {(RESULTS / 'backup.json').relative_to(REPOSITORY)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
