"""The methods of the `txpool` namespace (§5.4): what waits for a block."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from polygon_edge.chain.address import checksum_address
from polygon_edge.chain.block import HASH_SIZE
from polygon_edge.chain.fees import highest_price
from polygon_edge.jsonrpc.codec import data
from polygon_edge.jsonrpc.dispatch import Method
from polygon_edge.jsonrpc.objects import transaction_document
from polygon_edge.jsonrpc.rpc_error import RpcError

if TYPE_CHECKING:
    from collections.abc import Callable

    from polygon_edge import _core
    from polygon_edge.jsonrpc.context import Backend

MAXIMUM_CONTENT_BYTES: Final = 8 * 1024 * 1024
"""Of transactions in one answer, which is several times as large. A pool may hold 128 MiB that cost nobody anything."""

_ZERO_HASH = data(bytes(HASH_SIZE))


class TxPool:
    """Describes the pool's content."""

    def __init__(self, backend: Backend) -> None:
        self._pool = backend.pool
        self._has_types = backend.rules.has_transaction_types

    def methods(self) -> dict[str, Method]:
        """Return every method by its full name."""
        return {
            "txpool_content": Method(self.content),
            "txpool_inspect": Method(self.inspect),
            "txpool_status": Method(self.status),
        }

    def content(self) -> dict[str, object]:
        """Return the waiting transactions by sender and nonce; raises RpcError where they are too large together."""
        queues = [nonces for kind in self._pool.content().values() for nonces in kind.values()]
        size = sum(len(transaction.raw) for nonces in queues for transaction in nonces.values())
        if size > MAXIMUM_CONTENT_BYTES:
            raise RpcError(
                f"the transactions in the pool have {size} bytes, expected at most {MAXIMUM_CONTENT_BYTES}:"
                " see txpool_inspect, and ask for single ones by their hashes"
            )
        return self._described(self._document)

    def inspect(self) -> dict[str, object]:
        """Return a line of text for each waiting transaction, and how full the pool is in slots."""
        return {
            **self._described(_line),
            "currentCapacity": self._pool.slots_used,
            "maxCapacity": self._pool.limits.max_slots,
        }

    def status(self) -> dict[str, object]:
        """Return how many transactions wait, as bare numbers, which is what the Go client does."""
        content = self._pool.content()
        return {kind: sum(len(nonces) for nonces in content[kind].values()) for kind in ("pending", "queued")}

    def _document(self, transaction: _core.Transaction) -> dict[str, object]:
        described = transaction_document(transaction, with_type=self._has_types) | {"blockHash": _ZERO_HASH}
        # The signature is told by the later generations only.
        absent = () if self._has_types else ("v", "r", "s")
        return {name: value for name, value in described.items() if name not in absent}

    def _described(self, describe: Callable[[_core.Transaction], object]) -> dict[str, object]:
        content = self._pool.content()
        return {
            kind: {
                checksum_address(sender): {str(nonce): describe(transaction) for nonce, transaction in nonces.items()}
                for sender, nonces in content[kind].items()
            }
            for kind in ("pending", "queued")
        }


def _line(transaction: _core.Transaction) -> str:
    return f"{transaction.value} wei + {transaction.gas} gas x {highest_price(transaction)} wei"
