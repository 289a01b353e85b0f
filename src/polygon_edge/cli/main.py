"""The program `polygon-edge`: the root of its commands, and how each of them fails."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from polygon_edge.cli import stop

if TYPE_CHECKING:
    from collections.abc import Sequence

OUTPUT_GONE_EXIT_CODE = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code (docs/operating/exit-codes.md)."""
    stop.install()
    _hold_standard_streams()
    # Imported only now, because a signal must find its handler from the first moment on.
    from polygon_edge.cli.commands import root  # noqa: PLC0415
    from polygon_edge.cli.failures import FAILURES, report  # noqa: PLC0415

    words = sys.argv[1:] if arguments is None else list(arguments)
    try:
        ended = root.main(args=words, prog_name="polygon-edge", standalone_mode=False)
    except BrokenPipeError:
        # Whoever read our output is gone; keep the interpreter from writing to it once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OUTPUT_GONE_EXIT_CODE
    except FAILURES as error:
        return report(error, in_json=any(word == "--json" or word.startswith("--json=") for word in words))
    # Click hands on what a command gave to `Context.exit`.
    return ended if isinstance(ended, int) else 0


def _hold_standard_streams() -> None:
    """Open those that the caller closed on nothing.

    Otherwise a database would get one of their numbers, and the next message would be written into it.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest number that is free, which is this one.
            os.open(os.devnull, os.O_RDWR)


def run() -> None:
    """Entry point of the console command."""
    exit_code = main()
    stop.ignore()
    sys.exit(exit_code)


if __name__ == "__main__":
    run()
