"""Random programs on chains of one validator, for each set of fork flags of v0.6.3 (§6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import rlp
from tests.conftest import recorded_folder
from tests.golden.conftest import Proved
from tests.golden.recorded import Network, compare_blocks, compare_receipts

from polygon_edge import _core
from polygon_edge.archive.flat import FlatArchive

if TYPE_CHECKING:
    from pathlib import Path

    from tests.golden.conftest import Table
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
def test_random_programs_end_as_on_the_go_client(folder: str, command: Command, tmp_path: Path, table: Table) -> None:
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
    table(Proved.of(f"quirks/v0.6.3/{folder}", chain, receipts=len(recorded)))
