"""Types what the README tells a newcomer to type, at other ports and without waiting longer than needed."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import subprocess
from pathlib import Path

from tests.ports import free_ports
from tests.program import COMMAND

from polygon_edge.archive.flat import FlatArchive

ROOT = Path(__file__).parent.parent.parent
PATIENCE_SECONDS = 60
PORTS = ("9632", "8545", "9633", "8546", "1478")


def typed() -> list[str]:
    """The lines of the section."""
    section = (ROOT / "README.md").read_text().split("## Ten lines to a first backup\n")[1].split("\n## ")[0]
    return re.findall(r"^\$ (.*)$", section, re.MULTILINE)


def test_the_ten_lines_of_the_readme_end_with_a_restored_node(tmp_path: Path) -> None:
    lines = typed()
    assert len(lines) == 10
    program = tmp_path / "polygon-edge"
    program.write_text(f'#!/bin/sh\nexec {shlex.join(COMMAND)} "$@"\n')
    program.chmod(0o755)
    script = "\n".join(["set -e", *lines]).replace(". .venv/bin/activate && ", "")
    assert script.count("sleep 10;") == 2
    for sign in ("number=2 ", "restored blocks"):
        script = script.replace("sleep 10;", f"until grep -q '{sign}' ../errors; do sleep 0.1; done;", 1)
    script = script.replace("polygon-edge status\n", "polygon-edge status --grpc-address 127.0.0.1:9632\n")
    for written, free in zip(PORTS, free_ports(len(PORTS)), strict=True):
        script = re.sub(rf"(?<=[:/]){written}\b", str(free), script)
    with (tmp_path / "errors").open("wb") as errors, (tmp_path / "output").open("wb") as output:
        shell = subprocess.Popen(
            ["bash", "-c", script],
            cwd=tmp_path,
            env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"},
            stdout=output,
            stderr=errors,
            start_new_session=True,
        )
        try:
            exit_code = shell.wait(PATIENCE_SECONDS)
        finally:
            # Nodes that the script did not come to stop.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)
    said, log = (tmp_path / "output").read_text(), (tmp_path / "errors").read_text()
    assert exit_code == 0, log
    with FlatArchive.open(tmp_path / "first" / "backup.dat") as archive:
        last = archive.metadata.height
    assert last >= 2
    heights = [int(height) for height in re.findall(r"Current Block Number \(base 10\) = (\d+)", said)]
    assert len(heights) == 2
    assert heights[1] == last
    assert log.count("databases flushed and closed, locks released") == 2
