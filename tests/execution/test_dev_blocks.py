"""The engine `dev` at work on a chain of its own, under a clock that only the test moves."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from eth_account import Account

from polygon_edge import _core
from polygon_edge.chain.base_fee import BaseFees
from polygon_edge.chain.genesis import parse_genesis
from polygon_edge.chain.genesis_block import core_rules, genesis_block
from polygon_edge.chain.genesis_file import NewChain, genesis_text
from polygon_edge.chain.rules import rules_of
from polygon_edge.consensus.engine import Engine
from polygon_edge.errors import DiskFullError
from polygon_edge.execution.append import Appender
from polygon_edge.execution.dev_blocks import DevBlocks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

SENDER = Account.from_key(b"\x0c" * 32)
CHAIN_ID = 4711
GAS_LIMIT = 5_242_880
START = 1_700_000_000.75


class Stop(threading.Event):
    """The event of a stop; waiting for it takes no time, but moves the clock. It comes after `blocks` waits."""

    def __init__(self, blocks: int) -> None:
        super().__init__()
        self.now = START
        self.waits: list[float] = []
        self._blocks = blocks

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        if len(self.waits) == self._blocks:
            self.set()
            return True
        self.waits.append(timeout)
        self.now += timeout
        return False


@dataclass
class Offer:
    """Transactions on offer, and what was said of them."""

    waiting: list[_core.Transaction] = field(default_factory=list)
    settled: list[list[str]] = field(default_factory=list)

    def candidates(self) -> list[_core.Transaction]:
        return list(self.waiting)

    def settle(self, candidates: Sequence[_core.Transaction], outcomes: Sequence[str]) -> None:
        assert len(candidates) == len(outcomes)
        self.settled.append(list(outcomes))
        self.waiting.clear()


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[_core.Chain]:
    with _core.Chain.open(tmp_path) as opened:
        yield opened


@pytest.fixture
def rules(chain: _core.Chain) -> _core.Rules:
    premine = {bytes.fromhex(SENDER.address[2:]): 10**18}
    genesis = parse_genesis(genesis_text(NewChain("dev", CHAIN_ID, "dev", GAS_LIMIT, premine, ("/ip4/127.0.0.1",))))
    found = rules_of(genesis)
    chain.start(core_rules(found), genesis_block(found, genesis))
    return core_rules(found)


def dev_blocks(
    chain: _core.Chain,
    rules: _core.Rules,
    stop: Stop,
    offer: Offer | None = None,
    *,
    interval: int = 1,
    target: int = 0,
    refuse: Callable[[], None] = lambda: None,
) -> DevBlocks:
    appender = Appender(
        chain,
        rules,
        Engine(rules_of(parse_genesis(genesis_text(NewChain("", 1, "dev", 1, {}, ("x",))))).schedule, None),
        stop=stop,
        source_name="own",
        on_imported=lambda _imported: refuse(),
    )
    return DevBlocks(
        chain,
        appender,
        offer or Offer(),
        interval=interval,
        block_gas_target=target,
        base_fees=BaseFees(),
        stop=stop,
        clock=lambda: stop.now,
    )


def headers(chain: _core.Chain) -> list[_core.Header]:
    found = []
    for number in range(1, chain.tip[0] + 1):
        raw = chain.header(number)
        assert raw is not None
        found.append(_core.decode_header(raw))
    return found


def run(blocks: DevBlocks) -> None:
    blocks.start()
    blocks.join()


def transaction(rules: _core.Rules, nonce: int, gas: int = 21_000) -> _core.Transaction:
    fields = {"nonce": nonce, "gasPrice": 1, "gas": gas, "value": 1, "to": "0x" + "11" * 20, "chainId": CHAIN_ID}
    return _core.decode_transaction(rules, 1, bytes(SENDER.sign_transaction(fields).raw_transaction))


def test_a_block_is_made_each_interval_whether_or_not_anything_waits(chain: _core.Chain, rules: _core.Rules) -> None:
    stop = Stop(3)
    blocks = dev_blocks(chain, rules, stop, interval=5)
    run(blocks)
    assert blocks.error is None
    assert stop.waits == [5, 5, 5]
    assert [header.timestamp for header in headers(chain)] == [1_700_000_005, 1_700_000_010, 1_700_000_015]
    assert {header.gas_limit for header in headers(chain)} == {GAS_LIMIT}


def test_what_waits_goes_into_the_next_block(chain: _core.Chain, rules: _core.Rules) -> None:
    nonces = [(0, 21_000), (1, 21_000), (5, 21_000), (2, GAS_LIMIT + 1)]
    offer = Offer([transaction(rules, nonce, gas) for nonce, gas in nonces])
    run(dev_blocks(chain, rules, Stop(2), offer))
    assert offer.settled == [["included", "included", "nonce too high", "too large"], []]
    assert [header.gas_used for header in headers(chain)] == [42_000, 0]


def test_the_gas_limit_moves_to_its_target(chain: _core.Chain, rules: _core.Rules) -> None:
    run(dev_blocks(chain, rules, Stop(2), target=2 * GAS_LIMIT))
    step = GAS_LIMIT // 1024
    first = GAS_LIMIT + step
    assert [header.gas_limit for header in headers(chain)] == [first, first + first // 1024]


def test_a_stop_while_it_waits_makes_no_block(chain: _core.Chain, rules: _core.Rules) -> None:
    run(dev_blocks(chain, rules, Stop(0)))
    assert chain.tip[0] == 0


def test_what_ends_it_is_handed_on(chain: _core.Chain, rules: _core.Rules) -> None:
    def refuse() -> None:
        raise DiskFullError("/data", 1, 0)

    blocks = dev_blocks(chain, rules, Stop(3), refuse=refuse)
    run(blocks)
    assert isinstance(blocks.error, DiskFullError)


def test_an_interval_beyond_any_clock_is_waited_for_as_long_as_one_can(chain: _core.Chain, rules: _core.Rules) -> None:
    stop = Stop(1)
    run(dev_blocks(chain, rules, stop, interval=(1 << 64) - 1))
    assert stop.waits == [threading.TIMEOUT_MAX]
