"""A backup that ended early is continued: from what is there and proven, or not at all."""

from __future__ import annotations

import errno
import os
import threading
from typing import TYPE_CHECKING

import pytest
from tests.backup import exporting
from tests.backup.exporting import (
    CHUNK_BLOCKS,
    NAME,
    Node,
    Shown,
    back_up,
    expected,
    failing,
    only,
    part_alone,
    stopping,
    unlinked,
)
from tests.operator.serving import GrowingChain

from polygon_edge.archive import part as part_module
from polygon_edge.archive.part import part_of
from polygon_edge.errors import (
    ArchiveRecordError,
    DiskFullError,
    NodeError,
    SourceEndedError,
    SourceError,
    StoppedBySignalError,
    UsageError,
)

if TYPE_CHECKING:
    from pathlib import Path


def interrupted(chain: GrowingChain, out: Path, after: int, first: int | None = None, last: int | None = None) -> None:
    with pytest.raises(SourceEndedError):
        back_up(Node(chain, failing(after)), out, first, last)


@pytest.mark.parametrize("after", [1, 3, 7])
@pytest.mark.parametrize("torn", [0, 1, 500])
def test_a_backup_goes_on_where_it_ended(chain: GrowingChain, out: Path, after: int, torn: int) -> None:
    interrupted(chain, out, after)
    with part_of(out).open("ab") as stream:
        stream.write(chain.records[after * CHUNK_BLOCKS][:torn])
    node, shown = Node(chain), Shown()
    report = back_up(node, out, resume=True, shown=shown)
    assert only(out) == expected(chain, 0, 150)
    assert (report.first, report.last) == (0, 150)
    # All but the last block, which nothing proved, is kept.
    assert (after * CHUNK_BLOCKS - 1, 150) in node.asked
    assert shown.totals == [150 - after * CHUNK_BLOCKS + 2]


@pytest.mark.parametrize(("before", "after"), [(100, 150), (120, 130), (127, 128), (150, 150)])
def test_without_an_end_a_resumed_backup_goes_to_the_head_of_now(
    chain: GrowingChain, out: Path, before: int, after: int
) -> None:
    chain.height = before
    interrupted(chain, out, 2)
    chain.height = after
    back_up(Node(chain), out, resume=True)
    assert only(out) == expected(chain, 0, after)


@pytest.mark.parametrize("last", [60, 127, 128, 149])
def test_a_resumed_backup_may_have_another_end(chain: GrowingChain, out: Path, last: int) -> None:
    interrupted(chain, out, 2)
    back_up(Node(chain), out, last=last, resume=True)
    assert only(out) == expected(chain, 0, last)


def test_a_part_whose_blocks_are_all_there_is_finished(chain: GrowingChain, out: Path) -> None:
    whole = expected(chain, 0, 150)
    part_of(out).write_bytes(whole)
    node = Node(chain)
    back_up(node, out, resume=True)
    assert only(out) == whole
    assert not [question for question in node.asked if isinstance(question, tuple)]


def test_a_part_of_one_block_is_finished(chain: GrowingChain, out: Path) -> None:
    part_of(out).write_bytes(expected(chain, 7, 7))
    back_up(Node(chain), out, last=7, resume=True)
    assert only(out) == expected(chain, 7, 7)


def test_a_part_that_holds_more_than_is_asked_for_is_left_alone(chain: GrowingChain, out: Path) -> None:
    interrupted(chain, out, 3)
    before = chain.records[58]
    with pytest.raises(SourceError, match="the part holds more than is asked for"):
        back_up(Node(chain), out, last=50, resume=True)
    assert part_alone(out).endswith(before)


def test_a_part_that_begins_elsewhere_is_not_continued(chain: GrowingChain, out: Path) -> None:
    interrupted(chain, out, 1, first=20)
    with pytest.raises(UsageError, match="begins with block 20, not with block 0"):
        back_up(Node(chain), out, 0, resume=True)
    back_up(Node(chain), out, 20, resume=True)
    assert only(out) == expected(chain, 20, 150)


def test_the_beginning_of_a_part_need_not_be_repeated(chain: GrowingChain, out: Path) -> None:
    interrupted(chain, out, 1, first=20, last=99)
    back_up(Node(chain), out, last=99, resume=True)
    assert only(out) == expected(chain, 20, 99)


def test_a_part_of_another_chain_is_not_continued(chain: GrowingChain, records: list[bytes], out: Path) -> None:
    interrupted(chain, out, 2)
    before = len(part_alone(out))
    other = GrowingChain(records, 150)
    other.records = [*records[:30], *unlinked(records, 151)[30:]]
    other.hash = lambda number: bytes(32)  # type: ignore[method-assign]  # noqa: ARG005
    with pytest.raises(SourceError, match="parent link of block 39"):
        back_up(Node(other), out, resume=True)
    assert before - len(part_alone(out)) == len(records[39])


def test_a_damaged_part_is_not_continued(chain: GrowingChain, out: Path) -> None:
    interrupted(chain, out, 2)
    content = bytearray(part_alone(out))
    place = content.index(chain.records[10]) + 20
    content[place] ^= 1
    part_of(out).write_bytes(content)
    with pytest.raises(ArchiveRecordError, match="remove it"):
        back_up(Node(chain), out, resume=True)
    assert part_alone(out) == content


@pytest.mark.parametrize("content", [None, b"", b"\xe3\x81"])
def test_nothing_to_resume_begins_anew(
    chain: GrowingChain, out: Path, content: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    if content is not None:
        part_of(out).write_bytes(content)
    back_up(Node(chain), out, 3, resume=True)
    assert only(out) == expected(chain, 3, 150)
    assert "anew" in caplog.text


def test_a_signal_during_a_resumed_backup_leaves_a_shorter_archive(chain: GrowingChain, out: Path) -> None:
    interrupted(chain, out, 2)
    stop = threading.Event()
    with pytest.raises(StoppedBySignalError, match=r"after block 58$"):
        back_up(Node(chain, stopping(1, stop)), out, stop=stop, resume=True)
    assert only(out) == expected(chain, 0, 58)


def test_a_failure_of_a_resumed_backup_keeps_what_was_there(chain: GrowingChain, out: Path) -> None:
    interrupted(chain, out, 2)
    for _ in range(3):
        with pytest.raises(NodeError):
            back_up(Node(chain, failing(0, NodeError(NAME, "Unavailable", "gone"))), out, resume=True)
    back_up(Node(chain), out, resume=True)
    assert only(out) == expected(chain, 0, 150)


def test_one_block_of_an_unknown_rule_stays_a_part(
    chain: GrowingChain, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "CHUNK_BLOCKS", 1)
    stop = threading.Event()
    with pytest.raises(StoppedBySignalError, match=r"after block 0$"):
        back_up(Node(chain, stopping(1, stop)), out, stop=stop)
    assert part_alone(out) == expected(chain, 0, 150)[: len(part_alone(out))]
    back_up(Node(chain), out, resume=True)
    assert only(out) == expected(chain, 0, 150)


def test_a_disk_that_fills_up_leaves_a_part_to_go_on_with(
    chain: GrowingChain, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = 0
    write_at = part_module._write_at

    def full(descriptor: int, content: bytes, place: int) -> None:
        nonlocal written
        written += len(content)
        if written > 100_000:
            os.pwrite(descriptor, content[: len(content) // 2], place)
            raise OSError(errno.ENOSPC, "No space left on device")
        write_at(descriptor, content, place)

    monkeypatch.setattr(part_module, "_write_at", full)
    with pytest.raises(DiskFullError, match="disk full"):
        back_up(Node(chain), out)
    found = part_alone(out)
    assert found == expected(chain, 0, 150)[: len(found)]
    monkeypatch.undo()
    node = Node(chain)
    back_up(node, out, resume=True)
    assert only(out) == expected(chain, 0, 150)
    assert (0, 150) not in node.asked
