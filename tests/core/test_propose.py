"""Blocks of our own: the recorded ones built again to the byte, and what refused candidates leave behind."""

from __future__ import annotations

import itertools
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import rlp
from eth_hash.auto import keccak
from tests.conftest import sealed_header
from tests.golden.recorded import Network

from polygon_edge import _core
from polygon_edge.archive.flat import FlatArchive
from polygon_edge.chain.genesis import load_genesis
from polygon_edge.chain.genesis_block import core_rules, genesis_block
from polygon_edge.chain.rules import rules_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path


@dataclass(frozen=True)
class Block:
    """A recorded block, decoded without the core."""

    raw: bytes
    number: int
    hash: bytes
    coinbase: bytes
    validators: tuple[bytes, ...]
    gas_limit: int
    timestamp: int
    miner: bytes
    nonce: bytes
    transactions: list[bytes]
    proposer_seal: bytes
    committed_seals: list[bytes]
    parent_seals: list[bytes]

    @classmethod
    def decode(cls, raw: bytes) -> Block:
        sealed = sealed_header(raw)
        header, transactions, _ = rlp.decode(raw)
        extra = rlp.decode(header[12][32:])
        return cls(
            raw=raw,
            number=sealed.number,
            hash=sealed.hash,
            coinbase=sealed.proposer,
            validators=sealed.validators,
            gas_limit=int.from_bytes(header[9], "big"),
            timestamp=int.from_bytes(header[11], "big"),
            miner=header[2],
            nonce=header[14],
            transactions=[rlp.encode(transaction) for transaction in transactions],
            proposer_seal=extra[1],
            committed_seals=extra[2],
            parent_seals=extra[3] if len(extra) > 3 else [],
        )

    def with_committed_seals(self, seals: Sequence[bytes]) -> Block:
        """The same block with other committed seals, as another node may hold it (§3.6)."""
        header, transactions, uncles = rlp.decode(self.raw)
        extra = rlp.decode(header[12][32:])
        extra[2] = list(seals)
        header[12] = header[12][:32] + rlp.encode(extra)
        return Block.decode(rlp.encode([header, transactions, uncles]))


def blocks_of(network: Network, scratch: Path) -> list[Block]:
    """The recorded blocks as one proposer after the other had them.

    Each node keeps the committed seals that it collected, and repeats its own in the next block; so each block gets
    the seals that the next one names.
    """
    with FlatArchive.open(network.archive("full.dat", scratch)) as archive:
        blocks = [Block.decode(record.raw) for record in archive.records()]
    followed = itertools.pairwise(blocks[1:])
    return [blocks[0], *(block.with_committed_seals(after.parent_seals) for block, after in followed), blocks[-1]]


class Ledger:
    """A chain in a folder of its own that grows block by block."""

    def __init__(self, chain: _core.Chain, rules: _core.Rules) -> None:
        self.chain = chain
        self.rules = rules

    @classmethod
    def start(cls, network: Network, folder: Path) -> Ledger:
        genesis = load_genesis(network.genesis)
        chain_rules = rules_of(genesis)
        rules = core_rules(chain_rules)
        chain = _core.Chain.open(folder)
        chain.start(rules, genesis_block(chain_rules, genesis))
        return cls(chain, rules)

    def append(self, record: bytes, validators: Sequence[bytes], parent_validators: Sequence[bytes]) -> None:
        """Take a sealed block the ordinary way: prepare, verify, execute, commit."""
        run = _core.prepare(self.rules, [record])
        number = self.chain.tip[0]
        held, violation = run.verify(
            self.rules, 0, self.chain.tip, [(number, parent_validators), (number + 1, validators)]
        )
        assert (held, violation) == (1, None), violation and (violation.rule, violation.what, violation.found)
        executed = self.chain.execute(run, 0, 1)
        assert executed.violation is None, (executed.violation.what, executed.violation.expected)
        self.chain.commit(executed)

    def candidates(self, number: int, transactions: Sequence[bytes]) -> list[_core.Transaction]:
        return [_core.decode_transaction(self.rules, number, raw) for raw in transactions]

    def propose(self, block: Block, candidates: Sequence[_core.Transaction], **other: Any) -> _core.Proposal:
        """Propose on the terms of a recorded block, or on `other` ones."""
        terms: dict[str, Any] = {
            "coinbase": block.coinbase,
            "timestamp": block.timestamp,
            "gas_limit": block.gas_limit,
            "validators": block.validators,
            "miner": block.miner,
            "nonce": block.nonce,
        }
        return self.chain.propose(candidates=candidates, **(terms | other))


def build_every_block_again(network: Network, scratch: Path) -> int:
    """Assert that each block comes out as recorded when its terms and transactions are given; returns how many."""
    blocks = blocks_of(network, scratch)
    ledger = Ledger.start(network, scratch / "chain")
    with ledger.chain:
        for parent, block in itertools.pairwise(blocks):
            candidates = ledger.candidates(block.number, block.transactions)
            proposal = ledger.propose(block, candidates)
            assert proposal.outcomes == ["included"] * len(candidates), block.number
            assert (proposal.number, proposal.hash) == (block.number, block.hash)
            assert (proposal.parent_hash, proposal.timestamp) == (parent.hash, block.timestamp)
            assert proposal.transactions == len(candidates)
            assert ledger.chain.head == (parent.number, parent.hash), "a proposal writes nothing"
            record = proposal.record(block.proposer_seal, block.committed_seals)
            assert record == block.raw, block.number
            ledger.append(record, block.validators, parent.validators)
    return len(blocks) - 1


def test_every_block_of_four_go_validators_is_built_again_to_the_byte(poa: Network, tmp_path: Path) -> None:
    assert build_every_block_again(poa, tmp_path) == 150


@pytest.mark.shared
def test_every_block_of_a_lone_go_validator_is_built_again_to_the_byte(shared: Path, tmp_path: Path) -> None:
    assert build_every_block_again(Network(shared / "golden/v0.6.3/single"), tmp_path) == 94


def grow(network: Network, folder: Path) -> tuple[Ledger, list[Block]]:
    """The chain up to the first two blocks in a row with transactions, without the second, and the recorded blocks."""
    blocks = blocks_of(network, folder)
    ledger = Ledger.start(network, folder / "chain")
    for parent, block in itertools.pairwise(blocks):
        ledger.append(block.raw, block.validators, parent.validators)
        if block.transactions and blocks[block.number + 1].transactions:
            break
    return ledger, blocks


@pytest.fixture(scope="module")
def grown(poa: Network, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Ledger, list[Block]]]:
    """One such chain for all tests that leave it as it is."""
    ledger, blocks = grow(poa, tmp_path_factory.mktemp("grown"))
    with ledger.chain:
        yield ledger, blocks


def test_refused_candidates_leave_the_block_as_it_is(grown: tuple[Ledger, list[Block]]) -> None:
    ledger, blocks = grown
    head, block = blocks[ledger.chain.tip[0]], blocks[ledger.chain.tip[0] + 1]
    old = ledger.candidates(block.number, head.transactions)
    new = ledger.candidates(block.number, block.transactions)
    # Signed for another chain, so nobody's.
    foreign = [_core.decode_transaction(core_rules_of_chain(1), block.number, raw) for raw in head.transactions]
    assert {transaction.sender for transaction in foreign} == {None}
    proposal = ledger.propose(block, [*old, *new[:1], *foreign, *new[1:], *old])
    assert proposal.outcomes == [
        *["nonce too low"] * len(old),
        "included",
        *["failed: invalid sender"] * len(foreign),
        *["included"] * (len(new) - 1),
        *["nonce too low"] * len(old),
    ]
    assert proposal.hash == block.hash


def core_rules_of_chain(chain_id: int) -> _core.Rules:
    return _core.Rules("G1", chain_id, {"homestead": 0, "EIP155": 0}, 0)


def test_a_proposal_stands_on_what_is_committed_whatever_is_executed(poa: Network, tmp_path: Path) -> None:
    ledger, blocks = grow(poa, tmp_path)
    number = ledger.chain.tip[0] + 1
    block = blocks[number]
    with ledger.chain as chain:
        executed = chain.execute(_core.prepare(ledger.rules, [block.raw]), 0, 1)
        assert (chain.tip[0], executed.violation) == (number, None)
        again = ledger.propose(block, ledger.candidates(number, block.transactions))
        assert (again.number, again.hash) == (number, block.hash)
        chain.commit(executed)
        assert ledger.propose(blocks[number + 1], []).number == number + 1


def test_no_time_gives_an_empty_block(grown: tuple[Ledger, list[Block]]) -> None:
    ledger, blocks = grown
    block = blocks[ledger.chain.tip[0] + 1]
    candidates = ledger.candidates(block.number, block.transactions)
    proposal = ledger.propose(block, candidates, seconds=0.0)
    assert proposal.outcomes == ["skipped"] * len(candidates)
    assert (proposal.transactions, proposal.gas_used) == (0, 0)
    # A lone block without a transaction is a block all the same.
    record = proposal.record(b"\1" * 65, [b"\2" * 65])
    decoded = rlp.decode(record)
    assert decoded[1:] == [[], []]
    empty_root = keccak(b"\x80")
    assert decoded[0][4] == decoded[0][5] == empty_root
    assert decoded[0][3] == ledger.chain.state_root


@pytest.mark.parametrize("length", [0, 64, 66])
def test_a_seal_of_another_length_is_refused(grown: tuple[Ledger, list[Block]], length: int) -> None:
    ledger, blocks = grown
    proposal = ledger.propose(blocks[ledger.chain.tip[0] + 1], [])
    good, bad = bytes(65), bytes(length)
    with pytest.raises(ValueError, match=f"^proposer seal: expected 65 bytes, found {length}$"):
        proposal.record(bad, [good])
    with pytest.raises(ValueError, match=f"^committed seal 1: expected 65 bytes, found {length}$"):
        proposal.record(good, [good, bad])


@pytest.mark.parametrize(
    ("terms", "text"),
    [
        ({"coinbase": bytes(19)}, "^address: expected 20 bytes, found 19$"),
        ({"validators": [bytes(20), bytes(21)]}, "^validator: expected 20 or 68 bytes, found 21$"),
        ({"miner": bytes(72)}, "^miner: expected 20 bytes, found 72$"),
        ({"nonce": bytes(7)}, "^nonce: expected 8 bytes, found 7$"),
        ({"seconds": -1.0}, "^seconds: expected a number of seconds, found -1$"),
        ({"seconds": float("nan")}, "^seconds: expected a number of seconds, found NaN$"),
    ],
)
def test_terms_that_no_block_can_have_are_refused(
    grown: tuple[Ledger, list[Block]], terms: dict[str, Any], text: str
) -> None:
    ledger, blocks = grown
    with pytest.raises(ValueError, match=text):
        ledger.propose(blocks[ledger.chain.tip[0] + 1], [], **terms)


class Worker(threading.Thread):
    """Repeats `step` until it is told to stop; keeps what that raises."""

    def __init__(self, step: Callable[[], None], done: threading.Event) -> None:
        super().__init__()
        self.step = step
        self.done = done
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            while not self.done.is_set():
                self.step()
        except BaseException as error:  # noqa: BLE001 - the test's own thread reports it
            self.failure = error


def test_proposals_and_calls_run_while_blocks_are_committed(poa: Network, tmp_path: Path) -> None:
    """One thread grows the chain, another proposes on whatever its head is, two call."""
    blocks = blocks_of(poa, tmp_path)[:60]
    ledger = Ledger.start(poa, tmp_path / "chain")
    proposed: set[int] = set()

    def head() -> int:
        found = ledger.chain.head
        assert found is not None
        return found[0]

    def propose() -> None:
        block = blocks[min(head() + 1, 59)]
        proposal = ledger.propose(block, ledger.candidates(block.number, block.transactions))
        # The head may have moved on since it was asked for.
        if proposal.number == block.number:
            assert proposal.hash == block.hash
            proposed.add(block.number)

    def call() -> None:
        number, code = head(), bytes.fromhex("4360005260206000f3")
        outcome = ledger.chain.call(number, sender=bytes(20), to=None, value=0, input=code, gas=100_000, gas_price=0)
        assert int.from_bytes(outcome.output, "big") == number

    done = threading.Event()
    workers = [Worker(step, done) for step in (propose, call, call)]
    with ledger.chain:
        for worker in workers:
            worker.start()
        try:
            for parent, block in itertools.pairwise(blocks):
                ledger.append(block.raw, block.validators, parent.validators)
        finally:
            done.set()
            for worker in workers:
                worker.join()
    assert [worker.failure for worker in workers] == [None] * 3
    assert proposed
