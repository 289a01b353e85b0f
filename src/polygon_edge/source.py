"""Where blocks come from: the protocol that a running node, a local database and an archive share.

Blocks stay raw bytes for as long as possible: whoever moves them need not understand them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator


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
