"""Fees of the past and suggestions for the future, on blocks that a test makes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

import pytest
from tests.jsonrpc.door import LATER_RULES

from polygon_edge.jsonrpc.codec import Tag
from polygon_edge.jsonrpc.fee_history import MAXIMUM_BLOCKS, MAXIMUM_PERCENTILES, FeeHistory, decode_percentiles
from polygon_edge.jsonrpc.gas_price import GasPrice
from polygon_edge.jsonrpc.history import Block
from polygon_edge.jsonrpc.priority_fee import PriorityFee
from polygon_edge.jsonrpc.rpc_error import InvalidParametersError, RpcError

if TYPE_CHECKING:
    from polygon_edge.chain.rules import Rules
    from polygon_edge.jsonrpc.history import History

GWEI = 10**9
PROPOSER = b"p" * 20


@dataclass
class Paid:
    """A transaction and its receipt."""

    gas_price: int
    gas_used: int = 21_000
    sender: bytes = b"s" * 20
    gas_tip_cap: int | None = None
    gas_fee_cap: int | None = None


@dataclass
class Header:
    number: int
    base_fee: int
    gas_used: int
    gas_limit: int = 100_000
    miner: bytes = PROPOSER


@dataclass
class Fees:
    """As much of a history as is asked about fees; block 0 is there."""

    blocks: list[tuple[int, list[Paid]]] = field(default_factory=lambda: [(0, [])])
    rules: Rules = LATER_RULES
    decoded: int = 0

    def grow(self, *paid: Paid, base_fee: int = 0) -> None:
        self.blocks.append((base_fee, list(paid)))

    def head_number(self) -> int:
        return len(self.blocks) - 1

    def height(self, number: int | Tag) -> int:
        return number if isinstance(number, int) else 0 if number is Tag.EARLIEST else self.head_number()

    def header(self, height: int) -> Header:
        base_fee, paid = self.blocks[height]
        return Header(height, base_fee, sum(entry.gas_used for entry in paid))

    def hash(self, height: int) -> bytes:
        return height.to_bytes(32, "big")

    def transactions(self, height: int) -> list[Paid]:
        self.decoded += 1
        return self.blocks[height][1]

    def block(self, height: int) -> Block:
        paid = cast("list[Any]", self.transactions(height))
        return Block(height, self.hash(height), paid, paid)

    def pool_base_fee(self) -> int:
        return 7


def history(fees: Fees) -> History:
    return cast("History", fees)


def tell(fees: Fees, count: int, newest: int | Tag = Tag.LATEST, percentiles: tuple[float, ...] = ()) -> dict[str, Any]:
    return cast("dict[str, Any]", FeeHistory(history(fees)).tell(count, newest, percentiles))


# ---- what was paid ---------------------------------------------------------------------------------------------------


def test_each_block_has_its_fee_its_share_of_gas_and_the_head_stands_for_the_next() -> None:
    fees = Fees()
    fees.grow(Paid(5), base_fee=3)
    fees.grow(base_fee=4)
    fees.grow(Paid(5, 50_000), base_fee=5)
    assert tell(fees, 2) == {
        "oldestBlock": "0x2",
        "baseFeePerGas": ["0x4", "0x5", "0x5"],
        "gasUsedRatio": [0, 0.5],
        "reward": [[], []],
    }
    assert tell(fees, 1, 1)["baseFeePerGas"] == ["0x3", "0x5"]
    assert fees.decoded == 0


def test_percentiles_are_weighted_by_gas_and_tips_counted_above_the_base_fee() -> None:
    fees = Fees()
    fees.grow(
        Paid(13, 50_000),
        Paid(11, 25_000),
        Paid(0, 15_000, gas_tip_cap=9, gas_fee_cap=12),
        Paid(10, 10_000),
        base_fee=10,
    )
    rewards = tell(fees, 1, Tag.LATEST, (0, 10, 11, 35, 50, 51, 100))["reward"]
    assert rewards == [["0x0", "0x0", "0x1", "0x1", "0x2", "0x3", "0x3"]]


def test_a_block_without_transactions_has_tips_of_zero() -> None:
    fees = Fees()
    fees.grow()
    assert tell(fees, 1, Tag.LATEST, (10, 90))["reward"] == [["0x0", "0x0"]]


def test_a_tip_that_does_not_cover_the_base_fee_counts_as_none() -> None:
    fees = Fees()
    fees.grow(Paid(5), base_fee=10)
    assert tell(fees, 1, Tag.LATEST, (50,))["reward"] == [["0x0"]]


def test_only_blocks_that_are_there_are_told_from_block_1_on() -> None:
    fees = Fees()
    assert tell(fees, 4, Tag.EARLIEST, (50,)) == {"oldestBlock": "0x1", "baseFeePerGas": ["0x0"], "gasUsedRatio": []}
    for _ in range(3):
        fees.grow()
    assert (tell(fees, 10)["oldestBlock"], len(tell(fees, 10)["gasUsedRatio"])) == ("0x1", 3)
    assert tell(fees, 2, 1000)["oldestBlock"] == "0x2"
    for _ in range(MAXIMUM_BLOCKS):
        fees.grow()
    assert len(tell(fees, 10**9)["gasUsedRatio"]) == MAXIMUM_BLOCKS


@pytest.mark.parametrize(
    ("count", "percentiles", "text"),
    [
        (0, (), "blockCount must be greater than 0"),
        (1, (101,), "invalid percentile"),
        (1, (-1,), "invalid percentile"),
        (1, (90, 10), "invalid percentile"),
        (1, (float("nan"),), "invalid percentile"),
        (1, (5,) * (MAXIMUM_PERCENTILES + 1), "expected at most 100 percentiles, found 101"),
    ],
)
def test_what_cannot_be_told_is_refused(count: int, percentiles: tuple[float, ...], text: str) -> None:
    with pytest.raises(RpcError) as caught:
        tell(Fees(), count, Tag.LATEST, percentiles)
    assert str(caught.value) == text


def test_percentiles_are_a_list_of_numbers() -> None:
    assert decode_percentiles([1, 2.5]) == [1.0, 2.5]
    for value in ("5", 5, {"a": 1}, ["5"], [True], [None]):
        with pytest.raises(InvalidParametersError):
            decode_percentiles(value)


# ---- what should do -------------------------------------------------------------------------------------------------


def test_a_tip_is_a_percentile_of_the_lowest_ones_lately() -> None:
    fees = Fees()
    for tip in range(1, 21):
        fees.grow(*(Paid(tip * 100 + extra) for extra in (3, 2, 1, 4)))
    # The three lowest of each of twenty blocks: the 36th of 60 from below.
    assert PriorityFee(history(fees)).suggest() == 1203


def test_a_tip_is_a_gwei_while_nothing_was_paid_and_worked_out_once_per_head() -> None:
    fees = Fees()
    fee = PriorityFee(history(fees))
    assert fee.suggest() == GWEI
    for _ in range(50):
        fees.grow()
    assert fee.suggest() == GWEI
    # Every empty block counts once, so that forty blocks are read.
    assert fees.decoded == 40
    assert fee.suggest() == GWEI
    assert fees.decoded == 40


def test_what_the_proposer_pays_itself_and_what_is_nearly_nothing_does_not_count() -> None:
    fees = Fees()
    fees.grow(Paid(1), Paid(7, sender=PROPOSER), Paid(5))
    assert PriorityFee(history(fees)).suggest() == 5


def test_a_tip_is_never_more_than_500_gwei() -> None:
    fees = Fees()
    fees.grow(Paid(10**15))
    assert PriorityFee(history(fees)).suggest() == 500 * GWEI


def test_under_london_the_gas_price_is_base_fee_and_tip() -> None:
    fees = Fees(rules=replace(LATER_RULES, forks={"london": 0}))
    fees.grow(Paid(5 + 7), base_fee=7)
    tip = PriorityFee(history(fees))
    assert GasPrice(history(fees), 0, tip).suggest() == 5 + 7
    assert GasPrice(history(fees), 100, tip).suggest() == 100
