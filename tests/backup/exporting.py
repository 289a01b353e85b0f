"""A node to back up, altered as a test wants it, and what a backup of it should leave behind."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from polygon_edge.archive.flat import Metadata, encode_metadata
from polygon_edge.archive.part import part_of
from polygon_edge.backup import Backup
from polygon_edge.source import Chunk, NodeStatus

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.operator.serving import GrowingChain

NAME = "127.0.0.1:9632"
CHUNK_BLOCKS = 20


class Node:
    """A node that exports `chain` in chunks of 20 blocks, as `script` alters them."""

    name = NAME

    def __init__(self, chain: GrowingChain, script: Any = iter) -> None:
        self.chain = chain
        self.script = script
        self.asked: list[object] = []

    def status(self) -> NodeStatus:
        self.asked.append("status")
        return NodeStatus(10631, self.chain.height, self.chain.hash(self.chain.height), "")

    def block(self, number: int) -> bytes | None:
        self.asked.append(number)
        return self.chain.block(number)

    @contextmanager
    def export(self, first: int, last: int) -> Iterator[Iterator[Chunk | None]]:
        self.asked.append((first, last))
        assert 0 < last != first
        yield iter(self.script(self._chunks(first, last)))

    def _chunks(self, first: int, last: int) -> Iterator[Chunk]:
        for start in range(first, min(last, self.chain.height) + 1, CHUNK_BLOCKS):
            end = min(start + CHUNK_BLOCKS - 1, last, self.chain.height)
            yield Chunk(start, end, b"".join(self.chain.records[start : end + 1]))


class Shown:
    """Progress that remembers."""

    def __init__(self) -> None:
        self.totals: list[int] = []
        self.blocks = self.size = 0
        self.head: int | None = None

    def __call__(self, total: int) -> Self:
        self.totals.append(total)
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def update(self, *, blocks: int, transactions: int = 0, gas: int = 0, size: int = 0, head: int) -> None:
        assert transactions == gas == 0
        self.blocks += blocks
        self.size += size
        self.head = head


def back_up(
    node: Node,
    out: Path,
    first: int | None = None,
    last: int | None = None,
    *,
    resume: bool = False,
    stop: threading.Event | None = None,
    shown: Shown | None = None,
) -> Any:
    work = Backup(node, stop or threading.Event(), shown or Shown(), first, last)
    return work.to_file(out, resume=resume)


def expected(chain: GrowingChain, first: int, last: int) -> bytes:
    return encode_metadata(Metadata(last, chain.hash(last))) + b"".join(chain.records[first : last + 1])


def only(out: Path) -> bytes:
    """The content of `out`, which is all there is in its folder."""
    assert list(out.parent.iterdir()) == [out]
    return out.read_bytes()


def part_alone(out: Path) -> bytes:
    part = part_of(out)
    assert list(out.parent.iterdir()) == [part]
    return part.read_bytes()


def none_left(out: Path) -> bool:
    return not list(out.parent.iterdir())


def failing(after: int, error: BaseException | None = None) -> Any:
    """A script that gives `after` chunks and then fails, or just ends."""

    def script(chunks: Iterator[Chunk]) -> Iterator[Chunk]:
        for _ in range(after):
            yield next(chunks)
        if error is not None:
            raise error

    return script


def stopping(after: int, stop: threading.Event) -> Any:
    """A script that gives `after` chunks, and then nothing more, while a signal comes."""

    def script(chunks: Iterator[Chunk]) -> Iterator[Chunk | None]:
        for _ in range(after):
            yield next(chunks)
            yield None
        stop.set()
        while True:
            yield None

    return script


def unlinked(records: list[bytes], count: int) -> list[bytes]:
    """Blocks whose parents no rule gives: the parent hash, the header's first item, is another one."""
    found = []
    for number, raw in enumerate(records[:count]):
        start = raw.index(b"\xa0") + 1
        found.append(raw[:start] + bytes([number]) * 32 + raw[start + 32 :])
    return found
