"""Timestamp and gas limit of a proposal (§4.8)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polygon_edge.consensus.block_time import UNIX_EPOCH_SECONDS, next_gas_limit, next_timestamp


@pytest.mark.parametrize(
    ("parent", "now", "block_time", "expected"),
    [
        (100, 101.0, 2, 102),  # due in a second
        (100, 102.0, 2, 102),  # due now is not before now
        (100, 102.5, 2, 104),  # late: the next multiple
        (100, 104.0, 2, 106),  # a multiple itself: strictly up
        (0, 1_700_000_001.25, 5, 1_700_000_005),
        (0, 1_700_000_000.0, 1, 1_700_000_001),
        (2_000_000_000, 1_700_000_000.0, 2, 2_000_000_002),  # the head is ahead of the clock
    ],
)
def test_the_next_timestamp(parent: int, now: float, block_time: int, expected: int) -> None:
    assert next_timestamp(parent, now, block_time) == expected


def test_multiples_count_from_year_one_where_the_block_time_does_not_divide() -> None:
    found = next_timestamp(0, 1_700_000_000.0, 7)
    assert 1_700_000_000 < found <= 1_700_000_007
    assert (found + UNIX_EPOCH_SECONDS) % 7 == 0
    assert found % 7 != 0


@given(st.integers(0, 1 << 40), st.floats(0, 1 << 40), st.integers(1, 10_000))
def test_a_timestamp_is_never_early_and_never_more_than_a_block_time_away(
    parent: int, now: float, block_time: int
) -> None:
    found = next_timestamp(parent, now, block_time)
    assert found >= parent + block_time or found > now
    assert found >= now
    assert found <= max(parent, int(now)) + block_time


@pytest.mark.parametrize(
    ("parent", "target", "expected"),
    [
        (5_242_880, 0, 5_242_880),
        (5_242_880, 5_242_880, 5_242_880),
        (5_242_880, 10_000_000, 5_248_000),
        (5_242_880, 5_243_000, 5_243_000),
        (5_242_880, 1, 5_237_760),
        (5_242_880, 5_242_000, 5_242_000),
        (1000, 5000, 1000),  # a limit below 1024 cannot move
    ],
)
def test_the_gas_limit_moves_by_a_1024th_at_most(parent: int, target: int, expected: int) -> None:
    assert next_gas_limit(parent, target) == expected
