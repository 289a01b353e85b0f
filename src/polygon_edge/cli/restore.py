"""`polygon-edge restore`: flags, the archive and the data directory they name, and what is printed."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path

import click

from polygon_edge import _core
from polygon_edge.archive.opening import open_archive
from polygon_edge.chain.generation import Generation
from polygon_edge.chain.genesis import load_genesis
from polygon_edge.chain.rules import refuse_unsupported
from polygon_edge.cli.flags import Height, generation_option
from polygon_edge.cli.output import JSON_OPTION, json_requested
from polygon_edge.cli.stop import stop_requested
from polygon_edge.execution.pipeline import Limits
from polygon_edge.observe.logs import LogLevel, configure_logging
from polygon_edge.observe.progress import show_progress
from polygon_edge.restore import Restore, RestoreReport
from polygon_edge.store.data_dir import RESTORE_FOLDERS, DataDirectory
from polygon_edge.store.start import repair_head


@click.command(short_help="Restore an archive into a data directory.", params=[JSON_OPTION])
@click.argument("archive")
@click.option("--data-dir", required=True, type=click.Path(path_type=Path), help="Directory to restore into.")
@click.option("--chain", required=True, type=click.Path(path_type=Path), help="Genesis file of the chain.")
@click.option("--to", type=Height(), help="Height to end at (default: the archive's end).")
@click.option("--strict", is_flag=True, help="Treat doubts about metadata and blocks as errors.")
@generation_option
@click.option(
    "--run-blocks",
    type=click.IntRange(min=1),
    default=Limits().blocks,
    show_default=True,
    help="Most blocks in one run, and so in one commit.",
)
@click.option(
    "--log-level",
    type=click.Choice(LogLevel, case_sensitive=False),
    default=LogLevel.INFO,
    show_default="info",
    help="Least severe messages to show.",
)
def restore(  # noqa: PLR0917 - one parameter a flag
    archive: str,
    data_dir: Path,
    chain: Path,
    to: int | None,
    strict: bool,
    generation: Generation | None,
    run_blocks: int,
    log_level: LogLevel,
) -> None:
    """Restore ARCHIVE (a file, or - for standard input) into a data directory.

    Every block is checked and executed before it is kept. After a stop, a kill or a damaged archive give the same
    command again: it continues after the last block that was kept, and does nothing when all are there.
    """
    configure_logging(log_level)
    genesis = load_genesis(chain, generation)
    refuse_unsupported(genesis)
    with ExitStack() as stack:
        source = stack.enter_context(open_archive(archive, stop_requested))
        directory = DataDirectory(data_dir)
        directory.create(RESTORE_FOLDERS)
        directory.warn_of_lost_blocks()
        database = stack.enter_context(_core.Chain.open(data_dir))
        repair_head(database)
        wanted = source.metadata.height if to is None else to
        missing = wanted - (database.head[0] if database.head else 0)
        progress = stack.enter_context(show_progress("restore", missing if missing > 0 else None))
        work = Restore(
            source,
            directory,
            database,
            genesis,
            stop_requested,
            progress,
            to=to,
            strict=strict,
            limits=Limits(blocks=run_blocks),
        )
        report = work.run()
    if json_requested():
        click.echo(json.dumps(report.document()))
    else:
        click.echo(_text(report))


def _text(report: RestoreReport) -> str:
    if report.blocks:
        blocks = f"restored blocks {report.first} to {report.last}"
        done = f"{blocks}: {report.transactions} transactions in {report.seconds:.1f} s"
    else:
        done = "nothing to restore: the data directory has these blocks already"
    return f"{done}\nhead       {report.head} 0x{report.head_hash.hex()}\nstate root 0x{report.state_root.hex()}"
