"""Runs the program as a reader would, each command printed before it runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from demonstration.proofs import DemoError, console

ROOT = Path(__file__).resolve().parent.parent.parent


def command_line(*arguments: str | Path) -> list[str]:
    """The program of this environment with its arguments; prints what a reader would type."""
    console.print("[bold]$ polygon-edge", *(_shown(argument) for argument in arguments), style="bold")
    return [str(Path(sys.executable).parent / "polygon-edge"), *map(str, arguments)]


def _shown(argument: str | Path) -> str:
    if isinstance(argument, Path):
        return str(argument.relative_to(ROOT)) if argument.is_relative_to(ROOT) else argument.name
    return argument


def run(*arguments: str | Path, expected_exit_code: int = 0) -> subprocess.CompletedProcess[str]:
    """Runs one command and prints its messages; refuses any other exit code."""
    done = subprocess.run(command_line(*arguments), check=False, capture_output=True, text=True)
    said = [line for line in done.stderr.splitlines() if "[INFO]" not in line]
    for line in said:
        console.print(f"  [yellow]{line.replace(str(ROOT) + '/', '')}[/]")
    console.print(f"  exit code {done.returncode}")
    if done.returncode != expected_exit_code:
        raise DemoError(f"exit code {done.returncode}, expected {expected_exit_code}: {done.stderr}")
    return done
