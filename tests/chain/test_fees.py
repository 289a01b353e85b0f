"""Prices under a base fee, against the numbers of EIP-1559 and the oddities of the Go client (§6.3)."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from polygon_edge.chain.fees import effective_gas_price, effective_tip, highest_price


@dataclass
class Offer:
    gas_price: int = 0
    gas_tip_cap: int | None = None
    gas_fee_cap: int | None = None


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
