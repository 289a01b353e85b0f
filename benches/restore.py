"""Restores the recorded load chains and prints how fast, beside the signature bound and, if asked, the Go client.

The bound is the time that preparing alone takes for the same runs: decoding, hashes, roots and above all every
signature of the chain, on all cores. Nothing that executes or writes can be faster than what has to be recovered first,
so the ratio says what all the rest costs. Each measurement is a process of its own, so that the peak of its memory is
its own.

`--go BINARY` restores each chain with that client right before, in the same invocation: figures of two machines, or of
one machine at two times, say little about each other. `--rounds` repeats that in turns; what is printed is the round
with the median ratio (without Go: time). On a machine that is not idle the processor seconds say more than the clock.

`--twins` restores beside each chain the same load as v1.3.2 recorded it, in turns, and says what the rules of that
generation cost: the best round of the one against the best round of the other.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import zstandard

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

from tests.interop.go_node import GoNode  # noqa: E402

from polygon_edge import _core  # noqa: E402
from polygon_edge.archive.flat import FlatArchive  # noqa: E402
from polygon_edge.chain.genesis import load_genesis  # noqa: E402
from polygon_edge.chain.genesis_block import core_rules  # noqa: E402
from polygon_edge.chain.rules import rules_of  # noqa: E402
from polygon_edge.execution import pipeline  # noqa: E402
from polygon_edge.execution.pipeline import Limits  # noqa: E402
from polygon_edge.restore import Restore  # noqa: E402
from polygon_edge.store.data_dir import RESTORE_FOLDERS, DataDirectory  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Sequence

CHAINS = ("transfers", "erc20", "long", "mixed")
TWIN = "-v1.3.2"
RESULTS = REPOSITORY / "benches" / "results"
STAGES = ("prepare", "execute", "commit")
COLUMNS = 72
SHADES = " .:+#"
GO_SECONDS = 600
MIB = 1 << 20


@dataclass(frozen=True)
class Span:
    """One run in one stage: blocks `first` to `last`, seconds from the start of the restore."""

    stage: str
    first: int
    last: int
    begin: float
    end: float


class Trace:
    """Collects spans from all threads."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self._started = time.perf_counter()
        self._lock = threading.Lock()

    def now(self) -> float:
        return time.perf_counter() - self._started

    def add(self, stage: str, first: int, last: int, begin: float) -> None:
        with self._lock:
            self.spans.append(Span(stage, first, last, round(begin, 4), round(self.now(), 4)))

    def prepare(self, rules: _core.Rules, records: Sequence[bytes], previous: _core.Run | None = None) -> _core.Run:
        begin = self.now()
        run = _core.prepare(rules, records, previous)
        first, last = run.identity(0), run.identity(len(run) - 1)
        self.add("prepare", first[0] if first else -1, last[0] if last else -1, begin)
        return run


class TracedChain:
    """A chain whose executions and commits leave spans; all the rest is the chain's own."""

    def __init__(self, chain: _core.Chain, trace: Trace) -> None:
        self._chain = chain
        self._trace = trace
        self._ranges: dict[int, tuple[int, int]] = {}

    def execute(self, run: _core.Run, start: int, stop: int) -> _core.Executed:
        begin = self._trace.now()
        executed = self._chain.execute(run, start, stop)
        last = self._chain.tip[0]
        self._ranges[id(executed)] = (last - executed.blocks + 1, last)
        self._trace.add("execute", last - executed.blocks + 1, last, begin)
        return executed

    def commit(self, executed: _core.Executed) -> None:
        begin = self._trace.now()
        self._chain.commit(executed)
        self._trace.add("commit", *self._ranges.pop(id(executed)), begin)

    def __getattr__(self, name: str) -> object:
        return getattr(self._chain, name)


class Silent:
    """Progress that nobody looks at."""

    def update(self, *, blocks: int, transactions: int, gas: int, head: int) -> None:
        """Nothing."""


def restore_once(archive: Path, genesis: Path, folder: Path) -> dict[str, Any]:
    """The restore that is measured; returns its document with the trace."""
    trace = Trace()
    pipeline.prepare = trace.prepare  # type: ignore[attr-defined]
    directory = DataDirectory(folder)
    directory.create(RESTORE_FOLDERS)
    with FlatArchive.open(archive) as source, _core.Chain.open(folder) as chain:
        traced: Any = TracedChain(chain, trace)
        began = time.perf_counter()
        report = Restore(source, directory, traced, load_genesis(genesis), threading.Event(), Silent()).run()
        seconds = time.perf_counter() - began
    return {**report.document(), "seconds": seconds, "trace": [asdict(span) for span in trace.spans]}


def prepare_once(archive: Path, genesis: Path) -> dict[str, Any]:
    """Preparing alone, over the same runs; reading them from the file is not counted."""
    rules = core_rules(rules_of(load_genesis(genesis)))
    limits = Limits()
    seconds = 0.0
    previous: _core.Run | None = None
    with FlatArchive.open(archive) as source:
        for records in source.runs(limits.blocks, limits.bytes):
            raw = [record.raw for record in records]
            began = time.perf_counter()
            previous = _core.prepare(rules, raw, previous)
            seconds += time.perf_counter() - began
    return {"seconds": seconds}


def in_a_process(*words: object) -> tuple[dict[str, Any], float, resource.struct_rusage]:
    """Run one measurement in a process of its own: its document, its seconds altogether, what it used."""
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, __file__, *map(str, words)], stdout=subprocess.PIPE, text=True)
    output = process.stdout.read() if process.stdout else ""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"a measurement failed with {process.returncode}: {words}")
    return json.loads(output), time.perf_counter() - began, usage


def time_go(binary: Path, archive: Path, genesis: Path, folder: Path, head: int) -> tuple[float, float]:
    """Seconds until a Go client, just started, serves the last block, and its processor seconds."""
    before = processor_seconds(resource.getrusage(resource.RUSAGE_CHILDREN))
    began = time.perf_counter()
    with GoNode(binary, folder / "data", genesis, folder / "go.log", archive) as node:
        node.wait_for_height(head, GO_SECONDS, interval_seconds=0.05)
        seconds = time.perf_counter() - began
    return seconds, processor_seconds(resource.getrusage(resource.RUSAGE_CHILDREN)) - before


def processor_seconds(usage: resource.struct_rusage) -> float:
    return usage.ru_utime + usage.ru_stime


def covered(spans: list[tuple[float, float]], begin: float, end: float) -> float:
    """The part of `begin` to `end` that lies in `spans`, which do not overlap each other."""
    inside = sum(max(0.0, min(end, span[1]) - max(begin, span[0])) for span in spans)
    return min(1.0, inside / (end - begin)) if end > begin else 0.0


def timeline(trace: list[dict[str, Any]]) -> list[str]:
    """One line a stage, one column a slice of time, the darker the busier; last a line with how much overlapped."""
    end = max(span["end"] for span in trace)
    rows = {stage: [(span["begin"], span["end"]) for span in trace if span["stage"] == stage] for stage in STAGES}
    lines = []
    for stage in STAGES:
        shares = [
            covered(rows[stage], end * column / COLUMNS, end * (column + 1) / COLUMNS) for column in range(COLUMNS)
        ]
        busy = sum(stop - start for start, stop in rows[stage])
        bar = "".join(SHADES[round(share * (len(SHADES) - 1))] for share in shares)
        lines.append(f"  {stage:8} |{bar}| {busy:6.2f} s busy, {len(rows[stage])} runs")
    marks = sorted({mark for spans in rows.values() for span in spans for mark in span})
    at_once = [0.0] * (len(STAGES) + 1)
    for start, stop in itertools.pairwise(marks):
        middle = (start + stop) / 2
        at_once[sum(any(a <= middle < b for a, b in rows[stage]) for stage in STAGES)] += stop - start
    lines.append(
        f"  of {end:.2f} s, two stages or more at once: {sum(at_once[2:]) / end:.0%}, "
        f"one: {at_once[1] / end:.0%}, none: {1 - sum(at_once[1:]) / end:.0%}"
    )
    return lines


def measure(name: str, folder: Path, go: Path | None) -> dict[str, Any]:
    """All figures of one chain."""
    about = json.loads((folder / "about.json").read_text())
    with tempfile.TemporaryDirectory(prefix="polygon-edge-bench-") as scratch:
        archive = Path(scratch) / "full.dat"
        with (folder / "full.dat.zst").open("rb") as packed, archive.open("wb") as unpacked:
            zstandard.ZstdDecompressor(max_window_size=1 << 27).copy_stream(packed, unpacked)
        genesis = folder / "genesis.json"
        go_seconds = go_processor_seconds = None
        if go is not None:
            (Path(scratch) / "go").mkdir()
            go_seconds, go_processor_seconds = time_go(go, archive, genesis, Path(scratch) / "go", about["blocks"])
        load_before = os.getloadavg()[0]
        bound, _, _ = in_a_process("--prepare", archive, genesis)
        document, process_seconds, usage = in_a_process("--restore", archive, genesis, Path(scratch) / "data")
        bound_after, _, _ = in_a_process("--prepare", archive, genesis)
    if (document["head"], document["head_hash"]) != (about["blocks"], about["headHash"]):
        raise SystemExit(f"{name}: restored to {document['head']} {document['head_hash']}, not as recorded")
    seconds = document["seconds"]
    return {
        "chain": name,
        "seconds": round(seconds, 3),
        "process_seconds": round(process_seconds, 3),
        "blocks": document["blocks"],
        "transactions": document["transactions"],
        "gas": document["gas"],
        "peak_bytes": usage.ru_maxrss * 1024,
        "processor_seconds": round(processor_seconds(usage), 3),
        "bound_seconds": round(min(bound["seconds"], bound_after["seconds"]), 3),
        "go_seconds": go_seconds and round(go_seconds, 3),
        "go_processor_seconds": go_processor_seconds and round(go_processor_seconds, 3),
        "load_average_before": round(load_before, 2),
        "trace": document["trace"],
    }


def ratio(figures: dict[str, Any]) -> float:
    """How many times as fast as the Go client, start-up included; without it, the inverse of the time."""
    reference: float = figures["go_seconds"] or 1.0
    return reference / float(figures["process_seconds"])


def line(figures: dict[str, Any]) -> str:
    """One row of the table."""
    seconds = figures["seconds"]
    go = figures["go_seconds"]
    return (
        f"{figures['chain']:16} {seconds:8.2f} {figures['blocks'] / seconds:9.0f} "
        f"{figures['transactions'] / seconds:9.0f} "
        f"{figures['gas'] / seconds / 1e6:8.0f} {figures['peak_bytes'] / MIB:9.0f} {figures['bound_seconds']:8.2f} "
        f"{figures['bound_seconds'] / seconds:7.0%} {figures['processor_seconds']:8.2f} "
        + ("" if go is None else f"{go:8.2f} {ratio(figures):6.1f}x {figures['go_processor_seconds']:8.2f}")
    )


def pair(rounds: Sequence[Sequence[dict[str, Any]]]) -> dict[str, float]:
    """How many times as long a twin takes as its chain, by processor and by clock; a round has the figures of both."""
    kinds = ("processor_seconds", "seconds")
    best = {kind: [min(figures[kind] for figures in of_one) for of_one in zip(*rounds, strict=True)] for kind in kinds}
    return {kind: round(twin / chain, 3) for kind, (chain, twin) in best.items()}


HEADING = (
    f"{'chain':16} {'seconds':>8} {'blocks/s':>9} {'tx/s':>9} {'Mgas/s':>8} {'peak MiB':>9} "
    f"{'bound s':>8} {'of it':>7} {'cpu s':>8} "
    f"{'Go s':>8} {'ratio':>7} {'Go cpu s':>8}"
)


def main() -> int:
    """Parse the flags and run what they ask for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("chains", nargs="*", default=[], help=f"of {', '.join(CHAINS)} (default: all)")
    parser.add_argument("--go", type=Path, metavar="BINARY", help="a Go client v0.6.3 to measure in the same run")
    parser.add_argument("--twins", action="store_true", help=f"each chain beside its {TWIN[1:]} twin")
    parser.add_argument("--rounds", type=int, default=1, help="how often each chain is measured (default: 1)")
    parser.add_argument("--prepare", nargs=2, type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--restore", nargs=3, type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.prepare:
        print(json.dumps(prepare_once(*arguments.prepare)))
        return 0
    if arguments.restore:
        print(json.dumps(restore_once(*arguments.restore)))
        return 0
    shared = Path(os.environ.get("POLYGON_EDGE_SHARED", REPOSITORY.parent / "shared"))
    if not (shared / "bench").is_dir():
        print(f"no load chains in {shared}/bench: set POLYGON_EDGE_SHARED; nothing was measured", file=sys.stderr)
        return 1
    found = []
    print(HEADING, flush=True)
    for name in arguments.chains or CHAINS:
        # A client v0.6.3 cannot read what v1.3.2 has recorded.
        measured = [(name, arguments.go), (name + TWIN, None)] if arguments.twins else [(name, arguments.go)]
        rounds = [[measure(one, shared / "bench" / one, go) for one, go in measured] for _ in range(arguments.rounds)]
        for of_one, (_, go) in zip(zip(*rounds, strict=True), measured, strict=True):
            figures = sorted(of_one, key=ratio)[len(of_one) // 2]
            figures["ratios_of_all_rounds"] = [round(ratio(figure), 2) for figure in of_one] if go else None
            found.append(figures)
            print(line(figures), flush=True)
        if arguments.twins:
            found[-1]["of_twin"] = pair(rounds)
            times = found[-1]["of_twin"]
            print(
                f"  {name + TWIN} takes {times['processor_seconds']:.2f} times the processor seconds of {name} and "
                f"{times['seconds']:.2f} times its seconds, best of {arguments.rounds} each",
                flush=True,
            )
    for figures in found:
        print(f"\n{figures['chain']}: which stage was busy when")
        print("\n".join(timeline(figures["trace"])))
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "restore.json").write_text(json.dumps({"cores": os.cpu_count(), "chains": found}, indent=1) + "\n")
    print(f"\nall figures and the trace of every run: {(RESULTS / 'restore.json').relative_to(REPOSITORY)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
