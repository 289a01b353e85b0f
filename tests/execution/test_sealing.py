"""A lone validator at work on a chain of its own, under a clock that only the test moves."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import pytest
import rlp
from eth_account import Account

from polygon_edge import _core
from polygon_edge.chain.address import checksum_address
from polygon_edge.chain.genesis import parse_genesis
from polygon_edge.chain.genesis_block import core_rules, genesis_block
from polygon_edge.chain.genesis_file import Ibft, NewChain, Validator, genesis_text
from polygon_edge.chain.rules import initial_validators, rules_of
from polygon_edge.consensus.engine import Engine
from polygon_edge.consensus.validators import ADD_NONCE, REMOVE_NONCE, start_state
from polygon_edge.errors import BlockRuleError, DiskFullError, StoppedBySignalError
from polygon_edge.execution import append
from polygon_edge.execution.append import Appender
from polygon_edge.execution.sealing import LONG_WAIT_BLOCK_TIMES, Sealer, SealingRules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from polygon_edge.execution.importer import Imported

KEY = _core.EcdsaKey(b"\x0a" * 32)
OTHER = _core.EcdsaKey(b"\x0b" * 32)
SENDER = Account.from_key(b"\x0c" * 32)
CHAIN_ID = 4711
GAS_LIMIT = 5_242_880
START = 1_700_000_000.25
JOIN_SECONDS = 30.0


class Clock:
    """A time of day that passes only while somebody waits; `at_wait` is called before each wait."""

    def __init__(self) -> None:
        self.now = START
        self.at_wait: Callable[[], None] = lambda: None

    def __call__(self) -> float:
        return self.now


class Stop(threading.Event):
    """The event of a stop; waiting for it takes no time, but moves the clock."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self.waits: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.waits.append(timeout)
        self._clock.at_wait()
        if self.is_set():
            return True
        self._clock.now += timeout
        return False


@dataclass
class Offer:
    """Transactions on offer, and what was said of them, with the head at that moment."""

    chain: _core.Chain
    waiting: list[_core.Transaction] = field(default_factory=list)
    settled: list[tuple[int, list[str]]] = field(default_factory=list)
    at_candidates: Callable[[], None] = lambda: None

    def candidates(self) -> list[_core.Transaction]:
        self.at_candidates()
        return list(self.waiting)

    def settle(self, candidates: Sequence[_core.Transaction], outcomes: Sequence[str]) -> None:
        assert len(candidates) == len(outcomes)
        head = self.chain.head
        assert head is not None
        self.settled.append((head[0], list(outcomes)))
        self.waiting.clear()


@dataclass
class Bench:
    """Everything a sealer needs, with one block time of two seconds unless told otherwise."""

    chain: _core.Chain
    rules: _core.Rules
    snapshots: Engine
    clock: Clock
    stop: Stop
    offer: Offer
    imported: list[tuple[int, float]]
    appender: Any

    def sealer(self, key: _core.EcdsaKey = KEY, *, block_time: int = 2, target: int = 0) -> Sealer:
        return Sealer(
            self.chain,
            self.snapshots,
            self.appender,
            key,
            self.offer,
            rules=SealingRules(block_time, target),
            stop=self.stop,
            clock=self.clock,
        )

    def run(self, sealer: Sealer) -> None:
        """Have the sealer work in its thread until it ends."""
        sealer.start()
        sealer.join()

    def stop_at(self, head: int) -> None:
        """Have the stop come when somebody waits above block `head`."""

        def look() -> None:
            if self.chain.tip[0] >= head:
                self.stop.set()

        self.clock.at_wait = look

    def header(self, number: int) -> _core.Header:
        raw = self.chain.header(number)
        assert raw is not None
        return _core.decode_header(raw)

    @property
    def timestamps(self) -> list[int]:
        return [self.header(number).timestamp for number in range(1, self.chain.tip[0] + 1)]


def bench_of(chain: _core.Chain, validators: Sequence[_core.EcdsaKey]) -> Bench:
    engine = Ibft("ecdsa", tuple(Validator(key.address) for key in validators), epoch_size=100)
    text = genesis_text(
        NewChain(
            "sealing", CHAIN_ID, engine, GAS_LIMIT, {bytes.fromhex(SENDER.address[2:]): 10**18}, ("/ip4/127.0.0.1",)
        )
    )
    genesis = parse_genesis(text)
    chain_rules = rules_of(genesis)
    rules = core_rules(chain_rules)
    chain.start(rules, genesis_block(chain_rules, genesis))
    snapshots = Engine(chain_rules.schedule, start_state(chain.tip[1], initial_validators(genesis)))
    clock = Clock()
    stop = Stop(clock)
    imported: list[tuple[int, float]] = []

    def on_imported(found: Imported) -> None:
        imported.append((found.last, clock.now))

    appender = Appender(chain, rules, snapshots, stop=stop, source_name="own proposal", on_imported=on_imported)
    return Bench(chain, rules, snapshots, clock, stop, Offer(chain), imported, appender)


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[_core.Chain]:
    with _core.Chain.open(tmp_path) as opened:
        yield opened


@pytest.fixture
def bench(chain: _core.Chain) -> Bench:
    return bench_of(chain, [KEY])


def transaction(bench: Bench, nonce: int, *, gas: int = 21_000, value: int = 1) -> _core.Transaction:
    signed = SENDER.sign_transaction(
        {
            "nonce": nonce,
            "gasPrice": 1,
            "gas": gas,
            "value": value,
            "to": checksum_address(OTHER.address),
            "chainId": CHAIN_ID,
        }
    )
    return _core.decode_transaction(bench.rules, 1, bytes(signed.raw_transaction))


# ---- when and what ---------------------------------------------------------------------------------------------------


def test_blocks_come_at_their_timestamps_one_block_time_apart(bench: Bench) -> None:
    bench.stop_at(5)
    sealer = bench.sealer()
    bench.run(sealer)
    assert sealer.error is None
    assert bench.timestamps == [1_700_000_002 + 2 * number for number in range(5)]
    # None is published before its time, and none waits longer.
    assert bench.imported == [(number, float(bench.header(number).timestamp)) for number in range(1, 6)]


def test_a_block_carries_the_seals_of_its_only_validator(bench: Bench) -> None:
    bench.sealer().seal_next()
    raw = bench.chain.block(1)
    assert raw is not None
    extra = rlp.decode(rlp.decode(raw)[0][12][32:])
    block_hash = bench.chain.tip[1]
    assert extra[0] == [KEY.address]
    assert extra[1] == KEY.sign(_core.proposer_digest(block_hash))
    assert extra[2] == [KEY.sign(_core.committed_digest(block_hash))]
    assert bench.snapshots.last_block == 1


def test_a_late_block_takes_the_next_multiple_of_the_block_time(bench: Bench) -> None:
    sealer = bench.sealer(block_time=5)
    sealer.seal_next()
    bench.clock.now += 12.5
    sealer.seal_next()
    assert bench.timestamps == [1_700_000_005, 1_700_000_020]


def test_the_gas_limit_moves_towards_its_target_and_stays_there(bench: Bench) -> None:
    sealer = bench.sealer(target=GAS_LIMIT + 6000)
    for _ in range(3):
        sealer.seal_next()
    limits = [bench.header(number).gas_limit for number in range(4)]
    assert limits == [GAS_LIMIT, GAS_LIMIT + GAS_LIMIT // 1024, GAS_LIMIT + 6000, GAS_LIMIT + 6000]


def test_candidates_are_settled_after_the_block_that_has_them(bench: Bench) -> None:
    bench.offer.waiting = [transaction(bench, 0), transaction(bench, 1, gas=GAS_LIMIT + 1), transaction(bench, 3)]
    bench.sealer().seal_next()
    assert bench.offer.settled == [(1, ["included", "too large", "skipped"])]
    assert bench.header(1).gas_used == 21_000
    assert bench.chain.find_transaction(transaction(bench, 0).hash) == (1, 0)


def test_a_block_without_candidates_is_sealed_empty(bench: Bench) -> None:
    bench.sealer().seal_next()
    assert bench.offer.settled == [(1, [])]
    assert bench.header(1).gas_used == 0


# ---- the clock -------------------------------------------------------------------------------------------------------


def test_a_clock_set_forward_while_it_waits_ends_the_wait(bench: Bench) -> None:
    def jump() -> None:
        bench.clock.now += 3600
        bench.clock.at_wait = lambda: None

    bench.clock.at_wait = jump
    sealer = bench.sealer()
    sealer.seal_next()
    sealer.seal_next()
    first, second = bench.timestamps
    assert first == 1_700_000_002
    assert second == 1_700_003_602


def test_a_clock_set_back_is_waited_for_with_a_warning(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    sealer = bench.sealer()
    sealer.seal_next()

    def set_back() -> None:
        bench.clock.now -= 600
        bench.clock.at_wait = lambda: None

    bench.clock.at_wait = set_back
    with caplog.at_level(logging.WARNING, logger="polygon_edge"):
        sealer.seal_next()
    assert bench.timestamps == [1_700_000_002, 1_700_000_004]
    assert [record.getMessage() for record in caplog.records] == [
        "block 2 can be sealed in 600 s only: the head is ahead of the clock"
    ]
    assert bench.clock.now == 1_700_000_004
    assert max(bench.stop.waits) <= 1.0, "a clock that is set right must not be noticed late"


def test_a_head_of_the_far_future_is_waited_for_and_a_stop_ends_that(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.clock.now = START + 10**9
    bench.sealer().seal_next()
    bench.clock.now = START
    waits = itertools.count()

    def give_up() -> None:
        if next(waits) == 100:
            bench.stop.set()

    bench.clock.at_wait = give_up
    with caplog.at_level(logging.WARNING, logger="polygon_edge"):
        bench.run(sealer := bench.sealer())
    assert sealer.error is None
    assert bench.chain.tip[0] == 1
    assert len(caplog.records) == 1, "said once, not at every look at the clock"


def test_an_ordinary_wait_is_not_worth_a_warning(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.clock.now = START + 2 * (LONG_WAIT_BLOCK_TIMES - 2)
    bench.sealer().seal_next()
    bench.clock.now = START
    with caplog.at_level(logging.WARNING, logger="polygon_edge"):
        bench.sealer().seal_next()
    assert not caplog.records


# ---- the end ---------------------------------------------------------------------------------------------------------


def test_a_stop_before_the_first_block_seals_none(bench: Bench) -> None:
    bench.stop.set()
    sealer = bench.sealer()
    bench.run(sealer)
    assert (sealer.error, bench.chain.tip[0], bench.offer.settled) == (None, 0, [])


def test_a_stop_before_building_and_one_after_it_both_drop_the_block(bench: Bench) -> None:
    for moment in (0, 1):
        built: list[int] = []
        bench.offer.at_candidates = lambda built=built: built.append(1)  # type: ignore[misc]

        def look(moment: int = moment, built: list[int] = built) -> None:
            if len(built) == moment:
                bench.stop.set()

        bench.stop.clear()
        bench.clock.at_wait = look
        sealer = bench.sealer()
        bench.run(sealer)
        assert (sealer.error, len(built)) == (None, moment)
        assert (bench.chain.tip[0], bench.offer.settled, bench.imported) == (0, [], [])


def test_a_stop_that_comes_while_it_builds_drops_the_block(bench: Bench) -> None:
    bench.offer.at_candidates = bench.stop.set
    sealer = bench.sealer()
    bench.run(sealer)
    assert (sealer.error, bench.chain.tip[0]) == (None, 0)


def test_a_stop_between_the_last_wait_and_execution_drops_the_block(bench: Bench) -> None:
    class Late:
        def append(self, record: bytes) -> None:
            bench.stop.set()
            real.append(record)

    real, bench.appender = bench.appender, Late()
    with pytest.raises(StoppedBySignalError):
        bench.sealer().seal_next()
    bench.stop.clear()
    sealer = bench.sealer()
    bench.run(sealer)
    assert (sealer.error, bench.chain.tip[0], bench.snapshots.last_block) == (None, 0, 0)
    assert bench.offer.settled == [], "what was not sealed is offered again"


def test_join_returns_at_once_where_nothing_was_started(bench: Bench) -> None:
    sealer = bench.sealer()
    sealer.join()
    assert sealer.error is None


# ---- who seals -------------------------------------------------------------------------------------------------------


def test_a_key_that_is_no_validator_does_not_seal_and_says_so(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    sealer = bench.sealer(OTHER)
    with caplog.at_level(logging.INFO, logger="polygon_edge"):
        bench.run(sealer)
    assert (sealer.error, bench.chain.tip[0]) == (None, 0)
    assert f"not sealing: {checksum_address(OTHER.address)} is not the validator of block 1;" in caplog.text


def test_one_of_several_validators_does_not_seal_alone(chain: _core.Chain, caplog: pytest.LogCaptureFixture) -> None:
    bench = bench_of(chain, [KEY, OTHER])
    sealer = bench.sealer()
    with caplog.at_level(logging.INFO, logger="polygon_edge"):
        bench.run(sealer)
    assert (sealer.error, bench.chain.tip[0]) == (None, 0)
    assert "not sealing: block 1 needs the seals of 2 validators" in caplog.text


@pytest.mark.parametrize(
    ("candidate", "nonce", "said"),
    [(OTHER, ADD_NONCE, "needs the seals of 2 validators"), (KEY, REMOVE_NONCE, None)],
    ids=["a second one is voted in", "it votes itself out"],
)
def test_a_vote_that_changes_the_set_ends_sealing(
    bench: Bench, caplog: pytest.LogCaptureFixture, candidate: _core.EcdsaKey, nonce: bytes, said: str | None
) -> None:
    proposal = bench.chain.propose(
        coinbase=KEY.address,
        timestamp=int(START),
        gas_limit=GAS_LIMIT,
        validators=[KEY.address],
        candidates=[],
        miner=candidate.address,
        nonce=nonce,
    )
    seal, committed = (KEY.sign(digest(proposal.hash)) for digest in (_core.proposer_digest, _core.committed_digest))
    bench.appender.append(proposal.record(seal, [committed]))
    sealer = bench.sealer()
    with caplog.at_level(logging.INFO, logger="polygon_edge"):
        bench.run(sealer)
    assert bench.chain.tip[0] == 1
    assert sealer.error is None
    assert (said or "is not among the 0 validators") in caplog.text


# ---- what goes wrong -------------------------------------------------------------------------------------------------


class Failing:
    """Takes no block."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.calls = 0

    def append(self, _record: bytes) -> None:
        self.calls += 1
        raise self.error


@pytest.mark.parametrize("error", [DiskFullError("data"), ValueError("a bug")], ids=["a full disk", "a bug"])
def test_what_an_append_raises_ends_sealing_and_is_kept(bench: Bench, error: Exception) -> None:
    bench.appender = Failing(error)
    sealer = bench.sealer()
    bench.run(sealer)
    assert sealer.error is error
    assert bench.appender.calls == 1, "it is not tried again and again"
    assert bench.offer.settled == []


def test_a_block_that_our_own_rules_refuse_ends_sealing(bench: Bench) -> None:
    class Wrong:
        """Signs as if it had another key."""

        address = KEY.address

        def sign(self, digest: bytes) -> bytes:
            return OTHER.sign(digest)

    sealer = bench.sealer(cast("_core.EcdsaKey", Wrong()))
    bench.run(sealer)
    assert isinstance(sealer.error, BlockRuleError)
    assert "own proposal" in str(sealer.error)
    assert bench.chain.tip[0] == 0
    assert bench.snapshots.last_block == 0


def test_a_failure_of_who_is_told_reaches_the_node(bench: Bench) -> None:
    def fail(_imported: Imported) -> None:
        raise RuntimeError("told")

    bench.appender = Appender(
        bench.chain, bench.rules, bench.snapshots, stop=bench.stop, source_name="own proposal", on_imported=fail
    )
    sealer = bench.sealer()
    bench.run(sealer)
    assert isinstance(sealer.error, RuntimeError)
    assert bench.chain.head is not None
    assert bench.chain.head[0] == 1, "the block itself is durable"


def test_a_block_that_is_not_written_for_long_is_told(
    bench: Bench, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(append, "SLOW_SECONDS", 0.01)
    monkeypatch.setattr(logging.getLogger("polygon_edge"), "propagate", True)
    caplog.set_level(logging.WARNING, logger="polygon_edge")

    def until_it_is_told(_imported: Imported) -> None:
        deadline = time.monotonic() + 60
        while not caplog.records and time.monotonic() < deadline:
            time.sleep(0.005)

    bench.stop_at(1)
    bench.appender = Appender(
        bench.chain,
        bench.rules,
        bench.snapshots,
        stop=bench.stop,
        source_name="own proposal",
        on_imported=until_it_is_told,
    )
    bench.run(bench.sealer())
    assert [record.getMessage() for record in caplog.records] == [
        "own proposal: block 1 is not written yet after 0 s: the disk or the machine is slow"
    ]
