"""What the pool's tests put in the place of a chain and of signed transactions."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from polygon_edge import _core
from polygon_edge.errors import Refusal
from polygon_edge.txpool.pool import PoolLimits, TransactionPool

if TYPE_CHECKING:
    from collections.abc import Sequence

ALICE, BOB, CAROL = (bytes([letter]) * 20 for letter in b"abc")
RICH = 10**24


@dataclass(frozen=True)
class Transfer:
    """The face of a decoded transaction; `raw` is what the pool is given."""

    hash: bytes
    sender: bytes | None
    nonce: int
    gas_price: int
    gas: int
    to: bytes | None
    value: int
    raw: bytes = field(repr=False)
    type: int = 0
    gas_tip_cap: int | None = None
    gas_fee_cap: int | None = None
    input: bytes = b""


class Ledger:
    """Nonces and balances that a test moves by hand, and the transactions it has signed."""

    gas_limit = 10_000_000
    base_fee = 0
    dynamic_fee_refusal: Refusal | None = Refusal.TYPE
    init_code_limit: int | None = None

    def __init__(self) -> None:
        self.nonces: dict[bytes, int] = {}
        self.balances: dict[bytes, int] = {}
        self.signed: dict[bytes, Transfer] = {}
        self._numbers = itertools.count()

    def account(self, address: bytes) -> tuple[int, int]:
        return self.nonces.get(address, 0), self.balances.get(address, RICH)

    def sign(
        self,
        sender: bytes | None,
        nonce: int,
        price: int = 1,
        *,
        gas: int = 21_000,
        to: bytes | None = bytes(20),
        value: int = 0,
        size: int = 110,
        **typed: Any,
    ) -> Transfer:
        mark = next(self._numbers).to_bytes(32, "big")
        transfer = Transfer(mark, sender, nonce, price, gas, to, value, mark.ljust(size, b"\1"), **typed)
        self.signed[mark] = transfer
        return transfer

    def decode(self, raw: bytes) -> _core.Transaction:
        # Only the mark: hashing 128 KiB for every look-up would make the tests slow.
        if raw[:32] not in self.signed:
            raise ValueError("rlp: not a transaction")
        return cast("_core.Transaction", self.signed[raw[:32]])

    def pool(self, limits: PoolLimits | None = None, whitelist: frozenset[bytes] = frozenset()) -> TransactionPool:
        return TransactionPool(
            self,
            self.decode,
            limits or PoolLimits(),
            whitelist,
            intrinsic_gas=lambda transaction: 53_000 if transaction.to is None else 21_000,
        )

    def seal(self, pool: TransactionPool, transactions: Sequence[object]) -> None:
        """Include the transactions in a block: the state first, then the pool hears of it."""
        included = cast("list[_core.Transaction]", list(transactions))
        for transaction in included:
            assert transaction.sender is not None
            assert transaction.nonce == self.nonces.get(transaction.sender, 0)
            self.nonces[transaction.sender] = transaction.nonce + 1
        pool.on_block(included)
