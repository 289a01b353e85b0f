"""A chain as the twin of the core sees it: accounts, their trie, and one block after the other (§4.5, §6.1)."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from eth_hash.auto import keccak
from tests.oracle.edge_block import Call, Outcome, RefusedError, execute
from tests.oracle.edge_state import Account, BlockContext, BlockState
from tests.oracle.twin import encode, integer
from trie import HexaryTrie

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tests.oracle.edge_machine import EdgeRules


@lru_cache(maxsize=4096)
def _storage_root(slots: frozenset[tuple[int, int]]) -> bytes:
    trie = HexaryTrie({})
    for slot, value in slots:
        trie[keccak(slot.to_bytes(32, "big"))] = encode(integer(value))
    root: bytes = trie.root_hash
    return root


def _encoded(account: Account) -> bytes:
    root = _storage_root(frozenset(account.storage.items()))
    return encode([integer(account.nonce), integer(account.balance), root, account.code_hash])


def genesis_account(
    balance: int = 0, nonce: int = 0, code: bytes = b"", storage: Mapping[int, int] | None = None
) -> Account:
    """An account of block 0."""
    slots = {slot: value for slot, value in (storage or {}).items() if value}
    return Account(nonce, balance, code, keccak(code), slots, slots)


class EdgeChain:
    """The accounts after the last block, and `ancestors`: block hashes by number, told from outside."""

    def __init__(self, rules: EdgeRules, accounts: Mapping[bytes, Account], burn_contract: bytes | None = None) -> None:
        self.rules = rules
        self.burn_contract = burn_contract
        self.accounts: dict[bytes, Account] = {}
        self.ancestors: dict[int, bytes] = {}
        self._trie = HexaryTrie({}, prune=True)
        self._become(dict(accounts))

    @property
    def state_root(self) -> bytes:
        root: bytes = self._trie.root_hash
        return root

    def _become(self, accounts: dict[bytes, Account]) -> None:
        for address, account in accounts.items():
            if self.accounts.get(address) is not account:
                self._trie[keccak(address)] = _encoded(account)
        for address in self.accounts.keys() - accounts.keys():
            del self._trie[keccak(address)]
        self.accounts = accounts

    def begin(self, context: BlockContext) -> BlockState:
        return BlockState(self.accounts, context, self.rules.generation)

    def execute(self, context: BlockContext, calls: Iterable[Call]) -> list[Outcome | None]:
        """Execute a block of those of `calls` that it may hold; none where one is refused."""
        state, outcomes = self.begin(context), list[Outcome | None]()
        for call in calls:
            if call.gas > context.gas_limit and self.rules.generation != "G3":
                # In the block, with a receipt, and nothing else (§6.2).
                outcomes.append(Outcome(0, (), b"", "gas above the limit of the block"))
                continue
            try:
                outcomes.append(execute(self.rules, state, call, self.burn_contract))
            except RefusedError:
                outcomes.append(None)
        self.end(state)
        return outcomes

    def end(self, state: BlockState) -> None:
        """Take over what a block wrote."""
        self._become(state.end_block())
