"""Preparing ahead: bounded, in order, and ended by whoever reads."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest
import rlp
from tests.conftest import recorded_folder, sealed_header

from polygon_edge import _core
from polygon_edge.archive.flat import FlatArchive
from polygon_edge.chain.genesis import load_genesis
from polygon_edge.chain.genesis_block import core_rules
from polygon_edge.chain.rules import rules_of
from polygon_edge.errors import ArchiveReadError
from polygon_edge.execution.pipeline import Ahead, prepared_runs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.golden.recorded import Network

PATIENCE_SECONDS = 30.0


def test_items_come_in_order() -> None:
    with Ahead(range(100), depth=2, name="numbers") as numbers:
        assert list(numbers) == list(range(100))


def test_an_empty_source_ends_at_once() -> None:
    with Ahead(range(0), depth=2, name="nothing") as nothing:
        assert list(nothing) == []


def test_an_error_comes_after_the_items_before_it() -> None:
    def failing() -> Iterator[int]:
        yield 1
        yield 2
        raise ArchiveReadError("a.dat", 7, OSError(5, "Input/output error"))

    with Ahead(failing(), depth=1, name="failing") as items:
        assert (next(items), next(items)) == (1, 2)
        with pytest.raises(ArchiveReadError, match="byte 7"):
            next(items)


def test_the_source_is_read_no_further_ahead_than_asked_for() -> None:
    taken = []

    def counting() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    with Ahead(counting(), depth=3, name="counting") as numbers:
        assert next(numbers) == 0
        time.sleep(0.05)
        # Three wait, and one is in the producer's hands.
        assert len(taken) <= 1 + 3 + 1


@pytest.mark.parametrize("depth", [1, 2])
def test_leaving_ends_the_thread_although_it_waits_for_room(depth: int) -> None:
    def endless() -> Iterator[int]:
        while True:
            yield 0

    before = threading.active_count()
    with Ahead(endless(), depth=depth, name="endless") as numbers:
        assert next(numbers) == 0
    assert threading.active_count() == before


def test_leaving_waits_for_a_slow_source() -> None:
    released = threading.Event()

    def slow() -> Iterator[int]:
        yield 0
        assert released.wait(PATIENCE_SECONDS)

    timer = threading.Timer(0.1, released.set)
    timer.start()
    with Ahead(slow(), depth=1, name="slow") as numbers:
        assert next(numbers) == 0
    assert released.is_set()
    timer.join()


def test_an_error_of_the_reader_is_not_covered_up() -> None:
    with pytest.raises(ZeroDivisionError), Ahead(range(10), depth=1, name="numbers") as numbers:
        assert 1 / next(numbers)


def test_each_run_knows_its_offsets_and_the_seals_before_it(poa: Network) -> None:
    rules = core_rules(rules_of(load_genesis(poa.genesis)))
    with FlatArchive.open(recorded_folder("malformed") / "good.dat") as archive:
        records = list(archive.records())
    parts = [records[:10], records[10:20], records[20:]]
    runs = list(prepared_runs(rules, parts))
    assert [len(prepared.run) for prepared in runs] == [10, 10, 5]
    assert [list(prepared.offsets) for prepared in runs] == [[record.offset for record in part] for part in parts]
    for prepared, part in zip(runs, parts, strict=True):
        for index, record in enumerate(part):
            header = sealed_header(record.raw)
            assert prepared.run.identity(index) == (header.number, header.hash)
    validators = list(sealed_header(records[20].raw).validators)
    parent = sealed_header(records[19].raw)
    # The parent's seals of block 20 were recovered with the run before: with it and without it the answer is the same.
    alone = _core.prepare(rules, [record.raw for record in records[20:]])
    gas_limit = gas_limit_of(records[19].raw)
    for run in (runs[2].run, alone):
        assert run.verify(rules, 0, (19, parent.hash, gas_limit), [(19, validators)]) == (5, None)


def gas_limit_of(raw: bytes) -> int:
    return int.from_bytes(rlp.decode(raw)[0][9], "big")


def test_a_source_that_never_answers_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("polygon_edge.execution.pipeline.PATIENCE_SECONDS", 0.1)
    answer = threading.Event()

    def silent() -> Iterator[int]:
        yield 1
        answer.wait()

    with pytest.raises(ZeroDivisionError), Ahead(silent(), depth=1, name="silent") as numbers:
        raise ZeroDivisionError(next(numbers))
    answer.set()
