"""A network of four validators with votes: restored whole and in parts, compared with what its Go nodes recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import plyvel
import pytest
from tests.golden.recorded import compare_accounts, compare_blocks, compare_receipts, compare_state

from polygon_edge import _core
from polygon_edge.consensus.snapshot_files import load_state

if TYPE_CHECKING:
    from pathlib import Path

    from tests.golden.recorded import Network
    from tests.program import Command

HEAD = 150


@pytest.fixture
def restored(poa: Network, command: Command, tmp_path: Path) -> Path:
    """A data directory with the whole archive restored into it."""
    ended = command("restore", poa.folder / "full.dat", "--data-dir", tmp_path / "node", "--chain", poa.genesis)
    assert ended.exit_code == 0, ended.errors
    return tmp_path / "node"


def test_the_whole_archive_restores_to_the_recorded_head(poa: Network, command: Command, tmp_path: Path) -> None:
    ended = command(
        "restore", poa.folder / "full.dat", "--data-dir", tmp_path / "node", "--chain", poa.genesis, "--json"
    )
    assert ended.exit_code == 0
    seconds = ended.document.pop("seconds")
    assert seconds > 0
    about = poa.about
    assert {**ended.document, "seconds": seconds} == {
        "from": 1,
        "to": HEAD,
        "head": about["blocks"],
        "head_hash": about["headHash"],
        "state_root": about["headStateRoot"],
        "genesis_hash": about["genesisHash"],
        "blocks": HEAD,
        "transactions": about["transactions"],
        "gas": sum(int(row["gasUsed"], 16) for row in poa.rows("receipts.jsonl")),
        "seconds": seconds,
    }


def test_every_recorded_receipt_is_ours(restored: Path, poa: Network) -> None:
    recorded = poa.rows("receipts.jsonl")
    with _core.Chain.open(restored) as chain:
        assert compare_receipts(chain, recorded, HEAD) == len(recorded) == poa.about["transactions"]


def test_every_recorded_account_and_slot_is_ours(restored: Path, poa: Network) -> None:
    recorded = poa.rows("state.jsonl")
    with _core.Chain.open(restored) as chain:
        assert compare_state(chain, recorded, HEAD) == len(recorded)
        assert compare_accounts(chain, poa.about, HEAD) == len(poa.about["accountsInTrie"])


def test_every_block_comes_back_as_it_stood_in_the_archive(restored: Path, poa: Network) -> None:
    with _core.Chain.open(restored) as chain:
        compare_blocks(chain, poa.folder / "full.dat", HEAD)
        assert chain.block(HEAD + 1) is None


def test_the_validators_are_those_of_the_go_node(restored: Path, poa: Network, tmp_path: Path) -> None:
    go_made = poa.data_directory("data-dir", tmp_path / "go")
    ours, theirs = load_state(restored / "consensus"), load_state(go_made / "consensus")
    assert ours is not None
    assert ours == theirs


def test_three_parts_one_after_the_other_make_the_same_databases(
    restored: Path, poa: Network, command: Command, tmp_path: Path
) -> None:
    parts, ended = tmp_path / "parts", None
    for first, last in ((0, 50), (51, 100), (101, HEAD)):
        archive = poa.folder / f"part-{first}-{last}.dat"
        ended = command("restore", archive, "--data-dir", parts, "--chain", poa.genesis, "--json")
        assert ended.exit_code == 0, ended.errors
        assert (ended.document["from"], ended.document["to"]) == (max(first, 1), last)
        assert sorted(entry.name for entry in parts.iterdir()) == ["blockchain", "consensus", "trie"]
    assert ended is not None
    assert ended.document["head_hash"] == poa.about["headHash"]
    assert ended.document["state_root"] == poa.about["headStateRoot"]
    assert ended.document["genesis_hash"] == poa.about["genesisHash"]
    for database in ("blockchain", "trie"):
        assert content(parts / database) == content(restored / database)


def content(database: Path) -> dict[bytes, bytes]:
    """Everything in a database, read by another LevelDB than ours."""
    with plyvel.DB(str(database)) as opened:
        return dict(opened)
