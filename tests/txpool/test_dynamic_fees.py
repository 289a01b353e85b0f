"""The rules of the pool about types, caps and the base fee (§6.2 of consensus and network)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest
from tests.txpool.ledger import ALICE, BOB, CAROL, RICH, Ledger

from polygon_edge.errors import PoolError, Refusal
from polygon_edge.txpool.pool import PoolLimits

if TYPE_CHECKING:
    from tests.txpool.ledger import Transfer

    from polygon_edge.txpool.pool import TransactionPool

WIDEST = 2**256 - 1
STATE, DYNAMIC_FEE = 0x7F, 2


def london(base_fee: int = 10) -> Ledger:
    """A ledger under london."""
    ledger = Ledger()
    ledger.base_fee = base_fee
    ledger.dynamic_fee_refusal = None
    return ledger


def dynamic(ledger: Ledger, sender: bytes, nonce: int, tip: int, cap: int, **fields: Any) -> Transfer:
    return ledger.sign(sender, nonce, 0, type=DYNAMIC_FEE, gas_tip_cap=tip, gas_fee_cap=cap, **fields)


def refused(pool: TransactionPool, transfer: Transfer) -> str:
    with pytest.raises(PoolError) as caught:
        pool.add(transfer.raw)
    assert caught.value.hash == transfer.hash
    assert pool.slots_used == 0
    return str(caught.value)


def test_a_state_transaction_never_enters() -> None:
    ledger = london()
    found = refused(ledger.pool(), ledger.sign(ALICE, 0, type=STATE))
    assert found == "invalid tx type: type 127 rejected, state transactions are not expected to be added to the pool"


@pytest.mark.parametrize(
    ("refusal", "text"),
    [
        (Refusal.TYPE, "transaction type not supported: type 2 rejected, london hardfork is not enabled"),
        (Refusal.DYNAMIC_FEE, "dynamic tx not allowed currently"),
    ],
)
def test_a_dynamic_fee_enters_only_while_the_chain_takes_it(refusal: Refusal, text: str) -> None:
    ledger = london()
    ledger.dynamic_fee_refusal = refusal
    assert refused(ledger.pool(), dynamic(ledger, ALICE, 0, 1, 20)) == text


@pytest.mark.parametrize(
    ("tip", "cap", "text"),
    [
        (1, WIDEST, "max fee per gas higher than 2^256-1"),
        (WIDEST, 20, "max priority fee per gas higher than 2^256-1"),
        (21, 20, "max priority fee per gas higher than max fee per gas"),
        (1, 9, "transaction underpriced"),
        (0, 0, "transaction underpriced"),
        (1, RICH, "insufficient funds for gas * price + value"),
    ],
)
def test_caps_are_held_against_each_other_the_base_fee_and_the_balance(tip: int, cap: int, text: str) -> None:
    ledger = london()
    assert refused(ledger.pool(), dynamic(ledger, ALICE, 0, tip, cap)) == text


def test_a_price_is_held_against_the_base_fee_and_the_limit() -> None:
    ledger = london()
    assert refused(ledger.pool(), ledger.sign(ALICE, 0, 9)) == "transaction underpriced"
    # The limit is for what will be paid: base fee and tip, up to the cap.
    assert refused(ledger.pool(PoolLimits(price_limit=13)), dynamic(ledger, ALICE, 0, 2, 20)) == (
        "transaction underpriced"
    )
    pool = ledger.pool(PoolLimits(price_limit=12))
    pool.add(dynamic(ledger, ALICE, 0, 2, 20).raw)
    pool.add(ledger.sign(BOB, 0, 12).raw)
    assert pool.promoted_count == 2


def test_the_cap_is_what_the_sender_has_to_have() -> None:
    ledger = london()
    ledger.balances[ALICE] = 21_000 * 20 + 7
    pool = ledger.pool()
    assert refused(pool, dynamic(ledger, ALICE, 0, 1, 20, value=8)) == "insufficient funds for gas * price + value"
    pool.add(dynamic(ledger, ALICE, 0, 1, 20, value=7).raw)


def test_code_that_is_too_long_to_create_a_contract_is_refused_where_that_is_limited() -> None:
    ledger = london()
    long = {"to": None, "gas": 60_000, "input": bytes(11)}
    ledger.init_code_limit = 10
    assert refused(ledger.pool(), ledger.sign(ALICE, 0, 10, **cast("Any", long))) == "max code size exceeded"
    ledger.init_code_limit = 11
    ledger.pool().add(ledger.sign(ALICE, 0, 10, **cast("Any", long)).raw)


def test_a_replacement_has_to_cost_more_under_the_base_fee() -> None:
    ledger = london()
    pool = ledger.pool()
    pool.add(dynamic(ledger, ALICE, 0, 2, 20).raw)
    for same in (dynamic(ledger, ALICE, 0, 2, 30), ledger.sign(ALICE, 0, 12)):
        with pytest.raises(PoolError, match=r"^replacement tx underpriced$") as caught:
            pool.add(same.raw)
        assert (caught.value.expected, caught.value.found) == (13, 12)
    better = ledger.sign(ALICE, 0, 13)
    pool.add(better.raw)
    assert [transaction.hash for transaction in pool.candidates()] == [better.hash]


def test_the_best_tip_comes_first_then_the_higher_cap_then_the_earlier() -> None:
    ledger = london()
    dave = b"d" * 20
    offers = [
        ledger.sign(ALICE, 0, 13),  # a tip of 3
        dynamic(ledger, BOB, 0, 3, 14),  # 3 as well, and a higher cap
        dynamic(ledger, CAROL, 0, 9, 15),  # 5, which is what the cap leaves
        ledger.sign(dave, 0, 13),
    ]
    pool = ledger.pool()
    for offer in offers:
        pool.add(offer.raw)
    first, second, third, fourth = offers
    assert [found.hash for found in pool.candidates()] == [third.hash, second.hash, first.hash, fourth.hash]
