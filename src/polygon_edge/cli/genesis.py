"""`polygon-edge genesis`: flags to the genesis file of a new chain (§1.3)."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import click

from polygon_edge.chain.address import parse_address
from polygon_edge.chain.genesis_file import Ibft, NewChain, genesis_text
from polygon_edge.cli.edge_command import EdgeCommandWithVerbs, exclude_flags, require_flags
from polygon_edge.cli.flags import Boolean, Integer, grpc_address_unused, number_or_hexadecimal
from polygon_edge.cli.output import block, show
from polygon_edge.cli.predeploy import predeploy
from polygon_edge.cli.validators import MOST_VALIDATORS, check_validator_counts, named_validators
from polygon_edge.store.durable import create_durably

DEFAULT_PREMINE = 10**24
DEFAULT_GAS_LIMIT = 5242880
DEFAULT_EPOCH_SIZE = 100_000
FILE_MODE = 0o666
_ENGINES = ("ibft", "dev", "dummy")


@click.command(cls=EdgeCommandWithVerbs, short_help="Write the genesis file of a new chain.")
@click.option("--dir", "file", default="./genesis.json", show_default=True, help="File to write; must not exist.")
@click.option("--name", default="polygon-edge", show_default=True, help="Name of the chain.")
@click.option(
    "--chain-id", "--chainid", type=Integer(0, (1 << 63) - 1), default=100, show_default=True, help="Id of the chain."
)
@click.option(
    "--premine",
    multiple=True,
    metavar="ADDRESS[:BALANCE]",
    help=f"Account that has BALANCE wei (default: {DEFAULT_PREMINE:#x}) from the start; may be repeated.",
)
@click.option(
    "--block-gas-limit", type=Integer(), default=DEFAULT_GAS_LIMIT, show_default=True, help="Most gas in one block."
)
@click.option(
    "--bootnode", multiple=True, help="Address of a node that new nodes ask first; may be repeated.  [required]"
)
@click.option("--consensus", default="ibft", show_default=True, help="Consensus engine: ibft, dev or dummy.")
@click.option("--epoch-size", type=Integer(), default=DEFAULT_EPOCH_SIZE, show_default=True, help="Blocks in an epoch.")
@click.option(
    "--ibft-validator-type", default="bls", show_default=True, help="Kind of the validators' seals: bls or ecdsa."
)
@click.option(
    "--ibft-validators-prefix-path",
    "prefix",
    default="",
    metavar="PREFIX",
    help="The validators are those whose data directories lie here and have names that start so.",
)
@click.option(
    "--ibft-validator",
    "validators",
    multiple=True,
    metavar="ADDRESS[:BLS-KEY]",
    help="A validator, with its BLS public key where seals are BLS; may be repeated.",
)
@click.option("--pos", type=Boolean(), default=False, help="Proof of stake: the validators have staked from the start.")
@click.option("--min-validator-count", type=Integer(), default=1, show_default=True, help="For proof of stake.")
@click.option(
    "--max-validator-count", type=Integer(), default=MOST_VALIDATORS, show_default=True, help="For proof of stake."
)
@grpc_address_unused
def genesis(  # noqa: PLR0917 - one parameter a flag
    file: str,
    name: str,
    chain_id: int,
    premine: tuple[str, ...],
    block_gas_limit: int,
    bootnode: tuple[str, ...],
    consensus: str,
    epoch_size: int,
    ibft_validator_type: str,
    prefix: str,
    validators: tuple[str, ...],
    pos: bool,
    min_validator_count: int,
    max_validator_count: int,
) -> None:
    """Write the genesis file of a new chain, of proof of authority or of stake.

    The order of the validators is part of the chain. With --ibft-validators-prefix-path it is that of the names of
    their directories: node-10 comes before node-2.
    """
    # In the order of the Go client, which reports its first failure.
    if consensus not in _ENGINES:
        raise click.UsageError(f"consensus {consensus!r} not supported: expected one of {', '.join(_ENGINES)}")
    if consensus == "ibft" and not validators and not prefix:
        raise click.UsageError("validator information not specified")
    if os.path.lexists(file):
        raise click.UsageError(f"genesis file at path ({file}) already exists")
    if consensus == "ibft" and epoch_size < 2:
        raise click.UsageError("epoch size must be greater than 1")
    check_validator_counts(min_validator_count, max_validator_count)
    if pos and consensus != "ibft":
        raise click.UsageError(f"--pos needs the consensus engine ibft, found {consensus}")
    if ibft_validator_type not in {"bls", "ecdsa"}:
        raise click.UsageError(f"invalid validator type: expected bls or ecdsa, found {ibft_validator_type!r}")
    engine: Ibft | str = consensus
    if consensus == "ibft":
        found = named_validators(prefix, validators, is_bls=ibft_validator_type == "bls")
        if len(found) > max_validator_count:
            raise click.UsageError("validator number exceeds max validator number")
        counts = (min_validator_count, max_validator_count) if pos else None
        engine = Ibft(ibft_validator_type, tuple(found), epoch_size, counts)
    require_flags("bootnode")
    exclude_flags("prefix", "validators")
    chain = NewChain(
        name=_text("--name", name),
        chain_id=chain_id,
        engine=engine,
        gas_limit=block_gas_limit,
        premine=_premine(premine),
        bootnodes=tuple(_bootnode(text) for text in bootnode),
    )
    _write(Path(file), genesis_text(chain))
    message = f"Genesis written to {file}\n"
    show(block("GENESIS SUCCESS", message), {"message": message})


genesis.verbs["predeploy"] = predeploy


def _write(file: Path, content: bytes) -> None:
    try:
        create_durably(file, content, FILE_MODE)
    except FileExistsError as error:
        raise click.UsageError(f"genesis file at path ({file}) already exists") from error
    except OSError as error:
        raise click.UsageError(f"failed to write genesis: {file}: {error.strerror or error}") from error


def _premine(texts: tuple[str, ...]) -> dict[bytes, int]:
    balances: dict[bytes, int] = {}
    for text in texts:
        account, colon, balance = text.partition(":")
        address = _address("--premine", account)
        if address in balances:
            raise click.UsageError(f"--premine {text}: this account has a balance already")
        try:
            balances[address] = number_or_hexadecimal(balance, 256) if colon else DEFAULT_PREMINE
        except ValueError as error:
            raise click.UsageError(f"failed to parse amount {balance}: {error}") from error
    return balances


def _address(flag: str, text: str) -> bytes:
    try:
        return parse_address(text)
    except ValueError as error:
        raise click.UsageError(f"{flag}: {error}") from error


def _bootnode(text: str) -> str:
    if not text:
        raise click.UsageError("--bootnode: expected the address of a node, found nothing")
    return _text("--bootnode", text)


def _text(flag: str, text: str) -> str:
    if any(unicodedata.category(letter) in {"Cc", "Cs"} for letter in text):
        raise click.UsageError(f"{flag}: expected UTF-8 text without control characters, found {text!r}")
    return text
