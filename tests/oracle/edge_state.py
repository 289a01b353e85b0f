"""The state that an Edge block changes, as plain dictionaries: what py-evm asks of a state, with Edge's oddities.

Owns accounts, snapshots, the refund counter, logs and the code cache of one block (§6.2, §6.7.1 to §6.7.3, §6.7.12). It
knows no instruction and no transaction. It is slow where that keeps it plain: a snapshot is a copy.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from eth_hash.auto import keccak
from tests.oracle.twin import EMPTY_CODE_HASH, Log

if TYPE_CHECKING:
    from collections.abc import Mapping

NONCE_MODULUS = 1 << 64
REFUND_MODULUS = 1 << 64
CACHED_CODES = 20


class Account(NamedTuple):
    """An account in the middle of a block; `original` is its storage when the block began (§6.7.1)."""

    nonce: int = 0
    balance: int = 0
    code: bytes = b""
    code_hash: bytes = EMPTY_CODE_HASH
    storage: Mapping[int, int] = {}
    original: Mapping[int, int] = {}
    has_new_code: bool = False
    is_destroyed: bool = False

    @property
    def is_empty(self) -> bool:
        return not (self.nonce or self.balance) and self.code_hash == EMPTY_CODE_HASH


class NonceOverflowError(Exception):
    """A nonce of 2^64-1 cannot be raised, in generation 3 (§6.2)."""


@dataclass(frozen=True)
class BlockContext:
    """What instructions see of the block (§6.1, §6.6); `ancestors` are block hashes by number."""

    number: int
    timestamp: int
    coinbase: bytes
    gas_limit: int
    chain_id: int
    ancestors: Mapping[int, bytes] = field(default_factory=dict)
    base_fee: int = 0


class Snapshot(NamedTuple):
    """Everything that a failed frame takes back."""

    written: dict[bytes, Account | None]
    refund: int
    logs: int


class BlockState:
    """The accounts of the parent block, and above them what this block wrote: none where it deleted."""

    def __init__(self, accounts: Mapping[bytes, Account], context: BlockContext, generation: str) -> None:
        self.parent = accounts
        self.context = context
        self.generation = generation
        self.written: dict[bytes, Account | None] = {}
        self.refund = 0
        self.logs: list[Log] = []
        self.endless_steps = 0
        self._codes: OrderedDict[bytes, bytes] = OrderedDict()

    # What this block wrote

    def find(self, address: bytes) -> Account | None:
        if address in self.written:
            return self.written[address]
        return self.parent.get(address)

    def put(self, address: bytes, **changes: object) -> None:
        """Change an account, which thereby is made and touched; without changes it is only that (§6.2)."""
        account = self.find(address) or Account()
        self.written[address] = account._replace(**changes)  # type: ignore[arg-type]

    def snapshot(self) -> Snapshot:
        return Snapshot(dict(self.written), self.refund, len(self.logs))

    def revert(self, snapshot: Snapshot) -> None:
        # A snapshot may be gone back to twice.
        self.written = dict(snapshot.written)
        self.refund = snapshot.refund
        del self.logs[snapshot.logs :]

    def end_transaction(self) -> tuple[Log, ...]:
        """Delete what is destroyed or empty among all that this block wrote, whatever the flags (§6.2, §6.7.12)."""
        for address, account in self.written.items():
            if account is not None and (account.is_destroyed or account.is_empty):
                self.written[address] = None
        self.refund = 0
        logs, self.logs = tuple(self.logs), []
        return logs

    def end_block(self) -> dict[bytes, Account]:
        """The accounts after this block, for the next one."""
        after = dict(self.parent)
        for address, account in self.written.items():
            if account is None:
                after.pop(address, None)
            else:
                after[address] = account._replace(original=account.storage, has_new_code=False)
        return after

    # Refunds and logs, which belong to the state and not to a frame

    def add_refund(self, gas: int) -> None:
        """Count in 64 bits, which wrap (§6.7.2)."""
        self.refund = (self.refund + gas) % REFUND_MODULUS

    def add_log(self, log: Log) -> None:
        self.logs.append(log)

    # What py-evm asks of its state

    @property
    def coinbase(self) -> bytes:
        return self.context.coinbase

    @property
    def timestamp(self) -> int:
        return self.context.timestamp

    @property
    def block_number(self) -> int:
        return self.context.number

    @property
    def difficulty(self) -> int:
        """The number of the block (§6.6)."""
        return self.context.number

    @property
    def gas_limit(self) -> int:
        return self.context.gas_limit

    @property
    def base_fee(self) -> int:
        return self.context.base_fee

    @property
    def execution_context(self) -> BlockContext:
        return self.context

    def get_ancestor_hash(self, number: int) -> bytes:
        """Of the last 256 blocks (§6.6)."""
        if self.context.number - 257 < number < self.context.number:
            return self.context.ancestors[number]
        return bytes(32)

    def get_balance(self, address: bytes) -> int:
        account = self.find(address)
        return account.balance if account else 0

    def add_balance(self, address: bytes, amount: int) -> None:
        """Add `amount`; the account is touched also by 0."""
        self.put(address, balance=self.get_balance(address) + amount)

    def subtract_balance(self, address: bytes, amount: int) -> bool:
        """Take `amount` away if it is there; 0 does not even touch."""
        if amount == 0:
            return True
        balance = self.get_balance(address)
        if balance < amount:
            return False
        self.put(address, balance=balance - amount)
        return True

    def get_nonce(self, address: bytes) -> int:
        account = self.find(address)
        return account.nonce if account else 0

    def increment_nonce(self, address: bytes) -> None:
        """Wrap in generations 1 and 2; raises NonceOverflowError in generation 3 (§6.2)."""
        nonce = self.get_nonce(address) + 1
        if nonce == NONCE_MODULUS and self.generation == "G3":
            raise NonceOverflowError
        self.put(address, nonce=nonce % NONCE_MODULUS)

    def get_code(self, address: bytes, remember: bool = True) -> bytes:
        """The code that runs: not set in this block, it is cached by address for the length of the block (§6.7.3)."""
        account = self.find(address)
        if account is None:
            return b""
        if account.has_new_code:
            return account.code
        if address in self._codes:
            if remember:
                self._codes.move_to_end(address)
            return self._codes[address]
        if remember:
            self._codes[address] = account.code
            if len(self._codes) > CACHED_CODES:
                self._codes.popitem(last=False)
        return account.code

    def get_code_hash(self, address: bytes) -> bytes:
        account = self.find(address)
        return account.code_hash if account else bytes(32)

    def set_code(self, address: bytes, code: bytes) -> None:
        self.put(address, code=code, code_hash=keccak(code), has_new_code=True)

    def has_code_or_nonce(self, address: bytes) -> bool:
        account = self.find(address)
        return account is not None and bool(account.nonce or account.code_hash != EMPTY_CODE_HASH)

    def account_exists(self, address: bytes) -> bool:
        return self.find(address) is not None

    def account_is_empty(self, address: bytes) -> bool:
        account = self.find(address)
        return account is None or account.is_empty

    def touch_account(self, address: bytes) -> None:
        self.put(address)

    def reset_account(self, address: bytes) -> None:
        """Make it anew with the balance it had (a creation under EIP158)."""
        self.written[address] = Account(balance=self.get_balance(address))

    def get_storage(self, address: bytes, slot: int, from_journal: bool = True) -> int:
        account = self.find(address)
        if account is None:
            return 0
        return (account.storage if from_journal else account.original).get(slot, 0)

    def set_storage(self, address: bytes, slot: int, value: int) -> None:
        account = self.find(address) or Account()
        storage = dict(account.storage)
        if value:
            storage[slot] = value
        else:
            storage.pop(slot, None)
        self.put(address, storage=storage)

    def destroy(self, address: bytes, beneficiary: bytes) -> None:
        """Self-destruct; the refund is counted at once, and once per account."""
        account = self.find(address)
        if account is None or not account.is_destroyed:
            self.add_refund(24_000)
        self.add_balance(beneficiary, self.get_balance(address))
        if self.find(address) is not None:
            self.put(address, balance=0, is_destroyed=True)
