"""Data directories: a Go node's are read and extended, ours hold exactly the keys that a Go node expects (§4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import plyvel
import pytest
import rlp
from eth_hash.auto import keccak
from eth_keys.datatypes import Signature
from tests.conftest import sealed_header
from tests.golden.recorded import Network, compare_accounts, compare_receipts, compare_state
from tests.store.independent_reader import EMPTY_CODE_HASH, content, reachable

from polygon_edge import _core
from polygon_edge.archive.flat import FlatArchive

if TYPE_CHECKING:
    from pathlib import Path

    from tests.program import Command


def compare_all(data: Path, network: Network) -> None:
    """Assert that the directory of a Go node has its head and all that was recorded."""
    about = network.about["dataDir"]
    states, receipts = network.rows("state.jsonl"), network.rows("receipts.jsonl")
    with _core.Chain.open(data, create=False) as chain:
        assert chain.head == (about["head"], bytes.fromhex(about["headHash"][2:]))
        assert chain.state_root_at(about["head"]) == bytes.fromhex(about["headStateRoot"][2:])
        assert compare_state(chain, states, about["head"]) == len(states) > 0
        assert compare_receipts(chain, receipts, about["head"]) == len(receipts) == about["transactions"]
        counted = network.about["accountsInTrie"]
        assert compare_accounts(chain, network.about, about["head"]) == len(counted) > 0


def test_the_directory_of_a_go_node_opens_with_all_that_was_recorded(poa: Network, tmp_path: Path) -> None:
    assert poa.about["dataDir"]["head"] == 150
    compare_all(poa.data_directory("data-dir", tmp_path), poa)


@pytest.mark.shared
def test_the_directory_of_a_go_node_with_large_blocks_opens_with_all_that_was_recorded(
    shared: Path, tmp_path: Path
) -> None:
    single = Network(shared / "golden/v0.6.3/single")
    assert single.about["dataDir"]["head"] == 118
    compare_all(single.data_directory("data-dir", tmp_path), single)


def test_a_directory_of_a_go_node_takes_the_next_part(poa: Network, command: Command, tmp_path: Path) -> None:
    data = poa.data_directory("data-dir-50", tmp_path)
    ended = command("restore", poa.folder / "part-51-100.dat", "--data-dir", data, "--chain", poa.genesis, "--json")
    assert ended.exit_code == 0, ended.errors
    assert (ended.document["from"], ended.document["to"], ended.document["head"]) == (51, 100, 100)
    states = [row for row in poa.rows("state.jsonl") if row["number"] <= 100]
    with FlatArchive.open(poa.folder / "full.dat") as archive, _core.Chain.open(data) as chain:
        recorded = [record.raw for record in archive.records()]
        assert [chain.block(number) for number in range(101)] == recorded[:101]
        assert compare_state(chain, states, 100) == len(states)
        in_blocks = sum(len(rlp.decode(raw)[1]) for raw in recorded[:101])
        assert compare_receipts(chain, poa.rows("receipts.jsonl"), 100) == in_blocks > 0


def test_another_reader_sees_exactly_the_keys_of_the_chain(poa: Network, command: Command, tmp_path: Path) -> None:
    data = tmp_path / "node"
    ended = command("restore", poa.folder / "full.dat", "--data-dir", data, "--chain", poa.genesis)
    assert ended.exit_code == 0
    with FlatArchive.open(poa.folder / "full.dat") as archive:
        blocks = [record.raw for record in archive.records()]
    with plyvel.DB(str(data / "blockchain")) as database:
        stored = dict(database)
    expected = dict(expected_records(blocks))
    receipts = {key: stored.pop(key) for key in list(stored) if key[:1] == b"r" and len(key) == 33}
    assert stored.keys() == expected.keys()
    assert stored == expected
    # Receipts are compared with the recorded ones elsewhere: here each block but the genesis has them, in order.
    assert receipts.keys() == {b"r" + key[1:] for key in expected if key[:1] == b"b"}
    for key, value in receipts.items():
        hashes = [keccak(rlp.encode(payload)) for payload, _sender in rlp.decode(expected[b"b" + key[1:]])[0]]
        assert [receipt[3] for receipt in rlp.decode(value)] == hashes


def expected_records(blocks: list[bytes]) -> dict[bytes, bytes]:
    """All of `blockchain/` but the receipts, from an archive's records, by other libraries than ours (§2.7, §4.2)."""
    records: dict[bytes, bytes] = {}
    difficulty = 0
    for number, raw in enumerate(blocks):
        header, transactions, _uncles = rlp.decode(raw)
        block_hash = sealed_header(raw).hash
        difficulty += int.from_bytes(header[7], "big")
        records |= {
            b"ohash": block_hash,
            b"onumber": number.to_bytes(8, "big"),
            b"c" + number.to_bytes(8, "big"): block_hash,
            b"h" + block_hash: rlp.encode(header),
            b"d" + block_hash: difficulty.to_bytes((difficulty.bit_length() + 7) // 8, "big"),
        }
        if number > 0:
            records[b"b" + block_hash] = rlp.encode([[[payload, sender_of(payload)] for payload in transactions], []])
        records |= {b"l" + keccak(rlp.encode(payload)): rlp.encode(block_hash) for payload in transactions}
    return records


def sender_of(payload: list[bytes]) -> bytes:
    """The sender of a transaction, signed for the chain (EIP-155) or for any, by another library than ours (§2.5)."""
    v, r, s = (int.from_bytes(item, "big") for item in payload[6:9])
    signed = payload[:6]
    if v >= 35:
        chain_id = (v - 35) // 2
        signed = [*signed, chain_id.to_bytes((chain_id.bit_length() + 7) // 8, "big"), b"", b""]
    signature = Signature(vrs=((v - 27) % 2 if v < 35 else (v - 35) % 2, r, s))
    return bytes(signature.recover_public_key_from_msg_hash(keccak(rlp.encode(signed))).to_canonical_address())


def test_another_reader_reaches_every_node_of_the_state_and_nothing_else_is_there(
    poa: Network, command: Command, tmp_path: Path
) -> None:
    data = tmp_path / "node"
    ended = command("restore", poa.folder / "full.dat", "--data-dir", data, "--chain", poa.genesis)
    assert ended.exit_code == 0
    with FlatArchive.open(poa.folder / "full.dat") as archive:
        roots = {rlp.decode(record.raw)[0][3] for record in archive.records()}
    stored = content(data / "trie")
    for key, value in stored.items():
        assert keccak(value) == key.removeprefix(b"code") if len(key) == 36 else keccak(value) == key
    # Code of no bytes has its key as well where it was deployed, although nothing has to read it (§4.5).
    assert reachable(stored, roots) == stored.keys() - {b"code" + EMPTY_CODE_HASH}
