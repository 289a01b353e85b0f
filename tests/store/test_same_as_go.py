"""What a restore writes is what a node of the Go client wrote: every key, every value, and no more (§4)."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import zstandard
from tests.store.independent_reader import content

NETWORK = Path(__file__).parent.parent / "data" / "v0.6.3" / "poa-ecdsa"


@pytest.fixture(scope="module")
def go_made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("go")
    packed = (NETWORK / "data-dir.tar.zst").read_bytes()
    with (
        zstandard.ZstdDecompressor().stream_reader(io.BytesIO(packed)) as stream,
        tarfile.open(fileobj=stream, mode="r|") as tar,
    ):
        tar.extractall(folder, filter="data")
    return folder


@pytest.fixture(scope="module", params=[1, 256], ids=["a commit a block", "one commit"])
def ours(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ours")
    words = [
        "restore",
        NETWORK / "full.dat",
        "--data-dir",
        folder,
        "--chain",
        NETWORK / "genesis.json",
        "--run-blocks",
        request.param,
    ]
    subprocess.run([sys.executable, "-m", "polygon_edge.cli.main", *map(str, words)], check=True, capture_output=True)
    return folder


@pytest.mark.parametrize("database", ["blockchain", "trie"])
def test_every_key_and_value_is_the_go_clients(go_made: Path, ours: Path, database: str) -> None:
    expected, found = content(go_made / database), content(ours / database)
    assert len(expected) > 500
    assert found.keys() - expected.keys() == set(), "keys that the Go client does not have"
    assert expected.keys() - found.keys() == set(), "keys that are missing"
    assert {key for key, value in expected.items() if found[key] != value} == set(), "keys with another value"


def test_the_snapshots_are_the_go_clients(go_made: Path, ours: Path) -> None:
    for name in ("metadata", "snapshots"):
        assert (ours / "consensus" / name).read_bytes() == (go_made / "consensus" / name).read_bytes(), name
