"""Blocks of the engine `dev`: the recorded ones built again to the byte, without seals, and what is refused."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import rlp
from eth_hash.auto import keccak
from tests.golden.recorded import Network

from polygon_edge import _core
from polygon_edge.archive.flat import FlatArchive
from polygon_edge.chain.genesis import parse_genesis
from polygon_edge.chain.genesis_block import core_rules, genesis_block
from polygon_edge.chain.genesis_file import NewChain, genesis_text
from polygon_edge.chain.rules import rules_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

NOBODY = bytes(20)
GAS_LIMIT = 5_242_880


@dataclass(frozen=True)
class Block:
    """A recorded block, decoded without the core."""

    raw: bytes
    header: list[bytes]
    transactions: list[bytes]

    @classmethod
    def decode(cls, raw: bytes) -> Block:
        header, transactions, _ = rlp.decode(raw)
        return cls(raw, header, [rlp.encode(transaction) for transaction in transactions])

    @property
    def number(self) -> int:
        return int.from_bytes(self.header[8], "big")

    @property
    def hash(self) -> bytes:
        return bytes(keccak(rlp.encode(self.header)))


def start(chain: _core.Chain, genesis_content: bytes) -> _core.Rules:
    genesis = parse_genesis(genesis_content)
    rules = rules_of(genesis)
    chain.start(core_rules(rules), genesis_block(rules, genesis))
    return core_rules(rules)


def append(chain: _core.Chain, rules: _core.Rules, record: bytes) -> None:
    run = _core.prepare(rules, [record])
    number = chain.tip[0]
    held, violation = run.verify(rules, 0, chain.tip, [(number, ())])
    assert (held, violation) == (1, None), violation and violation.what
    executed = chain.execute(run, 0, 1)
    assert executed.violation is None, executed.violation.what
    chain.commit(executed)


def propose(chain: _core.Chain, candidates: Sequence[_core.Transaction] = (), **other: Any) -> _core.Proposal:
    terms: dict[str, Any] = {"coinbase": NOBODY, "timestamp": 1, "gas_limit": GAS_LIMIT, "validators": ()}
    return chain.propose(candidates=list(candidates), **(terms | other))


@pytest.mark.shared
def test_every_block_of_a_go_dev_node_is_built_again_to_the_byte(shared: Path, tmp_path: Path) -> None:
    network = Network(shared / "golden/v0.6.3/dev")
    with FlatArchive.open(network.archive("full.dat", tmp_path)) as archive:
        blocks = [Block.decode(record.raw) for record in archive.records()]
    with _core.Chain.open(tmp_path / "chain") as chain:
        rules = start(chain, network.genesis.read_bytes())
        for parent, block in itertools.pairwise(blocks):
            candidates = [_core.decode_transaction(rules, block.number, raw) for raw in block.transactions]
            proposal = propose(
                chain,
                candidates,
                timestamp=int.from_bytes(block.header[11], "big"),
                gas_limit=int.from_bytes(block.header[9], "big"),
            )
            assert proposal.outcomes == ["included"] * len(candidates)
            assert (proposal.number, proposal.hash, proposal.parent_hash) == (block.number, block.hash, parent.hash)
            assert proposal.record() == block.raw, block.number
            append(chain, rules, proposal.record())
        assert "0x" + chain.tip[1].hex() == network.about["headHash"]
        assert sum(len(block.transactions) for block in blocks) == network.about["transactions"]


@pytest.fixture
def content() -> bytes:
    return genesis_text(NewChain("dev", 7, "dev", GAS_LIMIT, {}, ("/ip4/127.0.0.1",)))


def test_a_block_of_nobody_has_nothing_of_a_sealed_one(content: bytes, tmp_path: Path) -> None:
    with _core.Chain.open(tmp_path) as chain:
        rules = start(chain, content)
        proposal = propose(chain, timestamp=1_700_000_000)
        header = Block.decode(proposal.record()).header
        assert len(header) == 15
        miner, difficulty, extra_data, mix_hash, nonce = (header[index] for index in (2, 7, 12, 13, 14))
        assert (miner, difficulty, extra_data, mix_hash, nonce) == (b"", b"", b"", bytes(32), bytes(8))
        assert proposal.hash == keccak(rlp.encode(header))
        append(chain, rules, proposal.record())
        assert chain.tip[:2] == (1, proposal.hash)


@pytest.mark.parametrize(
    ("terms", "text"),
    [
        ({"coinbase": b"\1" * 20}, "^coinbase: expected the zero address where nobody seals, found 0x0101"),
        ({"validators": (b"\1" * 20,)}, "^validators: expected none where nobody seals, found 1$"),
        ({"miner": bytes(20)}, "^miner: expected no bytes where nobody seals, found 20$"),
    ],
)
def test_terms_that_name_who_seals_are_refused(
    terms: dict[str, Any], text: str, content: bytes, tmp_path: Path
) -> None:
    with _core.Chain.open(tmp_path) as chain:
        start(chain, content)
        with pytest.raises(ValueError, match=text):
            propose(chain, **terms)


def test_seals_are_refused(content: bytes, tmp_path: Path) -> None:
    with _core.Chain.open(tmp_path) as chain:
        start(chain, content)
        proposal = propose(chain)
        with pytest.raises(ValueError, match=r"^seals: expected none where nobody seals, found some$"):
            proposal.record(bytes(65))
        with pytest.raises(ValueError, match=r"^seals: expected none where nobody seals, found some$"):
            proposal.record(None, [bytes(65)])


def test_a_later_generation_writes_the_base_fee_and_burns_it(tmp_path: Path) -> None:
    burnt = "0x" + "b0" * 20
    later = (
        b'{"genesis":{"gasLimit":"0x500000"},"params":{"forks":{"london":{"block":0}},"chainID":7,"engine":{"dev":{}},'
        b'"burnContract":{"0":"%s"}}}' % burnt.encode()
    )
    with _core.Chain.open(tmp_path) as chain:
        rules = start(chain, later)
        proposal = propose(chain, base_fee=1_000_000_000)
        header = Block.decode(proposal.record()).header
        assert int.from_bytes(header[15], "big") == 1_000_000_000
        assert proposal.hash == keccak(rlp.encode(header))
        append(chain, rules, proposal.record())
        raw = chain.header(1)
        assert raw is not None
        assert _core.decode_header(raw).base_fee == 1_000_000_000
