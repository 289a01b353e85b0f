"""Half-written heads, as a killed v0.6.x node leaves them: the records that were not written yet are deleted (§4.4)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import plyvel
import pytest
import rlp

from polygon_edge import _core
from polygon_edge.chain.generation import Generation
from polygon_edge.chain.genesis import load_genesis, parse_genesis
from polygon_edge.chain.rules import rules_of
from polygon_edge.errors import DataDirectoryError, GenesisError
from polygon_edge.store.start import start_chain

if TYPE_CHECKING:
    from pathlib import Path

    from tests.golden.recorded import Network

HEAD = 150
LAST_OTHER_STATE = 146
"""The blocks after it are empty, so that their states are that of the head."""


@pytest.fixture
def folder(poa: Network, tmp_path: Path) -> Path:
    """The data directory of a Go node, stopped in order."""
    return poa.data_directory("data-dir", tmp_path / "node")


def number_key(number: int) -> bytes:
    return b"c" + number.to_bytes(8, "big")


def half_written(folder: Path, *records: str) -> None:
    """Delete `records` of the head, and set the pointers back where they were not written yet."""
    with plyvel.DB(str(folder / "blockchain")) as blocks, plyvel.DB(str(folder / "trie")) as trie:
        head = blocks.get(number_key(HEAD))
        before = blocks.get(number_key(HEAD - 1))
        for record in records:
            match record:
                case "canonical":
                    blocks.delete(number_key(HEAD))
                case "number":
                    blocks.put(b"onumber", (HEAD - 1).to_bytes(8, "big"))
                case "hash":
                    blocks.put(b"ohash", before)
                case "state":
                    trie.delete(rlp.decode(blocks.get(b"h" + head))[3])
                case letter:
                    blocks.delete(letter.encode() + head)


@pytest.mark.parametrize(
    ("records", "missing"),
    [
        (("r",), "receipts"),
        (("r", "d"), "total difficulty"),
        (("r", "d", "canonical"), "canonical hash"),
        (("r", "d", "canonical", "number"), "canonical hash"),
        (("b",), "body"),
        (("h",), "header"),
        (("state",), "state"),
        (("hash",), "head pointers that name one block"),
    ],
)
def test_a_half_written_head_is_repaired_with_a_message(
    records: tuple[str, ...], missing: str, folder: Path, poa: Network, caplog: pytest.LogCaptureFixture
) -> None:
    half_written(folder, *records)
    genesis = load_genesis(poa.genesis)
    with _core.Chain.open(folder, create=False) as chain, caplog.at_level(logging.WARNING):
        start_chain(chain, rules_of(genesis), genesis)
        # Where only the pointers disagree the block is whole, and nothing is lost.
        kept = {"hash": HEAD, "state": LAST_OTHER_STATE}.get(" ".join(records), HEAD - 1)
        assert chain.tip[0] == kept
        assert chain.canonical_hash(kept + 1) is None
    (message,) = [record.getMessage() for record in caplog.records]
    assert missing in message
    assert f"block {HEAD} lacks its" in message
    assert f"to block {kept}" in message


def test_a_head_with_old_pointers_needs_no_repair(folder: Path, poa: Network, caplog: pytest.LogCaptureFixture) -> None:
    half_written(folder, "r", "d", "canonical", "number", "hash")
    genesis = load_genesis(poa.genesis)
    with _core.Chain.open(folder, create=False) as chain, caplog.at_level(logging.WARNING):
        start_chain(chain, rules_of(genesis), genesis)
        assert chain.tip[0] == HEAD - 1
    assert caplog.records == []


@pytest.mark.parametrize("left", [["ohash"], ["ohash", "onumber"], ["ohash", "onumber", "c"]])
def test_a_half_written_genesis_block_is_written_anew(
    left: list[str], poa: Network, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    genesis = load_genesis(poa.genesis)
    with _core.Chain.open(tmp_path) as chain:
        expected = start_chain(chain, rules_of(genesis), genesis).hash
    with plyvel.DB(str(tmp_path / "blockchain")) as blocks:
        for key, _ in blocks:
            if key.decode("latin-1") not in left and key[:1] not in [letter.encode() for letter in [*left, "h"]]:
                blocks.delete(key)
    with _core.Chain.open(tmp_path) as chain, caplog.at_level(logging.WARNING):
        start_chain(chain, rules_of(genesis), genesis)
        assert chain.tip[:2] == (0, expected)
    assert "is written anew" in caplog.text


def test_damage_that_would_cost_the_chain_is_not_repaired(folder: Path, poa: Network) -> None:
    with plyvel.DB(str(folder / "trie")) as trie:
        for key, _ in trie:
            trie.delete(key)
    genesis = load_genesis(poa.genesis)
    with _core.Chain.open(folder, create=False) as chain, pytest.raises(DataDirectoryError, match="is whole"):
        start_chain(chain, rules_of(genesis), genesis)
    with plyvel.DB(str(folder / "blockchain")) as blocks:
        assert blocks.get(b"onumber") == HEAD.to_bytes(8, "big")
        assert blocks.get(number_key(HEAD)) is not None


def test_the_same_file_read_as_another_generation_is_told_apart(poa: Network, folder: Path) -> None:
    genesis = parse_genesis(poa.genesis.read_bytes(), generation=Generation.G2)
    with _core.Chain.open(folder, create=False) as chain, pytest.raises(GenesisError) as raised:
        start_chain(chain, rules_of(genesis), genesis)
    assert (raised.value.path, "G1" in str(raised.value), "--generation" in str(raised.value)) == (
        "params.forks",
        True,
        True,
    )
