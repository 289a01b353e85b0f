"""The rules of the pool, one by one (§6 of consensus and network, D-8)."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, cast

import pytest
from tests.txpool.ledger import ALICE, BOB, CAROL, Ledger, Transfer

from polygon_edge.errors import PoolError, Refusal
from polygon_edge.txpool.pool import MAXIMUM_TRANSACTION_BYTES, SLOT_BYTES, PoolLimits, TransactionPool

if TYPE_CHECKING:
    from collections.abc import Sequence

    from polygon_edge import _core


def refusal(pool: TransactionPool, transfer: Transfer, **claims: Any) -> str:
    with pytest.raises(PoolError) as caught:
        pool.add(transfer.raw, **claims)
    assert caught.value.hash == transfer.hash
    return str(caught.value)


def core(*transfers: Transfer) -> list[_core.Transaction]:
    return cast("list[_core.Transaction]", list(transfers))


def hashes(transactions: Sequence[_core.Transaction]) -> list[bytes]:
    return [transaction.hash for transaction in transactions]


def add(pool: TransactionPool, *transfers: Transfer) -> None:
    for transfer in transfers:
        assert pool.add(transfer.raw) == transfer.hash


def add_and_return(ledger: Ledger, pool: TransactionPool, sender: bytes, nonces: Sequence[int]) -> list[Transfer]:
    transfers = [ledger.sign(sender, nonce) for nonce in nonces]
    add(pool, *transfers)
    return transfers


# ---- admission ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expected", "transfer"),
    [
        ("oversized data", {"size": MAXIMUM_TRANSACTION_BYTES + 1}),
        ("cannot extract signature", {"sender": None}),
        ("smart contract deployment restricted", {"to": None, "gas": 60_000}),
        ("transaction underpriced", {"price": 4}),
        ("nonce too low", {"nonce": 2}),
        ("insufficient funds for gas * price + value", {"value": 10**24 - 21_000 * 5 + 1}),
        ("intrinsic gas too low", {"gas": 20_999}),
        ("exceeds block gas limit", {"gas": 10_000_001}),
    ],
)
def test_what_may_not_enter_is_told_in_the_words_that_tools_match_on(expected: str, transfer: dict[str, Any]) -> None:
    ledger = Ledger()
    ledger.nonces[ALICE] = 3
    pool = ledger.pool(PoolLimits(price_limit=5), whitelist=frozenset([BOB]))
    fields: dict[str, Any] = {"sender": ALICE, "nonce": 3, "price": 5} | transfer
    signed = ledger.sign(**fields)
    with pytest.raises(PoolError) as caught:
        pool.add(signed.raw)
    assert str(caught.value) == expected
    assert (pool.slots_used, pool.find(signed.hash), pool.candidates()) == (0, None, [])


def test_what_is_just_within_the_rules_enters() -> None:
    ledger = Ledger()
    ledger.nonces[ALICE] = 3
    pool = ledger.pool(PoolLimits(price_limit=5), whitelist=frozenset([ALICE]))
    add(
        pool,
        ledger.sign(ALICE, 3, 5, size=MAXIMUM_TRANSACTION_BYTES),
        ledger.sign(ALICE, 4, 5, value=10**24 - 21_000 * 5),
        ledger.sign(ALICE, 5, 5, gas=10_000_000),
        ledger.sign(ALICE, 6, 5, gas=53_000, to=None),
    )
    assert pool.promoted_count == 4
    assert pool.slots_used == 4 + 3


def test_everybody_may_create_contracts_while_the_whitelist_is_empty() -> None:
    ledger = Ledger()
    pool = ledger.pool()
    add(pool, ledger.sign(ALICE, 0, gas=53_000, to=None))
    assert refusal(pool, ledger.sign(ALICE, 1, gas=52_999, to=None)) == "intrinsic gas too low"


def test_bytes_that_are_no_transaction_are_refused_with_what_the_decoder_says() -> None:
    with pytest.raises(PoolError, match=r"^rlp: not a transaction$") as caught:
        Ledger().pool().add(b"\xc0")
    assert caught.value.refusal is Refusal.MALFORMED
    assert caught.value.hash is None


def test_bytes_longer_than_a_transaction_may_be_are_not_even_decoded() -> None:
    with pytest.raises(PoolError, match=r"^oversized data$"):
        Ledger().pool().add(bytes(MAXIMUM_TRANSACTION_BYTES + 1))


def test_a_transaction_that_is_longer_when_encoded_by_the_rules_is_measured_by_that() -> None:
    ledger = Ledger()
    long = ledger.sign(ALICE, 0, size=MAXIMUM_TRANSACTION_BYTES + 1)
    ledger.signed[b"short"] = long
    with pytest.raises(PoolError, match=r"^oversized data$"):
        ledger.pool().add(b"short")


def test_a_claimed_sender_must_have_signed() -> None:
    ledger = Ledger()
    pool = ledger.pool()
    signed = ledger.sign(ALICE, 0)
    assert refusal(pool, signed, claimed_sender=BOB) == "invalid sender"
    assert pool.add(signed.raw, claimed_sender=ALICE) == signed.hash


def test_a_refusal_says_what_was_expected_and_what_was_found() -> None:
    ledger = Ledger()
    ledger.nonces[ALICE] = 7
    with pytest.raises(PoolError) as caught:
        ledger.pool().add(ledger.sign(ALICE, 3).raw)
    assert (caught.value.expected, caught.value.found) == (7, 3)


# ---- queues ------------------------------------------------------------------------------------------------------


def test_a_nonce_gap_waits_and_is_promoted_once_it_is_closed() -> None:
    ledger = Ledger()
    pool = ledger.pool()
    add_and_return(ledger, pool, ALICE, [2, 1, 4])
    assert (pool.promoted_count, pool.enqueued_count, pool.next_nonce(ALICE)) == (0, 3, 0)
    add_and_return(ledger, pool, ALICE, [0])
    assert (pool.promoted_count, pool.enqueued_count, pool.next_nonce(ALICE)) == (3, 1, 3)
    content = pool.content()
    assert list(content["pending"][ALICE]) == [0, 1, 2]
    assert list(content["queued"][ALICE]) == [4]


def test_a_stranger_has_the_nonce_of_the_state() -> None:
    ledger = Ledger()
    ledger.nonces[ALICE] = 9
    assert ledger.pool().next_nonce(ALICE) == 9
    assert ledger.pool().content() == {"pending": {}, "queued": {}}


def test_a_second_copy_is_already_known() -> None:
    ledger = Ledger()
    pool = ledger.pool()
    promoted, enqueued = add_and_return(ledger, pool, ALICE, [0, 5])
    assert refusal(pool, promoted) == "already known"
    assert refusal(pool, enqueued) == "already known"
    assert pool.slots_used == 2


@pytest.mark.parametrize("nonce", [0, 5])
def test_only_a_strictly_higher_price_replaces_a_pooled_transaction(nonce: int) -> None:
    ledger = Ledger()
    pool = ledger.pool()
    first = ledger.sign(ALICE, nonce, 10, size=2 * SLOT_BYTES)
    add(pool, first)
    assert refusal(pool, ledger.sign(ALICE, nonce, 10)) == "replacement tx underpriced"
    second = ledger.sign(ALICE, nonce, 11)
    add(pool, second)
    assert pool.find(first.hash) is None
    assert pool.find(second.hash) is core(second)[0]
    assert pool.slots_used == 1
    assert pool.promoted_count + pool.enqueued_count == 1


def test_a_replaced_transaction_in_the_middle_keeps_the_later_ones() -> None:
    ledger = Ledger()
    pool = ledger.pool()
    transfers = add_and_return(ledger, pool, ALICE, [0, 1, 2])
    better = ledger.sign(ALICE, 1, 2)
    add(pool, better)
    assert hashes(pool.candidates()) == [transfers[0].hash, better.hash, transfers[2].hash]


def test_a_sender_may_keep_only_so_many_waiting() -> None:
    ledger = Ledger()
    pool = ledger.pool(PoolLimits(max_enqueued=3))
    add_and_return(ledger, pool, ALICE, [2, 3, 4])
    assert refusal(pool, ledger.sign(ALICE, 5)) == "maximum number of enqueued transactions reached"
    # A better price takes no more room, another sender has its own, and the expected nonce does not wait.
    add(pool, ledger.sign(ALICE, 4, 2), ledger.sign(BOB, 5), ledger.sign(ALICE, 0))
    assert refusal(pool, ledger.sign(ALICE, 5)) == "maximum number of enqueued transactions reached"
    add_and_return(ledger, pool, ALICE, [1, 5])
    assert (pool.promoted_count, pool.enqueued_count) == (6, 1)


# ---- slots -------------------------------------------------------------------------------------------------------


def test_a_transaction_takes_a_slot_for_every_32_kibibytes() -> None:
    ledger = Ledger()
    for size, slots in [(1 + 32, 1), (SLOT_BYTES, 1), (SLOT_BYTES + 1, 2), (4 * SLOT_BYTES, 4)]:
        pool = ledger.pool()
        add(pool, ledger.sign(ALICE, 0, size=size))
        assert pool.slots_used == slots


def test_a_full_pool_takes_no_more_but_a_better_price() -> None:
    ledger = Ledger()
    pool = ledger.pool(PoolLimits(max_slots=5))
    add_and_return(ledger, pool, ALICE, [0, 1, 2, 3])
    assert refusal(pool, ledger.sign(ALICE, 4, size=SLOT_BYTES + 1)) == "txpool is full"
    add_and_return(ledger, pool, ALICE, [4])
    assert refusal(pool, ledger.sign(ALICE, 5)) == "txpool is full"
    assert refusal(pool, ledger.sign(BOB, 0, 1_000)) == "txpool is full"
    assert refusal(pool, ledger.sign(ALICE, 4, 2, size=SLOT_BYTES + 1)) == "txpool is full"
    add(pool, ledger.sign(ALICE, 4, 2))
    assert pool.slots_used == 5
    ledger.seal(pool, pool.candidates()[:2])
    add(pool, ledger.sign(BOB, 0, size=2 * SLOT_BYTES))
    assert pool.slots_used == 5


def test_above_four_fifths_nothing_waits_for_a_nonce() -> None:
    ledger = Ledger()
    pool = ledger.pool(PoolLimits(max_slots=10))
    add_and_return(ledger, pool, ALICE, [0, 1, 2, 3, 9])
    waiting = ledger.sign(BOB, 1)
    add(pool, *(ledger.sign(CAROL, nonce) for nonce in range(2)), waiting)
    assert pool.slots_used == 8
    add_and_return(ledger, pool, BOB, [7])
    assert pool.slots_used == 9
    # The next one finds nine slots of ten taken: whatever waits goes, and what would wait does not enter.
    assert refusal(pool, ledger.sign(CAROL, 3)) == "rejected future tx due to low slots"
    assert pool.content()["queued"] == {}
    assert pool.find(waiting.hash) is None
    assert pool.slots_used == 6
    add_and_return(ledger, pool, CAROL, [2, 3, 4])
    assert refusal(pool, ledger.sign(BOB, 1)) == "rejected future tx due to low slots"
    add_and_return(ledger, pool, BOB, [0])
    assert pool.slots_used == 10


# ---- candidates --------------------------------------------------------------------------------------------------


def test_the_best_price_goes_first_but_never_before_its_own_earlier_nonces() -> None:
    ledger = Ledger()
    pool = ledger.pool()
    a0, a1, a2 = (ledger.sign(ALICE, nonce, price) for nonce, price in enumerate([5, 100, 1]))
    b0, b1 = (ledger.sign(BOB, nonce, price) for nonce, price in enumerate([7, 3]))
    c0 = ledger.sign(CAROL, 0, 5)
    add(pool, b0, b1, a0, a1, a2, c0, ledger.sign(CAROL, 2, 1_000))
    assert hashes(pool.candidates()) == [b0.hash, a0.hash, a1.hash, c0.hash, b1.hash, a2.hash]
    assert hashes(pool.candidates()) == hashes(pool.candidates())


def test_prices_of_more_than_64_bits_are_compared_whole() -> None:
    ledger = Ledger()
    ledger.balances = {ALICE: 2**200, BOB: 2**200}
    pool = ledger.pool()
    dear, cheap = ledger.sign(ALICE, 0, 2**64), ledger.sign(BOB, 0, 2**63)
    add(pool, cheap, dear)
    assert hashes(pool.candidates()) == [dear.hash, cheap.hash]


# ---- what a proposal did -----------------------------------------------------------------------------------------


def test_what_a_proposal_includes_stays_until_its_block_is_there() -> None:
    ledger = Ledger()
    pool = ledger.pool()
    transfers = add_and_return(ledger, pool, ALICE, [0, 1])
    pool.settle(pool.candidates(), ["included", "skipped"])
    assert pool.promoted_count == 2
    ledger.seal(pool, transfers[:1])
    assert hashes(pool.candidates()) == [transfers[1].hash]
    assert pool.slots_used == 1


@pytest.mark.parametrize("outcome", ["too large", "failed: not enough gas supplied for intrinsic gas costs"])
def test_what_no_block_can_take_is_dropped_with_all_that_comes_after_it(outcome: str) -> None:
    ledger = Ledger()
    pool = ledger.pool()
    transfers = add_and_return(ledger, pool, ALICE, [0, 1, 2, 4])
    other = add_and_return(ledger, pool, BOB, [0])[0]
    pool.settle(core(transfers[0], other, *transfers[1:3]), ["included", "included", outcome, "skipped"])
    assert pool.content() == {"pending": {ALICE: {0: core(transfers[0])[0]}, BOB: {0: core(other)[0]}}, "queued": {}}
    assert pool.next_nonce(ALICE) == 1
    assert pool.slots_used == 2
    add(pool, transfers[1])
    assert pool.promoted_count == 3


@pytest.mark.parametrize(
    "outcome",
    [
        "nonce too high",
        "failed: not enough funds to cover gas costs",
        "failed: not enough funds for transfer with given value",
    ],
)
def test_what_a_later_block_may_take_is_given_ten_more_chances_in_a_row(outcome: str) -> None:
    ledger = Ledger()
    pool = ledger.pool()
    first, second = add_and_return(ledger, pool, ALICE, [0, 1])
    for _ in range(10):
        pool.settle(core(first, second), [outcome, "skipped"])
    assert pool.promoted_count == 2
    pool.settle(core(first, second), ["included", outcome])
    for _ in range(9):
        pool.settle(core(first, second), [outcome, "skipped"])
    assert pool.promoted_count == 2
    pool.settle(core(first, second), [outcome, "skipped"])
    assert (pool.promoted_count, pool.slots_used) == (0, 0)
    # A sender that is back starts anew.
    add(pool, first)
    pool.settle(core(first), [outcome])
    assert pool.promoted_count == 1


def test_a_block_with_its_transaction_gives_a_sender_all_chances_again() -> None:
    ledger = Ledger()
    pool = ledger.pool()
    first, second = add_and_return(ledger, pool, ALICE, [0, 1])
    for _ in range(10):
        pool.settle(core(first), ["nonce too high"])
    ledger.seal(pool, [first])
    pool.settle(core(second), ["nonce too high"])
    assert pool.promoted_count == 1


def test_a_nonce_that_the_state_has_passed_is_pruned_and_not_held_against_the_sender() -> None:
    ledger = Ledger()
    pool = ledger.pool()
    first, second = add_and_return(ledger, pool, ALICE, [0, 1])
    ledger.nonces[ALICE] = 1
    pool.settle(core(first, second), ["nonce too low", "skipped"])
    assert hashes(pool.candidates()) == [second.hash]


def test_what_has_left_the_pool_meanwhile_is_passed_over() -> None:
    ledger = Ledger()
    pool = ledger.pool()
    _, second = add_and_return(ledger, pool, ALICE, [0, 1])
    candidates = pool.candidates()
    replacement = ledger.sign(ALICE, 0, 2)
    add(pool, replacement)
    pool.settle(candidates, ["too large", "skipped"])
    assert hashes(pool.candidates()) == [replacement.hash, second.hash]


def test_what_has_been_dropped_and_waits_anew_is_passed_over() -> None:
    ledger = Ledger()
    pool = ledger.pool()
    first, second = add_and_return(ledger, pool, ALICE, [0, 1])
    pool.settle(core(first), ["too large"])
    add(pool, second)
    pool.settle(core(second), ["too large"])
    assert (pool.enqueued_count, pool.next_nonce(ALICE)) == (1, 0)


def test_an_outcome_that_no_proposal_gives_is_an_error() -> None:
    ledger = Ledger()
    pool = ledger.pool()
    transfers = add_and_return(ledger, pool, ALICE, [0])
    with pytest.raises(ValueError, match="no outcome of a proposal: 'maybe'"):
        pool.settle(core(*transfers), ["maybe"])
    with pytest.raises(ValueError, match="shorter"):
        pool.settle(core(*transfers), [])


# ---- new heads ---------------------------------------------------------------------------------------------------


def test_a_block_prunes_what_it_overtakes_and_promotes_what_waited_for_it() -> None:
    ledger = Ledger()
    pool = ledger.pool()
    transfers = add_and_return(ledger, pool, ALICE, [0, 4, 5, 9])
    ledger.seal(pool, [ledger.sign(ALICE, nonce) for nonce in range(4)])
    assert hashes(pool.candidates()) == [transfers[1].hash, transfers[2].hash]
    assert (pool.enqueued_count, pool.next_nonce(ALICE), pool.slots_used) == (1, 6, 3)
    assert pool.find(transfers[0].hash) is None


def test_a_block_of_strangers_changes_nothing() -> None:
    ledger = Ledger()
    pool = ledger.pool()
    transfers = add_and_return(ledger, pool, ALICE, [0])
    ledger.seal(pool, [ledger.sign(BOB, 0)])
    pool.on_block(core(ledger.sign(None, 0)))
    assert hashes(pool.candidates()) == hashes(core(*transfers))


def test_a_state_newer_than_the_last_block_heard_of_already_counts() -> None:
    ledger = Ledger()
    pool = ledger.pool()
    first, second = add_and_return(ledger, pool, ALICE, [0, 1])
    ledger.nonces[ALICE] = 4
    assert pool.next_nonce(ALICE) == 4
    third = ledger.sign(ALICE, 4)
    add(pool, third)
    assert hashes(pool.candidates()) == [third.hash]
    pool.on_block(core(first, second))
    assert hashes(pool.candidates()) == [third.hash]


def test_a_state_that_goes_back_never_leaves_a_gap_in_what_is_promoted() -> None:
    ledger = Ledger()
    ledger.nonces[ALICE] = 5
    pool = ledger.pool()
    add_and_return(ledger, pool, ALICE, [5])
    ledger.nonces[ALICE] = 3
    assert refusal(pool, ledger.sign(ALICE, 4)) == "nonce too low"
    assert pool.promoted_count == 1


def test_a_sender_without_transactions_is_forgotten() -> None:
    ledger = Ledger()
    pool = ledger.pool()
    for letter in range(200):
        sender = bytes([letter]) * 20
        ledger.seal(pool, add_and_return(ledger, pool, sender, [0]))
    assert not pool._accounts
    assert not pool._index
    assert pool.slots_used == 0


# ---- threads -----------------------------------------------------------------------------------------------------


def test_threads_that_add_at_once_lose_nothing() -> None:
    ledger = Ledger()
    pool = ledger.pool(PoolLimits(max_enqueued=1_000))
    senders = (ALICE, BOB, CAROL)
    transfers = [ledger.sign(sender, nonce) for nonce in range(200) for sender in senders]
    refused: list[str] = []

    def work(part: Sequence[Transfer]) -> None:
        for transfer in part:
            try:
                pool.add(transfer.raw)
            except PoolError as error:
                refused.append(str(error))

    # Every transaction is sent by two threads, one of which must be told.
    parts = [transfers[start::4] for start in range(4)] * 2
    threads = [threading.Thread(target=work, args=(part,)) for part in parts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert refused == ["already known"] * len(transfers)
    assert pool.promoted_count == len(transfers)
    assert pool.enqueued_count == 0
