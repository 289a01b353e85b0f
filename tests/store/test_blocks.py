from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest
import zstandard

from polygon_edge import _core
from polygon_edge.archive.flat import FlatArchive, write_flat
from polygon_edge.archive.inspection import inspect
from polygon_edge.errors import DataDirectoryError
from polygon_edge.source import BlockSource
from polygon_edge.store.blocks import LocalBlocks

NETWORK = Path(__file__).parent.parent / "data" / "v0.6.3" / "poa-ecdsa"


def unpack(archive: Path, folder: Path) -> Path:
    with (
        zstandard.ZstdDecompressor(max_window_size=1 << 27).stream_reader(io.BytesIO(archive.read_bytes())) as stream,
        tarfile.open(fileobj=stream, mode="r|") as folders,
    ):
        folders.extractall(folder, filter="data")
    return folder


@pytest.fixture
def node(tmp_path: Path) -> Path:
    """The data directory of a Go node, at height 50."""
    return unpack(NETWORK / "data-dir-50.tar.zst", tmp_path / "node")


def test_it_gives_the_blocks_of_a_go_node_as_the_go_node_exported_them(node: Path) -> None:
    with LocalBlocks.open(node) as blocks, FlatArchive.open(NETWORK / "part-0-50.dat") as archive:
        source: BlockSource = blocks
        assert (source.first_height, source.last_height, source.name) == (0, 50, str(node))
        pairs = list(zip(source.blocks(0, 50), archive.blocks(0, 50), strict=True))
    assert len(pairs) == 51
    for ours, theirs in pairs:
        assert (ours.number, ours.raw, ours.offset) == (theirs.number, theirs.raw, None)


def test_a_block_that_is_not_there_is_an_error(node: Path) -> None:
    with LocalBlocks.open(node) as blocks:
        found = blocks.blocks(50, 51)
        assert next(found).number == 50
        with pytest.raises(DataDirectoryError, match="expected block 51, found blocks up to 50"):
            next(found)
        with pytest.raises(DataDirectoryError, match="expected block 51"):
            blocks.hash(51)


def test_empty_databases_have_no_head(tmp_path: Path) -> None:
    with _core.Chain.open(tmp_path / "new") as chain:
        blocks = LocalBlocks(chain, "new")
        with pytest.raises(DataDirectoryError, match="empty databases"):
            _ = blocks.last_height
        with pytest.raises(DataDirectoryError, match="empty databases"):
            blocks.hash(0)


def test_a_directory_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(DataDirectoryError, match="not found"):
        LocalBlocks.open(tmp_path / "none")
    assert list(tmp_path.iterdir()) == []


def test_it_is_free_again_after_closing(node: Path) -> None:
    with LocalBlocks.open(node), pytest.raises(DataDirectoryError, match="open already"):
        LocalBlocks.open(node)
    with LocalBlocks.open(node) as blocks:
        assert blocks.last_height == 50


@pytest.mark.parametrize("network", ["v0.6.3/single", "v0.6.3/poa-bls", "v0.6.3/dev", "v1.3.2/poa-bls"])
def test_an_archive_written_from_any_generation_names_its_head(shared: Path, tmp_path: Path, network: str) -> None:
    folder = shared / "golden" / network
    about = json.loads((folder / "about.json").read_text())
    node = unpack(folder / "data-dir.tar.zst", tmp_path / "node")
    node = node if (node / "blockchain").is_dir() else node / "node-1"
    out = tmp_path / "out.dat"
    with LocalBlocks.open(node) as blocks:
        last = blocks.last_height
        assert last == about.get("dataDirHead", about.get("dataDir", {}).get("head"))
        assert write_flat(blocks, out, 0, last, blocks.hash(last)) == out.stat().st_size
    with FlatArchive.open(out) as archive:
        found = inspect(archive)
    assert found.fault() is None
    assert found.metadata_hash_is == "block hash"
    assert found.last is not None
    assert found.last.number == last
