"""Where blocks come from: the protocol that a running node, a local database and an archive share.

Blocks stay raw bytes for as long as possible: whoever moves them need not understand them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager


class RawBlock(NamedTuple):
    """One block as network RLP (§2.3), its height and, from an archive, the byte at which its record starts."""

    number: int
    raw: bytes
    offset: int | None


class RawRecord(Protocol):
    """One block's network RLP with its place in a source, its height not yet looked at."""

    @property
    def raw(self) -> bytes:
        """The record."""
        ...

    @property
    def offset(self) -> int | None:
        """Where it starts in the source, none where a source has no places."""
        ...


class BlockSource(Protocol):
    """Something that has the blocks from `first_height` to `last_height`."""

    @property
    def name(self) -> str:
        """What to call the source in a message: a file name, an address."""
        ...

    @property
    def first_height(self) -> int:
        """The lowest block this source can give."""
        ...

    @property
    def last_height(self) -> int:
        """The highest block this source has or promises."""
        ...

    def blocks(self, first: int, last: int) -> Iterator[RawBlock]:
        """Yield the blocks `first` to `last`, both included, ascending, without gaps.

        Raises an error of the source's family when a block is missing; never ends early in silence.
        """
        ...


class NodeStatus(NamedTuple):
    """What a running node says of itself: chain id, height and 32-byte hash of its head, where peers reach it."""

    chain_id: int
    height: int
    hash: bytes
    peer_address: str


class Chunk(NamedTuple):
    """Consecutive blocks as a node exports them, `first` to `last`, both included, `data` their records back to back.

    The two heights are the node's claim; `data` has not been looked at.
    """

    first: int
    last: int
    data: bytes


class ExportingNode(Protocol):
    """A running node whose blocks can be had without stopping it."""

    @property
    def name(self) -> str:
        """What to call the node in a message: its address."""
        ...

    def status(self) -> NodeStatus:
        """Return chain id and head as they are now; raises NodeError and StoppedBySignalError."""
        ...

    def block(self, number: int) -> bytes | None:
        """Return the record of block `number`, none when the node has no such block; raises as `status` does."""
        ...

    def export(self, first: int, last: int) -> AbstractContextManager[Iterator[Chunk | None]]:
        """Ask for the blocks `first` to `last`, both included and not the same, in chunks.

        None stands for a moment in which nothing came. The end of the iterator is the end of what the node gave,
        which may be early. Raises NodeError.
        """
        ...
