"""The methods of the `web3` namespace (§5.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polygon_edge import _core
from polygon_edge.jsonrpc.codec import data, decode_data
from polygon_edge.jsonrpc.dispatch import Method, Parameter

if TYPE_CHECKING:
    from polygon_edge.jsonrpc.context import Backend


class Web3:
    """Says who answers, and hashes."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def methods(self) -> dict[str, Method]:
        """Return every method by its full name."""
        return {
            "web3_clientVersion": Method(self.client_version),
            "web3_sha3": Method(self.sha3, (Parameter(decode_data, b""),)),
        }

    def client_version(self) -> str:
        """Return name, chain id and version in the Go client's layout."""
        backend = self._backend
        return f"{backend.name} [chain-id: {backend.chain_id}] [version: {backend.version}]"

    def sha3(self, value: bytes) -> str:
        """Return the Keccak-256 of bytes."""
        return data(_core.keccak256(value))
