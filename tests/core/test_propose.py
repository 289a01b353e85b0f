"""Blocks of our own: the recorded ones built again to the byte, and what refused candidates leave behind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import rlp
from tests.conftest import sealed_header
from tests.golden.recorded import Network

from polygon_edge import _core
from polygon_edge.archive.flat import FlatArchive
from polygon_edge.chain.genesis import load_genesis
from polygon_edge.chain.genesis_block import core_rules, genesis_block
from polygon_edge.chain.rules import rules_of

if TYPE_CHECKING:
    from collections.abc import Sequence
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
    followed = zip(blocks[1:], blocks[2:], strict=False)
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

    def propose(self, block: Block, candidates: Sequence[_core.Transaction]) -> _core.Proposal:
        """Propose on the terms of a recorded block."""
        return self.chain.propose(
            coinbase=block.coinbase,
            timestamp=block.timestamp,
            gas_limit=block.gas_limit,
            validators=block.validators,
            candidates=candidates,
            miner=block.miner,
            nonce=block.nonce,
        )


def build_every_block_again(network: Network, scratch: Path) -> int:
    """Assert that each block comes out as recorded when its terms and transactions are given; returns how many."""
    blocks = blocks_of(network, scratch)
    ledger = Ledger.start(network, scratch / "chain")
    with ledger.chain:
        for parent, block in zip(blocks, blocks[1:], strict=False):
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
