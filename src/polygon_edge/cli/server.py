"""`polygon-edge server`: flags in, a node out, and how it ends."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import threading
from importlib.metadata import version as distribution_version
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TextIO

import click

from polygon_edge.chain.dev_mode import in_dev_mode
from polygon_edge.chain.generation import Generation
from polygon_edge.chain.genesis import load_genesis
from polygon_edge.chain.json_text import json_text
from polygon_edge.chain.rules import refuse_unsupported
from polygon_edge.cli.edge_command import FAILURE_EXIT_CODE, EdgeCommand, exclude_flags, is_set
from polygon_edge.cli.flags import Boolean, Integer, generation_option, number_or_hexadecimal
from polygon_edge.cli.output import json_requested
from polygon_edge.cli.stop import caught_signal, stop_requested, when_forced
from polygon_edge.config import DEFAULT_DATA_DIR, Address, JsonRpcSettings, PoolSettings, ServerConfig
from polygon_edge.errors import GenesisError, UsageError
from polygon_edge.observe.logs import LogLevel, configure_logging

if TYPE_CHECKING:
    from collections.abc import Iterator

    from polygon_edge.chain.genesis import Genesis

logger = logging.getLogger(__name__)

LONGEST_STOP_SECONDS = 60.0
"""The Go client gives its databases five seconds; a stop that takes longer than this is stuck (D-6)."""

LOCAL_HOST = "127.0.0.1"
EVERY_HOST = "0.0.0.0"  # noqa: S104 - where the Go client's JSON-RPC listens; the node warns of it
_SIGNAL_WORDS = {"SIGINT": "interrupt", "SIGTERM": "terminated", "SIGHUP": "hangup"}

NOT_YET_SERVED = ("prometheus", "nat", "dns", "no_discover", "max_peers", "max_inbound_peers", "max_outbound_peers")
"""Flags of peers and metrics: known, so that no start script breaks, and said to do nothing yet."""


_DNS_ADDRESS = re.compile(r"/?dns[46]?/[A-Za-z0-9][A-Za-z0-9.-]*\.[A-Za-z]{2,}/?")


def _refused(problem: str) -> click.UsageError:
    """An error of the checks before the start: told with the usage, exit code 1 (§1.0)."""
    return click.UsageError(problem, click.get_current_context())


def _gas_target(text: str) -> int:
    try:
        return number_or_hexadecimal(text)
    except ValueError as error:
        raise _refused(f"--block-gas-target: {error}") from error


def _address(text: str, missing_host: str) -> Address:
    try:
        return Address.parse(text, missing_host)
    except UsageError as error:
        raise _refused(str(error)) from error


class _Doors(NamedTuple):
    """Where the node listens."""

    grpc: Address
    jsonrpc: Address
    libp2p: Address


def _doors(*, prometheus: str, libp2p: str, nat: str, dns: str, jsonrpc: str, grpc: str) -> _Doors:
    """Read all addresses in the Go client's order, also those that are of no use yet: a wrong one is not ignored."""
    if prometheus:
        _address(prometheus, EVERY_HOST)
    libp2p_address = _address(libp2p, LOCAL_HOST)
    if nat and not _is_ip_address(nat):
        raise _refused("could not parse NAT IP address")
    if dns and not _DNS_ADDRESS.fullmatch(dns):
        raise _refused("invalid DNS address")
    jsonrpc_address = _address(jsonrpc, EVERY_HOST)
    return _Doors(_address(grpc, LOCAL_HOST), jsonrpc_address, libp2p_address)


def _is_ip_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _genesis(file: Path, generation: Generation | None) -> Genesis:
    """Read the genesis file; one that cannot be opened is told in the Go client's words."""
    try:
        return load_genesis(file, generation)
    except GenesisError as error:
        cause = error.__cause__
        if isinstance(cause, OSError):
            raise _refused(f"open {file}: {(cause.strerror or str(cause)).lower()}") from error
        raise _refused(str(error)) from error


def _in_dev_mode(genesis: Genesis, interval: int) -> Genesis:
    try:
        return in_dev_mode(genesis, interval)
    except GenesisError as error:
        raise _refused(str(error)) from error


@click.command(cls=EdgeCommand, not_yet=("export",), short_help="Start the node.")
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
    "--restore",
    default="",
    metavar="FILE",
    help="Archive to import before anything is sealed, or -; repeating it is harmless.",
)
@click.option(
    "--abandon-restore",
    type=Boolean(),
    default=False,
    help="Give up an unfinished restore: go on, and seal, from the head as it is.",
)
@click.option(
    "--strict", type=Boolean(), default=False, help="Treat doubts about what --restore imports as errors, not warnings."
)
@click.option("--seal", type=Boolean(), default=True, help="Accepted; a node seals when its key is the validator's.")
@click.option("--block-gas-target", default="0x0", show_default=True, help="Gas limit to move to; 0 keeps it.")
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
@generation_option
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
    strict: bool,
    block_gas_target: str,
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
    prometheus: str,
    nat: str,
    dns: str,
    dev: bool,
    dev_interval: int,
    export_delay: float,
    generation: Generation | None,
    **_not_yet_served: object,
) -> None:
    """Start the node: serve reads, follow a restore, and seal where this node's key is the only validator.

    SIGINT, SIGTERM and SIGHUP end it: the databases are flushed, both locks released; a second signal forces.
    """
    # In the order of §1.1: of several wrong flags the same one is named as by the Go client.
    if config:
        raise _refused("--config is not supported yet: give flags")
    gas_target = _gas_target(block_gas_target)
    if secrets_config:
        raise _refused("--secrets-config is not supported yet: keys are read from the data directory")
    genesis = _genesis(chain, generation)
    if data_dir == "":
        raise _refused("data directory not defined")
    if block_time < 1:
        raise _refused("invalid block time specified")
    if dev:
        genesis = _in_dev_mode(genesis, dev_interval)
    grpc_text = grpc_address if grpc_alias is None else grpc_alias
    doors = _doors(prometheus=prometheus, libp2p=libp2p, nat=nat, dns=dns, jsonrpc=jsonrpc, grpc=grpc_text)
    exclude_flags("max_peers", "max_inbound_peers")
    exclude_flags("max_peers", "max_outbound_peers")
    if restore and abandon_restore:
        raise _refused("--restore and --abandon-restore exclude each other: finish the restore, or give it up")
    settings = ServerConfig(
        chain=chain,
        data_dir=DEFAULT_DATA_DIR if data_dir is None else Path(data_dir),
        grpc=doors.grpc,
        jsonrpc=doors.jsonrpc,
        libp2p=doors.libp2p,
        restore=Path(restore) if restore else None,
        abandon_restore=abandon_restore,
        strict=strict,
        block_gas_target=gas_target or None,
        block_time_seconds=block_time,
        pool=PoolSettings(price_limit, max_slots, max_enqueued),
        json_rpc=JsonRpcSettings(
            json_rpc_batch_request_limit, json_rpc_block_range_limit, access_control_allow_origins
        ),
        export_delay_seconds=export_delay,
    )
    refuse_unsupported(genesis)
    with _logging(LogLevel.named(log_level), log_to):
        if data_dir is None:
            logger.warning("--data-dir is not given: using %s", settings.data_dir)
        for name in NOT_YET_SERVED:
            if is_set(name) and click.get_current_context().params[name]:
                logger.warning(
                    "--%s has no effect yet: this version has no peers and no metrics", name.replace("_", "-")
                )
        # The doors are heavy to import, and a wrong flag should be answered at once.
        from polygon_edge.node import Node  # noqa: PLC0415

        late = _failure(f"shutdown by timeout: not finished after {LONGEST_STOP_SECONDS:.0f} s")
        watchdog = threading.Timer(LONGEST_STOP_SECONDS, _give_up, [late])
        watchdog.daemon = True
        node = Node(
            settings,
            genesis,
            version=distribution_version("polygon-edge"),
            stop=stop_requested,
            on_stopping=lambda: _say_goodbye(watchdog),
        )
        try:
            node.run()
        finally:
            watchdog.cancel()


@contextlib.contextmanager
def _logging(level: LogLevel, file: str) -> Iterator[None]:
    """Log to standard error, or into `file`, which is emptied first."""
    with contextlib.ExitStack() as stack:
        stream: TextIO | None = None
        if file:
            try:
                # A path in a message need not be text, and a line must not be lost over that.
                stream = stack.enter_context(open(file, "w", encoding="utf-8", errors="backslashreplace"))
            except OSError as error:
                raise UsageError(
                    f"could not setup new logger instance, could not create log file, open {file}: "
                    f"{(error.strerror or str(error)).lower()}"
                ) from error
        configure_logging(level, stream, as_json=json_requested())
        yield


def _say_goodbye(watchdog: threading.Timer) -> None:
    """Tell standard output, as the Go client does, and watch that the stop comes to an end."""
    watchdog.start()
    when_forced(_failure("shutdown by signal channel"))
    caught = caught_signal()
    if caught is None:
        return
    logger.info("%s: stopping", caught.name)
    text = f"\n[SIGNAL] Caught signal: {_SIGNAL_WORDS[caught.name]}\nGracefully shutting down client..."
    # Whoever read the output may be gone, or its disk full: the stop goes on.
    with contextlib.suppress(OSError):
        click.echo(json.dumps({"message": text}) if json_requested() else text)


def _give_up(text: str) -> None:
    click.echo(text, err=True)
    os._exit(FAILURE_EXIT_CODE)


def _failure(text: str) -> str:
    return json_text({"error": text}) if json_requested() else text
