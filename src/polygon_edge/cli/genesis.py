"""`polygon-edge genesis`: flags to the genesis file of a new chain (§1.3)."""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path

import click

from polygon_edge.chain.address import parse_address
from polygon_edge.chain.genesis_file import BLS_PUBLIC_KEY_SIZE, Ibft, NewChain, Validator, genesis_text
from polygon_edge.cli.edge_command import EdgeCommand, exclude_flags, require_flags
from polygon_edge.cli.flags import Boolean, Integer, grpc_address_unused, number_or_hexadecimal
from polygon_edge.cli.output import block, show
from polygon_edge.errors import KeyMissingError
from polygon_edge.keys.local import LocalKeys
from polygon_edge.store.durable import create_durably

DEFAULT_PREMINE = 10**24
DEFAULT_GAS_LIMIT = 5242880
DEFAULT_EPOCH_SIZE = 100_000
MOST_VALIDATORS = 2**53 - 2
FILE_MODE = 0o666
_ENGINES = ("ibft", "dev", "dummy")
_BLS_PUBLIC_KEY = re.compile(r"(?:0x)?([0-9a-fA-F]*)")


@click.command(cls=EdgeCommand, short_help="Write the genesis file of a new chain.")
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
@click.pass_context
def genesis(  # noqa: PLR0917 - one parameter a flag
    context: click.Context,
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
    if context.args[:1] == ["predeploy"]:
        raise click.UsageError("genesis predeploy is not supported yet")
    # In the order of the Go client, which reports its first failure.
    if consensus not in _ENGINES:
        raise click.UsageError(f"consensus {consensus!r} not supported: expected one of {', '.join(_ENGINES)}")
    if consensus == "ibft" and not validators and not prefix:
        raise click.UsageError("validator information not specified")
    if os.path.lexists(file):
        raise click.UsageError(f"genesis file at path ({file}) already exists")
    if consensus == "ibft" and epoch_size < 2:
        raise click.UsageError("epoch size must be greater than 1")
    _check_validator_counts(min_validator_count, max_validator_count)
    if pos and consensus != "ibft":
        raise click.UsageError(f"--pos needs the consensus engine ibft, found {consensus}")
    if ibft_validator_type not in {"bls", "ecdsa"}:
        raise click.UsageError(f"invalid validator type: expected bls or ecdsa, found {ibft_validator_type!r}")
    engine: Ibft | str = consensus
    if consensus == "ibft":
        is_bls = ibft_validator_type == "bls"
        found = _validators_by_prefix(prefix, is_bls) if prefix else [_validator(text, is_bls) for text in validators]
        _check_distinct(found)
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


def _write(file: Path, content: bytes) -> None:
    try:
        create_durably(file, content, FILE_MODE)
    except FileExistsError as error:
        raise click.UsageError(f"genesis file at path ({file}) already exists") from error
    except OSError as error:
        raise click.UsageError(f"failed to write genesis: {file}: {error.strerror or error}") from error


def _check_validator_counts(least: int, most: int) -> None:
    if least < 1:
        raise click.UsageError("minimum number of validators must be greater than 0")
    if least > most:
        raise click.UsageError("minimum number of validators can not be greater than the maximum number of validators")
    if most > MOST_VALIDATORS:
        raise click.UsageError("maximum number of validators must be lower or equal than MaxSafeJSInt (2^53 - 2)")


def _validator(text: str, is_bls: bool) -> Validator:
    address, colon, key = text.partition(":")
    if bool(colon) != is_bls or ":" in key:
        shape = "[Validator Address]:[BLS Public Key]" if is_bls else "[Validator Address]"
        raise click.UsageError(f"invalid validator format, expected {shape}, found {text!r}")
    if not is_bls:
        return Validator(_address("--ibft-validator", address))
    digits = _BLS_PUBLIC_KEY.fullmatch(key)
    if digits is None or len(digits[1]) != 2 * BLS_PUBLIC_KEY_SIZE:
        raise click.UsageError(
            f"failed to parse BLS Public Key: expected {BLS_PUBLIC_KEY_SIZE} bytes in hex, found {key!r}"
        )
    return Validator(_address("--ibft-validator", address), bytes.fromhex(digits[1]))


def _validators_by_prefix(prefix: str, is_bls: bool) -> list[Validator]:
    """Read the validators' keys from the data directories in the working directory, in the order of their names."""
    problem = "failed to read from prefix"
    if "/" in prefix:
        # The Go client finds nothing then, and writes a chain without validators.
        raise click.UsageError(f"{problem}: {prefix}: expected the start of names in this directory, found a path")
    with os.scandir(b".") as entries:
        names = sorted(
            entry.name
            for entry in entries
            if entry.name.startswith(os.fsencode(prefix)) and entry.is_dir(follow_symlinks=False)
        )
    if not names:
        raise click.UsageError(f"{problem}: no directory here has a name that starts with {prefix}")
    found = []
    for name in names:
        keys = LocalKeys(Path(os.fsdecode(name)))
        try:
            address = keys.validator_key(create=False).address
        except KeyMissingError as error:
            raise click.UsageError(f"{problem}: ECDSA key not found in given path: {error.path}") from error
        try:
            bls_public_key = keys.bls_key(create=False).public_key if is_bls else None
        except KeyMissingError as error:
            raise click.UsageError(f"{problem}: BLS key not found in given path: {error.path}") from error
        found.append(Validator(address, bls_public_key))
    return found


def _check_distinct(validators: list[Validator]) -> None:
    for values in (
        [validator.address for validator in validators],
        [validator.bls_public_key for validator in validators if validator.bls_public_key is not None],
    ):
        for index, value in enumerate(values):
            if value in values[:index]:
                raise click.UsageError(f"validator already exists in validators: 0x{value.hex()}")


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
