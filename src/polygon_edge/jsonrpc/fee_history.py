"""What `eth_feeHistory` tells: base fees, how full the blocks were, and what was paid above the base fee (§5.4)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from polygon_edge.chain.fees import effective_tip
from polygon_edge.jsonrpc.codec import quantity
from polygon_edge.jsonrpc.rpc_error import InvalidParametersError, RpcError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from polygon_edge import _core
    from polygon_edge.jsonrpc.codec import BlockNumber
    from polygon_edge.jsonrpc.history import History

MAXIMUM_BLOCKS: Final = 1024
MAXIMUM_PERCENTILES: Final = 100


def decode_percentiles(value: object) -> list[float]:
    """Read a list of numbers."""
    if not isinstance(value, list):
        raise InvalidParametersError
    for number in value:
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise InvalidParametersError
    return [float(number) for number in value]


@dataclass(frozen=True, slots=True)
class FeeHistory:
    """Reads `history` for each question anew."""

    history: History

    def tell(self, count: int, newest: BlockNumber, percentiles: Sequence[float]) -> dict[str, object]:
        """Describe `count` blocks up to `newest`, from block 1 on; more than there are, or than allowed, are cut.

        `percentiles` ask for tips, weighted by gas. Raises RpcError for no blocks and for percentiles out of range or
        order.
        """
        if count < 1:
            raise RpcError("blockCount must be greater than 0")
        _check(percentiles)
        head = self.history.head_number()
        last = min(self.history.height(newest), head)
        first = max(last - min(count, MAXIMUM_BLOCKS) + 1, 1)
        headers = [self.history.header(height) for height in range(first, last + 1)]
        described: dict[str, object] = {
            "oldestBlock": quantity(first),
            # The one after the last block is not worked out: the head's stands for it, as in the Go client.
            "baseFeePerGas": [quantity(header.base_fee) for header in (*headers, self.history.header(head))],
            "gasUsedRatio": [header.gas_used / header.gas_limit if header.gas_limit else 0 for header in headers],
        }
        if headers:
            described["reward"] = [[quantity(tip) for tip in self._tips(header, percentiles)] for header in headers]
        return described

    def _tips(self, header: _core.Header, percentiles: Sequence[float]) -> list[int]:
        """Return the tip up to which each of `percentiles` of a block's gas was used; zeros for an empty block."""
        if not percentiles:
            return []
        block = self.history.block(header.number)
        offers = sorted(
            (max(effective_tip(transaction, header.base_fee), 0), receipt.gas_used)
            for transaction, receipt in zip(block.transactions, block.receipts, strict=True)
        )
        if not offers:
            return [0] * len(percentiles)
        found, position, used = [], 0, offers[0][1]
        for percentile in percentiles:
            wanted = int(header.gas_used * percentile / 100)
            while used < wanted and position < len(offers) - 1:
                position += 1
                used += offers[position][1]
            found.append(offers[position][0])
        return found


def _check(percentiles: Sequence[float]) -> None:
    if len(percentiles) > MAXIMUM_PERCENTILES:
        raise RpcError(f"expected at most {MAXIMUM_PERCENTILES} percentiles, found {len(percentiles)}")
    least = 0.0
    for percentile in percentiles:
        if math.isnan(percentile) or not least <= percentile <= 100:
            raise RpcError("invalid percentile")
        least = percentile
