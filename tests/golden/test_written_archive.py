"""An archive written from a data directory is one that restores to the same head."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.golden.recorded import Network

from polygon_edge.archive.flat import FlatArchive, write_flat
from polygon_edge.store.blocks import LocalBlocks

if TYPE_CHECKING:
    from pathlib import Path

    from tests.program import Command

    from polygon_edge.source import BlockSource

pytestmark = pytest.mark.shared

HEAD, LARGE = 118, 95


def test_a_chain_with_a_block_that_the_go_client_cannot_back_up_goes_through_an_archive(
    shared: Path, command: Command, tmp_path: Path
) -> None:
    single = Network(shared / "golden/v0.6.3/single")
    about, out = single.about["dataDir"], tmp_path / "out.dat"
    with LocalBlocks.open(single.data_directory("data-dir", tmp_path / "go")) as blocks:
        source: BlockSource = blocks
        assert (source.first_height, source.last_height) == (0, HEAD)
        write_flat(source, out, 0, HEAD, blocks.hash(HEAD))
    with FlatArchive.open(out) as archive, FlatArchive.open(single.folder / "full.dat") as recorded:
        written = [record.raw for record in archive.records()]
        assert written[:LARGE] == [record.raw for record in recorded.records()]
        assert [archive.metadata.height, archive.metadata.hash.hex()] == [HEAD, about["headHash"][2:]]
    assert len(written[LARGE]) == next(
        block["size"] for block in single.about["largestBlocks"] if block["number"] == LARGE
    )
    ended = command("restore", out, "--data-dir", tmp_path / "ours", "--chain", single.genesis, "--json", "--strict")
    assert ended.exit_code == 0, ended.errors
    assert (ended.document["head"], ended.document["head_hash"]) == (HEAD, about["headHash"])
    assert (ended.document["state_root"], ended.document["transactions"]) == (
        about["headStateRoot"],
        about["transactions"],
    )
