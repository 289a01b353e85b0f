"""The chain as the methods ask for it: which block a parameter means, and the state, bodies and receipts there.

Owns the texts for blocks that are not there. Blocks never change once they are committed, so nothing is locked: a
method that asks twice may only see that the head has moved on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from polygon_edge import _core
from polygon_edge.chain.genesis_block import core_rules
from polygon_edge.jsonrpc.codec import Tag, data
from polygon_edge.jsonrpc.rpc_error import RpcError

if TYPE_CHECKING:
    from polygon_edge.chain.rules import Rules
    from polygon_edge.jsonrpc.codec import BlockNumber, BlockReference


class BlockNotFoundError(RpcError):
    """No such block. Each method frames the text in its own way, so `unframed` is the innermost part of it."""

    def __init__(self, unframed: str, message: str) -> None:
        self.unframed = unframed
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Block:
    """A committed block, its transactions and its receipts decoded."""

    number: int
    hash: bytes
    transactions: list[_core.Transaction]
    receipts: list[_core.Receipt]


class History:
    """Reads an open `chain` that follows `rules`; any number of threads may share one."""

    def __init__(self, chain: _core.Chain, rules: Rules) -> None:
        self._chain = chain
        self._rules = rules
        self._core_rules = core_rules(rules)

    @property
    def rules(self) -> Rules:
        """The rules of the chain."""
        return self._rules

    @property
    def chain(self) -> _core.Chain:
        """The chain itself."""
        return self._chain

    def head_number(self) -> int:
        """Return the height of the last committed block."""
        head = self._chain.head
        if head is None:
            raise RpcError("latest header not found")
        return head[0]

    def height(self, number: BlockNumber) -> int:
        """Return the height that a parameter means; the block need not be there."""
        if isinstance(number, int):
            return number
        return 0 if number is Tag.EARLIEST else self.head_number()

    def existing_height(self, reference: BlockReference) -> int:
        """Return the height of a block that is there; raises BlockNotFoundError."""
        if isinstance(reference, bytes):
            found = self._chain.number_of(reference)
            if found is None:
                text = f"could not find block referenced by the hash {data(reference)}"
                raise BlockNotFoundError(text, text)
            return found
        height = self.height(reference)
        if height > self.head_number():
            text = f"error fetching block number {height} header"
            raise BlockNotFoundError(text, f"failed to get the header of block {height}: {text}")
        return height

    def header(self, height: int) -> _core.Header:
        """Return the header of a block that is there."""
        return _core.decode_header(_there(self._chain.header(height), "header", height))

    def pool_base_fee(self) -> int:
        """Return the base fee that a transaction has to offer now, 0 without london (§6.2)."""
        head = self.head_number()
        return self._rules.base_fees.after(self.header(head))

    def hash(self, height: int) -> bytes:
        """Return the hash of a block that is there."""
        return _there(self._chain.canonical_hash(height), "hash", height)

    def size(self, height: int) -> int:
        """Return how many bytes the network RLP of a block takes that is there."""
        size = self._chain.block_size(height)
        if size is None:
            raise LookupError(f"block {height} has no size")
        return size

    def transactions(self, height: int) -> list[_core.Transaction]:
        """Return the transactions of a block that is there; block 0 has none."""
        body = self._chain.body(height)
        return [] if body is None else _core.decode_body(body, self._core_rules, height)

    def receipts(self, height: int) -> list[_core.Receipt]:
        """Return the receipts of a block that is there, in the order of its transactions."""
        receipts = self._chain.receipts(height)
        return [] if receipts is None else _core.decode_receipts(receipts)

    def block(self, height: int) -> Block:
        """Return a block that is there with its receipts."""
        return Block(height, self.hash(height), self.transactions(height), self.receipts(height))

    def account(self, height: int, address: bytes) -> tuple[int, int, bytes, bytes] | None:
        """Return nonce, balance, storage root and code hash after block `height`, none for an unknown account."""
        return self._chain.account(self.state_root(height), address)

    def state_root(self, height: int) -> bytes:
        """Return the root of the state after a block that is there."""
        return _there(self._chain.state_root_at(height), "state root", height)


def _there(value: bytes | None, what: str, height: int) -> bytes:
    if value is None:
        raise LookupError(f"block {height} has no {what}")
    return value
