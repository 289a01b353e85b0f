"""A network of one validator with large blocks: its archive ends before the block that the Go client cannot back up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.golden.recorded import Network, compare_accounts, compare_blocks, compare_receipts, compare_state

from polygon_edge import _core

if TYPE_CHECKING:
    from pathlib import Path

    from tests.program import Command

pytestmark = pytest.mark.shared

HEAD = 94


def test_the_archive_restores_with_all_that_was_recorded_up_to_its_head(
    shared: Path, command: Command, tmp_path: Path
) -> None:
    single = Network(shared / "golden/v0.6.3/single")
    about, archive = single.about, single.folder / "full.dat"
    ended = command("restore", archive, "--data-dir", tmp_path, "--chain", single.genesis, "--json")
    assert ended.exit_code == 0, ended.errors
    assert (ended.document["head"], ended.document["head_hash"]) == (HEAD, about["headHash"])
    assert (ended.document["state_root"], ended.document["genesis_hash"]) == (
        about["headStateRoot"],
        about["genesisHash"],
    )
    states = [row for row in single.rows("state.jsonl") if row["number"] <= HEAD]
    with _core.Chain.open(tmp_path) as chain:
        assert compare_receipts(chain, single.rows("receipts.jsonl"), HEAD) == about["transactions"]
        assert compare_state(chain, states, HEAD) == len(states) > 0
        # Blocks 0, 1, 23, 47, 70 and 94.
        assert compare_accounts(chain, about, HEAD) == 6
        compare_blocks(chain, archive, HEAD)
