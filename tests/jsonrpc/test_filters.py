from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import pytest
from tests.jsonrpc.door import EARLY_RULES

from polygon_edge.jsonrpc import filters, logs
from polygon_edge.jsonrpc.codec import Tag, data
from polygon_edge.jsonrpc.filters import EXPIRY_SECONDS, Filters
from polygon_edge.jsonrpc.gas_price import GasPrice
from polygon_edge.jsonrpc.history import Block, History
from polygon_edge.jsonrpc.logs import LogQuery, LogSearch, decode_log_query
from polygon_edge.jsonrpc.priority_fee import PriorityFee
from polygon_edge.jsonrpc.rpc_error import RpcError

if TYPE_CHECKING:
    from polygon_edge.chain.rules import Rules

A, B = b"a" * 20, b"b" * 20
X, Y = b"x" * 32, b"y" * 32


@dataclass
class FakeLog:
    address: bytes = A
    topics: list[bytes] = field(default_factory=list)
    data: bytes = b""


@dataclass
class FakeTransaction:
    hash: bytes = bytes(32)
    gas_price: int = 0
    gas_tip_cap: int | None = None
    gas_fee_cap: int | None = None


@dataclass
class FakeReceipt:
    logs: list[FakeLog]


class GrowingChain:
    """As much of a history as logs and filters read: per block, the logs of each of its transactions."""

    def __init__(self) -> None:
        self.blocks: list[list[list[FakeLog]]] = [[]]
        self.prices: dict[int, list[int]] = {}
        self.decoded = 0

    @property
    def chain(self) -> GrowingChain:
        return self

    @property
    def gas_used(self) -> int:
        return 1

    @property
    def base_fee(self) -> int:
        return 0

    @property
    def rules(self) -> Rules:
        return EARLY_RULES

    def grow(self, *transactions: list[FakeLog]) -> None:
        self.blocks.append(list(transactions))

    def number_of(self, hash: bytes) -> int | None:
        number = int.from_bytes(hash, "big")
        return number if number < len(self.blocks) else None

    def head_number(self) -> int:
        return len(self.blocks) - 1

    def height(self, number: int | Tag) -> int:
        return number if isinstance(number, int) else 0 if number is Tag.EARLIEST else self.head_number()

    def header(self, height: int) -> GrowingChain:
        assert 0 < height < len(self.blocks)
        return self

    def hash(self, height: int) -> bytes:
        return height.to_bytes(32, "big")

    def transactions(self, height: int) -> list[FakeTransaction]:
        self.decoded += 1
        return [FakeTransaction(gas_price=price) for price in self.prices.get(height, [])]

    def block(self, height: int) -> Block:
        transactions = self.blocks[height]
        receipts = [FakeReceipt(entries) for entries in transactions]
        entries: list[Any] = [FakeTransaction()] * len(transactions)
        return Block(height, self.hash(height), entries, cast("list[Any]", receipts))


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def chain() -> GrowingChain:
    return GrowingChain()


@pytest.fixture
def history(chain: GrowingChain) -> History:
    return cast("History", chain)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def installed(history: History, clock: Clock) -> Filters:
    return Filters(history, LogSearch(history, 1000), clock)


EVERYTHING = decode_log_query({})


def ask(history: History, limit: int = 1000, **members: object) -> list[dict[str, Any]]:
    return LogSearch(history, limit).find(decode_log_query(members))


@pytest.mark.parametrize(
    ("query", "matches"),
    [
        ({}, True),
        ({"address": data(A)}, True),
        ({"address": data(B)}, False),
        ({"address": [data(B), data(A)]}, True),
        ({"topics": [data(X)]}, True),
        ({"topics": [data(Y)]}, False),
        ({"topics": [None, data(Y)]}, True),
        ({"topics": [[data(Y), data(X)], [data(Y)]]}, True),
        ({"topics": [None, None]}, True),
        ({"topics": [None, None, None]}, False),
    ],
)
def test_a_query_matches_addresses_and_topics_by_position(query: object, matches: bool) -> None:
    log = FakeLog(A, [X, Y])
    assert decode_log_query(query).matches(log) is matches  # type: ignore[arg-type]


def test_logs_carry_their_places_in_the_block(chain: GrowingChain, history: History) -> None:
    chain.grow([FakeLog()], [], [FakeLog(B), FakeLog(B)])
    found = ask(history, address=data(B))
    assert [(log["transactionIndex"], log["logIndex"]) for log in found] == [("0x2", "0x1"), ("0x2", "0x2")]


def test_a_range_has_an_order_and_a_limit_and_ends_at_the_head(chain: GrowingChain, history: History) -> None:
    for _ in range(5):
        chain.grow([FakeLog()])
    assert len(ask(history, fromBlock="earliest")) == 5
    assert len(ask(history, fromBlock="0x4", toBlock="0x63")) == 2
    assert len(ask(history)) == 1
    assert ask(history, fromBlock="0x50", toBlock="0x60") == []
    with pytest.raises(RpcError, match="incorrect range"):
        ask(history, fromBlock="0x3", toBlock="0x2")
    with pytest.raises(RpcError, match="block range too high"):
        ask(history, limit=3, fromBlock="earliest")
    assert len(ask(history, limit=4, fromBlock="earliest")) == 5
    assert len(ask(history, limit=0, fromBlock="earliest", toBlock="0xffffffff")) == 5


def test_a_block_can_be_asked_for_by_hash(chain: GrowingChain, history: History) -> None:
    chain.grow([FakeLog()])
    assert len(ask(history, blockHash="0x1")) == 1
    assert ask(history, blockHash="0x0") == []
    with pytest.raises(RpcError, match="block not found"):
        ask(history, blockHash="0x2")


def test_an_answer_that_grows_too_large_is_refused(
    chain: GrowingChain, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    for size in (1, 2, 3):
        chain.grow([FakeLog(data=b"123")] * size)
    monkeypatch.setattr(logs, "MAXIMUM_LOGS", 4)
    with pytest.raises(RpcError, match=r"more than 4 results .* up to block 2: ask for fewer blocks"):
        ask(history, fromBlock="0x1")
    monkeypatch.setattr(logs, "MAXIMUM_LOGS", 2)
    with pytest.raises(RpcError, match="in block 3 alone"):
        ask(history, fromBlock="0x3")
    monkeypatch.undo()
    monkeypatch.setattr(logs, "MAXIMUM_LOG_BYTES", 9)
    with pytest.raises(RpcError, match="9 bytes up to block 2"):
        ask(history, fromBlock="0x2")
    assert len(ask(history, fromBlock="0x3")) == 3


def test_a_filter_tells_each_block_once(chain: GrowingChain, installed: Filters) -> None:
    chain.grow()
    name = installed.install(None)
    assert installed.changes(name) == []
    chain.grow()
    chain.grow()
    assert installed.changes(name) == [data((2).to_bytes(32, "big")), data((3).to_bytes(32, "big"))]
    assert installed.changes(name) == []


def test_a_filter_tells_each_log_once_whatever_its_bounds(chain: GrowingChain, installed: Filters) -> None:
    chain.grow([FakeLog()])
    name = installed.install(decode_log_query({"fromBlock": "0x0", "toBlock": "0x1", "address": data(A)}))
    assert installed.changes(name) == []
    chain.grow([FakeLog(B), FakeLog(A)])
    found = installed.changes(name)
    assert [log["logIndex"] for log in found if isinstance(log, dict)] == ["0x1"]
    assert installed.changes(name) == []


def test_a_poll_that_is_long_due_gets_its_news_in_parts(
    chain: GrowingChain, installed: Filters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filters, "MAXIMUM_BLOCKS_PER_POLL", 3)
    blocks, of_logs = installed.install(None), installed.install(EVERYTHING)
    for _ in range(5):
        chain.grow([FakeLog()])
    assert [len(installed.changes(blocks)) for _ in range(3)] == [3, 2, 0]
    monkeypatch.setattr(logs, "MAXIMUM_LOGS", 2)
    assert [len(installed.changes(of_logs)) for _ in range(4)] == [2, 2, 1, 0]


def test_a_filter_expires_unless_it_is_polled(installed: Filters, clock: Clock) -> None:
    polled, abandoned = installed.install(None), installed.install(EVERYTHING)
    clock.now += EXPIRY_SECONDS - 1
    installed.changes(polled)
    clock.now += 1
    assert installed.changes(polled) == []
    with pytest.raises(RpcError, match="filter not found"):
        installed.changes(abandoned)
    assert installed.uninstall(abandoned) is False
    assert installed.uninstall(polled) is True
    with pytest.raises(RpcError, match="filter not found"):
        installed.query_of(polled)


def test_there_are_not_more_filters_than_memory_for_them(
    installed: Filters, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filters, "MAXIMUM_FILTERS", 2)
    installed.install(None)
    installed.install(None)
    with pytest.raises(RpcError, match="too many filters: 2 are in use"):
        installed.install(None)
    clock.now += EXPIRY_SECONDS
    assert installed.install(EVERYTHING)


def test_only_a_filter_of_logs_has_a_query(installed: Filters) -> None:
    query = LogQuery(1, 2, None, frozenset(), ())
    assert installed.query_of(installed.install(query)) is query
    with pytest.raises(RpcError, match="casting filter object to logFilter error"):
        installed.query_of(installed.install(None))


def gas_price(history: History, limit: int) -> GasPrice:
    return GasPrice(history, limit, PriorityFee(history))


def test_the_gas_price_is_what_was_paid_since_the_start(chain: GrowingChain, history: History) -> None:
    chain.grow()
    chain.prices[1] = [1000]
    price = gas_price(history, 0)
    assert price.suggest() == 0
    chain.grow()
    chain.prices[2] = [10, 20]
    chain.grow()
    chain.prices[3] = [60]
    assert price.suggest() == 30
    decoded = chain.decoded
    assert price.suggest() == 30
    assert chain.decoded == decoded
    assert gas_price(history, 7).suggest() == 7


def test_the_gas_price_forgets_what_is_long_ago_and_reads_no_more_than_it_needs(
    chain: GrowingChain, history: History
) -> None:
    price = gas_price(history, 1)
    chain.grow()
    chain.prices[1] = [10**9]
    for _ in range(1000):
        chain.grow()
    assert price.suggest() == 1
    assert chain.decoded == 128
