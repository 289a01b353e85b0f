"""Importing prepared runs: what a failing commit does, where a stop ends, which rule of a block is named first."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any, cast

import pytest
import rlp
from tests.conftest import recorded_folder, sealed_header

from polygon_edge import _core
from polygon_edge.archive.flat import FlatArchive
from polygon_edge.chain.genesis import load_genesis
from polygon_edge.chain.genesis_block import core_rules, genesis_block
from polygon_edge.chain.rules import initial_validators, rules_of
from polygon_edge.consensus.engine import Engine
from polygon_edge.consensus.validators import start_state
from polygon_edge.errors import BlockRuleError, DiskFullError, Rule, StoppedBySignalError
from polygon_edge.execution.importer import Committer, Imported, Importer
from polygon_edge.execution.pipeline import Limits, PreparedRun

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.golden.recorded import Network


def executed(_number: int) -> tuple[_core.Executed, Imported]:
    """Something to commit, for a chain that does not look at it."""
    return cast("_core.Executed", object()), Imported(_number, _number, bytes(32), 0, 0)


class FakeChain:
    """A chain whose commits are counted, and fail from the `good`-th on."""

    def __init__(self, good: int) -> None:
        self.good = good
        self.commits = 0

    def commit(self, _executed: object) -> None:
        if self.commits >= self.good:
            raise DiskFullError("data", None, 0)
        self.commits += 1


def committer_of(chain: FakeChain, on_imported: Callable[[Imported], None]) -> Committer:
    return Committer(cast("Any", chain), on_imported)


def test_commits_are_reported_in_order_and_all_before_the_end() -> None:
    seen: list[int] = []
    committer = committer_of(FakeChain(10), lambda imported: seen.append(imported.first))
    for number in range(1, 6):
        committer.submit(*executed(number))
    committer.finish()
    assert seen == [1, 2, 3, 4, 5]
    committer.finish()


def test_what_a_commit_raises_reaches_whoever_waits_for_the_end() -> None:
    seen: list[int] = []
    committer = committer_of(FakeChain(1), lambda imported: seen.append(imported.first))
    committer.submit(*executed(1))
    with pytest.raises(DiskFullError):
        submit_all(committer, range(2, 50))
    with pytest.raises(DiskFullError):
        committer.finish()
    assert seen == [1]


def submit_all(committer: Committer, numbers: range) -> None:
    for number in numbers:
        committer.submit(*executed(number))


def test_nothing_is_committed_after_an_error() -> None:
    chain = FakeChain(0)
    committer = committer_of(chain, lambda _imported: None)
    committer.submit(*executed(1))
    with pytest.raises(DiskFullError):
        committer.finish()
    chain.good = 10
    assert chain.commits == 0


def test_what_a_report_raises_reaches_the_caller_as_well() -> None:
    def fail(_imported: Imported) -> None:
        raise BrokenPipeError

    committer = committer_of(FakeChain(10), fail)
    committer.submit(*executed(1))
    with pytest.raises(BrokenPipeError):
        committer.finish()


class Chain:
    """A chain in a fresh data directory, and an importer on top of it."""

    def __init__(self, path: Path, network: Network, gas: int = 1 << 40) -> None:
        genesis = load_genesis(network.genesis)
        rules = rules_of(genesis)
        block = genesis_block(rules, genesis)
        for folder in ("blockchain", "trie"):
            (path / folder).mkdir(parents=True)
        self.rules = core_rules(rules)
        self.core = _core.Chain.open(path)
        self.core.start(self.rules, block)
        self.stop = threading.Event()
        self.imported: list[tuple[int, int]] = []
        self.committer = Committer(self.core, self.on_imported)
        self.snapshots = Engine(rules.schedule, start_state(block.hash, initial_validators(genesis)))
        self.importer = Importer(
            self.core,
            self.rules,
            self.snapshots,
            self.committer,
            limits=Limits(gas=gas),
            stop=self.stop,
            source_name="a.dat",
        )

    def on_imported(self, imported: Imported) -> None:
        self.imported.append((imported.first, imported.last))

    def take(self, records: list[bytes]) -> None:
        run = _core.prepare(self.rules, records)
        self.importer.import_run(PreparedRun(run, tuple(range(1000, 1000 + len(records)))))


@pytest.fixture
def chain(poa: Network, tmp_path: Path) -> Iterator[Chain]:
    chain = Chain(tmp_path / "node", poa)
    yield chain
    chain.committer.finish()
    chain.core.close()


@pytest.fixture(scope="session")
def records() -> list[bytes]:
    """The blocks 1 to 24 of a recorded chain, at the index of their height; 0 is the genesis block."""
    with FlatArchive.open(recorded_folder("malformed") / "good.dat") as archive:
        return [record.raw for record in archive.records()]


def changed(record: bytes, *changes: Callable[[list[Any]], None]) -> bytes:
    """A block with some of its fields changed."""
    block = rlp.decode(record)
    for change in changes:
        change(block)
    return bytes(rlp.encode(block))


def header_field(index: int, value: bytes) -> Callable[[list[Any]], None]:
    def change(block: list[Any]) -> None:
        block[0][index] = value

    return change


def without_transactions(block: list[Any]) -> None:
    block[1] = block[1][:-1]


def extra(change_items: Callable[[list[Any]], None]) -> Callable[[list[Any]], None]:
    """A change of the list behind the vanity of the extra data: validators, proposer seal, committed, parent seals."""

    def change(block: list[Any]) -> None:
        items = rlp.decode(block[0][12][32:])
        change_items(items)
        block[0][12] = block[0][12][:32] + rlp.encode(items)

    return change


def other_validators(items: list[Any]) -> None:
    items[0][0] = bytes(20)


def other_parent_seal(items: list[Any]) -> None:
    items[3][0] = items[3][0][:-1] + bytes([items[3][0][-1] ^ 1])


def other_proposer_seal(items: list[Any]) -> None:
    items[1] = items[1][:32] + bytes(32) + items[1][64:]


def too_few_committed_seals(items: list[Any]) -> None:
    items[2] = items[2][:1]


def not_a_list(block: list[Any]) -> None:
    block[0][12] = block[0][12][:32] + b"\x80"


def without_uncles(block: list[Any]) -> None:
    del block[2]


# In the order of the checks; each change breaks its own rule and leaves the ones before it whole.
BREAKS: list[tuple[Rule, Callable[[list[Any]], None]]] = [
    (Rule.STRUCTURE, without_uncles),
    (Rule.NUMBER, header_field(8, b"\x09")),
    (Rule.PARENT_LINK, header_field(0, bytes(32))),
    (Rule.CONSTANTS_AND_VOTE, header_field(13, bytes(32))),
    (Rule.TRANSACTIONS_ROOT, without_transactions),
    (Rule.EXTRA_DATA, not_a_list),
    (Rule.VALIDATOR_LIST, extra(other_validators)),
    (Rule.PARENT_SEALS, extra(other_parent_seal)),
    (Rule.PROPOSER_SEAL, extra(other_proposer_seal)),
    (Rule.COMMITTED_SEALS, extra(too_few_committed_seals)),
]
BROKEN_HEIGHT = 7


@pytest.mark.parametrize(("rule", "change"), BREAKS, ids=[rule.value for rule, _ in BREAKS])
def test_a_broken_rule_is_named_with_its_block_and_place(
    rule: Rule, change: Callable[[list[Any]], None], chain: Chain, records: list[bytes]
) -> None:
    broken = changed(records[BROKEN_HEIGHT], change)
    with pytest.raises(BlockRuleError) as refused:
        chain.take([*records[1:BROKEN_HEIGHT], broken, *records[BROKEN_HEIGHT + 1 : 12]])
    assert refused.value.rule is rule
    assert refused.value.number == BROKEN_HEIGHT
    assert refused.value.offset == 1000 + BROKEN_HEIGHT - 1
    assert refused.value.file == "a.dat"
    chain.committer.finish()
    assert chain.imported == [(1, BROKEN_HEIGHT - 1)]
    assert chain.core.head == (BROKEN_HEIGHT - 1, sealed_header(records[BROKEN_HEIGHT - 1]).hash)


@pytest.mark.parametrize("first", range(len(BREAKS) - 1), ids=[rule.value for rule, _ in BREAKS[:-1]])
def test_of_two_broken_rules_the_first_in_the_order_is_named(first: int, chain: Chain, records: list[bytes]) -> None:
    rule, change = BREAKS[first]
    chain.take(records[1:BROKEN_HEIGHT])
    for later_rule, later_change in BREAKS[first + 1 :]:
        with pytest.raises(BlockRuleError) as refused:
            chain.take([changed(records[BROKEN_HEIGHT], later_change, change)])
        assert refused.value.rule is rule, later_rule
        assert rule.position < later_rule.position


def test_of_two_broken_blocks_the_first_is_named(chain: Chain, records: list[bytes]) -> None:
    last_rule, first_rule = BREAKS[-1][1], BREAKS[0][1]
    with pytest.raises(BlockRuleError) as refused:
        chain.take([*records[1:3], changed(records[3], last_rule), changed(records[4], first_rule)])
    assert (refused.value.rule, refused.value.number) == (Rule.COMMITTED_SEALS, 3)


def test_a_run_that_starts_too_high_is_refused_whole(chain: Chain, records: list[bytes]) -> None:
    with pytest.raises(BlockRuleError, match="expected 1, found 5") as refused:
        chain.take(records[5:8])
    assert (refused.value.rule, refused.value.number, refused.value.offset) == (Rule.NUMBER, 1, 1000)
    assert chain.core.tip[0] == 0


def test_bytes_that_are_no_block_are_named_with_the_height_that_was_due(chain: Chain, records: list[bytes]) -> None:
    with pytest.raises(BlockRuleError) as refused:
        chain.take([*records[1:4], rlp.encode([b"", b"", b""])])
    assert (refused.value.rule, refused.value.number, refused.value.hash) == (Rule.STRUCTURE, 4, None)
    assert chain.core.tip[0] == 3


@pytest.mark.parametrize("position", [1, 3, 5])
def test_a_block_that_repeats_the_one_before_it_is_skipped(
    position: int, chain: Chain, records: list[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    chain.take([*records[1 : position + 1], *records[position:6]])
    chain.committer.finish()
    assert chain.core.head == (5, sealed_header(records[5]).hash)
    assert caplog.messages == [f"a.dat: block {position} stands there twice, skipped"]


def test_a_block_that_repeats_the_head_is_skipped_in_the_next_run(chain: Chain, records: list[bytes]) -> None:
    chain.take(records[1:4])
    chain.take(records[3:6])
    assert chain.core.tip[0] == 5


def test_gas_bounds_what_is_committed_at_once(poa: Network, records: list[bytes], tmp_path: Path) -> None:
    chain = Chain(tmp_path / "node", poa, gas=1)
    chain.take(records[1:10])
    chain.committer.finish()
    chain.core.close()
    parts = [range(first, last + 1) for first, last in chain.imported]
    assert [number for part in parts for number in part] == list(range(1, 10))
    gas = [int.from_bytes(rlp.decode(record)[0][10], "big") for record in records]
    # Blocks without gas go along; two with gas never share a part.
    assert sum(map(bool, gas[1:10])) > 1
    assert all(sum(bool(gas[number]) for number in part) <= 1 for part in parts)


def test_a_stop_ends_at_a_block_boundary_and_the_rest_follows_later(
    poa: Network, records: list[bytes], tmp_path: Path
) -> None:
    chain = Chain(tmp_path / "node", poa, gas=1)

    class Stopping:
        """The chain, asked to stop while the third part executes."""

        def __init__(self) -> None:
            self.calls = 0

        def __getattr__(self, name: str) -> object:
            return getattr(chain.core, name)

        def execute(self, run: _core.Run, start: int, stop: int) -> _core.Executed:
            self.calls += 1
            if self.calls == 3:
                chain.stop.set()
            return chain.core.execute(run, start, stop)

    chain.importer._chain = cast("_core.Chain", Stopping())
    with pytest.raises(StoppedBySignalError) as stopped:
        chain.take(records[1:])
    chain.committer.finish()
    height = stopped.value.height
    assert height is not None
    assert 0 < height < 24
    assert len(chain.imported) == 3
    assert chain.core.head == (height, sealed_header(records[height]).hash)
    chain.stop.clear()
    rest = Committer(chain.core, chain.on_imported)
    chain.importer._committer = rest
    chain.take(records[height + 1 :])
    rest.finish()
    assert chain.core.head == (24, sealed_header(records[24]).hash)
    assert [first for first, _last in chain.imported[1:]] == [last + 1 for _first, last in chain.imported[:-1]]
    chain.core.close()


def test_a_failing_commit_ends_the_import(poa: Network, records: list[bytes], tmp_path: Path) -> None:
    chain = Chain(tmp_path / "node", poa, gas=1)
    chain.committer.finish()
    failing = committer_of(FakeChain(2), chain.on_imported)
    chain.importer._committer = failing
    # The error comes with a later part or with the end, never not at all.
    with contextlib.suppress(DiskFullError):
        chain.take(records[1:])
    with pytest.raises(DiskFullError):
        failing.finish()
    assert len(chain.imported) == 2
    assert chain.core.head is not None
    assert chain.core.head[0] == 0
    chain.core.close()
