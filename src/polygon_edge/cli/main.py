"""The program `polygon-edge`: the root of its commands, and how each of them fails."""

from __future__ import annotations

import json
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
    # Imported only now, because a signal must find its handler from the first moment on.
    import click  # noqa: PLC0415

    from polygon_edge.cli.commands import root  # noqa: PLC0415
    from polygon_edge.errors import DiskFullError, PolygonEdgeError, UsageError  # noqa: PLC0415

    words = sys.argv[1:] if arguments is None else list(arguments)
    try:
        ended = root.main(args=words, prog_name="polygon-edge", standalone_mode=False)
    except PolygonEdgeError as error:
        click.echo(json.dumps(error.document()) if "--json" in words else f"Error: {error}", err=True)
        return error.exit_code
    except click.ClickException as error:
        if "--json" in words:
            document = {"error": error.format_message(), "kind": UsageError.__name__, "exit_code": error.exit_code}
            click.echo(json.dumps(document), err=True)
        else:
            error.show()
        return error.exit_code
    except BrokenPipeError:
        # Whoever read our output is gone; keep the interpreter from writing to it once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OUTPUT_GONE_EXIT_CODE
    except OSError as error:
        # What no verb foresaw, such as a file system that turned read-only: the disk refused.
        exit_code = DiskFullError.exit_code
        document = {"error": str(error), "kind": type(error).__name__, "exit_code": exit_code}
        click.echo(json.dumps(document) if "--json" in words else f"Error: {error}", err=True)
        return exit_code
    # Click hands on what a command gave to `Context.exit`.
    return ended if isinstance(ended, int) else 0


def run() -> None:
    """Entry point of the console command."""
    exit_code = main()
    stop.ignore()
    sys.exit(exit_code)


if __name__ == "__main__":
    run()
