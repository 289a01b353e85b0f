"""The last rule: blocks of a chain of one validator, sealed here, whose execution does not give what their header says.

Recorded chains cannot show it: a header with another root has another hash, and nobody has the keys to seal it.
"""

from __future__ import annotations

import io
import json
import threading
from typing import TYPE_CHECKING, Any

import pytest
import rlp
from eth_hash.auto import keccak
from eth_keys.datatypes import PrivateKey
from tests.conftest import sealed_header
from trie import HexaryTrie

from polygon_edge import _core
from polygon_edge.archive.flat import FlatArchive, Metadata, encode_metadata
from polygon_edge.chain.genesis import load_genesis
from polygon_edge.chain.genesis_block import core_rules, genesis_block
from polygon_edge.chain.rules import rules_of
from polygon_edge.consensus.snapshot_files import load_state
from polygon_edge.errors import BlockRuleError, Rule
from polygon_edge.restore import Restore, RestoreReport
from polygon_edge.store.data_dir import RESTORE_FOLDERS, DataDirectory

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

KEY = PrivateKey(keccak(b"validator"))
SECOND_KEY = PrivateKey(keccak(b"second validator"))
SENDER = PrivateKey(keccak(b"sender"))
CHAIN_ID = 100
GAS_LIMIT = 10_000_000
VANITY = bytes(32)
EMPTY_ROOT = keccak(rlp.encode(b""))
EMPTY_UNCLES = keccak(rlp.encode([]))
MIX_HASH = bytes.fromhex("63746963616c2062797a616e74696e65206661756c7420746f6c6572616e6365")

FORKS = ("homestead", "EIP150", "EIP155", "EIP158", "byzantium", "constantinople", "petersburg", "istanbul")


def addresses(keys: Sequence[PrivateKey]) -> list[bytes]:
    return [key.public_key.to_canonical_address() for key in keys]


def genesis_of(keys: Sequence[PrivateKey], epoch_size: int) -> dict[str, Any]:
    """A genesis file with these validators and one rich account."""
    return {
        "name": "one validator",
        "genesis": {
            "nonce": "0x0000000000000000",
            "timestamp": "0x5f5e1000",
            "extraData": "0x" + (VANITY + rlp.encode([addresses(keys), b"", []])).hex(),
            "gasLimit": hex(GAS_LIMIT),
            "difficulty": "0x1",
            "alloc": {"0x" + SENDER.public_key.to_canonical_address().hex(): {"balance": hex(10**24)}},
        },
        "params": {
            "forks": dict.fromkeys(FORKS, 0),
            "chainID": CHAIN_ID,
            "engine": {"ibft": {"epochSize": epoch_size, "type": "PoA", "validator_type": "ecdsa"}},
        },
    }


def big_endian(value: int) -> bytes:
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def transaction(nonce: int, gas: int = 21_000) -> list[bytes]:
    """A signed transfer of one wei to address 0x..01 at gas price 0 (§2.4, §2.5)."""
    fields = [big_endian(nonce), b"", big_endian(gas), bytes(19) + b"\1", b"\1", b""]
    signature = SENDER.sign_msg_hash(keccak(rlp.encode([*fields, big_endian(CHAIN_ID), b"", b""])))
    v = big_endian(35 + 2 * CHAIN_ID + signature.v)
    return [*fields, v, big_endian(signature.r), big_endian(signature.s)]


def transactions_root(transactions: list[list[bytes]]) -> bytes:
    trie = HexaryTrie(db={})
    for index, payload in enumerate(transactions):
        trie[rlp.encode(big_endian(index))] = rlp.encode(payload)
    return bytes(trie.root_hash)


def sealed_block(
    parent: _core.HeaderSummary | None,
    parent_hash: bytes,
    changes: dict[str, bytes],
    transactions: list[list[bytes]] | None = None,
    *,
    keys: Sequence[PrivateKey] = (KEY,),
    nonce: bytes = bytes(8),
) -> bytes:
    """A block on top of `parent` (none: of the genesis block) with some header fields changed, then sealed (§3.3)."""
    transactions = transactions or []
    number = 1 if parent is None else parent.number + 1
    fields = {
        "parent_hash": parent_hash,
        "uncles": EMPTY_UNCLES,
        "miner": bytes(20),
        "state_root": EMPTY_ROOT,
        "transactions_root": transactions_root(transactions),
        "receipts_root": EMPTY_ROOT,
        "bloom": bytes(256),
        "difficulty": big_endian(number),
        "number": big_endian(number),
        "gas_limit": big_endian(GAS_LIMIT),
        "gas_used": b"",
        "timestamp": big_endian(0x5F5E1000 + number),
    } | changes
    unsealed: list[Any] = [*fields.values(), VANITY + rlp.encode([addresses(keys), b"", []])]
    block_hash = keccak(rlp.encode(unsealed))
    seal = keys[0].sign_msg_hash(keccak(block_hash)).to_bytes()
    committed = [key.sign_msg_hash(keccak(keccak(block_hash + b"\2"))).to_bytes() for key in keys]
    extra = VANITY + rlp.encode([addresses(keys), seal, committed])
    return bytes(rlp.encode([[*fields.values(), extra, MIX_HASH, nonce], transactions, []]))


class Chain:
    """A fresh data directory of the chain."""

    def __init__(self, folder: Path, keys: Sequence[PrivateKey] = (KEY,), epoch_size: int = 100) -> None:
        self.genesis = folder / "genesis.json"
        self.genesis.write_text(json.dumps(genesis_of(keys, epoch_size)))
        self.directory = DataDirectory(folder / "node")
        self.directory.create(RESTORE_FOLDERS)
        genesis = load_genesis(self.genesis)
        rules = rules_of(genesis)
        block = genesis_block(rules, genesis)
        self.hash, self.state_root = block.hash, block.state_root
        with _core.Chain.open(self.directory.path) as opened:
            opened.start(core_rules(rules), block)

    def restore(self, *blocks: bytes, strict: bool = False) -> RestoreReport:
        last = sealed_header(blocks[-1]) if blocks else None
        metadata = Metadata(last.number, last.hash) if last else Metadata(0, bytes(32))
        archive = FlatArchive(io.BytesIO(encode_metadata(metadata) + b"".join(blocks)), "a.dat")
        with _core.Chain.open(self.directory.path) as chain:
            work = Restore(
                archive, self.directory, chain, load_genesis(self.genesis), threading.Event(), Silent(), strict=strict
            )
            return work.run()

    @property
    def head(self) -> int:
        with _core.Chain.open(self.directory.path, create=False) as chain:
            assert chain.head is not None
            return chain.head[0]


class Silent:
    """Progress that nobody watches."""

    def update(self, **figures: int) -> None:
        assert figures["blocks"] > 0


@pytest.fixture
def chain(tmp_path: Path) -> Chain:
    """The chain with its genesis block."""
    return Chain(tmp_path)


def summary(raw: bytes) -> _core.HeaderSummary:
    found = _core.summarise([raw], "ibft", "G1")[0]
    assert not isinstance(found, str)
    return found


def test_right_blocks_are_accepted(chain: Chain) -> None:
    first = sealed_block(None, chain.hash, {"state_root": chain.state_root})
    report = chain.restore(first)
    assert (report.head, report.head_hash) == (1, sealed_header(first).hash)


@pytest.mark.parametrize(
    ("field", "value"),
    [("state_root", bytes(31) + b"\1"), ("receipts_root", bytes(31) + b"\1"), ("gas_used", b"\1")],
    ids=["state root", "receipts root", "gas used"],
)
def test_a_sealed_block_whose_execution_gives_something_else_is_refused(field: str, value: bytes, chain: Chain) -> None:
    fields = {"state_root": chain.state_root} | {field: value}
    wrong = sealed_block(None, chain.hash, fields)
    with pytest.raises(BlockRuleError) as refused:
        chain.restore(wrong)
    assert (refused.value.rule, refused.value.number, refused.value.offset) == (Rule.EXECUTION, 1, 35)
    assert refused.value.hash == sealed_header(wrong).hash
    assert chain.head == 0


@pytest.mark.parametrize(
    "payload",
    [transaction(nonce=1), transaction(nonce=0, gas=20_999)],
    ids=["nonce ahead", "less gas than a transfer costs"],
)
def test_a_sealed_block_with_a_transaction_that_cannot_be_executed_is_refused(
    payload: list[bytes], chain: Chain
) -> None:
    wrong = sealed_block(None, chain.hash, {"state_root": chain.state_root}, [payload])
    with pytest.raises(BlockRuleError) as refused:
        chain.restore(wrong)
    assert (refused.value.rule, refused.value.number) == (Rule.EXECUTION, 1)
    assert chain.head == 0


def test_the_good_blocks_before_it_stay(chain: Chain) -> None:
    first = sealed_block(None, chain.hash, {"state_root": chain.state_root})
    wrong = sealed_block(summary(first), sealed_header(first).hash, {"state_root": bytes(31) + b"\1"})
    with pytest.raises(BlockRuleError) as refused:
        chain.restore(first, wrong)
    assert (refused.value.rule, refused.value.number) == (Rule.EXECUTION, 2)
    assert refused.value.offset == 35 + len(first)
    assert chain.head == 1


DOUBTFUL = [("bloom", b"\1" * 256, Rule.LOGS_BLOOM), ("timestamp", b"", Rule.TIMESTAMP_ORDER)]


@pytest.mark.parametrize(("field", "value", "rule"), DOUBTFUL)
def test_what_no_client_checks_is_accepted_with_a_warning(
    field: str, value: bytes, rule: Rule, chain: Chain, caplog: pytest.LogCaptureFixture
) -> None:
    """Bloom and time of a header are not checked (§7.1), and an existing chain may have any."""
    block = sealed_block(None, chain.hash, {"state_root": chain.state_root, field: value})
    assert chain.restore(block).head == 1
    assert f"block 1: {rule.value}: expected" in caplog.text


@pytest.mark.parametrize(("field", "value", "rule"), DOUBTFUL)
def test_what_no_client_checks_is_a_broken_rule_where_that_is_asked_for(
    field: str, value: bytes, rule: Rule, chain: Chain
) -> None:
    first = sealed_block(None, chain.hash, {"state_root": chain.state_root})
    fields = {"state_root": chain.state_root, field: value}
    second = sealed_block(summary(first), sealed_header(first).hash, fields)
    with pytest.raises(BlockRuleError) as refused:
        chain.restore(first, second, strict=True)
    assert (refused.value.rule, refused.value.number, refused.value.offset) == (rule, 2, 35 + len(first))
    assert chain.head == 1


def test_many_doubtful_blocks_are_counted_and_not_listed(chain: Chain, caplog: pytest.LogCaptureFixture) -> None:
    blocks: list[bytes] = []
    for _ in range(8):
        parent_hash = sealed_header(blocks[-1]).hash if blocks else chain.hash
        fields = {"state_root": chain.state_root, "timestamp": b""}
        blocks.append(sealed_block(summary(blocks[-1]) if blocks else None, parent_hash, fields))
    assert chain.restore(*blocks).head == 8
    doubts = [message for message in caplog.messages if "timestamp order" in message]
    assert len(doubts) == 4
    assert doubts[-1].endswith("5 more blocks like these: timestamp order")


def test_ballots_that_are_open_at_the_end_of_an_epoch_are_closed_under_the_hash_of_its_block(tmp_path: Path) -> None:
    keys = (KEY, SECOND_KEY)
    chain = Chain(tmp_path, keys, epoch_size=4)
    candidate = b"\7" * 20
    blocks: list[bytes] = []
    for number in range(1, 7):
        # One of two is no majority, so that the vote of block 2 stays open until block 4 ends the epoch.
        vote = {"miner": candidate} if number == 2 else {}
        parent = summary(blocks[-1]) if blocks else None
        parent_hash = sealed_header(blocks[-1]).hash if blocks else chain.hash
        nonce = b"\xff" * 8 if vote else bytes(8)
        changes = {"state_root": chain.state_root} | vote
        blocks.append(sealed_block(parent, parent_hash, changes, keys=keys, nonce=nonce))
    assert chain.restore(*blocks).head == 6
    state = load_state(chain.directory.consensus)
    assert state is not None
    found = {snapshot.number: snapshot for snapshot in state.snapshots}
    assert [ballot.candidate for ballot in found[2].ballots or ()] == [candidate]
    assert found[4].hash == sealed_header(blocks[3]).hash
    assert not found[4].ballots
    assert found[4].validators == tuple(addresses(keys))
