"""What `eth_maxPriorityFeePerGas` suggests: the tips of the last blocks (§5.4)."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from polygon_edge.chain.fees import effective_tip

if TYPE_CHECKING:
    from collections.abc import Iterator

    from polygon_edge.jsonrpc.history import History

_GWEI: Final = 10**9
_BLOCKS: Final = 20
_SAMPLES: Final = 2 * _BLOCKS
_SAMPLES_PER_BLOCK: Final = 3
_PERCENTILE: Final = 60
_LEAST_TIP: Final = 2
_MOST: Final = 500 * _GWEI


class PriorityFee:
    """A percentile of the lowest tips in the last blocks; a block without any counts for the suggestion before.

    That is one gwei at first. It is worked out once for each head that somebody asks at.
    """

    def __init__(self, history: History) -> None:
        self._history = history
        self._lock = threading.Lock()
        self._last = _GWEI
        self._head: bytes | None = None

    def suggest(self) -> int:
        """Return wei per gas."""
        with self._lock:
            number = self._history.head_number()
            head = self._history.hash(number)
            if head != self._head:
                tips = sorted(self._samples(number))
                if tips:
                    self._last = min(tips[(len(tips) - 1) * _PERCENTILE // 100], _MOST)
                self._head = head
            return self._last

    def _samples(self, head: int) -> Iterator[int]:
        """Yield tips from the head down: those of twenty blocks, and of older ones until there are forty."""
        found = 0
        for height in range(head, 0, -1):
            if head - height >= _BLOCKS and found >= _SAMPLES:
                return
            tips = self._tips(height)
            found += len(tips)
            yield from tips

    def _tips(self, height: int) -> list[int]:
        header = self._history.header(height)
        paid = sorted(
            tip
            for transaction in self._history.transactions(height)
            if (tip := effective_tip(transaction, header.base_fee)) >= _LEAST_TIP and transaction.sender != header.miner
        )
        return paid[:_SAMPLES_PER_BLOCK] or [self._last]
