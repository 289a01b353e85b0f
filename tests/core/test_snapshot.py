"""What is read from a chain beside its owner: snapshots, look-ups by hash, and an end that waits for who is reading."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from polygon_edge import _core
from polygon_edge.archive.flat import FlatArchive
from polygon_edge.chain.genesis import load_genesis
from polygon_edge.chain.genesis_block import core_rules, genesis_block
from polygon_edge.chain.rules import rules_of
from polygon_edge.errors import DataDirectoryError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.golden.recorded import Network

LIMIT = 512 << 10


@pytest.fixture
def chain(poa: Network, tmp_path: Path) -> Iterator[_core.Chain]:
    """The chain of a Go node at height 150."""
    with _core.Chain.open(poa.data_directory("data-dir", tmp_path), create=False) as chain:
        yield chain


@pytest.fixture(scope="module")
def records(poa: Network) -> list[bytes]:
    """What the Go node exported, block after block."""
    with FlatArchive.open(poa.folder / "full.dat") as archive:
        return [record.raw for record in archive.records()]


def chunks(snapshot: _core.Snapshot, first: int, last: int, limit: int = LIMIT) -> list[tuple[int, bytes]]:
    found = []
    while first <= last and (chunk := snapshot.chunk(first, last, limit)) is not None:
        found.append(chunk)
        first = chunk[0] + 1
    return found


def chunks_by_rule(records: list[bytes], first: int, last: int, limit: int) -> list[tuple[int, bytes]]:
    """The rule of §1.2 on what the Go node exported."""
    found: list[tuple[int, bytes]] = []
    buffered = b""
    for number in range(first, last + 1):
        if buffered and 24 + len(buffered) + len(records[number]) >= limit:
            found.append((number - 1, buffered))
            buffered = b""
        buffered += records[number]
    return [*found, (last, buffered)]


@pytest.mark.parametrize("limit", [0, 2000, 5000, 20_000, 100_000, LIMIT])
@pytest.mark.parametrize(("first", "last"), [(0, 150), (1, 1), (37, 120), (150, 150)])
def test_chunks_hold_what_the_go_node_exported_and_end_by_its_rule(
    chain: _core.Chain, records: list[bytes], first: int, last: int, limit: int
) -> None:
    with chain.snapshot() as snapshot:
        assert chunks(snapshot, first, last, limit) == chunks_by_rule(records, first, last, limit)


def test_a_snapshot_knows_its_blocks_and_no_others(chain: _core.Chain, records: list[bytes]) -> None:
    with chain.snapshot() as snapshot:
        assert snapshot.head == chain.head
        assert [snapshot.block(number) for number in range(151)] == records
        assert all(snapshot.canonical_hash(number) == chain.canonical_hash(number) for number in range(152))
        assert snapshot.block(151) is None
        assert snapshot.chunk(151, 200) is None
        assert snapshot.chunk(5, 4) is None
        assert snapshot.chunk(140, 2**64 - 1) == (150, b"".join(records[140:]))


def test_empty_databases_have_no_snapshot(tmp_path: Path) -> None:
    with (
        _core.Chain.open(tmp_path / "new") as chain,
        pytest.raises(DataDirectoryError, match="the database has no head"),
    ):
        chain.snapshot()


@pytest.mark.shared
def test_a_block_above_the_limit_travels_alone(shared: Path, tmp_path: Path) -> None:
    from tests.golden.recorded import Network  # noqa: PLC0415 - only where the recordings are

    single = Network(shared / "golden/v0.6.3/single")
    with _core.Chain.open(single.data_directory("data-dir", tmp_path), create=False) as chain:
        with chain.snapshot() as snapshot:
            found = chunks(snapshot, 0, 118)
        blocks = [chain.block(number) or b"" for number in range(119)]
    assert found == chunks_by_rule(blocks, 0, 118, LIMIT)
    assert max(len(chunk) for _, chunk in found) == len(blocks[95]) > 5_900_000


def commit(chain: _core.Chain, rules: _core.Rules, records: list[bytes]) -> None:
    """Execute and commit `records`, unverified: other tests hold them to the rules."""
    run = _core.prepare(rules, records)
    chain.commit(chain.execute(run, 0, len(run)))


def test_a_snapshot_does_not_see_what_is_committed_later(poa: Network, tmp_path: Path, records: list[bytes]) -> None:
    genesis = load_genesis(poa.genesis)
    rules = rules_of(genesis)
    with _core.Chain.open(poa.data_directory("data-dir-50", tmp_path), create=False) as chain:
        chain.start(core_rules(rules), genesis_block(rules, genesis))
        with chain.snapshot() as before:
            commit(chain, core_rules(rules), records[51:101])
            assert before.head == (50, chain.canonical_hash(50))
            assert chunks(before, 0, 200) == [(50, b"".join(records[:51]))]
            assert before.block(51) is None
            with chain.snapshot() as after:
                assert chunks(after, 0, 200) == [(100, b"".join(records[:101]))]


def test_an_ended_snapshot_says_so(chain: _core.Chain) -> None:
    snapshot = chain.snapshot()
    head = snapshot.head
    snapshot.close()
    snapshot.close()
    for read in (lambda: snapshot.chunk(0, 1), lambda: snapshot.block(0), lambda: snapshot.canonical_hash(0)):
        with pytest.raises(DataDirectoryError, match="the snapshot is closed"):
            read()
    assert snapshot.head == head


def test_a_chain_that_closes_ends_its_snapshots(poa: Network, tmp_path: Path) -> None:
    data = poa.data_directory("data-dir", tmp_path)
    chain = _core.Chain.open(data, create=False)
    snapshots = [chain.snapshot() for _ in range(3)]
    snapshots[0].close()
    del snapshots[1]
    chain.close()
    with pytest.raises(DataDirectoryError, match="the snapshot is closed"):
        snapshots[-1].chunk(0, 150)
    with pytest.raises(DataDirectoryError, match="the data directory is closed"):
        chain.snapshot()
    _core.Chain.open(data, create=False).close()


def test_closing_succeeds_while_other_threads_read(poa: Network, tmp_path: Path) -> None:
    data = poa.data_directory("data-dir", tmp_path)
    for _round in range(5):
        chain = _core.Chain.open(data, create=False)
        root = chain.state_root_at(150)
        assert root is not None
        ends: list[str] = []
        reading = threading.Barrier(7, timeout=10)

        def read(chain: _core.Chain, root: bytes, ends: list[str], reading: threading.Barrier, kind: int) -> None:
            snapshot = chain.snapshot()
            reading.wait()
            try:
                while True:
                    match kind % 3:
                        case 0:
                            snapshot.chunk(0, 150)
                        case 1:
                            chain.count_accounts(root)
                        case _:
                            chain.block(kind)
                            chain.snapshot()
            except DataDirectoryError as error:
                ends.append(str(error))

        arguments = (chain, root, ends, reading)
        threads = [threading.Thread(target=read, args=(*arguments, kind)) for kind in range(6)]
        for thread in threads:
            thread.start()
        reading.wait()
        time.sleep(0.02)
        chain.close()
        _core.Chain.open(data, create=False).close()
        for thread in threads:
            thread.join(10)
        assert len(ends) == 6
        assert all("closed" in end for end in ends), ends


def test_blocks_and_transactions_are_found_by_hash(chain: _core.Chain, records: list[bytes]) -> None:
    found = 0
    for number, record in enumerate(records):
        block_hash = chain.canonical_hash(number)
        assert block_hash is not None
        assert chain.number_of(block_hash) == number
        assert chain.block_size(number) == len(record)
        for index, transaction in enumerate(_core.decode_body(chain.body(number) or b"\xc2\xc0\xc0")):
            assert chain.find_transaction(transaction.hash) == (number, index)
            found += 1
    assert found == 236
    assert chain.number_of(bytes(32)) is None
    assert chain.find_transaction(bytes(32)) is None
    assert chain.block_size(151) is None
    for look_up in (chain.number_of, chain.find_transaction):
        with pytest.raises(ValueError, match="expected 32 bytes, found 3"):
            look_up(b"abc")
