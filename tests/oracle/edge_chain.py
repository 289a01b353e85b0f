"""A chain as the twin of the core sees it: accounts, their trie, and one block after the other (§4.5, §6.1)."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from eth_hash.auto import keccak
from tests.oracle.edge_block import Call, Outcome, RefusedError, execute
from tests.oracle.edge_state import Account, BlockContext, BlockState
from tests.oracle.twin import EMPTY_ROOT, encode, integer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tests.oracle.edge_rules import EdgeRules


def secure_root(items: Mapping[bytes, bytes]) -> bytes:
    """Root of the trie keccak(key) -> value, built once from all items (§4.5)."""
    return plain_root({keccak(key): value for key, value in items.items()})


def plain_root(items: Mapping[bytes, bytes]) -> bytes:
    """Root of the trie key -> value, where no key begins another (§2.8)."""
    if not items:
        return EMPTY_ROOT
    leaves = sorted((_nibbles(key), value) for key, value in items.items())
    return keccak(encode(_node(leaves, 0)))


def _nibbles(key: bytes) -> bytes:
    return bytes(nibble for byte in key for nibble in (byte >> 4, byte & 15))


def _path(nibbles: bytes, is_leaf: bool) -> bytes:
    flag = 2 * is_leaf + len(nibbles) % 2
    padded = bytes((flag,)) + nibbles if len(nibbles) % 2 else bytes((flag, 0)) + nibbles
    return bytes(16 * high + low for high, low in zip(padded[::2], padded[1::2], strict=True))


def _node(leaves: list[tuple[bytes, bytes]], depth: int) -> list[Any]:
    """The node of sorted `leaves`, which agree on their first `depth` nibbles."""
    first, last = leaves[0][0], leaves[-1][0]
    if len(leaves) == 1:
        return [_path(first[depth:], True), leaves[0][1]]
    shared = depth
    while first[shared] == last[shared]:
        shared += 1
    if shared > depth:
        return [_path(first[depth:shared], False), _reference(_node(leaves, shared))]
    branch: list[Any] = [b""] * 17
    start = 0
    while start < len(leaves):
        nibble, end = leaves[start][0][depth], start
        while end < len(leaves) and leaves[end][0][depth] == nibble:
            end += 1
        branch[nibble] = _reference(_node(leaves[start:end], depth + 1))
        start = end
    return branch


def _reference(node: list[Any]) -> Any:
    encoded = encode(node)
    return node if len(encoded) < 32 else keccak(encoded)


@lru_cache(maxsize=4096)
def _storage_root(slots: frozenset[tuple[int, int]]) -> bytes:
    return secure_root({slot.to_bytes(32, "big"): encode(integer(value)) for slot, value in slots})


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
        self.accounts = dict(accounts)
        self.ancestors: dict[int, bytes] = {}
        self._encoded: dict[bytes, tuple[Account, bytes]] = {}

    @property
    def state_root(self) -> bytes:
        for address, account in self.accounts.items():
            if address not in self._encoded or self._encoded[address][0] is not account:
                self._encoded[address] = account, _encoded(account)
        return secure_root({address: self._encoded[address][1] for address in self.accounts})

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
        self.accounts = state.end_block()
