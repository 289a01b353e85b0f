"""`polygon-edge backup` (§1.2): flags, the node and the archive they name, and what is printed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from polygon_edge.archive.flat import STANDARD_STREAM
from polygon_edge.archive.interruptible import InterruptibleOutput
from polygon_edge.backup import Backup
from polygon_edge.chain.json_text import json_text
from polygon_edge.cli.edge_command import EdgeCommand, is_set, require_flags
from polygon_edge.cli.flags import number_or_hexadecimal
from polygon_edge.cli.output import block, json_requested, key_values, show
from polygon_edge.cli.stop import stop_requested
from polygon_edge.observe.logs import configure_logging
from polygon_edge.observe.progress import show_progress
from polygon_edge.operator.client import DEFAULT_ADDRESS, NodeClient

if TYPE_CHECKING:
    from polygon_edge.backup import BackupReport


@click.command(cls=EdgeCommand, short_help="Write the blocks of a running node to an archive.")
@click.option(
    "--out", default="", help="The archive to write, or - for standard output; it must not exist.  [required]"
)
@click.option("--from", "first", default="0", show_default=True, help="First height, decimal or 0x hex.")
@click.option("--to", "last", default="", help="Last height, included (default: the head).")
@click.option("--grpc-address", default=DEFAULT_ADDRESS, show_default=True, help="Where the node answers, HOST:PORT.")
@click.option("--resume", is_flag=True, help="Continue what an earlier backup to the same file left behind.")
def backup(out: str, first: str, last: str, grpc_address: str, resume: bool) -> None:
    """Write the blocks of a running node to an archive, while the node goes on.

    Blocks go to OUT.part first, which gets its name when it is whole. A signal ends the backup with a shorter archive
    that says so; after any other failure the part stays, and the same command with --resume goes on.
    """
    first_height = _height(first)
    last_height = _height(last) if last else None
    if last_height is not None and first_height > last_height:
        raise click.UsageError('invalid "to" value; must be >= "from"', click.get_current_context())
    require_flags("out")
    if resume and out == STANDARD_STREAM:
        raise click.UsageError("--resume needs a file to resume", click.get_current_context())
    configure_logging()
    with NodeClient(grpc_address, stop_requested) as node:
        work = Backup(
            node,
            stop_requested,
            lambda blocks: show_progress("backup", blocks),
            None if resume and not is_set("first") else first_height,
            last_height,
        )
        if out == STANDARD_STREAM:
            output = InterruptibleOutput(sys.stdout.fileno(), stop_requested)
            report = work.to_stream(output.write, "standard output")
            # Standard output carries the archive and nothing else.
            click.echo(json_text(report.document()) if json_requested() else _text(report), err=True)
        else:
            report = work.to_file(Path(out), resume=resume)
            show(_text(report), report.document())


def _height(text: str) -> int:
    try:
        return number_or_hexadecimal(text)
    except ValueError as error:
        raise click.UsageError("unable to decode range value", click.get_current_context()) from error


def _text(report: BackupReport) -> str:
    rows = [("File", report.out), ("From", report.first), ("To", report.last)]
    return block("BACKUP", "Exported backup file successfully:", key_values(rows))
