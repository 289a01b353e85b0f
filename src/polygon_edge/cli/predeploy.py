"""`polygon-edge genesis predeploy`: a compiled contract into a genesis file (§1.3)."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import click

from polygon_edge.chain.address import ADDRESS_SIZE, checksum_address
from polygon_edge.chain.constructor_arguments import parse_argument
from polygon_edge.chain.predeploy import LOWEST_ADDRESS, parse_artifact, predeployed
from polygon_edge.chain.staking import STAKING_ADDRESS
from polygon_edge.cli.edge_command import EdgeCommand, require_flags
from polygon_edge.cli.flags import generation_option, grpc_address_unused
from polygon_edge.cli.genesis_editing import chain_option, read_genesis, replace_genesis
from polygon_edge.cli.output import block, key_values, show
from polygon_edge.cli.stop import stop_requested
from polygon_edge.errors import StoppedBySignalError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from polygon_edge.chain.generation import Generation
    from polygon_edge.chain.genesis import GenesisAccount

LOWEST = checksum_address(LOWEST_ADDRESS.to_bytes(ADDRESS_SIZE, "big"))
NOTICE_SECONDS = 0.05
_ADDRESS = re.compile(r"(?:0x)?([0-9a-fA-F]{1,40})")


@click.command(cls=EdgeCommand, short_help="Put a contract into a genesis file.")
@chain_option
@click.option(
    "--predeploy-address",
    default=LOWEST,
    show_default=True,
    metavar="ADDRESS",
    help=f"Address of the contract, {LOWEST} or above.  [required]",
)
@click.option(
    "--artifacts-path", default="", metavar="FILE", help="JSON artifact that the compiler made of it.  [required]"
)
@click.option(
    "--constructor-args",
    multiple=True,
    metavar="ARGUMENT",
    help='Argument of the constructor, as 5, 0x10, "a text", [1, 2] or [["a", true]]; may be repeated.',
)
@generation_option
@grpc_address_unused
def predeploy(
    chain: str,
    predeploy_address: str,
    artifacts_path: str,
    constructor_args: tuple[str, ...],
    generation: Generation | None,
) -> None:
    """Put a contract into a genesis file: its constructor is executed, its storage and code are written to the alloc.

    The new file is another chain: its genesis block has another hash.
    """
    address = _address(predeploy_address)
    document = read_genesis(chain, generation)
    require_flags("predeploy_address", "artifacts_path")
    if any(account.address == address for account in document.genesis.alloc):
        raise UsageError("the provided predeploy address is taken")
    artifact = parse_artifact(_content(artifacts_path), artifacts_path)
    arguments = [parse_argument(text) for text in constructor_args]
    account = _stoppable(lambda: predeployed(document.genesis, address, artifact, arguments))
    replace_genesis(chain, document.with_account(account))
    shown = checksum_address(address)
    show(block("SMART CONTRACT PREDEPLOYMENT", key_values([("Address", shown)])) + "\n", {"address": shown})


def _address(text: str) -> bytes:
    if not text:
        raise click.UsageError("invalid predeploy address provided")
    digits = _ADDRESS.fullmatch(text)
    if digits is None:
        raise click.UsageError(f"--predeploy-address: expected at most 40 hex digits, found {text!r}")
    address = bytes.fromhex(digits[1].rjust(2 * ADDRESS_SIZE, "0"))
    if address == STAKING_ADDRESS:
        raise click.UsageError("the provided predeploy address is reserved")
    if int.from_bytes(address, "big") < LOWEST_ADDRESS:
        raise click.UsageError(f"the provided predeploy address must be >= {LOWEST}")
    return address


def _content(file: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise UsageError(f"open {file}: {(error.strerror or str(error)).lower()}") from error


def _stoppable(work: Callable[[], GenesisAccount]) -> GenesisAccount:
    """Return what `work` returns; a signal ends the wait for a constructor that does not end."""
    found: list[GenesisAccount] = []
    failed: list[Exception] = []

    def try_it() -> None:
        try:
            found.append(work())
        except Exception as error:  # noqa: BLE001 - raised again where somebody waits for it
            failed.append(error)

    thread = threading.Thread(target=try_it, name="constructor", daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(NOTICE_SECONDS)
        if stop_requested.is_set():
            raise StoppedBySignalError(None)
    if failed:
        raise failed[0]
    return found[0]
