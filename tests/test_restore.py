"""The verb `restore` on a small part of a recorded network: where it ends, what it leaves, how it goes on."""

from __future__ import annotations

import io
import logging
import shutil
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import rlp
from tests.conftest import recorded_folder, sealed_header

from polygon_edge import _core
from polygon_edge.archive.flat import FlatArchive, Metadata, encode_metadata
from polygon_edge.chain.genesis import load_genesis
from polygon_edge.consensus.snapshot_files import load_state
from polygon_edge.errors import (
    ArchiveIncompleteError,
    ArchiveMetadataError,
    BlockRuleError,
    DataDirectoryError,
    DiskFullError,
    Rule,
    StoppedBySignalError,
)
from polygon_edge.execution.pipeline import Limits
from polygon_edge.restore import LEAST_BYTES_PER_ARCHIVE_BYTE, Restore, RestoreReport
from polygon_edge.store.data_dir import RESTORE_FOLDERS, DataDirectory, RestoreMark

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.golden.recorded import Network

HEAD = 24


@pytest.fixture(scope="session")
def blocks() -> list[bytes]:
    """The blocks 0 to 24, in two epochs."""
    with FlatArchive.open(recorded_folder("malformed") / "good.dat") as archive:
        return [record.raw for record in archive.records()]


def archive_of(blocks: list[bytes], promised: int | None = None, promised_hash: bytes | None = None) -> FlatArchive:
    """An archive in memory; without a promise the metadata tells the truth."""
    last = sealed_header(blocks[-1])
    metadata = Metadata(
        last.number if promised is None else promised, last.hash if promised_hash is None else promised_hash
    )
    return FlatArchive(io.BytesIO(encode_metadata(metadata) + b"".join(blocks)), "a.dat")


class Usage(NamedTuple):
    """What `shutil.disk_usage` returns."""

    total: int
    used: int
    free: int


class Watch:
    """Progress that remembers, and that sets `stop` once `height` is committed."""

    def __init__(self, stop: threading.Event, height: int | None = None) -> None:
        self.stop = stop
        self.height = height
        self.heads: list[int] = []

    def update(self, *, blocks: int, transactions: int, gas: int, head: int) -> None:
        assert blocks > 0
        assert transactions >= 0
        assert gas >= 0
        self.heads.append(head)
        if self.height is not None and head >= self.height:
            self.stop.set()


@dataclass
class Node:
    """A data directory, and restores into it."""

    path: Path
    genesis: Path

    def restore(
        self,
        archive: FlatArchive,
        *,
        to: int | None = None,
        strict: bool = False,
        run_blocks: int = 4,
        stop_at: int | None = None,
        stop: threading.Event | None = None,
    ) -> RestoreReport:
        stop = threading.Event() if stop is None else stop
        self.directory.create(RESTORE_FOLDERS)
        with _core.Chain.open(self.path) as chain:
            return Restore(
                archive,
                self.directory,
                chain,
                load_genesis(self.genesis),
                stop,
                Watch(stop, stop_at),
                to=to,
                strict=strict,
                limits=Limits(blocks=run_blocks),
            ).run()

    @property
    def directory(self) -> DataDirectory:
        return DataDirectory(self.path)

    @property
    def head(self) -> int | None:
        with _core.Chain.open(self.path, create=False) as chain:
            return None if chain.head is None else chain.head[0]

    @property
    def files(self) -> dict[str, bytes]:
        return {str(file.relative_to(self.path)): file.read_bytes() for file in self.path.rglob("*") if file.is_file()}


@pytest.fixture
def node(poa: Network, tmp_path: Path) -> Node:
    return Node(tmp_path / "node", poa.genesis)


def test_a_report_says_what_this_run_did(node: Node, blocks: list[bytes], poa: Network) -> None:
    report = node.restore(archive_of(blocks))
    assert (report.first, report.last, report.head, report.blocks) == (1, HEAD, HEAD, HEAD)
    assert report.head_hash == sealed_header(blocks[HEAD]).hash
    assert report.genesis_hash.hex() == poa.about["genesisHash"][2:]
    receipts = [row for row in poa.rows("receipts.jsonl") if int(row["blockNumber"], 16) <= HEAD]
    assert (report.transactions, report.gas) == (len(receipts), sum(int(row["gasUsed"], 16) for row in receipts))
    assert not node.directory.is_unfinished


def test_progress_names_each_committed_run(node: Node, blocks: list[bytes]) -> None:
    node.directory.create(RESTORE_FOLDERS)
    watch = Watch(threading.Event())
    with _core.Chain.open(node.path) as chain:
        Restore(
            archive_of(blocks),
            node.directory,
            chain,
            load_genesis(node.genesis),
            watch.stop,
            watch,
            limits=Limits(blocks=10),
        ).run()
    # The first run of ten has the genesis block, which is there already.
    assert watch.heads == [9, 19, HEAD]


def test_a_second_run_reads_nothing_and_changes_nothing(node: Node, blocks: list[bytes]) -> None:
    first = node.restore(archive_of(blocks))
    archive = archive_of(blocks)
    report = node.restore(archive)
    assert archive.records_read == 0
    assert (report.first, report.last, report.blocks, report.transactions, report.gas) == (None, None, 0, 0, 0)
    assert (report.head, report.head_hash, report.state_root) == (HEAD, first.head_hash, first.state_root)
    assert not node.directory.is_unfinished


@pytest.mark.parametrize("stop_at", [1, 8])
def test_a_stopped_restore_ends_at_a_committed_block_and_goes_on_from_there(
    stop_at: int, node: Node, blocks: list[bytes], tmp_path: Path
) -> None:
    with pytest.raises(StoppedBySignalError) as stopped:
        node.restore(archive_of(blocks), run_blocks=2, stop_at=stop_at)
    height = stopped.value.height
    assert height is not None
    assert stop_at <= height == node.head
    assert node.directory.read_mark() == RestoreMark(HEAD, sealed_header(blocks[HEAD]).hash)
    report = node.restore(archive_of(blocks))
    assert (report.first, report.last) == ((height + 1, HEAD) if height < HEAD else (None, None))
    assert not node.directory.is_unfinished
    straight = Node(tmp_path / "straight", node.genesis)
    assert straight.restore(archive_of(blocks)).state_root == report.state_root
    assert load_state(straight.directory.consensus) == load_state(node.directory.consensus)


def test_a_stop_before_the_first_block_leaves_the_genesis_block(node: Node, blocks: list[bytes]) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(StoppedBySignalError) as stopped:
        node.restore(archive_of(blocks), stop=stop)
    assert stopped.value.height == node.head == 0
    assert node.directory.is_unfinished


def test_a_stop_is_noticed_while_known_blocks_are_passed_over(node: Node, blocks: list[bytes]) -> None:
    node.restore(archive_of(blocks[:21]))
    stop = threading.Event()
    stop.set()
    archive = archive_of(blocks)
    with pytest.raises(StoppedBySignalError) as stopped:
        node.restore(archive, stop=stop)
    assert stopped.value.height == node.head == 20
    assert archive.records_read < 21


def test_a_height_below_the_end_is_where_it_ends(node: Node, blocks: list[bytes]) -> None:
    report = node.restore(archive_of(blocks), to=10)
    assert (report.first, report.last, report.head, node.head) == (1, 10, 10, 10)
    assert not node.directory.is_unfinished
    again = node.restore(archive_of(blocks), to=10)
    assert (again.first, again.last, again.head) == (None, None, 10)
    rest = node.restore(archive_of(blocks))
    assert (rest.first, rest.last) == (11, HEAD)


def test_height_zero_is_the_genesis_block_alone(node: Node, blocks: list[bytes]) -> None:
    report = node.restore(archive_of(blocks), to=0)
    assert (report.first, report.head, node.head) == (None, 0, 0)
    assert not node.directory.is_unfinished


def test_a_height_that_is_below_the_head_changes_nothing(node: Node, blocks: list[bytes]) -> None:
    node.restore(archive_of(blocks[:16]))
    report = node.restore(archive_of(blocks), to=10)
    assert (report.first, report.head, node.head) == (None, 15, 15)


def test_the_mark_of_a_stopped_restore_names_the_height_asked_for(node: Node, blocks: list[bytes]) -> None:
    with pytest.raises(StoppedBySignalError):
        node.restore(archive_of(blocks), to=20, run_blocks=2, stop_at=4)
    assert node.directory.read_mark() == RestoreMark(HEAD, sealed_header(blocks[HEAD]).hash, 20)
    node.restore(archive_of(blocks), to=20)
    assert not node.directory.is_unfinished


def test_a_part_of_an_unfinished_restore_leaves_its_mark(
    node: Node, blocks: list[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(StoppedBySignalError):
        node.restore(archive_of(blocks), run_blocks=2, stop_at=2)
    promise = node.directory.read_mark()
    assert promise == RestoreMark(HEAD, sealed_header(blocks[HEAD]).hash)
    assert node.restore(archive_of(blocks[:19])).head == 18
    assert node.directory.read_mark() == promise
    assert "an earlier restore wanted block 24 and the head is 18" in caplog.text
    node.restore(archive_of(blocks))
    assert not node.directory.is_unfinished


def test_a_height_beyond_the_end_is_an_error_each_time_until_another_is_asked_for(
    node: Node, blocks: list[bytes]
) -> None:
    for _ in range(2):
        with pytest.raises(ArchiveIncompleteError, match=r"expected blocks up to 30, found .*end after block 24"):
            node.restore(archive_of(blocks), to=30)
        assert node.head == HEAD
        assert node.directory.read_mark() == RestoreMark(HEAD, sealed_header(blocks[HEAD]).hash, 30)
    node.restore(archive_of(blocks))
    assert not node.directory.is_unfinished


def test_a_height_that_is_damaged_in_the_metadata_marks_no_longer_than_until_its_block_is_there(
    node: Node, blocks: list[bytes]
) -> None:
    with pytest.raises(ArchiveIncompleteError, match="expected blocks up to 99"):
        node.restore(archive_of(blocks, promised=99))
    assert node.directory.read_mark() == RestoreMark(99, sealed_header(blocks[HEAD]).hash)
    node.restore(archive_of(blocks))
    assert not node.directory.is_unfinished


def test_the_hash_of_the_go_client_in_an_archive_of_a_range_is_no_doubt(
    node: Node, poa: Network, caplog: pytest.LogCaptureFixture
) -> None:
    with FlatArchive.open(poa.folder / "part-0-50.dat") as archive:
        assert archive.metadata.hash.hex() not in poa.about["headHash"]
        report = node.restore(archive, strict=True)
        assert archive.metadata.hash != report.head_hash
    assert report.head == 50
    assert not caplog.records


def test_more_blocks_than_promised_are_a_doubt(
    node: Node, blocks: list[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    report = node.restore(archive_of(blocks, promised=20))
    assert report.head == HEAD
    assert "metadata height does not match the last block: expected 20, found 24" in caplog.text


def test_more_blocks_than_promised_are_an_error_when_strict(node: Node, blocks: list[bytes]) -> None:
    with pytest.raises(ArchiveMetadataError, match="expected 20, found 24"):
        node.restore(archive_of(blocks, promised=20), strict=True)
    assert node.head == HEAD


def test_an_archive_that_starts_above_the_head_is_refused(node: Node, blocks: list[bytes]) -> None:
    node.restore(archive_of(blocks[:6]))
    with pytest.raises(BlockRuleError) as refused:
        node.restore(archive_of(blocks[8:]))
    assert (refused.value.rule, refused.value.number, node.head) == (Rule.NUMBER, 6, 5)


def test_an_archive_that_overlaps_is_taken_up_behind_the_head(node: Node, blocks: list[bytes]) -> None:
    node.restore(archive_of(blocks[:12]))
    report = node.restore(archive_of(blocks[5:]))
    assert (report.first, report.last) == (12, HEAD)


def test_a_block_without_a_height_is_refused_as_one_that_is_none(node: Node, blocks: list[bytes]) -> None:
    broken = rlp.decode(blocks[7])
    broken[0][8] = [broken[0][8]]
    with pytest.raises(BlockRuleError) as refused:
        node.restore(archive_of([*blocks[:7], rlp.encode(broken), *blocks[8:]]), to=20)
    assert (refused.value.rule, refused.value.number, node.head) == (Rule.STRUCTURE, 7, 6)
    assert refused.value.offset == 35 + sum(map(len, blocks[:7]))


def test_a_repeated_block_is_skipped_on_a_later_run_as_on_the_first(node: Node, blocks: list[bytes]) -> None:
    doubled = [*blocks[:16], blocks[15], *blocks[16:]]
    node.restore(archive_of(doubled), to=18)
    report = node.restore(archive_of(doubled))
    assert (report.first, report.last) == (19, HEAD)


def test_a_gap_in_what_is_known_is_named(node: Node, blocks: list[bytes]) -> None:
    node.restore(archive_of(blocks[:18]))
    with pytest.raises(BlockRuleError) as refused:
        node.restore(archive_of([*blocks[:5], *blocks[7:]]))
    assert (refused.value.rule, node.head) == (Rule.NUMBER, 17)


@pytest.mark.parametrize("number", [1, 10])
def test_another_block_of_a_known_height_is_named_and_nothing_imported(
    number: int, node: Node, blocks: list[bytes]
) -> None:
    node.restore(archive_of(blocks[:18]))
    changed = bytearray(blocks[number])
    state_root = sealed_state_root(blocks[number])
    changed[changed.index(state_root)] ^= 1
    archive = archive_of([*blocks[:number], bytes(changed), *blocks[number + 1 :]])
    with pytest.raises(BlockRuleError, match="a different block of a height that the chain has") as refused:
        node.restore(archive)
    assert (refused.value.rule, refused.value.number) == (Rule.PARENT_LINK, number)
    assert refused.value.offset == 35 + sum(map(len, blocks[:number]))
    assert refused.value.expected == sealed_header(blocks[number]).hash
    assert node.head == 17


def sealed_state_root(raw: bytes) -> bytes:
    root = _core.summarise([raw], "ibft", "G1")[0]
    assert not isinstance(root, str)
    return root.state_root


def test_a_directory_of_another_chain_is_refused_unchanged(node: Node, blocks: list[bytes]) -> None:
    node.restore(archive_of(blocks))
    other = Node(node.path, recorded_folder("quirks/v0.6.3/all-fuzz") / "genesis.json")
    with pytest.raises(DataDirectoryError, match="genesis file does not match"):
        other.restore(archive_of(blocks))
    assert node.head == HEAD
    assert not node.directory.is_unfinished


def test_a_directory_in_use_is_refused(node: Node, blocks: list[bytes]) -> None:
    node.directory.create(RESTORE_FOLDERS)
    with _core.Chain.open(node.path), pytest.raises(DataDirectoryError, match=str(node.path)):
        node.restore(archive_of(blocks))


def test_a_directory_without_its_state_is_refused(node: Node, blocks: list[bytes]) -> None:
    node.restore(archive_of(blocks[:12]))
    shutil.rmtree(node.directory.trie)
    with pytest.raises(DataDirectoryError, match="trie not found: no database here"):
        node.restore(archive_of(blocks))


@pytest.mark.parametrize(
    "spoil", [lambda file: file.write_bytes(b"{"), lambda file: file.unlink()], ids=["damaged", "missing"]
)
@pytest.mark.parametrize("name", ["metadata", "snapshots"])
def test_validators_are_taken_from_the_headers_where_their_file_is_not_usable(
    name: str, spoil: Callable[[Path], Any], node: Node, poa: Network, tmp_path: Path
) -> None:
    # In the epoch of 50 votes have been cast.
    with FlatArchive.open(poa.folder / "part-0-50.dat") as archive:
        node.restore(archive)
    spoil(node.directory.consensus / name)
    with FlatArchive.open(poa.folder / "part-51-100.dat") as archive:
        assert node.restore(archive).head == 100
    straight = Node(tmp_path / "straight", node.genesis)
    with FlatArchive.open(poa.folder / "full.dat") as archive:
        straight.restore(archive, to=100)
    ours, theirs = load_state(node.directory.consensus), load_state(straight.directory.consensus)
    assert ours is not None
    assert theirs is not None
    assert ours.snapshots[-1] == theirs.snapshots[-1]


@pytest.mark.parametrize(
    "spoil", [lambda file: file.write_bytes(b"{"), lambda file: file.unlink()], ids=["damaged", "missing"]
)
@pytest.mark.parametrize("name", ["metadata", "snapshots"])
def test_validators_lost_after_the_last_commit_are_written_by_a_run_that_reads_nothing(
    name: str, spoil: Callable[[Path], Any], node: Node, blocks: list[bytes]
) -> None:
    node.restore(archive_of(blocks))
    expected = load_state(node.directory.consensus)
    assert expected is not None
    spoil(node.directory.consensus / name)
    archive = archive_of(blocks)
    node.restore(archive)
    assert archive.records_read == 0
    found = load_state(node.directory.consensus)
    assert found is not None
    assert (found.last_block, found.snapshots[-1]) == (expected.last_block, expected.snapshots[-1])


def test_a_mark_that_cannot_be_read_is_written_anew_by_the_next_restore(node: Node, blocks: list[bytes]) -> None:
    node.restore(archive_of(blocks[:12]))
    node.directory.mark.write_text("not a mark")
    node.restore(archive_of(blocks))
    assert not node.directory.is_unfinished


def test_a_full_disk_is_noticed_before_a_block_is_written(
    node: Node, blocks: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.dat"
    file.write_bytes(encode_metadata(Metadata(HEAD, sealed_header(blocks[-1]).hash)) + b"".join(blocks))
    needed = LEAST_BYTES_PER_ARCHIVE_BYTE * file.stat().st_size
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: Usage(1 << 40, 0, needed - 1))
    with FlatArchive.open(file) as archive, pytest.raises(DiskFullError) as full:
        node.restore(archive)
    assert (full.value.needed, full.value.free) == (needed, needed - 1)
    assert node.head == 0
    assert not node.directory.is_unfinished
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: Usage(1 << 40, 0, needed))
    with FlatArchive.open(file) as archive:
        assert node.restore(archive).head == HEAD


def test_the_document_has_the_promised_keys(node: Node, blocks: list[bytes]) -> None:
    report = node.restore(archive_of(blocks), to=0)
    document = report.document()
    assert list(document) == [
        "from",
        "to",
        "head",
        "head_hash",
        "state_root",
        "genesis_hash",
        "blocks",
        "transactions",
        "gas",
        "seconds",
    ]
    assert (document["from"], document["to"], document["blocks"]) == (None, None, 0)
    assert document["head_hash"] == document["genesis_hash"] == "0x" + report.genesis_hash.hex()


def test_warnings_carry_the_name_of_the_archive(
    node: Node, blocks: list[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    node.restore(archive_of(blocks, promised_hash=bytes(32)))
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == ["a.dat"]
