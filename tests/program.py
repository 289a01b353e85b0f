"""The program as the tests run it: in this process, or as one of its own with its memory measured."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from pathlib import Path

COMMAND = (sys.executable, "-m", "polygon_edge.cli.main")

# A process of its own in between: a child's peak begins with what its parent held when it was started.
_MEASURE = """
import pathlib, resource, subprocess, sys
code = subprocess.call(sys.argv[2:])
kibibytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
pathlib.Path(sys.argv[1]).write_text(str(kibibytes << 10))
sys.exit(code)
"""


class Outcome(NamedTuple):
    """How a command ended and what it printed."""

    exit_code: int
    output: str
    errors: str

    @property
    def document(self) -> dict[str, Any]:
        """The JSON document of `--json`: the last line of standard output."""
        found: dict[str, Any] = json.loads(self.output.splitlines()[-1])
        return found

    @property
    def error(self) -> dict[str, Any]:
        """The JSON document of a failure under `--json`: the last line of standard error."""
        found: dict[str, Any] = json.loads(self.errors.splitlines()[-1])
        return found


class Command(Protocol):
    """Runs the program with the given words, each turned into text."""

    def __call__(self, *words: object) -> Outcome: ...


def run_process(*words: object, measured_in: Path, stdin: bytes | None = None) -> tuple[Outcome, int]:
    """Run the program as a process; returns its outcome and its peak resident memory in bytes.

    The measurement is left in the folder `measured_in`.
    """
    note = measured_in / "peak-bytes"
    ended = subprocess.run(
        [sys.executable, "-c", _MEASURE, str(note), *COMMAND, *map(str, words)],
        input=stdin,
        capture_output=True,
        check=False,
        timeout=120,
    )
    outcome = Outcome(ended.returncode, ended.stdout.decode(), ended.stderr.decode())
    return outcome, int(note.read_text())
