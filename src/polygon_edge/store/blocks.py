"""The blocks of a data directory as a source: what an archive is written from without a running node.

Owns the view of the chain by height; the databases are the Rust core's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from polygon_edge import _core
from polygon_edge.errors import DataDirectoryError
from polygon_edge.source import BlockSource, RawBlock

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator
    from types import TracebackType


class LocalBlocks(BlockSource):
    """The canonical blocks, from 0 to the head, of an open `chain`, called `name` in messages.

    Neither a genesis file nor the chain's rules are needed, so directories of any generation can be read.
    """

    def __init__(self, chain: _core.Chain, name: str) -> None:
        self._chain = chain
        self._name = name

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Self:
        """Open the data directory at `path`, which must be there and be used by nobody else; close it after use.

        Raises DataDirectoryError.
        """
        return cls(_core.Chain.open(path, create=False), str(path))

    def close(self) -> None:
        """Close the databases and release their locks."""
        self._chain.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def name(self) -> str:
        """The directory."""
        return self._name

    @property
    def first_height(self) -> int:
        """Always 0."""
        return 0

    @property
    def last_height(self) -> int:
        """Height of the head; raises DataDirectoryError in empty databases."""
        head = self._chain.head
        if head is None:
            raise DataDirectoryError(self._name, "no blocks", expected="a head", found="empty databases")
        return head[0]

    def hash(self, number: int) -> bytes:
        """Return the 32-byte hash of block `number`; raises DataDirectoryError when there is none."""
        found = self._chain.canonical_hash(number)
        if found is None:
            raise self._missing(number)
        return found

    def blocks(self, first: int, last: int) -> Iterator[RawBlock]:
        """Yield the blocks `first` to `last`, both included; raises DataDirectoryError at one that is not there."""
        for number in range(first, last + 1):
            raw = self._chain.block(number)
            if raw is None:
                raise self._missing(number)
            yield RawBlock(number, raw, None)

    def _missing(self, number: int) -> DataDirectoryError:
        head = self._chain.head
        found = "empty databases" if head is None else f"blocks up to {head[0]}"
        return DataDirectoryError(self._name, "no such block", expected=f"block {number}", found=found)
