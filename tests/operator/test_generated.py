"""The generated Python is that of proto/system.proto."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent.parent
GENERATED = Path("polygon_edge/operator/proto")


def words_of_make() -> list[str]:
    """The command of `make proto`, without its output folders."""
    recipe = re.search(r"^proto:.*\n((?:\t.*\n)+)", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    assert recipe is not None
    words = recipe[1].replace("\\\n", " ").split()
    assert words[:3] == ["$(BIN)/python", "-m", "grpc_tools.protoc"]
    return [word for word in words[3:] if "_out=" not in word]


def test_the_generated_files_do_not_drift(tmp_path: Path) -> None:
    outputs = [f"--python_out={tmp_path}", f"--pyi_out={tmp_path}"]
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", *outputs, *words_of_make()], cwd=REPOSITORY, check=True)
    fresh = {path.name: path.read_text() for path in (tmp_path / GENERATED).iterdir()}
    committed = {path.name: path.read_text() for path in (REPOSITORY / "src" / GENERATED).glob("*_pb2*.py*")}
    assert fresh == committed
