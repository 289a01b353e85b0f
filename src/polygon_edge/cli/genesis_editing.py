"""Genesis files that commands change where they lie: read before a command works, replaced at once or not at all.

The Go client takes the old file away before it writes the new one, and may leave nothing (D-10).
"""

from __future__ import annotations

import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from polygon_edge.chain.genesis_edit import GenesisDocument
from polygon_edge.errors import GenesisError
from polygon_edge.store.durable import write_durably

if TYPE_CHECKING:
    from collections.abc import Callable

    from polygon_edge.chain.generation import Generation


def chain_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Let the operator name the file, as `chain`."""
    return click.option("--chain", default="./genesis.json", show_default=True, help="Genesis file to change.")(command)


def read_genesis(chain: str, generation: Generation | None) -> GenesisDocument:
    """Read the file; raises click.UsageError in the Go client's words where that cannot be done."""
    problem = f"failed to load chain config from {chain}"
    try:
        return GenesisDocument(Path(chain).read_bytes(), chain, generation)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise click.UsageError(f"{problem}: open {chain}: {reason}", click.get_current_context()) from error
    except GenesisError as error:
        raise click.UsageError(f"{problem}: {error}", click.get_current_context()) from error


def replace_genesis(chain: str, content: bytes) -> None:
    """Put `content` in the place of the file, with its permissions; raises OSError and DiskFullError."""
    # A link stays one.
    file = Path(chain).resolve()
    write_durably(file, content, stat.S_IMODE(file.stat().st_mode))
