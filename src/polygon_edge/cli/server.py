"""`polygon-edge server`: flags in, a node out, and how it ends."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import threading
from importlib.metadata import version as distribution_version
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from polygon_edge.chain.genesis import load_genesis
from polygon_edge.chain.rules import refuse_unsupported
from polygon_edge.cli.edge_command import EdgeCommand, exclude_flags, is_set
from polygon_edge.cli.flags import Boolean, Integer, number_or_hexadecimal
from polygon_edge.cli.output import json_requested
from polygon_edge.cli.stop import caught_signal, stop_requested
from polygon_edge.config import DEFAULT_DATA_DIR, Address, JsonRpcSettings, PoolSettings, ServerConfig
from polygon_edge.errors import UsageError
from polygon_edge.observe.logs import LogLevel, configure_logging

if TYPE_CHECKING:
    from collections.abc import Iterator

logger = logging.getLogger(__name__)

LONGEST_STOP_SECONDS = 60.0
"""The Go client gives its databases five seconds; a stop that takes longer than this is stuck (D-6)."""

LOCAL_HOST = "127.0.0.1"
EVERY_HOST = "0.0.0.0"  # noqa: S104 - where the Go client's JSON-RPC listens; the node warns of it
_SIGNAL_WORDS = {"SIGINT": "interrupt", "SIGTERM": "terminated", "SIGHUP": "hangup"}

NOT_YET_SERVED = ("prometheus", "nat", "dns", "no_discover", "max_peers", "max_inbound_peers", "max_outbound_peers")
"""Flags of peers and metrics: known, so that no start script breaks, and said to do nothing yet."""


def _number(context: click.Context, parameter: click.Parameter, value: str) -> int:
    try:
        return number_or_hexadecimal(value)
    except ValueError as error:
        raise click.BadParameter(str(error), context, parameter) from error


@click.command(cls=EdgeCommand, short_help="Start the node.")
@click.option(
    "--chain", type=click.Path(path_type=Path), default="./genesis.json", show_default=True, help="Genesis file."
)
@click.option(
    "--data-dir",
    default=None,
    metavar="PATH",
    help=f"Data directory; the default is ./{DEFAULT_DATA_DIR}, with a warning.",
)
@click.option("--grpc-address", default="127.0.0.1:9632", show_default=True, help="Address of the operator's gRPC.")
@click.option("--grpc", "grpc_alias", default=None, hidden=True)
@click.option("--jsonrpc", default="0.0.0.0:8545", show_default=True, help="Address of JSON-RPC.")
@click.option(
    "--libp2p", default="127.0.0.1:1478", show_default=True, help="Address for peers (named in status; no peers yet)."
)
@click.option(
    "--restore", default="", metavar="FILE", help="Archive to import before anything else; repeating it is harmless."
)
@click.option(
    "--abandon-restore",
    type=Boolean(),
    default=False,
    help="Give up an unfinished restore: go on, and seal, from the head as it is.",
)
@click.option("--seal", type=Boolean(), default=True, help="Accepted; a node seals when its key is the validator's.")
@click.option(
    "--block-gas-target", default="0x0", show_default=True, callback=_number, help="Gas limit to move to; 0 keeps it."
)
@click.option("--block-time", type=Integer(), default=2, show_default=True, help="Seconds from block to block.")
@click.option(
    "--price-limit", type=Integer(), default=0, show_default=True, help="Least gas price of the pool, in wei."
)
@click.option("--max-slots", type=Integer(), default=4096, show_default=True, help="Slots of 32 KiB in the pool.")
@click.option(
    "--max-enqueued", type=Integer(), default=128, show_default=True, help="Waiting transactions of one account."
)
@click.option(
    "--json-rpc-batch-request-limit",
    type=Integer(),
    default=20,
    show_default=True,
    help="Requests in a batch; 0 for any.",
)
@click.option(
    "--json-rpc-block-range-limit",
    type=Integer(),
    default=1000,
    show_default=True,
    help="Blocks of one query; 0 for any.",
)
@click.option(
    "--access-control-allow-origins",
    multiple=True,
    default=("*",),
    show_default=True,
    help="Origin a browser may ask from.",
)
@click.option("--log-level", default="INFO", show_default=True, help="trace, debug, info, warn, error or off.")
@click.option("--log-to", default="", metavar="FILE", help="Write the log into this file, emptied at each start.")
@click.option("--config", default="", metavar="FILE", help="Configuration file (not supported yet).")
@click.option("--secrets-config", default="", metavar="FILE", help="Secrets manager (not supported yet).")
@click.option("--prometheus", default="", help="Address of metrics (not served yet).")
@click.option("--nat", default="", help="External IP address for peers (no peers yet).")
@click.option("--dns", default="", help="Host name for peers (no peers yet).")
@click.option("--no-discover", type=Boolean(), default=False, help="Look for no peers (no peers yet).")
@click.option("--max-peers", type=Integer(-1), default=-1, help="Most peers (no peers yet).")
@click.option("--max-inbound-peers", type=Integer(-1), default=-1, help="Most peers that dial in (no peers yet).")
@click.option("--max-outbound-peers", type=Integer(-1), default=-1, help="Most peers dialled (no peers yet).")
@click.option("--ibft-base-timeout", type=Integer(), default=0, hidden=True)
@click.option("--dev", type=Boolean(), default=False, hidden=True)
@click.option("--dev-interval", type=Integer(), default=0, hidden=True)
@click.option("--export-delay", type=float, default=0.0, hidden=True)
def server(  # noqa: PLR0917 - one parameter a flag
    chain: Path,
    data_dir: str | None,
    grpc_address: str,
    grpc_alias: str | None,
    jsonrpc: str,
    libp2p: str,
    restore: str,
    abandon_restore: bool,
    block_gas_target: int,
    block_time: int,
    price_limit: int,
    max_slots: int,
    max_enqueued: int,
    json_rpc_batch_request_limit: int,
    json_rpc_block_range_limit: int,
    access_control_allow_origins: tuple[str, ...],
    log_level: str,
    log_to: str,
    config: str,
    secrets_config: str,
    dev: bool,
    export_delay: float,
    **not_yet_served: object,
) -> None:
    """Start the node: serve reads, follow a restore, and seal where this node's key is the only validator.

    SIGINT, SIGTERM and SIGHUP end it: the databases are flushed, both locks released; a second signal forces.
    """
    for flag, value in (("config", config), ("secrets-config", secrets_config)):
        if value:
            raise UsageError(f"--{flag} is not supported yet: give flags, and keys in the data directory")
    genesis = load_genesis(chain)
    if data_dir == "":
        raise UsageError("data directory not defined")
    if block_time < 1:
        raise UsageError("invalid block time specified")
    exclude_flags("max_peers", "max_inbound_peers")
    exclude_flags("max_peers", "max_outbound_peers")
    if restore and abandon_restore:
        raise UsageError("--restore and --abandon-restore exclude each other: finish the restore, or give it up")
    settings = ServerConfig(
        chain=chain,
        data_dir=DEFAULT_DATA_DIR if data_dir is None else Path(data_dir),
        grpc=Address.parse(grpc_address if grpc_alias is None else grpc_alias, LOCAL_HOST),
        jsonrpc=Address.parse(jsonrpc, EVERY_HOST),
        libp2p=Address.parse(libp2p, LOCAL_HOST),
        restore=Path(restore) if restore else None,
        abandon_restore=abandon_restore,
        block_gas_target=block_gas_target or None,
        block_time_seconds=block_time,
        pool=PoolSettings(price_limit, max_slots, max_enqueued),
        json_rpc=JsonRpcSettings(
            json_rpc_batch_request_limit, json_rpc_block_range_limit, access_control_allow_origins
        ),
        export_delay_seconds=export_delay,
    )
    refuse_unsupported(genesis)
    if dev:
        raise UsageError("--dev needs a genesis file with the engine dev, which is not supported yet")
    with _logging(LogLevel.named(log_level), log_to):
        if data_dir is None:
            logger.warning("--data-dir is not given: using %s", settings.data_dir)
        for name in NOT_YET_SERVED:
            if is_set(name) and not_yet_served.get(name):
                logger.warning(
                    "--%s has no effect yet: this version has no peers and no metrics", name.replace("_", "-")
                )
        # The doors are heavy to import, and a wrong flag should be answered at once.
        from polygon_edge.node import Node  # noqa: PLC0415

        node = Node(
            settings,
            genesis,
            version=distribution_version("polygon-edge"),
            stop=stop_requested,
            on_stopping=_say_goodbye,
        )
        node.run()


@contextlib.contextmanager
def _logging(level: LogLevel, file: str) -> Iterator[None]:
    """Log to standard error, or into `file`, which is emptied first."""
    with contextlib.ExitStack() as stack:
        stream: TextIO | None = None
        if file:
            try:
                stream = stack.enter_context(open(file, "w", encoding="utf-8"))
            except OSError as error:
                raise UsageError(
                    f"could not setup new logger instance, could not create log file, open {file}: {error.strerror}"
                ) from error
        configure_logging(level, stream, as_json=json_requested())
        yield


def _say_goodbye() -> None:
    """Tell standard output, as the Go client does, and watch that the stop comes to an end."""
    caught = caught_signal()
    if caught is None:
        return
    text = f"\n[SIGNAL] Caught signal: {_SIGNAL_WORDS[caught.name]}\nGracefully shutting down client..."
    click.echo(json.dumps({"message": text}) if json_requested() else text)
    sys.stdout.flush()
    watchdog = threading.Timer(LONGEST_STOP_SECONDS, _give_up)
    watchdog.daemon = True
    watchdog.start()


def _give_up() -> None:
    click.echo(f"shutdown by timeout: not finished after {LONGEST_STOP_SECONDS:.0f} s", err=True)
    os._exit(1)
