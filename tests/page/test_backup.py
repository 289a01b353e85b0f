"""A backup of a running node, as the page describes it (lines 10 to 13)."""

from __future__ import annotations

import itertools
import socket
import statistics
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Self

import grpc
import pytest
from tests.node.chain import FreshChain, fresh_chain
from tests.node.running import RunningNode, run
from tests.page.conftest import OTHER_KEY, all_blocks
from tests.program import COMMAND

from polygon_edge import _core
from polygon_edge.archive.flat import FlatArchive
from polygon_edge.archive.inspection import inspect
from polygon_edge.chain.genesis import load_genesis
from polygon_edge.chain.genesis_block import core_rules, genesis_block
from polygon_edge.chain.rules import rules_of
from polygon_edge.consensus.head_validators import validators_at_head
from polygon_edge.execution.append import Appender
from polygon_edge.execution.sealing import Offer, Sealer, SealingRules
from polygon_edge.keys.local import LocalKeys
from polygon_edge.store.data_dir import DataDirectory

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tests.page.conftest import Grown
    from tests.program import Command

LITERAL = ("backup", "--grpc-address", "127.0.0.1:9632", "--out", "backup.dat")
LONG = 300
SECONDS = 60


class NoTransactions:
    """Nothing on offer."""

    def candidates(self) -> list[_core.Transaction]:
        return []

    def settle(self, candidates: Sequence[_core.Transaction], outcomes: Sequence[str]) -> None:
        assert len(candidates) == len(outcomes) == 0


def seal(chain: FreshChain, blocks: int, offer: Offer | None = None) -> None:
    """Seal blocks as fast as the machine does, by a clock that runs ahead; empty ones without an offer."""
    genesis = load_genesis(chain.genesis)
    rules = rules_of(genesis)
    moments = itertools.count(1_600_000_000, 10)
    with _core.Chain.open(chain.data_dir) as database:
        database.start(core_rules(rules), genesis_block(rules, genesis))
        snapshots = validators_at_head(database, DataDirectory(chain.data_dir).consensus, genesis, rules)
        stop = threading.Event()
        appender = Appender(
            database, core_rules(rules), snapshots, stop=stop, source_name="own proposal", on_imported=lambda _: None
        )
        sealer = Sealer(
            database,
            snapshots,
            appender,
            LocalKeys(chain.data_dir).validator_key(create=False),
            offer or NoTransactions(),
            rules=SealingRules(4, 0),
            stop=stop,
            clock=lambda: float(next(moments)),
        )
        while database.tip[0] < blocks:
            sealer.seal_next()


class NodeAtTheShownAddress(RunningNode):
    """A node whose gRPC listens where the page says."""

    def words(self, flags: tuple[str, ...]) -> list[str]:
        words = super().words(flags)
        words[words.index("--grpc-address") + 1] = "127.0.0.1:9632"
        return words


def wait_for_shown_address() -> None:
    """Waits until nobody else on this machine listens on port 9632."""
    deadline = time.monotonic() + SECONDS
    while True:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", 9632))
            except OSError:
                assert time.monotonic() < deadline, "another program holds port 9632"
            else:
                return
        time.sleep(0.2)


@pytest.fixture(scope="module")
def long_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    """A node of 300 blocks that does not seal, at the address that the page shows."""
    chain = fresh_chain(tmp_path_factory.mktemp("long"))
    seal(chain, LONG)
    (chain.data_dir / "consensus" / "validator.key").write_text(OTHER_KEY)
    wait_for_shown_address()
    with NodeAtTheShownAddress(chain.data_dir, chain.genesis) as node:
        assert node.height == LONG
        yield node


def held(archive: Path) -> tuple[int, int, int, str]:
    """First and last height in an archive, how many blocks, and the metadata's hash, which the last block has."""
    with FlatArchive.open(archive) as source:
        document: dict[str, Any] = inspect(source).document()
    assert document["error"] is None
    assert document["metadata"]["height"] == document["last"]["number"]
    if document["blocks"] > 1:
        assert document["metadata"]["hash_is"] == "block hash"
    return document["first"]["number"], document["last"]["number"], document["blocks"], document["metadata"]["hash"]


def test_page_10_a_node_seals_on_while_it_is_backed_up(grown: Grown, tmp_path: Path) -> None:
    data_dir = grown.copy(tmp_path / "node")
    flags = ("--block-time", "1", "--export-delay", "4")
    with RunningNode(data_dir, grown.chain.genesis, *flags) as node:
        node.wait_for_height(grown.height + 2)
        before = node.height
        process = subprocess.Popen(
            [*COMMAND, "backup", "--grpc-address", node.grpc, "--out", str(tmp_path / "backup.dat")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        _, errors = process.communicate(timeout=SECONDS)
        during = node.height
        assert process.returncode == 0, errors
        node.wait_for_height(during + 1)
        first, last, _, _ = held(tmp_path / "backup.dat")
        blocks = all_blocks(node, during)
        assert node.stop() == 0
    assert first == 0
    assert before <= last < during
    assert during - before >= 3
    # A block a second, also while the export ran; a machine that does other things as well may miss one.
    moments = [int(block["timestamp"], 16) for block in blocks[before : during + 1]]
    assert statistics.median(later - earlier for earlier, later in itertools.pairwise(moments)) == 1
    with RunningNode(tmp_path / "second", grown.chain.genesis, "--restore", str(tmp_path / "backup.dat")) as restored:
        restored.wait_for_height(last)
        assert all_blocks(restored, last) == blocks[: last + 1]
        assert restored.stop() == 0


class Recorder(grpc.GenericRpcHandler):
    """A proxy that passes everything on and remembers what was asked."""

    def __init__(self, target: str) -> None:
        self.asked: list[str] = []
        self._target = grpc.insecure_channel(target, options=[("grpc.max_receive_message_length", -1)])
        self._server = grpc.server(ThreadPoolExecutor(4), handlers=[self])
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def service(self, handler_call_details: Any) -> grpc.RpcMethodHandler[Any, Any]:
        method = handler_call_details.method
        self.asked.append(method)
        call: Any = self._target.unary_stream(method, request_serializer=None, response_deserializer=None)
        return grpc.unary_stream_rpc_method_handler(lambda request, _: call(request))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.stop(0).wait(SECONDS)
        self._target.close()


@pytest.mark.parametrize(
    ("flags", "methods"),
    [
        ((), ["GetStatus", "Export"]),
        (("--to", "0x100"), ["GetStatus", "BlockByNumber", "Export"]),
        (("--from", "7", "--to", "7"), ["GetStatus", "BlockByNumber", "BlockByNumber"]),
    ],
)
def test_page_11_blocks_come_by_grpc(
    long_node: RunningNode, tmp_path: Path, flags: tuple[str, ...], methods: list[str]
) -> None:
    with Recorder(long_node.grpc) as recorder:
        # The client knows the address and nothing of the data directory; its own folder is empty.
        done = run(["backup", "--grpc-address", recorder.address, "--out", "backup.dat", *flags], cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert recorder.asked == [f"/v1.System/{method}" for method in methods]
    held(tmp_path / "backup.dat")


def test_page_11_without_a_node_there_is_no_file(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
    done = run(["backup", "--grpc-address", address, "--out", "backup.dat"], cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("rpc error: code = Unavailable")
    assert list(tmp_path.iterdir()) == []


def test_page_12_without_a_range_it_is_genesis_to_latest(long_node: RunningNode, tmp_path: Path) -> None:
    done = run(["backup", "--grpc-address", long_node.grpc, "--out", "backup.dat"], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert held(tmp_path / "backup.dat") == (0, LONG, LONG + 1, long_node.block_hash(LONG))


@pytest.mark.parametrize(
    ("flags", "range_"),
    [
        ((), (0, 300)),
        (("--from", "0x0", "--to", "0x100"), (0, 256)),
        (("--from", "0", "--to", "256"), (0, 256)),
        (("--to=0x100",), (0, 256)),
        (("--from", "0x2c"), (44, 300)),
        (("--from", "299", "--to", "300"), (299, 300)),
        (("--from", "0", "--to", "0"), (0, 0)),
        (("--from", "0x12c", "--to", "0x12c"), (300, 300)),
    ],
)
def test_page_13_bounds_are_included_and_hexadecimal_or_decimal(  # noqa: PLR0917 - fixtures
    long_node: RunningNode,
    tmp_path: Path,
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
    flags: tuple[str, ...],
    range_: tuple[int, int],
) -> None:
    monkeypatch.chdir(tmp_path)
    done = command(*LITERAL, *flags)
    assert done.exit_code == 0, done.errors
    first, last = range_
    assert done.output == (
        f"\n[BACKUP]\nExported backup file successfully:\nFile = backup.dat\nFrom = {first}\nTo   = {last}\n"
    )
    assert held(tmp_path / "backup.dat") == (first, last, last - first + 1, long_node.block_hash(last))
    assert [path.name for path in tmp_path.iterdir()] == ["backup.dat"]


@pytest.mark.parametrize("words", [LITERAL, ("backup", "--out", "backup.dat")])
def test_page_13_the_literal_command_works_and_the_address_may_be_left_out(
    long_node: RunningNode, tmp_path: Path, words: tuple[str, ...]
) -> None:
    done = run(words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert held(tmp_path / "backup.dat") == (0, LONG, LONG + 1, long_node.block_hash(LONG))


@pytest.mark.usefixtures("long_node")
def test_page_13_the_bytes_are_those_of_the_format(tmp_path: Path) -> None:
    done = run([*LITERAL, "--from", "0x0", "--to", "0x100"], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "backup.dat").read_bytes()[:5] == bytes.fromhex("e4820100a0")
    with FlatArchive.open(tmp_path / "backup.dat") as archive:
        assert sum(1 for _ in archive.records()) == 257


@pytest.mark.usefixtures("long_node")
def test_page_13_what_exists_or_makes_no_sense_is_refused(
    tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "backup.dat").write_bytes(b"mine")
    for flags, message in [
        ((), "open backup.dat: file exists"),
        (("--from", "0x100", "--to", "0x0"), 'invalid "to" value; must be >= "from"'),
    ]:
        done = command(*LITERAL, *flags)
        assert (done.exit_code, done.errors.splitlines()[-1]) == (1, message)
    assert (tmp_path / "backup.dat").read_bytes() == b"mine"
    assert [path.name for path in tmp_path.iterdir()] == ["backup.dat"]
