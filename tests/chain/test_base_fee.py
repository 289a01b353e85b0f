"""The base fee from block to block, where a proposer sets one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polygon_edge import _core
from polygon_edge.chain import rlp
from polygon_edge.chain.base_fee import FIRST_BASE_FEE, BaseFees
from polygon_edge.chain.generation import Generation
from polygon_edge.chain.genesis import Genesis, parse_genesis
from polygon_edge.chain.rules import refuse_base_fees_without_divisors, rules_of
from polygon_edge.errors import GenesisError


def parent(number: int, gas_used: int, base_fee: int, gas_limit: int = 8_000_000) -> _core.Header:
    numbers = [0, number, gas_limit, gas_used, 0]
    fields: list[rlp.Item] = [
        *(bytes(32), bytes(32), b"", bytes(32), bytes(32), bytes(32), bytes(256)),
        *(value.to_bytes((value.bit_length() + 7) // 8, "big") for value in numbers),
        *(b"", bytes(32), bytes(8)),
        base_fee.to_bytes((base_fee.bit_length() + 7) // 8, "big"),
    ]
    return _core.decode_header(rlp.encode(fields))


FEES = BaseFees(london=10, elasticity=2, change_denominator=8)


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        (parent(9, 0, 0), 0),  # the fork counts at the parent's height, so its first block has no fee yet
        (parent(10, 0, 0), FIRST_BASE_FEE),
        (parent(11, 4_000_000, 1000), 1000),  # as much as aimed at
        (parent(11, 8_000_000, 1000), 1125),  # full: an eighth more
        (parent(11, 0, 1000), 875),  # empty: an eighth less
        (parent(11, 4_000_001, 1000), 1001),  # more by one at least
        (parent(11, 3_999_999, 1000), 1000),  # less by nothing, where an eighth of it is nothing
        (parent(11, 20_000_000, 10**9, 20_000_000), 1_125_000_000),  # the numbers of EIP-1559
        (parent(11, 9_000_000, 10**9, 20_000_000), 987_500_000),
        (parent(11, 5, 7, gas_limit=1), 7),  # the limit below the elasticity: nothing to divide by
        # A product that does not fit wraps.
        (parent(11, 8_000_000, 1 << 63), (1 << 63) + max((1 << 63) * 4_000_000 % (1 << 64) // 32_000_000, 1)),
    ],
)
def test_the_next_base_fee(before: _core.Header, expected: int) -> None:
    assert FEES.after(before) == expected


def test_the_fees_are_those_of_a_go_node_of_v1_3_2() -> None:
    """Base fee and gas used of blocks 0 to 9 of a chain of its engine dev, with blocks of ours among the later ones."""
    seen = [
        (1_000_000_000, 0x70000),
        (896_875_000, 0),
        (784_765_625, 184_980),
        (693_591_974, 218_564),
        (614_121_554, 0),
        (537_356_360, 0),
        (470_186_815, 0),
        (411_413_464, 184_980),
        (363_615_668, 218_564),
        (321_953_292, 0),
    ]
    fees = BaseFees(0, 1_000_000_000, 2, 8)
    headers = [parent(number, gas_used, fee, 0x500000) for number, (fee, gas_used) in enumerate(seen)]
    assert [fees.after(header) for header in headers[:-1]] == [fee for fee, _ in seen[1:]]


def test_without_london_there_is_none() -> None:
    assert BaseFees().after(parent(11, 8_000_000, 7)) == 0


@pytest.mark.parametrize("fees", [BaseFees(london=10, elasticity=2), BaseFees(london=10, change_denominator=8)])
def test_a_file_without_divisors_leaves_the_fee_as_it_is(fees: BaseFees) -> None:
    assert fees.after(parent(11, 8_000_000, 7)) == 7


@given(*[st.integers(0, 2**64 - 1)] * 5)
def test_a_fee_always_has_64_bits(base_fee: int, limit: int, used: int, elasticity: int, denominator: int) -> None:
    found = BaseFees(0, 5, elasticity, denominator).after(parent(11, used, base_fee, limit))
    assert 0 <= found < 2**64


def genesis(params: dict[str, Any], header: dict[str, Any], generation: Generation | None = None) -> Genesis:
    document = {
        "genesis": {"gasLimit": "1", **header},
        "params": {"engine": {"dev": {}}, "chainID": 7, **params},
    }
    return parse_genesis(json.dumps(document).encode(), generation=generation)


LONDON = {"forks": {"london": {"block": 5}}}


def test_the_terms_come_from_the_genesis_file() -> None:
    header = {"baseFee": "0x7", "baseFeeEM": "0x2", "baseFeeChangeDenom": "8"}
    assert rules_of(genesis(LONDON, header)).base_fees == BaseFees(5, 7, 2, 8)
    assert rules_of(genesis({"forks": {"homestead": {"block": 0}}}, header)).base_fees == BaseFees(None, 7, 2, 8)
    # A fork of that name has no effect in the second generation.
    assert rules_of(genesis({"forks": {"london": 5}}, {}, Generation.G2)).base_fees == BaseFees()


@pytest.mark.parametrize("missing", ["baseFeeEM", "baseFeeChangeDenom"])
def test_terms_that_cannot_be_divided_by_are_refused(missing: str) -> None:
    header = {"baseFeeEM": "0x2", "baseFeeChangeDenom": "8"} | {missing: "0x0"}
    with pytest.raises(GenesisError) as raised:
        refuse_base_fees_without_divisors(genesis(LONDON, header))
    assert raised.value.path == f"genesis.{missing}"
