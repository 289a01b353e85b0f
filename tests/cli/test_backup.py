"""`polygon-edge backup` and `status`: flags, what is printed, how they fail, and what a signal or a pipe does."""

from __future__ import annotations

import json
import os
import pty
import select
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from tests.conftest import shared_folder
from tests.golden.recorded import Network
from tests.operator.serving import GrowingChain, ScriptedNode, ServedNode, event
from tests.program import COMMAND, run_process

from polygon_edge import _core
from polygon_edge.archive.flat import FlatArchive, Metadata, encode_metadata
from polygon_edge.chain import rlp

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.program import Command

SECONDS = 30
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(scope="module")
def poa_node(poa: Network, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a node on the recorded data directory."""
    data_dir = poa.data_directory("data-dir", tmp_path_factory.mktemp("node"))
    peers = "/ip4/127.0.0.1/tcp/31092/p2p/16Uiu2HAmAue3au3DwHZhRa79HziJQSvSikBgqahsi8HPMN2mi4K5"
    with _core.Chain.open(data_dir) as chain, ServedNode(chain, peer_address=peers) as node:
        yield node.address


@pytest.fixture(scope="module")
def growing(poa: Network, tmp_path_factory: pytest.TempPathFactory) -> GrowingChain:
    return GrowingChain.of(poa.archive("full.dat", tmp_path_factory.mktemp("archive")))


@pytest.fixture
def nobody() -> str:
    """An address at which nobody listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{unused.getsockname()[1]}"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out.dat"


def same_but_for_the_hash(ours: bytes, theirs: bytes) -> bool:
    """Whether two archives differ in the 32 bytes of the metadata hash alone (D-13)."""
    begin = ours.index(b"\xa0") + 1
    return ours[:begin] == theirs[:begin] and ours[begin + 32 :] == theirs[begin + 32 :] and len(ours) == len(theirs)


def recorded_backups(network: Network) -> list[dict[str, Any]]:
    rows = [row for row in network.rows("cli.jsonl") if row["argv"][:1] == ["backup"] and "file" in row]
    return [row for row in rows if "note" not in row]


def check_recorded(network: Network, address: str, command: Command, folder: Path) -> int:
    """Give every recorded command again and compare archive, text and document; returns how many."""
    compared = 0
    for row in recorded_backups(network):
        words = row["argv"]
        name = words[words.index("--out") + 1]
        out = folder / f"{compared}.dat"
        asked = [address if word.startswith("127.0.0.1:") else str(out) if word == name else word for word in words]
        ended = command(*asked)
        assert ended.exit_code == 0, ended.errors
        assert ended.output.replace(str(out), name) == row["stdout"]
        theirs = network.archive(row["file"], folder).read_bytes()
        ours = out.read_bytes()
        if "--to" in words:
            assert same_but_for_the_hash(ours, theirs), row["file"]
            assert check_hash(out)
        else:
            assert ours == theirs, row["file"]
        compared += 1
    return compared


def check_hash(archive: Path) -> bool:
    with FlatArchive.open(archive) as source:
        *_, last = source.records()
        (summary,) = _core.summarise([last.raw], "ibft", "G1")
        assert not isinstance(summary, str)
        return summary.hash == source.metadata.hash


def test_the_recorded_commands_give_the_recorded_archives(
    poa: Network, poa_node: str, command: Command, tmp_path: Path
) -> None:
    assert check_recorded(poa, poa_node, command, tmp_path) == 5


@pytest.mark.shared
def test_blocks_that_the_go_client_cannot_back_up_are_backed_up(command: Command, tmp_path: Path) -> None:
    single = Network(shared_folder() / "golden/v0.6.3/single")
    (tmp_path / "archives").mkdir()
    with (
        _core.Chain.open(single.data_directory("data-dir", tmp_path / "node")) as chain,
        ServedNode(chain, 10635) as node,
    ):
        assert check_recorded(single, node.address, command, tmp_path / "archives") == 4
        out = tmp_path / "whole.dat"
        ended = command("backup", "--grpc-address", node.address, "--out", out, "--json")
        assert (ended.exit_code, ended.document) == (0, {"from": 0, "to": 118, "out": str(out)})
        with FlatArchive.open(out) as archive:
            records = [record.raw for record in archive.records()]
            archive.check_end()
        assert [chain.block(number) for number in range(119)] == records
        assert len(records[95]) == 5_958_612
        ended = command(
            "backup", "--grpc-address", node.address, "--out", tmp_path / "one.dat", "--from", 95, "--to", 95
        )
        assert ended.exit_code == 0
        assert (tmp_path / "one.dat").read_bytes().endswith(records[95])
        # Into an empty directory, executed and compared.
        words = ("--data-dir", tmp_path / "restored", "--chain", single.genesis, "--json", "--strict")
        restored = command("restore", out, *words)
        assert (restored.exit_code, restored.document["head"]) == (0, 118)
        assert restored.document["head_hash"] == single.about["dataDir"]["headHash"]


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_status_prints_what_was_recorded(poa: Network, poa_node: str, command: Command, words: tuple[str, ...]) -> None:
    rows = [
        row for row in poa.rows("cli.jsonl") if row["argv"] == ["status", "--grpc-address", "127.0.0.1:31090", *words]
    ]
    assert len(rows) == 1
    ended = command("status", "--grpc-address", poa_node, *words)
    assert (ended.exit_code, ended.output, ended.errors) == (0, rows[0]["stdout"], "")


@pytest.mark.parametrize("verb", ["status", "backup"])
def test_a_node_that_is_not_there_is_an_error_and_leaves_nothing(
    nobody: str, command: Command, verb: str, out: Path
) -> None:
    words = ("--out", out) if verb == "backup" else ()
    ended = command(verb, "--grpc-address", nobody, *words)
    assert (ended.exit_code, ended.output) == (1, "")
    last = ended.errors.splitlines()[-1]
    assert last.startswith("rpc error: code = Unavailable desc = ")
    assert nobody in last
    in_json = command(verb, "--grpc-address", nobody, *words, "--json")
    assert in_json.exit_code == 1
    assert list(in_json.error) == ["error"]
    assert not list(out.parent.iterdir())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--from", "x"), "unable to decode range value"),
        (("--to", "0y1"), "unable to decode range value"),
        (("--to", "-1"), "unable to decode range value"),
        (("--from", str(1 << 64)), "unable to decode range value"),
        (("--from", "2", "--to", "1"), 'invalid "to" value; must be >= "from"'),
        (("--from", "0x10", "--to", "15"), 'invalid "to" value; must be >= "from"'),
        ((), 'required flag(s) "out" not set'),
        (("--out", "-", "--resume"), "--resume needs a file to resume"),
    ],
)
def test_flags_that_make_no_sense_are_refused(words: tuple[str, ...], message: str, command: Command) -> None:
    ended = command("backup", *words)
    assert (ended.exit_code, ended.output) == (1, "")
    assert ended.errors.splitlines()[0] == f"Error: {message}"
    assert ended.errors.splitlines()[-1] == message
    in_json = command("backup", *words, "--json")
    assert (in_json.exit_code, in_json.error) == (1, {"error": message})


def test_what_exists_is_refused_in_the_words_of_the_go_client(command: Command, nobody: str, out: Path) -> None:
    out.write_bytes(b"mine")
    ended = command("backup", "--grpc-address", nobody, "--out", out)
    assert (ended.exit_code, ended.errors) == (1, f"open {out}: file exists\n")
    assert out.read_bytes() == b"mine"


def test_the_blocks_are_counted_truly(poa_node: str, command: Command, out: Path) -> None:
    ended = command("backup", "--grpc-address", poa_node, "--out", out, "--from", 1, "--to", 100)
    assert "backup finished: head 100, 100/100 blocks, 0.3 MB, " in ended.errors
    metadata = next(line for line in ended.errors.splitlines() if "metadata" in line)
    with FlatArchive.open(out) as archive:
        assert metadata.endswith(f"metadata: block 100, hash 0x{archive.metadata.hash.hex()}")


def test_on_a_terminal_there_is_a_bar(poa_node: str, out: Path) -> None:
    primary, secondary = pty.openpty()
    words = [*COMMAND, "backup", "--grpc-address", poa_node, "--out", str(out)]
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "120"}
    process = subprocess.Popen(words, stderr=secondary, stdout=subprocess.DEVNULL, env=environment)
    os.close(secondary)
    shown = read_all(primary)
    assert process.wait(SECONDS) == 0
    assert "151/151" in shown
    assert "MB/s" in shown


def read_all(descriptor: int) -> str:
    found = b""
    while True:
        try:
            piece = os.read(descriptor, 4096)
        except OSError:
            # A terminal that nobody holds any more.
            piece = b""
        if not piece:
            os.close(descriptor)
            return found.decode(errors="replace")
        found += piece


def process_of(*words: object, **settings: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen([*COMMAND, *map(str, words)], stderr=subprocess.PIPE, **settings)


@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_standard_output_carries_the_archive_and_nothing_else(
    poa: Network, poa_node: str, tmp_path: Path, flags: tuple[str, ...]
) -> None:
    words = ("backup", "--grpc-address", poa_node, "--out", "-", *flags)
    done = subprocess.run([*COMMAND, *words], capture_output=True, check=True, timeout=SECONDS)
    assert done.stdout == poa.archive("full.dat", tmp_path).read_bytes()
    assert b"Exported backup file successfully" in done.stderr or b'"from":0' in done.stderr
    with (tmp_path / "redirected.dat").open("wb") as redirected:
        subprocess.run([*COMMAND, *words], stdout=redirected, stderr=subprocess.DEVNULL, check=True, timeout=SECONDS)
    assert (tmp_path / "redirected.dat").read_bytes() == done.stdout


def test_a_pipe_restores_what_it_is_given(poa: Network, poa_node: str, tmp_path: Path) -> None:
    source = process_of("backup", "--grpc-address", poa_node, "--out", "-", stdout=subprocess.PIPE)
    words = ("restore", "-", "--data-dir", tmp_path / "node", "--chain", poa.genesis, "--json")
    restored = subprocess.run(
        [*COMMAND, *map(str, words)], stdin=source.stdout, capture_output=True, check=False, timeout=SECONDS
    )
    _, errors = source.communicate(timeout=SECONDS)
    assert (source.returncode, restored.returncode) == (0, 0), (errors, restored.stderr)
    assert json.loads(restored.stdout)["head_hash"] == poa.about["headHash"]


def test_a_reader_that_is_gone_ends_it(poa_node: str) -> None:
    process = process_of("backup", "--grpc-address", poa_node, "--out", "-", stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    errors = process.stderr.read()
    process.stderr.close()
    assert process.wait(SECONDS) == 1, errors
    assert b"Traceback" not in errors


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_a_signal_leaves_a_reader_that_takes_nothing(poa_node: str, number: signal.Signals) -> None:
    process = process_of("backup", "--grpc-address", poa_node, "--out", "-", stdout=subprocess.PIPE)
    assert process.stdout is not None
    # The pipe is full once something can be read and nobody does.
    assert select.select([process.stdout], [], [], SECONDS)[0]
    time.sleep(0.3)
    process.send_signal(number)
    began = time.monotonic()
    assert process.wait(SECONDS) == 130
    assert time.monotonic() - began < 3
    assert process.stderr is not None
    errors = process.stderr.read().decode()
    assert "the archive ends before its first block although it promises block 150" in errors
    assert errors.splitlines()[-1].startswith("stopped by a signal")
    process.stdout.close()
    process.stderr.close()


def script(chain: GrowingChain, sent: list[int], chunks: int, blocks: int = 10) -> Any:
    """Sends some chunks and falls silent."""

    def send(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        first = getattr(request, "from")
        for number in range(first, first + chunks * blocks, blocks):
            yield event(number, number + blocks - 1, b"".join(chain.records[number : number + blocks]))
            sent.append(number)
        while context.is_active():
            time.sleep(0.05)

    return send


@pytest.mark.parametrize("number", STOP_SIGNALS)
@pytest.mark.parametrize("chunks", [0, 2, 13])
def test_a_signal_while_the_node_is_silent_leaves_a_shorter_archive(
    growing: GrowingChain, out: Path, number: signal.Signals, chunks: int
) -> None:
    sent: list[int] = []
    with ScriptedNode(growing, script(growing, sent, chunks)) as node:
        process = process_of("backup", "--grpc-address", node.address, "--out", out, stdout=subprocess.PIPE)
        part = out.with_name("out.dat.part")
        whole = len(b"".join(growing.records[: chunks * 10])) + 36
        wait_until(lambda: part.exists() and part.stat().st_size >= (whole if chunks else 36))
        began = time.monotonic()
        process.send_signal(number)
        output, errors = process.communicate(timeout=SECONDS)
        assert time.monotonic() - began < 3
    last = errors.decode().splitlines()[-1]
    assert (process.returncode, output) == (130, b"")
    if chunks:
        height = chunks * 10 - 1
        assert last == f"stopped by a signal after block {height}"
        assert list(out.parent.iterdir()) == [out]
        blocks = b"".join(growing.records[: height + 1])
        assert out.read_bytes() == encode_metadata(Metadata(height, growing.hash(height))) + blocks
    else:
        assert last == "stopped by a signal"
        assert list(out.parent.iterdir()) == []


def wait_until(condition: Any) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_kill_leaves_a_part_that_is_continued(  # noqa: PLR0917 - fixtures
    growing: GrowingChain, poa: Network, poa_node: str, command: Command, out: Path, tmp_path: Path
) -> None:
    with ScriptedNode(growing, script(growing, [], 5)) as node:
        process = process_of("backup", "--grpc-address", node.address, "--out", out, stdout=subprocess.DEVNULL)
        part = out.with_name("out.dat.part")
        wait_until(lambda: part.exists() and part.stat().st_size > 50_000)
        process.kill()
        process.communicate(timeout=SECONDS)
    assert list(out.parent.iterdir()) == [part]
    refused = command("backup", "--grpc-address", poa_node, "--out", out)
    assert (refused.exit_code, out.exists()) == (1, False)
    assert "--resume continues it" in refused.errors
    ended = command("backup", "--grpc-address", poa_node, "--out", out, "--resume", "--json")
    assert (ended.exit_code, ended.document) == (0, {"from": 0, "to": 150, "out": str(out)})
    assert list(out.parent.iterdir()) == [out]
    (tmp_path / "unpacked").mkdir()
    assert out.read_bytes() == poa.archive("full.dat", tmp_path / "unpacked").read_bytes()


def test_a_node_that_dies_leaves_a_part(growing: GrowingChain, poa_node: str, command: Command, out: Path) -> None:
    node = ScriptedNode(growing, script(growing, [], 3))
    process = process_of("backup", "--grpc-address", node.address, "--out", out, stdout=subprocess.DEVNULL)
    part = out.with_name("out.dat.part")
    wait_until(lambda: part.exists() and part.stat().st_size > 10_000)
    node.__exit__()
    _, errors = process.communicate(timeout=SECONDS)
    assert process.returncode == 1
    assert errors.decode().splitlines()[-1].startswith("rpc error: code = ")
    assert "the same command with --resume goes on there" in errors.decode()
    assert list(out.parent.iterdir()) == [part]
    # The beginning need not be repeated, and may be.
    ended = command("backup", "--grpc-address", poa_node, "--out", out, "--resume", "--from", 0, "--to", "0x64")
    assert ended.exit_code == 0, ended.errors
    assert check_hash(out)


def test_two_backups_to_one_file_are_not_possible(growing: GrowingChain, command: Command, out: Path) -> None:
    with ScriptedNode(growing, script(growing, [], 1)) as node:
        process = process_of("backup", "--grpc-address", node.address, "--out", out, stdout=subprocess.DEVNULL)
        part = out.with_name("out.dat.part")
        wait_until(lambda: part.exists() and part.stat().st_size > 5_000)
        second = command("backup", "--grpc-address", node.address, "--out", out)
        assert (second.exit_code, "file exists" in second.errors) == (1, True)
        resumed = command("backup", "--grpc-address", node.address, "--out", out, "--resume")
        assert (resumed.exit_code, "another backup writes it" in resumed.errors) == (1, True)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=SECONDS)
    assert list(out.parent.iterdir()) == [out]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    mount = [shutil.which("mount") or "mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {done.stderr.decode().strip()}")
    yield folder
    subprocess.run([shutil.which("umount") or "umount", str(folder)], check=True)


def test_a_disk_that_fills_up_keeps_a_part_that_is_continued(
    growing: GrowingChain, command: Command, small_disk: Path
) -> None:
    def send(request: Any, _context: grpc.ServicerContext) -> Iterator[Any]:
        for number in range(getattr(request, "from"), 151):
            yield event(number, number, growing.records[number])

    out = small_disk / "out.dat"
    with ScriptedNode(growing, send) as node:
        words = ("backup", "--grpc-address", node.address, "--out", out)
        full = command(*words)
        assert full.exit_code == 1
        assert "disk full" in full.errors.splitlines()[-1]
        part = out.with_name("out.dat.part")
        assert list(small_disk.iterdir()) == [part]
        assert part.stat().st_size > 200_000
        again = command(*words, "--resume")
        assert (again.exit_code, "disk full" in again.errors.splitlines()[-1]) == (1, True)
        remount = [shutil.which("mount") or "mount", "-o", "remount,size=1m", str(small_disk)]
        subprocess.run(remount, check=True)
        ended = command(*words, "--resume")
        assert ended.exit_code == 0, ended.errors
    assert check_hash(out)
    assert list(small_disk.iterdir()) == [out]


def test_a_disk_that_is_too_small_is_noticed_before(poa_node: str, command: Command, small_disk: Path) -> None:
    (small_disk / "filler").write_bytes(bytes(150_000))
    ended = command("backup", "--grpc-address", poa_node, "--out", small_disk / "out.dat")
    assert ended.exit_code == 1
    assert "disk full: needs " in ended.errors.splitlines()[-1]
    assert list(small_disk.iterdir()) == [small_disk / "filler"]


class LargeChain(GrowingChain):
    """1,600 blocks with a transaction of 128 KiB each, linked by the plain hash: 210 MB that nobody has to keep."""

    def __init__(self) -> None:
        self.height = 1599
        self.chunks_read = self.open_snapshots = 0
        transaction: list[rlp.Item] = [b"\1", b"\1", b"\xff\xff", bytes(20), b"", bytes(1 << 17), b"\x1b", b"\1", b"\1"]
        self._transactions = rlp.encode([transaction])
        self._headers: list[bytes] = []
        self._hashes: list[bytes] = []
        parent = bytes(32)
        for number in range(self.height + 1):
            roots: list[rlp.Item] = [bytes(32), bytes(20), bytes(32), bytes(32), bytes(32), bytes(256)]
            rest: list[rlp.Item] = [b"\1", rlp.integer(number), b"\xff\xff", b"", b"\1", bytes(32), bytes(32), bytes(8)]
            self._headers.append(rlp.encode([parent, *roots, *rest]))
            parent = _core.keccak256(self._headers[-1])
            self._hashes.append(parent)
        self.records = self  # type: ignore[assignment]

    def __getitem__(self, number: int) -> bytes:
        payload = self._headers[number] + self._transactions + b"\xc0"
        return b"\xfa" + len(payload).to_bytes(3, "big") + payload

    def block(self, number: int) -> bytes | None:
        return self[number] if number <= self.height else None

    def hash(self, number: int) -> bytes:
        return self._hashes[number]


def test_memory_stays_bounded(tmp_path: Path) -> None:
    with ServedNode(LargeChain()) as node:
        out = tmp_path / "out.dat"
        words = ("backup", "--grpc-address", node.address, "--out", out)
        ended, peak = run_process(*words, measured_in=tmp_path)
    assert ended.exit_code == 0, ended.errors
    assert "no known rule" not in ended.errors
    assert out.stat().st_size > 200_000_000
    assert peak < 150 << 20
