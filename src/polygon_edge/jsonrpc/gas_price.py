"""What `eth_gasPrice` suggests: what was paid lately, but no less than the operator's limit (§5.4)."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Final

from polygon_edge.chain.fees import effective_gas_price

if TYPE_CHECKING:
    from polygon_edge.jsonrpc.history import History
    from polygon_edge.jsonrpc.priority_fee import PriorityFee

_WINDOW_BLOCKS: Final = 128


class GasPrice:
    """The average over the transactions of the last blocks that came since this was made; at first there are none.

    Under london it is the base fee and the suggested tip instead. Only blocks that were not seen before are read, at
    most as many as the window holds, and only when somebody asks.
    """

    def __init__(self, history: History, price_limit: int, priority_fee: PriorityFee) -> None:
        self._history = history
        self._priority_fee = priority_fee
        self._price_limit = price_limit
        self._lock = threading.Lock()
        self._seen = history.head_number()
        self._blocks: deque[tuple[int, int]] = deque(maxlen=_WINDOW_BLOCKS)

    def suggest(self) -> int:
        """Return wei per gas."""
        return max(self._price_limit, self._with_base_fee() if self._is_london() else self._average())

    def _is_london(self) -> bool:
        return self._history.rules.is_active("london", self._history.head_number())

    def _with_base_fee(self) -> int:
        return self._priority_fee.suggest() + self._history.pool_base_fee()

    def _average(self) -> int:
        with self._lock:
            head = self._history.head_number()
            for height in range(max(self._seen + 1, head - _WINDOW_BLOCKS + 1), head + 1):
                base_fee = self._history.header(height).base_fee
                prices = [effective_gas_price(sent, base_fee) for sent in self._history.transactions(height)]
                self._blocks.append((sum(prices), len(prices)))
            self._seen = head
            paid = sum(total for total, _ in self._blocks)
            transactions = sum(count for _, count in self._blocks)
        return paid // transactions if transactions else 0
