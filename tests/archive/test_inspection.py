from __future__ import annotations

import fcntl
import io
import json
import signal
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import zstandard

from polygon_edge.archive import inspection
from polygon_edge.archive.flat import FlatArchive, Metadata, encode_metadata
from polygon_edge.archive.info import ArchiveInfo, HashRule
from polygon_edge.archive.inspection import inspect
from polygon_edge.chain import rlp
from polygon_edge.chain.genesis import load_genesis
from polygon_edge.chain.rlp import Item
from polygon_edge.cli import stop
from polygon_edge.cli.main import main
from polygon_edge.errors import (
    ArchiveIncompleteError,
    ArchiveRecordError,
    ArchiveTruncatedError,
    BlockRuleError,
    StoppedBySignalError,
)

DATA = Path(__file__).parent.parent / "data"
NETWORK = DATA / "v0.6.3" / "poa-ecdsa"
MALFORMED = DATA / "malformed"
# Recorded chains whose hash rule this version does not know.
UNKNOWN_RULE = {"polybft"}


@pytest.fixture(autouse=True)
def signals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Signals stay with the test runner when a test runs a command."""
    monkeypatch.setattr(stop, "install", lambda: None)


def content_of(file: Path) -> bytes:
    packed = file.read_bytes()
    if file.suffix != ".zst":
        return packed
    with zstandard.ZstdDecompressor(max_window_size=1 << 27).stream_reader(io.BytesIO(packed)) as stream:
        return stream.read()


def inspected(content: bytes, genesis: Path | None = None) -> ArchiveInfo:
    return inspect(FlatArchive(io.BytesIO(content), "a.dat"), None if genesis is None else load_genesis(genesis))


def records(file: Path = MALFORMED / "good.dat") -> list[bytes]:
    with FlatArchive.open(file) as archive:
        return [record.raw for record in archive.records()]


def archive_of(blocks: list[bytes], promised: int = 24) -> bytes:
    return encode_metadata(Metadata(promised, bytes(32))) + b"".join(blocks)


def hex_of(value: bytes | None) -> str:
    assert value is not None
    return "0x" + value.hex()


def expect_recorded(found: ArchiveInfo, about: dict[str, Any]) -> None:
    assert found.first is not None
    assert found.last is not None
    assert (found.first.number, hex_of(found.first.hash)) == (0, about["genesisHash"])
    assert (found.last.number, hex_of(found.last.hash)) == (about["blocks"], about["headHash"])
    assert hex_of(found.last.state_root) == about["headStateRoot"]
    assert found.blocks == about["blocks"] + 1
    assert found.transactions == about["transactions"]
    assert found.gas == about.get("gasTotal", found.gas)
    assert found.keeps_height
    assert found.metadata_hash_is is not None
    assert found.fault() is None
    assert found.misplaced_count == found.broken_link_count == 0


@pytest.mark.parametrize("folder", ["v0.6.3/poa-ecdsa", "quirks/v0.6.3/all-fuzz"])
@pytest.mark.parametrize("with_genesis", [False, True])
def test_a_recorded_archive_is_described_as_the_go_node_was(folder: str, with_genesis: bool) -> None:
    file = next((DATA / folder).glob("full.dat*"))
    about = json.loads((DATA / folder / "about.json").read_text())
    found = inspected(content_of(file), DATA / folder / "genesis.json" if with_genesis else None)
    expect_recorded(found, about)
    assert found.rule is HashRule.IBFT_G1
    assert found.validator_types == [(0, "ecdsa")]
    assert found.has_foreign_genesis is (False if with_genesis else None)


@pytest.mark.parametrize(
    ("part", "first", "last", "kind"),
    [
        ("part-51-100", 51, 100, "plain hash"),
        ("part-5-6", 5, 6, "plain hash"),
        ("part-101-150", 101, 150, "block hash"),
    ],
)
def test_a_part_is_told_from_a_whole(part: str, first: int, last: int, kind: str) -> None:
    found = inspected((NETWORK / f"{part}.dat").read_bytes(), NETWORK / "genesis.json")
    assert found.first is not None
    assert found.last is not None
    assert (found.first.number, found.last.number, found.metadata_hash_is) == (first, last, kind)
    assert found.has_foreign_genesis is None
    assert found.fault() is None


def test_every_recorded_archive_of_both_generations(shared: Path) -> None:
    folders = [*shared.glob("golden/v*/*"), *shared.glob("golden/quirks/v*/*"), *shared.glob("bench/*")]
    rules: dict[str, set[HashRule | None]] = {}
    read = 0
    for folder in folders:
        if folder.name in UNKNOWN_RULE:
            continue
        about = json.loads((folder / "about.json").read_text()) if (folder / "about.json").exists() else None
        for file in folder.glob("*.dat*"):
            found = inspected(content_of(file))
            assert found.fault() is None, file
            rules.setdefault(about["generation"] if about else "", set()).add(found.rule)
            read += 1
            if about and file.name.startswith("full"):
                expect_recorded(found, about)
    assert read > 80
    assert rules == {"G1": {HashRule.IBFT_G1, HashRule.PLAIN_15}, "G3": {HashRule.IBFT_G3}}


@pytest.mark.parametrize(
    ("network", "types"),
    [
        ("v0.6.3/switch-type", [(0, "ecdsa"), (25, "bls")]),
        ("v0.6.3/switch", [(0, "ecdsa"), (60, "bls")]),
        ("v1.3.2/switch", [(0, "ecdsa"), (20, "bls")]),
        ("v0.6.3/poa-bls", [(0, "bls")]),
        ("v0.6.3/dev", []),
    ],
)
def test_a_switch_of_the_validator_type_breaks_no_link(
    shared: Path, network: str, types: list[tuple[int, str]]
) -> None:
    folder = shared / "golden" / network
    content = content_of(next(folder.glob("full.dat*")))
    for genesis in (None, folder / "genesis.json"):
        found = inspected(content, genesis)
        assert found.validator_types == types
        assert found.broken_link_count == 0


def test_where_no_rule_fits_it_says_so(shared: Path) -> None:
    found = inspected((shared / "golden" / "v1.3.2" / "polybft" / "full.dat").read_bytes())
    assert found.rule is None
    assert found.reason == "no known rule links the blocks"
    assert found.last is not None
    assert found.last.hash is None
    assert found.broken_link_count == 0
    genesis = load_genesis(shared / "golden" / "v1.3.2" / "polybft" / "genesis.json")
    with FlatArchive.open(shared / "golden" / "v1.3.2" / "polybft" / "full.dat") as archive:
        assert inspect(archive, genesis).reason == "the engine polybft has a rule of its own"


def test_one_block_does_not_tell_its_rule() -> None:
    found = inspected(archive_of(records()[:1], promised=0))
    assert (found.rule, found.reason) == (None, "there is only one block")
    assert found.fault() is None
    with_genesis = inspected(archive_of(records()[:1], promised=0), NETWORK / "genesis.json")
    assert with_genesis.first is not None
    assert with_genesis.first.hash == with_genesis.genesis_hash


def test_a_missing_block_is_named_with_its_byte() -> None:
    blocks = records()
    offset = 35 + sum(map(len, blocks[:21]))
    found = inspected(archive_of(blocks[:21] + blocks[22:]))
    assert found.misplaced == [(offset, 21, 22, False)]
    fault = found.fault()
    assert isinstance(fault, ArchiveRecordError)
    assert (fault.offset, fault.expected, fault.found) == (offset, "block 21", "block 22")


def test_a_block_that_stands_there_twice_is_no_fault() -> None:
    blocks = records()
    found = inspected(archive_of([*blocks[:22], blocks[21], *blocks[22:]]))
    assert [(misplaced.found, misplaced.repeats) for misplaced in found.misplaced] == [(21, True)]
    assert found.fault() is None


def test_swapped_blocks_are_out_of_order() -> None:
    blocks = records()
    blocks[21], blocks[22] = blocks[22], blocks[21]
    found = inspected(archive_of(blocks))
    assert [(misplaced.expected, misplaced.found) for misplaced in found.misplaced] == [(21, 22), (23, 21), (22, 23)]
    assert isinstance(found.fault(), ArchiveRecordError)


def altered(block: bytes, offset: int) -> bytes:
    return block[:offset] + bytes([block[offset] ^ 1]) + block[offset + 1 :]


def test_an_altered_header_breaks_the_link_of_the_next_block() -> None:
    blocks = records()
    blocks[7] = altered(blocks[7], 6 + 33 + 33 + 21 + 10)
    found = inspected(archive_of(blocks))
    assert [link.number for link in found.broken_links] == [8]
    fault = found.fault()
    assert isinstance(fault, BlockRuleError)
    assert (fault.number, fault.offset) == (8, 35 + sum(map(len, blocks[:8])))


def test_a_rule_is_found_behind_altered_blocks() -> None:
    blocks = records()
    blocks[0] = altered(blocks[0], 6 + 33 + 33 + 21 + 10)
    found = inspected(archive_of(blocks))
    assert found.rule is HashRule.IBFT_G1
    assert [link.number for link in found.broken_links] == [1]
    foreign = inspected(archive_of(blocks), NETWORK / "genesis.json")
    assert foreign.has_foreign_genesis
    assert isinstance(foreign.fault(), BlockRuleError)


def test_the_first_block_of_another_chain_is_told_by_its_parent(shared: Path) -> None:
    content = (shared / "golden" / "malformed" / "foreign-no-genesis-ecdsa.dat").read_bytes()
    found = inspected(content, NETWORK / "genesis.json")
    fault = found.fault()
    assert isinstance(fault, BlockRuleError)
    assert (fault.number, fault.expected) == (1, found.genesis_hash)


def test_faults_are_counted_beyond_those_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection, "MOST_FAULTS_LISTED", 3)
    blocks = records()
    found = inspected(archive_of(blocks[::2]))
    assert (found.misplaced_count, len(found.misplaced)) == (12, 3)


@pytest.mark.parametrize(
    ("file", "last", "kind", "offset"),
    [
        ("truncated-mid-record.dat", 6, ArchiveTruncatedError, 7807),
        ("hostile-length-ff-ff.dat", 6, ArchiveTruncatedError, 7807),
        ("truncated-at-boundary.dat", 21, ArchiveIncompleteError, 41651),
    ],
)
def test_a_damaged_archive_is_described_up_to_the_damage(file: str, last: int, kind: type, offset: int) -> None:
    with FlatArchive.open(MALFORMED / file) as archive:
        found = inspect(archive)
    assert found.last is not None
    assert found.last.number == last
    assert found.last.hash == records_hash(last)
    assert not found.keeps_height
    fault = found.fault()
    assert isinstance(fault, kind)
    assert getattr(fault, "offset", None) == offset


def records_hash(number: int) -> bytes | None:
    last = inspected(archive_of(records()[: number + 1], promised=number)).last
    return None if last is None else last.hash


def test_metadata_alone_is_a_promise_not_kept() -> None:
    found = inspected(archive_of([], promised=24))
    assert (found.first, found.reason, found.metadata_hash_is) == (None, "there is no block", None)
    assert isinstance(found.fault(), ArchiveIncompleteError)


def test_a_signal_ends_it() -> None:
    stopped = threading.Event()
    stopped.set()
    with pytest.raises(StoppedBySignalError):
        inspect(FlatArchive(io.BytesIO(archive_of(records())), "a.dat"), None, stopped)


def test_the_command_prints_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["archive", "info", str(NETWORK / "full.dat"), "--chain", str(NETWORK / "genesis.json"), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    about = json.loads((NETWORK / "about.json").read_text())
    assert (document["last"]["number"], document["last"]["hash"]) == (about["blocks"], about["headHash"])
    assert (document["genesis_hash"], document["foreign_genesis"]) == (about["genesisHash"], False)
    assert document["error"] is None


def test_the_command_prints_what_is_good_and_then_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["archive", "info", str(MALFORMED / "truncated-mid-record.dat")]) == 10
    captured = capsys.readouterr()
    assert "7, 0 to 6" in captured.out
    assert "no: the blocks end at 6" in captured.out
    assert "byte 7807: block 7" in captured.err


def test_a_file_that_is_not_there_is_an_archive_error(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["archive", "info", str(tmp_path / "no.dat")]) == 10
    assert "No such file" in capsys.readouterr().err


def text_of(content: bytes, folder: Path, capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, str]:
    file = folder / "a.dat"
    file.write_bytes(content)
    exit_code = main(["archive", "info", str(file), *options])
    return exit_code, capsys.readouterr().out


def test_the_text_names_each_fault_with_its_byte(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    blocks = records()
    blocks[7] = altered(blocks[7], 6 + 33 + 33 + 21 + 10)
    exit_code, text = text_of(archive_of([*blocks[:20], blocks[19], *blocks[21:]]), tmp_path, capsys)
    eighth, repeated = 35 + sum(map(len, blocks[:8])), 35 + sum(map(len, blocks[:20]))
    assert exit_code == 11
    assert f"byte {eighth}: block 8, parent hash is not the hash of block 7" in text
    assert f"byte {repeated}: block 19 again" in text
    assert f"byte {repeated + len(blocks[19])}: block 21, due was 20" in text
    assert "height yes, hash no" in text


def test_the_text_lists_ten_faults_and_says_that_there_are_more(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    exit_code, text = text_of(archive_of(records()[::2]), tmp_path, capsys)
    assert exit_code == 10
    assert text.count("due was") == 10
    assert "and more" in text
    assert "cannot tell: no known rule links the blocks" in text
    assert "height yes, hash cannot be told" in text


def test_the_text_says_what_a_genesis_file_adds(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    chain = ("--chain", str(NETWORK / "genesis.json"))
    assert "not compared" in text_of((NETWORK / "part-51-100.dat").read_bytes(), tmp_path, capsys, *chain)[1]
    assert "this archive's" in text_of((MALFORMED / "good.dat").read_bytes(), tmp_path, capsys, *chain)[1]
    other = ("--chain", str(DATA / "quirks" / "v0.6.3" / "all-fuzz" / "genesis.json"))
    exit_code, text = text_of((MALFORMED / "good.dat").read_bytes(), tmp_path, capsys, *other)
    assert exit_code == 11
    assert "NOT this archive's" in text
    assert "plain header hash" in text_of((NETWORK / "part-0-50.dat").read_bytes(), tmp_path, capsys)[1]


def test_the_text_of_nothing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    exit_code, text = text_of(archive_of([]), tmp_path, capsys)
    assert exit_code == 10
    assert "no: there is no block" in text
    assert inspected(archive_of([])).document()["first"] is None


def test_a_moment_beyond_the_calendar_is_a_number(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    header: list[Item] = [bytes(32), bytes(32), bytes(20), bytes(32), bytes(32), bytes(32), bytes(256)]
    header += [b"\x01", b"\x01", b"", b"", b"\xff" * 8, bytes(32), bytes(32), bytes(8)]
    text = text_of(archive_of([rlp.encode([header, [], []])], promised=1), tmp_path, capsys)[1]
    assert f"timestamp {2**64 - 1}" in text


def test_a_block_that_cannot_be_decoded_ends_it() -> None:
    blocks = records()
    blocks[5] = rlp.encode([[b"\x05"], [], []])
    found = inspected(archive_of(blocks))
    fault = found.fault()
    assert isinstance(fault, ArchiveRecordError)
    assert (fault.height, fault.offset) == (5, 35 + sum(map(len, blocks[:5])))
    assert found.blocks == 5


def test_a_switch_in_the_last_block_still_has_a_hash(shared: Path) -> None:
    blocks = records(shared / "golden" / "v0.6.3" / "switch-type" / "full.dat")
    found = inspected(archive_of(blocks[:26], promised=25))
    assert found.last is not None
    block_hash = rlp_parent_hash(blocks[26])
    assert found.last.hash == block_hash
    promised = inspected(encode_metadata(Metadata(25, block_hash)) + b"".join(blocks[:26]))
    assert promised.metadata_hash_is == "block hash"


def rlp_parent_hash(block: bytes) -> bytes:
    (header, _, _) = rlp.decode(block)
    assert isinstance(header, list)
    assert isinstance(header[0], bytes)
    return header[0]


def test_a_silent_pipe_can_be_left_by_a_signal() -> None:
    command = [sys.executable, "-m", "polygon_edge.cli.main", "archive", "info", "-"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(archive_of(records()[:5]))
        process.stdin.flush()
        # The pipe is empty once all was read: from then on the program waits.
        deadline = time.monotonic() + 60
        while unread(process.stdin.fileno()) and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert b"stopped by a signal" in process.stderr.read()


def unread(descriptor: int) -> int:
    return int.from_bytes(fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4)), sys.byteorder)
