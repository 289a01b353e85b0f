"""The pooled transactions of one sender (§6.3): those whose turn has come, and those that wait for a nonce.

Knows nothing of other senders, limits, slots or state; the pool does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from polygon_edge import _core


class Entry(NamedTuple):
    """A pooled transaction, its sender, how many slots it takes and its place in the order of arrival."""

    transaction: _core.Transaction
    sender: bytes
    slots: int
    arrival: int


class Account:
    """The transactions of one sender, by nonce.

    `promoted` holds consecutive nonces in ascending order, up to and without `next_nonce`, the first being the one
    that the state expects; `enqueued` holds greater ones in any order. `demotions` counts how often in a row a proposal
    could not take a promoted one.
    """

    __slots__ = ("demotions", "enqueued", "next_nonce", "promoted")

    def __init__(self, nonce: int) -> None:
        self.promoted: dict[int, Entry] = {}
        self.enqueued: dict[int, Entry] = {}
        self.next_nonce = nonce
        self.demotions = 0

    @property
    def is_empty(self) -> bool:
        """Whether there is no transaction left."""
        return not self.promoted and not self.enqueued

    def at(self, nonce: int) -> Entry | None:
        """Return the transaction with this nonce."""
        return self.promoted.get(nonce) or self.enqueued.get(nonce)

    def put(self, entry: Entry) -> None:
        """Take in a transaction of at least the next nonce, or in place of one that is here; promote what it allows."""
        nonce = entry.transaction.nonce
        if nonce in self.promoted:
            self.promoted[nonce] = entry
            return
        self.enqueued[nonce] = entry
        self._promote()

    def align(self, nonce: int) -> list[Entry]:
        """Follow the state, which expects `nonce` now; return what is pruned: every transaction below."""
        pruned = [
            queue.pop(stale)
            for queue in (self.promoted, self.enqueued)
            for stale in [below for below in queue if below < nonce]
        ]
        self.next_nonce = max(self.next_nonce, nonce)
        self._promote()
        return pruned

    def drop_from(self, nonce: int) -> list[Entry]:
        """Give up this promoted transaction and everything after it, enqueued ones too; return them (§6.3, Drop)."""
        dropped = [self.promoted.pop(late) for late in [above for above in self.promoted if above >= nonce]]
        self.next_nonce = nonce
        self.demotions = 0
        return dropped + self.drop_enqueued()

    def drop_enqueued(self) -> list[Entry]:
        """Give up what waits for a nonce; return it."""
        dropped = list(self.enqueued.values())
        self.enqueued.clear()
        return dropped

    def _promote(self) -> None:
        while (entry := self.enqueued.pop(self.next_nonce, None)) is not None:
            self.promoted[self.next_nonce] = entry
            self.next_nonce += 1
