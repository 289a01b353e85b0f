"""The methods of the `net` namespace (§5.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polygon_edge.jsonrpc.codec import quantity
from polygon_edge.jsonrpc.dispatch import Method

if TYPE_CHECKING:
    from polygon_edge.jsonrpc.context import Backend


class Net:
    """Answers for a node that has no peer-to-peer network yet: it listens to its clients and has no peers."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def methods(self) -> dict[str, Method]:
        """Return every method by its full name."""
        return {
            "net_listening": Method(self.listening),
            "net_peerCount": Method(self.peer_count),
            "net_version": Method(self.version),
        }

    def version(self) -> str:
        """Return the chain id in decimal."""
        return str(self._backend.chain_id)

    def listening(self) -> bool:
        """Return true, as the Go client always does."""
        return True

    def peer_count(self) -> str:
        """Return how many peers are connected."""
        return quantity(0)
