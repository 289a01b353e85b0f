"""Runs the examples of docs/python-api.md, in order, as a reader would."""

from __future__ import annotations

import io
import re
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest
import zstandard

ROOT = Path(__file__).parent.parent.parent
NETWORK = ROOT / "tests" / "data" / "v0.6.3" / "poa-ecdsa"
EXAMPLE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the page asks for, as the working directory."""
    shutil.copy(NETWORK / "full.dat", tmp_path / "backup.dat")
    packed = (NETWORK / "data-dir.tar.zst").read_bytes()
    with (
        zstandard.ZstdDecompressor().stream_reader(io.BytesIO(packed)) as stream,
        tarfile.open(fileobj=stream, mode="r|") as folders,
    ):
        folders.extractall(tmp_path / "node", filter="data")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_example_runs_and_says_what_the_go_node_had(reader: Path, capsys: pytest.CaptureFixture[str]) -> None:
    examples = EXAMPLE.findall((ROOT / "docs" / "python-api.md").read_text())
    assert len(examples) == 7
    names: dict[str, Any] = {}
    printed = []
    for example in examples:
        exec(compile(example, "python-api.md", "exec"), names)  # noqa: S102 - the page's own code
        printed.append(capsys.readouterr().out.splitlines())
    head_hash = "b26dfbe818d85497649500345ba0c888ea403a66a9cfa70aba3e3ea69c6aa449"
    _, archive, info, directory, _, state, errors = printed
    assert archive[0] == f"150 {head_hash}"
    assert len(archive) == 151
    assert info == [f"151 236 IBFT of v0.6 {head_hash}"]
    assert directory[0] == f"150 {head_hash}"
    assert len(directory) == 12
    assert int(state[0]) > 10
    assert errors == ["13 node: no such block: expected block 151, found blocks up to 150"]
    original = (NETWORK / "full.dat").read_bytes()
    assert (reader / "copy.dat").read_bytes() == original
    assert (reader / "again.dat").read_bytes() == original
