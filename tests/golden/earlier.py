"""A chain as it was when its head was lower: what a recorded node knew at the moment of a question.

Blocks and states never change once they are there, so nothing but the head has to be taken back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from polygon_edge import _core


class EarlierChain:
    """Stands for an open chain whose head is at `height`; that may be moved up to the real head."""

    def __init__(self, chain: _core.Chain, height: int | None = None) -> None:
        assert chain.head is not None
        self._chain = chain
        self.last = chain.head[0]
        self.height = self.last if height is None else height
        assert self.height <= self.last

    def __getattr__(self, name: str) -> Any:
        """What depends on nothing but a height or a hash that the caller has from here."""
        return getattr(self._chain, name)

    @property
    def head(self) -> tuple[int, bytes]:
        block_hash = self._chain.canonical_hash(self.height)
        assert block_hash is not None
        return self.height, block_hash

    def number_of(self, block_hash: bytes) -> int | None:
        number = self._chain.number_of(block_hash)
        return None if number is None or number > self.height else number

    def number_at(self, block_hash: bytes) -> int | None:
        """As `number_of`, also above the head."""
        return self._chain.number_of(block_hash)

    def find_transaction(self, transaction_hash: bytes) -> tuple[int, int] | None:
        place = self._chain.find_transaction(transaction_hash)
        return None if place is None or place[0] > self.height else place

    def block(self, number: int) -> bytes | None:
        return self._chain.block(number) if number <= self.height else None

    def snapshot(self) -> EarlierSnapshot:
        return EarlierSnapshot(self._chain.snapshot(), self.head)


class EarlierSnapshot:
    """The blocks up to `head`."""

    def __init__(self, snapshot: _core.Snapshot, head: tuple[int, bytes]) -> None:
        self._snapshot = snapshot
        self.head = head

    def block(self, number: int) -> bytes | None:
        return self._snapshot.block(number) if number <= self.head[0] else None

    def chunk(self, first: int, last: int) -> tuple[int, bytes] | None:
        return self._snapshot.chunk(first, min(last, self.head[0])) if first <= self.head[0] else None

    def close(self) -> None:
        self._snapshot.close()
