"""The transaction pool (§6 of consensus and network): what may enter, what is next, what leaves.

A state machine: no socket, no file, no clock. Every method may be called from any thread. Only valid transactions of
a sender that can pay are taken, so that whoever fills the pool pays for it, and its memory is bounded by its slots.

Where v0.6.3 and v1.3.2 differ, it does what Ethereum's tools expect, as v1.3.2 (D-8): a higher price replaces a pooled
transaction, a second copy is `already known`, and whoever sends hears of a full queue at once.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from heapq import heapify, heappop, heapreplace
from typing import TYPE_CHECKING, Protocol

from polygon_edge.chain.fees import effective_gas_price, effective_tip, highest_price
from polygon_edge.errors import PoolError, Refusal
from polygon_edge.txpool.account import Account, Entry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from polygon_edge import _core

SLOT_BYTES = 32 * 1024
MAXIMUM_TRANSACTION_BYTES = 128 * 1024
MAXIMUM_DEMOTIONS = 10
HIGH_PRESSURE_PERCENT = 80

_WIDEST = (1 << 256) - 1
"""What the decoder reads in the place of a greater number; nobody can pay this one either."""

_DYNAMIC_FEE, _STATE = 2, 0x7F
_FAILED = "failed: "
_CAN_BE_PAID_LATER = "not enough funds"


class StateReader(Protocol):
    """What the pool asks of the state at the head."""

    def account(self, address: bytes) -> tuple[int, int]:
        """Return nonce and balance in wei, zero for an account that does not exist."""
        ...

    @property
    def gas_limit(self) -> int:
        """The gas limit of the head."""
        ...

    @property
    def base_fee(self) -> int:
        """What the pool asks of every price, in wei, 0 without london."""
        ...

    @property
    def dynamic_fee_refusal(self) -> Refusal | None:
        """Why transactions of a dynamic fee may not enter now, none where they may."""
        ...

    @property
    def init_code_limit(self) -> int | None:
        """How many bytes may create a contract, none where that is not limited."""
        ...


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """Least gas price in wei, slots of `SLOT_BYTES` in all, how many of one sender's transactions may wait."""

    price_limit: int = 0
    max_slots: int = 4096
    max_enqueued: int = 128


class TransactionPool:
    """Transactions that wait for a block.

    `decode` turns the bytes of a transaction into one with its sender, or raises ValueError; `intrinsic_gas` says what
    one costs at least (`chain.intrinsic_gas`); `deployment_whitelist` is the genesis file's: while it is empty,
    everybody may create contracts.
    """

    def __init__(
        self,
        state: StateReader,
        decode: Callable[[bytes], _core.Transaction],
        limits: PoolLimits,
        deployment_whitelist: frozenset[bytes] = frozenset(),
        *,
        intrinsic_gas: Callable[[_core.Transaction], int],
    ) -> None:
        self.limits = limits
        self._state = state
        self._decode = decode
        self._intrinsic_gas = intrinsic_gas
        self._deployment_whitelist = deployment_whitelist
        self._lock = threading.Lock()
        self._accounts: dict[bytes, Account] = {}
        self._index: dict[bytes, Entry] = {}
        self._slots_used = 0
        self._arrivals = 0

    # ---- in ------------------------------------------------------------------------------------------------------

    def add(self, raw: bytes, *, claimed_sender: bytes | None = None) -> bytes:
        """Take the transaction that `raw` encodes; returns its hash.

        `claimed_sender`, where given, must be who signed. Raises PoolError, by the first rule of §6.2 that it breaks;
        then the pool is as before, but for what a lack of slots or a newer state has made stale.
        """
        if len(raw) > MAXIMUM_TRANSACTION_BYTES:
            raise PoolError(Refusal.OVERSIZED, expected=MAXIMUM_TRANSACTION_BYTES, found=len(raw))
        try:
            transaction = self._decode(raw)
        except ValueError as error:
            raise PoolError(Refusal.MALFORMED, problem=str(error)) from error
        sender = self._check_alone(transaction, claimed_sender)
        with self._lock:
            nonce = self._check_state(transaction, sender)
            self._put(transaction, sender, nonce)
        return transaction.hash

    def _check_alone(self, transaction: _core.Transaction, claimed_sender: bytes | None) -> bytes:
        """Check what the transaction shows by itself; returns its sender. A negative value cannot be encoded."""
        hash, size = transaction.hash, len(transaction.raw)
        if transaction.type == _STATE:
            raise PoolError(Refusal.STATE_TRANSACTION, hash=hash)
        if size > MAXIMUM_TRANSACTION_BYTES:
            raise PoolError(Refusal.OVERSIZED, hash=hash, expected=MAXIMUM_TRANSACTION_BYTES, found=size)
        if transaction.type == _DYNAMIC_FEE and (refusal := self._state.dynamic_fee_refusal) is not None:
            # Before the signature, which the rules of such a height refuse as well.
            raise PoolError(refusal, hash=hash)
        sender = transaction.sender
        if sender is None:
            raise PoolError(Refusal.SIGNATURE, hash=hash)
        if claimed_sender is not None and claimed_sender != sender:
            raise PoolError(Refusal.SENDER, hash=hash, expected=claimed_sender, found=sender)
        if transaction.to is None and self._deployment_whitelist and sender not in self._deployment_whitelist:
            raise PoolError(Refusal.DEPLOYMENT, hash=hash, found=sender)
        limit = self._state.init_code_limit
        if transaction.to is None and limit is not None and len(transaction.input) > limit:
            raise PoolError(Refusal.INIT_CODE, hash=hash, expected=limit, found=len(transaction.input))
        self._check_price(transaction)
        return sender

    def _check_price(self, transaction: _core.Transaction) -> None:
        hash, base_fee = transaction.hash, self._state.base_fee
        if transaction.type == _DYNAMIC_FEE:
            self._check_caps(transaction)
        offered = highest_price(transaction) if base_fee else transaction.gas_price
        if offered < base_fee:
            raise PoolError(Refusal.UNDERPRICED, hash=hash, expected=base_fee, found=offered)
        price = effective_gas_price(transaction, base_fee)
        if price < self.limits.price_limit:
            raise PoolError(Refusal.UNDERPRICED, hash=hash, expected=self.limits.price_limit, found=price)

    def _check_caps(self, transaction: _core.Transaction) -> None:
        hash = transaction.hash
        fee_cap, tip_cap = transaction.gas_fee_cap or 0, transaction.gas_tip_cap or 0
        for cap, wide in ((fee_cap, Refusal.FEE_CAP_WIDTH), (tip_cap, Refusal.TIP_CAP_WIDTH)):
            if cap >= _WIDEST:
                raise PoolError(wide, hash=hash, expected="at most 2^256-1", found="more")
        if fee_cap < tip_cap:
            raise PoolError(Refusal.TIP_CAP, hash=hash, expected=fee_cap, found=tip_cap)

    def _check_state(self, transaction: _core.Transaction, sender: bytes) -> int:
        """Check the transaction against the head; returns the nonce that the state expects of its sender."""
        hash = transaction.hash
        nonce, balance = self._state.account(sender)
        if transaction.nonce < nonce:
            raise PoolError(Refusal.NONCE_TOO_LOW, hash=hash, expected=nonce, found=transaction.nonce)
        cost = transaction.gas * highest_price(transaction) + transaction.value
        if balance < cost:
            raise PoolError(Refusal.FUNDS, hash=hash, expected=cost, found=balance)
        intrinsic = self._intrinsic_gas(transaction)
        if transaction.gas < intrinsic:
            raise PoolError(Refusal.INTRINSIC_GAS, hash=hash, expected=intrinsic, found=transaction.gas)
        if transaction.gas > self._state.gas_limit:
            raise PoolError(Refusal.BLOCK_GAS_LIMIT, hash=hash, expected=self._state.gas_limit, found=transaction.gas)
        return nonce

    def _put(self, transaction: _core.Transaction, sender: bytes, state_nonce: int) -> None:
        hash, nonce = transaction.hash, transaction.nonce
        self._align(sender, state_nonce)
        if self._slots_used * 100 > HIGH_PRESSURE_PERCENT * self.limits.max_slots:
            self._prune_enqueued()
            if nonce > (expected := self._next_nonce(sender, state_nonce)):
                raise PoolError(Refusal.FUTURE, hash=hash, expected=expected, found=nonce)
        account = self._accounts.get(sender) or Account(state_nonce)
        pooled = account.at(nonce)
        if pooled is not None:
            if pooled.transaction.hash == hash:
                raise PoolError(Refusal.ALREADY_KNOWN, hash=hash)
            self._check_replacement(transaction, pooled.transaction)
        elif nonce < account.next_nonce:
            raise PoolError(Refusal.NONCE_TOO_LOW, hash=hash, expected=account.next_nonce, found=nonce)
        elif nonce > account.next_nonce and len(account.enqueued) >= self.limits.max_enqueued:
            raise PoolError(
                Refusal.ENQUEUED_LIMIT, hash=hash, expected=self.limits.max_enqueued, found=len(account.enqueued)
            )
        slots = -(-len(transaction.raw) // SLOT_BYTES)
        free = self.limits.max_slots - self._slots_used + (pooled.slots if pooled else 0)
        if slots > free:
            raise PoolError(Refusal.FULL, hash=hash, expected=slots, found=free)
        if pooled is not None:
            self._forget([pooled])
        self._arrivals += 1
        entry = Entry(transaction, sender, slots, self._arrivals)
        account.put(entry)
        self._accounts[sender] = account
        self._index[hash] = entry
        self._slots_used += slots

    def _check_replacement(self, transaction: _core.Transaction, pooled: _core.Transaction) -> None:
        base_fee = self._state.base_fee
        old, new = effective_gas_price(pooled, base_fee), effective_gas_price(transaction, base_fee)
        if new <= old:
            raise PoolError(Refusal.REPLACEMENT_UNDERPRICED, hash=transaction.hash, expected=old + 1, found=new)

    # ---- to a block and out ------------------------------------------------------------------------------------------

    def candidates(self) -> list[_core.Transaction]:
        """Return all promoted transactions as a builder should try them (§4.8, §6.3).

        Nonces ascending within a sender; among the senders' next ones the best tip above the base fee first (without
        one that is the price), then the higher caps, the earlier arrival at the same price. They stay in the pool until
        a block has them.
        """
        base_fee = self._state.base_fee

        def rank(entry: Entry) -> tuple[int, int, int, int]:
            offer = entry.transaction
            tip, most = effective_tip(offer, base_fee), highest_price(offer)
            return -tip, -most, -(offer.gas_price if offer.gas_tip_cap is None else offer.gas_tip_cap), entry.arrival

        with self._lock:
            queues = [list(account.promoted.values()) for account in self._accounts.values() if account.promoted]
        heap = [(rank(first), 0, queue) for queue in queues for first in queue[:1]]
        heapify(heap)
        ordered = []
        while heap:
            _, position, queue = heap[0]
            ordered.append(queue[position].transaction)
            position += 1
            if position < len(queue):
                heapreplace(heap, (rank(queue[position]), position, queue))
            else:
                heappop(heap)
        return ordered

    def settle(self, candidates: Sequence[_core.Transaction], outcomes: Sequence[str]) -> None:
        """Learn what a proposal did with each of its candidates (§4.8).

        One that can never be in a block is dropped with all that its sender has after it; one that may be later stays,
        ten times in a row at most; what the proposal includes stays until `on_block`. Candidates that have left the
        pool meanwhile are passed over. Raises ValueError for an outcome that no proposal gives.
        """
        with self._lock:
            for candidate, outcome in zip(candidates, outcomes, strict=True):
                entry = self._index.get(candidate.hash)
                if entry is None or candidate.nonce not in self._accounts[entry.sender].promoted:
                    continue
                if outcome == "included":
                    self._accounts[entry.sender].demotions = 0
                elif outcome in ("nonce too low", "nonce too high") or outcome.startswith(_FAILED + _CAN_BE_PAID_LATER):
                    self._demote(entry)
                elif outcome == "too large" or outcome.startswith(_FAILED):
                    self._drop(entry)
                elif outcome != "skipped":
                    raise ValueError(f"no outcome of a proposal: {outcome!r}")

    def on_block(self, included: Iterable[_core.Transaction]) -> None:
        """Follow a new head, which the state shows already and which has the transactions `included`.

        What their senders have below the state's nonce is pruned, what was waiting for it promoted.
        """
        senders = {transaction.sender for transaction in included}
        with self._lock:
            for sender in senders:
                if sender is not None and (account := self._accounts.get(sender)) is not None:
                    account.demotions = 0
                    self._align(sender, self._state.account(sender)[0])

    # ---- questions -----------------------------------------------------------------------------------------------

    def find(self, hash: bytes) -> _core.Transaction | None:
        """Return the pooled transaction with this hash."""
        entry = self._index.get(hash)
        return entry.transaction if entry else None

    def next_nonce(self, address: bytes) -> int:
        """Return the nonce of the next transaction of `address`: after its promoted ones, else the state's."""
        with self._lock:
            return self._next_nonce(address, self._state.account(address)[0])

    def content(self) -> dict[str, dict[bytes, dict[int, _core.Transaction]]]:
        """Return everything in the pool: `pending` and `queued`, each sender to nonce to transaction, nonces ascending.

        A sender stands only where it has transactions.
        """
        pending: dict[bytes, dict[int, _core.Transaction]] = {}
        queued: dict[bytes, dict[int, _core.Transaction]] = {}
        with self._lock:
            for address, account in self._accounts.items():
                for queue, part in ((account.promoted, pending), (account.enqueued, queued)):
                    if queue:
                        part[address] = {nonce: queue[nonce].transaction for nonce in sorted(queue)}
        return {"pending": pending, "queued": queued}

    @property
    def promoted_count(self) -> int:
        """How many transactions could be in the next block."""
        with self._lock:
            return sum(len(account.promoted) for account in self._accounts.values())

    @property
    def enqueued_count(self) -> int:
        """How many transactions wait for a nonce."""
        with self._lock:
            return sum(len(account.enqueued) for account in self._accounts.values())

    @property
    def slots_used(self) -> int:
        """How many of `limits.max_slots` are taken."""
        return self._slots_used

    # ---- under the lock ------------------------------------------------------------------------------------------

    def _next_nonce(self, address: bytes, state_nonce: int) -> int:
        account = self._accounts.get(address)
        # The head may be newer than the last `on_block`.
        return max(account.next_nonce, state_nonce) if account else state_nonce

    def _align(self, address: bytes, state_nonce: int) -> None:
        if (account := self._accounts.get(address)) is not None:
            self._forget(account.align(state_nonce))
            self._tidy(address)

    def _demote(self, entry: Entry) -> None:
        # A nonce that is too low may also be a block that the pool has not heard of yet.
        self._align(entry.sender, self._state.account(entry.sender)[0])
        if entry.transaction.hash not in self._index:
            return
        account = self._accounts[entry.sender]
        if account.demotions >= MAXIMUM_DEMOTIONS:
            self._drop(entry)
        else:
            account.demotions += 1

    def _drop(self, entry: Entry) -> None:
        self._forget(self._accounts[entry.sender].drop_from(entry.transaction.nonce))
        self._tidy(entry.sender)

    def _prune_enqueued(self) -> None:
        for address, account in list(self._accounts.items()):
            if account.enqueued:
                self._forget(account.drop_enqueued())
                self._tidy(address)

    def _forget(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            del self._index[entry.transaction.hash]
            self._slots_used -= entry.slots

    def _tidy(self, address: bytes) -> None:
        """Forget a sender without transactions: the state knows its nonce, and memory stays bounded by slots."""
        if self._accounts[address].is_empty:
            del self._accounts[address]
