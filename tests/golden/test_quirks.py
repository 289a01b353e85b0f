"""Chains that test one rule of execution per transaction, and random programs, for each set of fork flags (§6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import rlp
from tests.conftest import recorded_folder
from tests.golden.recorded import Network, compare_blocks, compare_receipts

from polygon_edge import _core
from polygon_edge.archive.flat import FlatArchive

if TYPE_CHECKING:
    from pathlib import Path

    from tests.program import Command

GAS_LIMIT, TIMESTAMP = 9, 11


def first_negative(archive: Path) -> int | None:
    """The first block whose gas limit or timestamp is negative as a signed 64-bit number, decoded by another reader."""
    with FlatArchive.open(archive) as source:
        for number, record in enumerate(source.records()):
            header = rlp.decode(record.raw)[0]
            if number and max(int.from_bytes(header[field], "big") for field in (GAS_LIMIT, TIMESTAMP)) >= 1 << 63:
                return number
    return None


@pytest.mark.parametrize(
    "folder",
    [
        "all-fuzz",
        pytest.param("byzantium-fuzz", marks=pytest.mark.shared),
        pytest.param("constantinople-fuzz", marks=pytest.mark.shared),
        pytest.param("homestead-fuzz", marks=pytest.mark.shared),
    ],
)
def test_random_programs_end_as_on_the_go_client(folder: str, command: Command, tmp_path: Path) -> None:
    chain = Network(recorded_folder(f"quirks/v0.6.3/{folder}"))
    about, archive = chain.about, chain.archive("full.dat", tmp_path)
    assert first_negative(archive) is None
    data = tmp_path / "node"
    ended = command("restore", archive, "--data-dir", data, "--chain", chain.genesis, "--json")
    assert ended.exit_code == 0, ended.errors
    assert (ended.document["head"], ended.document["head_hash"]) == (about["blocks"], about["headHash"])
    assert ended.document["state_root"] == about["headStateRoot"]
    assert ended.document["genesis_hash"] == about["genesisHash"]
    assert ended.document["gas"] == about["gasTotal"]
    recorded = chain.rows("receipts.jsonl")
    with _core.Chain.open(data) as opened:
        assert compare_receipts(opened, recorded, about["blocks"]) == len(recorded) == about["transactions"]
        compare_blocks(opened, archive, about["blocks"])


@pytest.mark.shared
@pytest.mark.parametrize(
    ("folder", "stops_at"),
    [
        ("all", 264),
        ("byzantium", 44),
        ("constantinople", 44),
        ("frontier", 46),
        ("gaslimit-2p63", 1),
        ("homestead", 46),
        ("istanbul-only", 46),
        ("no-eip150", 46),
        ("petersburg", 44),
    ],
)
def test_every_quirk_is_that_of_the_go_client_up_to_the_first_negative_number(
    folder: str, stops_at: int, command: Command, tmp_path: Path
) -> None:
    chain = Network(recorded_folder(f"quirks/v0.6.3/{folder}"))
    archive, head = chain.archive("full.dat", tmp_path), stops_at - 1
    assert first_negative(archive) == stops_at
    data = tmp_path / "node"
    ended = command("restore", archive, "--data-dir", data, "--chain", chain.genesis, "--json")
    assert ended.exit_code == 11
    assert f"block {stops_at}: execution: " in ended.error["error"]
    assert "§6.6" in ended.error["error"]
    recorded = [row for row in chain.rows("receipts.jsonl") if row["block"] <= head]
    with _core.Chain.open(data) as opened:
        assert opened.head == (head, opened.canonical_hash(head))
        assert "0x" + (opened.canonical_hash(0) or b"").hex() == chain.about["genesisHash"]
        assert compare_receipts(opened, recorded, head) == len(recorded)
        compare_blocks(opened, archive, head)
    # Without it the test would prove nothing: only the chain whose genesis is too large already may have none.
    assert bool(recorded) == (folder != "gaslimit-2p63")


def test_all_folders_are_replayed(shared: Path) -> None:
    assert len(list((shared / "golden/quirks/v0.6.3").iterdir())) == 4 + 9
