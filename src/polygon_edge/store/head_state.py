"""The state at the committed head, as the pool asks for it: accounts, and what the next block asks of a transaction.

Not at the tip: the state after a block that is executed and not committed yet is nowhere to be read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from polygon_edge import _core
from polygon_edge.errors import Refusal

if TYPE_CHECKING:
    from polygon_edge.chain.rules import Rules

MAXIMUM_INIT_CODE_BYTES = 49_152


class HeadState:
    """Reads an open `chain` that follows `rules`; any number of threads may share one."""

    def __init__(self, chain: _core.Chain, rules: Rules) -> None:
        self._chain = chain
        self._rules = rules

    def account(self, address: bytes) -> tuple[int, int]:
        """Return nonce and balance of `address`, 20 bytes."""
        root = self._head().state_root
        found = self._chain.account(root, address)
        return (0, 0) if found is None else (found[0], found[1])

    @property
    def gas_limit(self) -> int:
        """Gas limit of the head block."""
        return self._head().gas_limit

    @property
    def base_fee(self) -> int:
        """The base fee that the Go client's pool works out after the head (§6.2), 0 without london.

        Chains of IBFT write 0 into their blocks all the same.
        """
        head = self._head()
        return self._rules.base_fees.after(head)

    @property
    def dynamic_fee_refusal(self) -> Refusal | None:
        """Why transactions of a dynamic fee may not enter now, none where they may (§6.2)."""
        number = self._head().number
        if not self._rules.is_active("london", number):
            return Refusal.TYPE
        typed_hashes = self._rules.forks.get("txHashWithType")
        # A chain that never hashes with the type takes them; one that will soon does not, since hashes would change.
        return None if typed_hashes is None or typed_hashes <= number else Refusal.DYNAMIC_FEE

    @property
    def init_code_limit(self) -> int | None:
        """How many bytes may create a contract, none where that is not limited: in G1, and before EIP-158 (§6.2)."""
        rules = self._rules
        limits = rules.has_transaction_types and rules.is_active("EIP158", self._head().number)
        return MAXIMUM_INIT_CODE_BYTES if limits else None

    def _head(self) -> _core.Header:
        head = self._chain.head
        raw = None if head is None else self._chain.header(head[0])
        if raw is None:
            raise LookupError(head)
        return _core.decode_header(raw)
