from __future__ import annotations

from polygon_edge.jsonrpc.budget import FREE_BYTES, Budget

MEBIBYTE = 1 << 20


def test_shares_come_back_and_small_ones_cost_nothing() -> None:
    budget = Budget(2 * MEBIBYTE)
    with budget.share() as first, budget.share() as second:
        assert first.take(MEBIBYTE)
        assert first.take(3 * MEBIBYTE // 2)
        assert not second.take(MEBIBYTE)
        assert second.take(FREE_BYTES)
        assert second.take(MEBIBYTE // 2)
        assert not first.take(2 * MEBIBYTE)
        assert first.take(0)
        assert second.take(2 * MEBIBYTE)
    with budget.share() as later:
        assert later.take(2 * MEBIBYTE)
        assert not later.take(2 * MEBIBYTE + 1)
