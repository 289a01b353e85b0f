"""Whatever happens in whatever order, the pool keeps its promises; a plain model says what it should hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.txpool.ledger import ALICE, BOB, CAROL, Ledger, Transfer

from polygon_edge.errors import PoolError, Refusal
from polygon_edge.txpool.pool import SLOT_BYTES, PoolLimits

if TYPE_CHECKING:
    from polygon_edge import _core

SENDERS = st.sampled_from((ALICE, BOB, CAROL))
LIMITS = PoolLimits(max_slots=12, max_enqueued=3)
OUTCOMES = st.sampled_from(
    ("included", "skipped", "too large", "nonce too high", "nonce too low", "failed: not enough funds", "failed: x")
)


class PoolMachine(RuleBasedStateMachine):
    """Adds, replaces, proposes, seals; `held` is what must be found in the pool, as long as no rule lets it go."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger()
        self.pool = self.ledger.pool(LIMITS)
        self.held: dict[bytes, Transfer] = {}
        self.sent: list[Transfer] = []
        self.candidates: list[_core.Transaction] = []

    def sync(self) -> None:
        """Take over what the pool holds after a step that may let go."""
        content = self.pool.content()
        found = {
            transaction.hash
            for queues in content.values()
            for queue in queues.values()
            for transaction in queue.values()
        }
        assert found <= self.held.keys(), "something came back"
        self.held = {hash: transfer for hash, transfer in self.held.items() if hash in found}

    @rule(sender=SENDERS, ahead=st.integers(-1, 6), price=st.integers(1, 4), slots=st.integers(1, 4))
    def add(self, sender: bytes, ahead: int, price: int, slots: int) -> None:
        nonce = max(0, self.ledger.nonces.get(sender, 0) + ahead)
        self.send(self.ledger.sign(sender, nonce, price, size=slots * SLOT_BYTES))

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def add_again(self, data: st.DataObject) -> None:
        self.send(data.draw(st.sampled_from(self.sent)))

    def send(self, transfer: Transfer) -> None:
        assert transfer.sender is not None
        self.sent.append(transfer)
        before = dict(self.held)
        promoted = {candidate.hash for candidate in self.pool.candidates()}
        used = self.pool.slots_used
        expected = self.pool.next_nonce(transfer.sender)
        twin = next(
            (held for held in before.values() if (held.sender, held.nonce) == (transfer.sender, transfer.nonce)), None
        )
        try:
            self.pool.add(transfer.raw)
        except PoolError as error:
            self.explain(error.refusal, transfer, twin, used, expected)
        else:
            assert transfer.hash not in before
            assert twin is None or transfer.gas_price > twin.gas_price
            if twin is not None:
                promoted.discard(twin.hash)
                del self.held[twin.hash]
            self.held[transfer.hash] = transfer
        if used * 5 > LIMITS.max_slots * 4:
            # Only what waited for a nonce may have gone.
            before = dict(self.held)
            self.sync()
            assert not (before.keys() - self.held.keys()) & promoted

    def explain(self, refusal: Refusal, transfer: Transfer, twin: Transfer | None, used: int, expected: int) -> None:
        """Hold every refusal against what is known from outside."""
        assert transfer.sender is not None
        waiting = self.pool.content()["queued"].get(transfer.sender, {})
        slots = len(transfer.raw) // SLOT_BYTES
        reasons = {
            Refusal.NONCE_TOO_LOW: transfer.nonce < self.ledger.nonces.get(transfer.sender, 0),
            Refusal.ALREADY_KNOWN: twin is not None and twin.hash == transfer.hash,
            Refusal.REPLACEMENT_UNDERPRICED: twin is not None and transfer.gas_price <= twin.gas_price,
            Refusal.ENQUEUED_LIMIT: transfer.nonce > expected and len(waiting) == LIMITS.max_enqueued,
            Refusal.FUTURE: transfer.nonce > expected and used * 5 > LIMITS.max_slots * 4,
            Refusal.FULL: self.pool.slots_used + slots - (len(twin.raw) // SLOT_BYTES if twin else 0)
            > LIMITS.max_slots,
        }
        assert reasons.get(refusal), f"{refusal} without a reason"

    @rule()
    def prepare(self) -> None:
        self.candidates = self.pool.candidates()

    @rule(data=st.data())
    def settle(self, data: st.DataObject) -> None:
        outcomes = data.draw(st.lists(OUTCOMES, min_size=len(self.candidates), max_size=len(self.candidates)))
        self.pool.settle(self.candidates, outcomes)
        # Nothing goes but by a failure of its own or of an earlier nonce of its sender, or by ten demotions.
        failing = {c.sender for c, outcome in zip(self.candidates, outcomes, strict=True) if outcome != "included"}
        for transfer in self.held.values():
            assert transfer.sender in failing or self.pool.find(transfer.hash)
        self.sync()

    @rule(sender=SENDERS, foreign=st.booleans(), count=st.integers(1, 4))
    def seal(self, sender: bytes, foreign: bool, count: int) -> None:
        """A block with this sender's next transactions, from the pool or unknown to it."""
        nonce = self.ledger.nonces.get(sender, 0)
        own = [c for c in self.pool.candidates() if c.sender == sender][:count]
        block = [self.ledger.sign(sender, nonce + index) for index in range(count)] if foreign else own
        self.ledger.seal(self.pool, block)
        reached = self.ledger.nonces.get(sender, 0)
        self.held = {h: t for h, t in self.held.items() if t.sender != sender or t.nonce >= reached}

    @invariant()
    def every_held_transaction_is_found_once_and_nothing_else(self) -> None:
        content = self.pool.content()
        found = [
            (sender, nonce, transaction)
            for queues in content.values()
            for sender, queue in queues.items()
            for nonce, transaction in queue.items()
        ]
        assert sorted(transaction.hash for _, _, transaction in found) == sorted(self.held)
        assert all((t.sender, t.nonce) == (sender, nonce) for sender, nonce, t in found)
        assert all(self.pool.find(hash) is cast("_core.Transaction", held) for hash, held in self.held.items())
        assert self.pool.promoted_count + self.pool.enqueued_count == len(found)

    @invariant()
    def promoted_nonces_follow_the_state_without_a_gap(self) -> None:
        content = self.pool.content()
        for sender, queue in content["pending"].items():
            nonce = self.ledger.nonces.get(sender, 0)
            assert list(queue) == list(range(nonce, nonce + len(queue)))
            assert self.pool.next_nonce(sender) == nonce + len(queue)
        for sender, queue in content["queued"].items():
            assert min(queue) > self.pool.next_nonce(sender), "what could go on waits"
            assert len(queue) <= LIMITS.max_enqueued

    @invariant()
    def slots_are_counted_and_bounded(self) -> None:
        assert self.pool.slots_used == sum(len(held.raw) // SLOT_BYTES for held in self.held.values())
        assert self.pool.slots_used <= LIMITS.max_slots

    @invariant()
    def candidates_are_the_promoted_in_the_order_of_nonce_and_price(self) -> None:
        candidates = self.pool.candidates()
        assert len(candidates) == self.pool.promoted_count
        turn = dict(self.ledger.nonces)
        waiting = {hash: c for c in candidates for hash in [c.hash]}
        for candidate in candidates:
            assert candidate.sender is not None
            assert candidate.nonce == turn.get(candidate.sender, 0)
            rivals = [c for c in waiting.values() if c.sender is not None and c.nonce == turn.get(c.sender, 0)]
            assert candidate.gas_price == max(rival.gas_price for rival in rivals)
            turn[candidate.sender] = candidate.nonce + 1
            del waiting[candidate.hash]


TestPool = PoolMachine.TestCase
TestPool.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
