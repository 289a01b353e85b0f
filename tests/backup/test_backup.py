"""The verb `backup`: whatever a node does, an archive is whole and true, or it is not there."""

from __future__ import annotations

import errno
import os
import threading
from typing import TYPE_CHECKING, Any

import pytest
from tests.backup.exporting import (
    NAME,
    Node,
    Shown,
    back_up,
    expected,
    failing,
    none_left,
    only,
    part_alone,
    stopping,
    unlinked,
)
from tests.operator.serving import GrowingChain

from polygon_edge import backup as backup_module
from polygon_edge.archive.flat import FlatArchive, Metadata, encode_metadata
from polygon_edge.archive.part import part_of
from polygon_edge.backup import Backup
from polygon_edge.errors import (
    ArchiveExistsError,
    DiskFullError,
    NodeError,
    SourceEndedError,
    SourceError,
    StoppedBySignalError,
)
from polygon_edge.source import Chunk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.mark.parametrize(
    ("first", "last", "heights"),
    [
        (None, None, (0, 150)),
        (0, 150, (0, 150)),
        (0, 50, (0, 50)),
        (51, 100, (51, 100)),
        (101, None, (101, 150)),
        (5, 6, (5, 6)),
        (0, 1, (0, 1)),
        (0, 0, (0, 0)),
        (7, 7, (7, 7)),
        (150, 150, (150, 150)),
        (150, None, (150, 150)),
        (149, 999, (149, 150)),
        (150, 999, (150, 150)),
    ],
)
def test_a_range_is_written_with_its_true_hash(
    chain: GrowingChain, out: Path, first: int | None, last: int | None, heights: tuple[int, int]
) -> None:
    node, shown = Node(chain), Shown()
    report = back_up(node, out, first, last, shown=shown)
    assert only(out) == expected(chain, *heights)
    assert report.document() == {"from": heights[0], "to": heights[1], "out": str(out)}
    count = heights[1] - heights[0] + 1
    assert (shown.totals, shown.blocks, shown.head) == ([count], count, heights[1])
    with FlatArchive.open(out) as archive:
        for _ in archive.records():
            pass
        archive.check_end()
    # One block is never exported: the Go server refuses that range.
    assert any(isinstance(question, tuple) for question in node.asked) is (count > 1)


def test_an_end_above_the_head_is_said(chain: GrowingChain, out: Path, caplog: pytest.LogCaptureFixture) -> None:
    back_up(Node(chain), out, 0, 999)
    assert "the head of the node is block 150: the backup ends there, not at 999" in caplog.text


def test_a_range_above_the_head_is_refused(chain: GrowingChain, out: Path) -> None:
    for last in (None, 151, 200):
        with pytest.raises(SourceError, match="above the head: expected block 151, found head 150"):
            back_up(Node(chain), out, 151, last)
    assert none_left(out)


def test_a_head_that_moves_meanwhile_does_not_change_the_range(chain: GrowingChain, out: Path) -> None:
    chain.height = 100

    def moving(chunks: Iterator[Chunk]) -> Iterator[Chunk]:
        for chunk in chunks:
            chain.height += 5
            yield chunk

    back_up(Node(chain, moving), out)
    assert only(out) == expected(chain, 0, 100)


def test_a_chain_of_a_genesis_block_alone_is_backed_up(chain: GrowingChain, out: Path) -> None:
    chain.height = 0
    back_up(Node(chain), out)
    assert only(out) == expected(chain, 0, 0)


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("kind", ["file", "folder", "dangling link"])
def test_what_is_there_is_refused_before_the_node_is_asked(
    chain: GrowingChain, out: Path, kind: str, resume: bool
) -> None:
    if kind == "file":
        out.touch()
    elif kind == "folder":
        out.mkdir()
    else:
        out.symlink_to("nothing")
    node = Node(chain)
    with pytest.raises(ArchiveExistsError, match=f"^open {out}: file exists$"):
        back_up(node, out, resume=resume)
    assert node.asked == []
    assert list(out.parent.iterdir()) == [out]


def test_a_part_that_is_there_is_not_touched(chain: GrowingChain, out: Path) -> None:
    part_of(out).write_bytes(b"earlier")
    with pytest.raises(ArchiveExistsError, match="--resume"):
        back_up(Node(chain), out)
    assert part_alone(out) == b"earlier"


def test_a_file_that_appears_meanwhile_is_not_replaced(chain: GrowingChain, out: Path) -> None:
    def slow(chunks: Iterator[Chunk]) -> Iterator[Chunk]:
        for chunk in chunks:
            out.write_bytes(b"mine")
            yield chunk

    with pytest.raises(ArchiveExistsError):
        back_up(Node(chain, slow), out)
    assert out.read_bytes() == b"mine"
    assert part_of(out).read_bytes() == expected(chain, 0, 150)


def test_a_stream_that_ends_early_names_what_is_missing(
    chain: GrowingChain, out: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(SourceEndedError) as caught:
        back_up(Node(chain, failing(2)), out)
    assert "blocks 40 to 150 missing" in str(caught.value)
    assert (caught.value.first_missing, caught.value.last_missing) == (40, 150)
    assert part_alone(out) == expected(chain, 0, 150)[: len(part_alone(out))]
    assert "out.dat.part holds blocks 0 to 39: the same command with --resume goes on there" in caplog.text


def test_one_missing_block_is_named_alone(chain: GrowingChain, out: Path) -> None:
    class Forgetful(Node):
        def block(self, number: int) -> bytes | None:
            return None if number == 7 else super().block(number)

    with pytest.raises(SourceEndedError, match="block 7 missing"):
        back_up(Forgetful(chain), out, 7, 7)
    assert none_left(out)


@pytest.mark.parametrize(
    "error", [None, NodeError(NAME, "Unavailable", "gone"), DiskFullError("x"), OSError(errno.EIO, "x"), MemoryError()]
)
def test_a_failure_before_the_first_block_leaves_nothing(
    chain: GrowingChain, out: Path, error: BaseException | None
) -> None:
    with pytest.raises(type(error) if error else SourceEndedError):
        back_up(Node(chain, failing(0, error)), out)
    assert none_left(out)


def replaced(position: int, chunk: Callable[[Chunk], Chunk]) -> Any:
    """A script that alters one chunk."""

    def script(chunks: Iterator[Chunk]) -> Iterator[Chunk]:
        for index, found in enumerate(chunks):
            yield chunk(found) if index == position else found

    return script


def hostile(records: list[bytes]) -> dict[str, tuple[Any, str]]:
    def forged(chunk: Chunk) -> Chunk:
        parent = records[45][7:39]
        return chunk._replace(data=chunk.data.replace(parent, bytes(32)))

    return {
        "garbage": (lambda chunk: chunk._replace(data=os.urandom(1000)), "."),
        "text": (lambda chunk: chunk._replace(data=b"text"), "not whole blocks"),
        "a byte less": (lambda chunk: chunk._replace(data=chunk.data[:-1]), "not whole blocks"),
        "a byte more": (lambda chunk: chunk._replace(data=chunk.data + b"\xc1"), "not whole blocks"),
        "nothing": (lambda chunk: chunk._replace(data=b""), "wrong chunk"),
        "an empty list": (lambda chunk: chunk._replace(data=b"\xc0"), "not a block"),
        "the chunk before": (lambda _: Chunk(20, 39, b"".join(records[20:40])), "wrong chunk"),
        "the chunk after": (lambda _: Chunk(60, 79, b"".join(records[60:80])), "wrong chunk"),
        "a false claim": (lambda _: Chunk(40, 59, b"".join(records[60:80])), "wrong block"),
        "a gap": (lambda _: Chunk(40, 59, b"".join(records[40:45] + records[46:60])), "wrong block"),
        "a block twice": (lambda _: Chunk(40, 59, b"".join([*records[40:45], records[44]])), "wrong block"),
        "more than asked for": (lambda _: Chunk(40, 99, b"".join(records[40:121])), "wrong chunk"),
        "another parent": (forged, "parent link of block 45"),
        "a length of exabytes": (lambda chunk: chunk._replace(data=b"\xff" * 9), "not whole blocks"),
    }


@pytest.mark.parametrize("what", hostile([bytes(100)] * 151))
def test_whatever_a_node_sends_nothing_wrong_is_written(
    chain: GrowingChain, records: list[bytes], out: Path, what: str
) -> None:
    alter, message = hostile(records)[what]
    with pytest.raises(SourceError, match=message):
        back_up(Node(chain, replaced(2, alter)), out, 0, 119)
    assert part_alone(out) == expected(chain, 0, 119)[: len(part_alone(out))]
    back_up(Node(chain), out, 0, 119, resume=True)
    assert only(out) == expected(chain, 0, 119)


def test_a_last_block_that_is_not_the_one_named_is_an_error(chain: GrowingChain, out: Path) -> None:
    def forged(chunk: Chunk) -> Chunk:
        return chunk._replace(data=chunk.data.replace(b"\x56\xe8\x1f\x17", bytes(4)))

    chain.height = 60
    with pytest.raises(SourceError, match="hash of block 60"):
        back_up(Node(chain, replaced(3, forged)), out)
    # The last block, which nothing proves, is fetched again.
    back_up(Node(chain), out, resume=True)
    assert only(out) == expected(chain, 0, 60)


@pytest.mark.parametrize("answer", [None, b"", b"text", b"\xc0", "another"])
def test_a_hash_that_cannot_be_had_ends_it_before_it_begins(
    chain: GrowingChain, records: list[bytes], out: Path, answer: bytes | str | None
) -> None:
    class Odd(Node):
        def block(self, number: int) -> bytes | None:
            if number != 101:
                return super().block(number)
            return records[100] if isinstance(answer, str) else answer

    with pytest.raises(SourceError, match="block 101"):
        back_up(Odd(chain), out, 0, 100)
    assert none_left(out)


@pytest.mark.parametrize(("first", "after", "last"), [(0, 1, 19), (0, 6, 119), (0, 7, 139), (100, 1, 119), (3, 1, 22)])
def test_a_signal_leaves_a_shorter_archive_that_says_so(  # noqa: PLR0917 - three of them are one case
    chain: GrowingChain, out: Path, first: int, after: int, last: int, caplog: pytest.LogCaptureFixture
) -> None:
    stop = threading.Event()
    with pytest.raises(StoppedBySignalError, match=f"after block {last}$"):
        back_up(Node(chain, stopping(after, stop)), out, first, stop=stop)
    # The height may take a byte less than the one that was promised.
    assert only(out) == expected(chain, first, last)
    assert f"out.dat was shortened to the blocks {first} to {last}, and says so" in caplog.text


def test_a_signal_before_the_first_block_leaves_nothing(chain: GrowingChain, out: Path) -> None:
    stop = threading.Event()
    with pytest.raises(StoppedBySignalError):
        back_up(Node(chain, stopping(0, stop)), out, stop=stop)
    assert none_left(out)


def test_a_signal_after_the_last_block_is_too_late(chain: GrowingChain, out: Path) -> None:
    stop = threading.Event()

    def late(chunks: Iterator[Chunk]) -> Iterator[Chunk]:
        for chunk in chunks:
            yield chunk
            stop.set()

    chain.height = 19
    back_up(Node(chain, late), out, stop=stop)
    assert only(out) == expected(chain, 0, 19)


def test_a_chain_of_an_unknown_rule_is_backed_up_and_that_is_said(
    records: list[bytes], out: Path, caplog: pytest.LogCaptureFixture
) -> None:
    chain = GrowingChain(unlinked(records, 60), 59)
    back_up(Node(chain), out)
    assert only(out) == expected(chain, 0, 59)
    assert "heights were checked, parent links were not" in caplog.text


def test_a_signal_on_a_chain_of_an_unknown_rule_leaves_a_hash_that_is_known(records: list[bytes], out: Path) -> None:
    chain, stop = GrowingChain(unlinked(records, 60), 59), threading.Event()
    with pytest.raises(StoppedBySignalError, match=r"after block 38$"):
        back_up(Node(chain, stopping(2, stop)), out, stop=stop)
    # Block 39 is given up: only it names the hash of block 38.
    assert only(out) == encode_metadata(Metadata(38, bytes([39]) * 32)) + b"".join(chain.records[:39])


# -- space -----------------------------------------------------------------------------------------------------------


def with_free(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    monkeypatch.setattr(backup_module, "free_bytes", lambda _: free)


def test_too_little_space_is_noticed_before(chain: GrowingChain, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_free(monkeypatch, 100_000)
    with pytest.raises(DiskFullError) as caught:
        back_up(Node(chain), out)
    assert caught.value.free == 100_000
    assert 100_000 < (caught.value.needed or 0) < 334_872
    assert none_left(out)


def test_space_that_may_not_do_is_said(
    chain: GrowingChain, out: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with_free(monkeypatch, 180_000)
    node = Node(chain)
    node.block = lambda number: bytes(10_000 if number % 7 == 0 else 1_000)  # type: ignore[method-assign]
    with pytest.raises(SourceError):
        # Any sample will do; the odd blocks end it later.
        back_up(node, out, 0, 149)
    with_free(monkeypatch, 300_000)
    sizes = iter([1000] * 7 + [50_000])
    node = Node(chain)
    node.block = lambda number: bytes(next(sizes))  # type: ignore[method-assign]  # noqa: ARG005
    back_up(node, out)
    assert "may need about" in caplog.text
    assert only(out) == expected(chain, 0, 150)


def test_with_plenty_of_space_nothing_is_sampled(chain: GrowingChain, out: Path) -> None:
    node = Node(chain)
    back_up(node, out)
    assert node.asked == ["status", (0, 150)]


# -- a stream --------------------------------------------------------------------------------------------------------


def stream(node: Node, write: Any, first: int | None = None, last: int | None = None, stop: Any = None) -> Any:
    return Backup(node, stop or threading.Event(), Shown(), first, last).to_stream(write, "standard output")


def test_a_stream_is_the_archive(chain: GrowingChain) -> None:
    written: list[bytes] = []
    report = stream(Node(chain), written.append, 3, 99)
    assert b"".join(written) == expected(chain, 3, 99)
    assert report.document() == {"from": 3, "to": 99, "out": "standard output"}


def test_a_stream_without_a_range_is_not_begun(chain: GrowingChain) -> None:
    written: list[bytes] = []
    with pytest.raises(SourceError):
        stream(Node(chain), written.append, 151)
    assert written == []


@pytest.mark.parametrize(("after", "where"), [(0, "before its first block"), (2, "after block 39")])
def test_a_stream_that_ends_early_says_so(
    chain: GrowingChain, after: int, where: str, caplog: pytest.LogCaptureFixture
) -> None:
    written: list[bytes] = []
    with pytest.raises(SourceEndedError):
        stream(Node(chain, failing(after)), written.append)
    assert f"standard output: the archive ends {where} although it promises block 150" in caplog.text
    assert b"".join(written) == expected(chain, 0, 150)[: len(b"".join(written))]


def test_a_signal_ends_a_stream(chain: GrowingChain) -> None:
    stop = threading.Event()
    with pytest.raises(StoppedBySignalError, match=r"after block 19$"):
        stream(Node(chain, stopping(1, stop)), lambda _: None, stop=stop)


def test_a_reader_that_takes_nothing_more_can_be_left(chain: GrowingChain) -> None:
    written = 0

    def write(content: bytes) -> None:
        nonlocal written
        written += len(content)
        if written > 100_000:
            raise StoppedBySignalError(None)

    with pytest.raises(StoppedBySignalError, match=r"after block \d+$"):
        stream(Node(chain), write)
