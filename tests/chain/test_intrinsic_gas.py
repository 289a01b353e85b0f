"""Intrinsic gas by the numbers of the fact sheet (§6.2)."""

import pytest

from polygon_edge.chain.intrinsic_gas import intrinsic_gas

ALL = {"homestead": 0, "istanbul": 0}


@pytest.mark.parametrize(
    ("forks", "creates", "data", "gas"),
    [
        (ALL, False, b"", 21_000),
        (ALL, True, b"", 53_000),
        ({"istanbul": 0}, True, b"", 21_000),
        (ALL, False, b"\0\0\0", 21_000 + 3 * 4),
        (ALL, False, b"\1\0\2", 21_000 + 2 * 16 + 4),
        ({"homestead": 0}, False, b"\1\0\2", 21_000 + 2 * 68 + 4),
        (ALL, True, b"\xff" * 100, 53_000 + 1_600),
    ],
)
def test_it_is_as_the_sheet_says(forks: dict[str, int], creates: bool, data: bytes, gas: int) -> None:
    assert intrinsic_gas(forks, 0, creates=creates, data=data) == gas


def test_a_fork_counts_from_its_first_block_on() -> None:
    forks = {"homestead": 5, "istanbul": 7}
    found = [intrinsic_gas(forks, number, creates=True, data=b"\1") for number in (4, 5, 6, 7)]
    assert found == [21_068, 53_068, 53_068, 53_016]
