"""Prices under a base fee, against the numbers of EIP-1559 and the oddities of the Go client (§6.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polygon_edge.chain.fees import BaseFeeRules, effective_gas_price, effective_tip, highest_price

if TYPE_CHECKING:
    from polygon_edge import _core

GWEI = 10**9


@dataclass
class Offer:
    gas_price: int = 0
    gas_tip_cap: int | None = None
    gas_fee_cap: int | None = None


@dataclass
class Head:
    base_fee: int
    gas_limit: int
    gas_used: int


def after(rules: BaseFeeRules, base_fee: int, gas_limit: int, gas_used: int) -> int:
    return rules.after(cast("_core.Header", Head(base_fee, gas_limit, gas_used)))


@pytest.mark.parametrize(
    ("gas_used", "expected"),
    [
        (10_000_000, GWEI),  # the target
        (9_000_000, 987_500_000),
        (11_000_000, 1_012_500_000),
        (0, 875_000_000),
        (20_000_000, 1_125_000_000),
    ],
)
def test_the_base_fee_moves_by_an_eighth_at_most(gas_used: int, expected: int) -> None:
    assert after(BaseFeeRules(1, 2, 8), GWEI, 20_000_000, gas_used) == expected


def test_a_full_block_raises_the_smallest_fee_by_one_and_an_empty_one_leaves_it() -> None:
    rules = BaseFeeRules(0, 2, 8)
    assert after(rules, 1, 100, 100) == 2
    assert after(rules, 1, 100, 0) == 1


def test_the_first_fee_is_that_of_the_genesis_file_or_a_gwei() -> None:
    assert after(BaseFeeRules(7, 2, 8), 0, 100, 100) == 7
    assert after(BaseFeeRules(), 0, 100, 100) == GWEI


def test_a_file_without_divisors_leaves_the_fee_as_it_is() -> None:
    assert after(BaseFeeRules(7, 0, 8), GWEI, 100, 100) == GWEI
    assert after(BaseFeeRules(7, 2, 0), GWEI, 100, 100) == GWEI
    # A target of zero has nothing to be divided by either.
    assert after(BaseFeeRules(7, 200, 8), GWEI, 100, 100) == GWEI


@given(st.builds(Head, *[st.integers(0, 2**64 - 1)] * 3), st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_a_fee_always_has_64_bits(head: Head, elasticity: int, denominator: int) -> None:
    found = BaseFeeRules(5, elasticity, denominator).after(cast("_core.Header", head))
    assert 0 <= found < 2**64


@pytest.mark.parametrize(
    ("offer", "base_fee", "price", "tip"),
    [
        (Offer(5), 0, 5, 5),
        (Offer(5), 3, 5, 2),
        (Offer(5), 7, 5, -2),
        (Offer(0, 2, 9), 0, 0, 2),  # without a base fee there is no price, and still a tip
        (Offer(0, 2, 9), 3, 5, 2),
        (Offer(0, 2, 9), 8, 9, 1),
        (Offer(0, 2, 9), 10, 9, -1),
        (Offer(0, 0, 0), 3, 0, -3),
        (Offer(0), 3, 0, -3),
    ],
)
def test_price_and_tip(offer: Offer, base_fee: int, price: int, tip: int) -> None:
    assert effective_gas_price(offer, base_fee) == price
    assert effective_tip(offer, base_fee) == tip


def test_the_most_that_is_paid_is_the_cap_or_the_price() -> None:
    assert [highest_price(offer) for offer in (Offer(5), Offer(0, 2, 9), Offer(5, 0, 0))] == [5, 9, 5]
