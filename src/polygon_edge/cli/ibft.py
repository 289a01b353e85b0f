"""`polygon-edge ibft`: changes of the rules of IBFT in a genesis file, for nodes that start with it later (§1.7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import click

from polygon_edge.chain.engine import ForkEntry
from polygon_edge.cli.edge_command import EdgeGroup, exclude_flags, require_flags
from polygon_edge.cli.flags import Integer, generation_option, grpc_address_unused, number_or_hexadecimal
from polygon_edge.cli.genesis_editing import chain_option, read_genesis, replace_genesis
from polygon_edge.cli.output import block, key_values, show
from polygon_edge.cli.validators import MOST_VALIDATORS, check_validator_counts, named_validators
from polygon_edge.errors import UsageError

if TYPE_CHECKING:
    from polygon_edge.chain.engine import Kind
    from polygon_edge.chain.generation import Generation
    from polygon_edge.chain.genesis_edit import GenesisDocument
    from polygon_edge.chain.validator import ValidatorSet, ValidatorType

_KINDS = ("PoA", "PoS")
_VALIDATOR_TYPES = ("bls", "ecdsa")
LOWEST_UPDATE = 2
"""Before this block no entry can replace the validators: they are those of the genesis block."""


@click.group(
    cls=EdgeGroup,
    not_yet=("candidates", "propose", "snapshot", "status"),
    short_help="Change the consensus of a chain.",
)
@grpc_address_unused
def ibft() -> None:
    """Change the rules of IBFT in a genesis file, for every node of the chain that is started with it."""


@ibft.command(short_help="Switch to another kind or set of validators at a height.")
@chain_option
@click.option("--type", "kind", default="", help="Kind of the validators from then on: PoA or PoS.  [required]")
@click.option("--from", "first", default="", metavar="HEIGHT", help="First block of the new rules.  [required]")
@click.option(
    "--deployment", default="", metavar="HEIGHT", help="Block that puts the staking contract into the state; for PoS."
)
@click.option(
    "--ibft-validator-type", default="bls", show_default=True, help="Kind of the validators' seals: bls or ecdsa."
)
@click.option(
    "--ibft-validators-prefix-path",
    "prefix",
    default="",
    metavar="PREFIX",
    help="For PoA: the validators are those whose data directories lie here and have names that start so.",
)
@click.option(
    "--ibft-validator",
    "validators",
    multiple=True,
    metavar="ADDRESS[:BLS-KEY]",
    help="For PoA: a validator, with its BLS public key where seals are BLS; may be repeated.",
)
@click.option("--min-validator-count", "least", default="", metavar="COUNT", help="For PoS; default: 1.")
@click.option(
    "--max-validator-count", "most", default="", metavar="COUNT", help=f"For PoS; default: {MOST_VALIDATORS}."
)
@generation_option
@grpc_address_unused
def switch(  # noqa: PLR0917 - one parameter a flag
    chain: str,
    kind: str,
    first: str,
    deployment: str,
    ibft_validator_type: str,
    prefix: str,
    validators: tuple[str, ...],
    least: str,
    most: str,
    generation: Generation | None,
) -> None:
    """Switch to proof of stake, back to proof of authority, or to seals of the other kind, from a height on.

    The order of new validators is part of the chain, as with the command genesis.
    """
    # In the order of the Go client, which reports its first failure.
    if kind not in _KINDS:
        raise click.UsageError(f"unable to parse mechanism type: invalid IBFT type {kind}")
    if ibft_validator_type not in _VALIDATOR_TYPES:
        raise click.UsageError(f"invalid validator type: expected bls or ecdsa, found {ibft_validator_type!r}")
    if deployment and kind != "PoS":
        raise click.UsageError(f"doesn't support contract deployment in {kind}")
    deployed = _number("deployment", deployment) if deployment else None
    start = _number("from", first)
    if start == 0:
        raise click.UsageError('"from" must be positive number')
    listed: ValidatorSet | None = None
    if kind == "PoA":
        found = named_validators(prefix, validators, is_bls=ibft_validator_type == "bls")
        listed = tuple(validator.address + (validator.bls_public_key or b"") for validator in found)
        if least or most:
            raise click.UsageError("doesn't support min validator count in PoA")
    lowest = _number("min validator count", least) if least else None
    highest = _number("max validator count", most) if most else None
    check_validator_counts(1 if lowest is None else lowest, MOST_VALIDATORS if highest is None else highest)
    document = read_genesis(chain, generation)
    require_flags("kind", "first")
    exclude_flags("prefix", "validators")
    validator_type = cast("ValidatorType", ibft_validator_type)
    fork = ForkEntry(cast("Kind", kind), validator_type, start, None, deployed, listed, lowest, highest)
    _check(document, fork)
    replace_genesis(chain, document.with_fork(fork))
    _show(chain, fork)


def _number(what: str, text: str) -> int:
    try:
        return number_or_hexadecimal(text)
    except ValueError as error:
        raise click.UsageError(f"unable to parse {what} value, {error}") from error


def _check(document: GenesisDocument, fork: ForkEntry) -> None:
    """Raise UsageError where `fork` cannot follow the last entry of the file."""
    engine = document.genesis.params.engine
    if engine.name != "ibft":
        raise UsageError(""""ibft" config doesn't exist in "engine" of genesis.json'""")
    last = engine.entries[-1]
    if (fork.kind, fork.validator_type) == (last.kind, last.validator_type):
        raise UsageError("cannot specify same IBFT type and validator type as the last fork")
    if fork.first <= last.first:
        raise UsageError('"from" must be greater than the beginning height of last fork')
    if fork.kind == "PoA" and fork.first < LOWEST_UPDATE:
        raise UsageError(f"cannot specify a less height than {LOWEST_UPDATE} for validators update")
    if fork.validators == ():
        # The Go client writes an empty list, and the chain stands still at that height.
        raise UsageError("validator information not specified")


def _show(chain: str, fork: ForkEntry) -> None:
    least = 1 if fork.least_validators is None else fork.least_validators
    most = MOST_VALIDATORS if fork.most_validators is None else fork.most_validators
    rows: list[tuple[str, object]] = [("Chain", chain), ("Type", fork.kind), ("ValidatorType", fork.validator_type)]
    facts: dict[str, Any] = {"chain": chain, "type": fork.kind, "validator_type": fork.validator_type}
    facts["from"] = hex(fork.first)
    if fork.deployment is not None:
        rows.append(("Deployment", fork.deployment))
        facts["deployment"] = hex(fork.deployment)
    rows.append(("From", fork.first))
    if fork.kind == "PoS":
        rows += [("MaxValidatorCount", most), ("MinValidatorCount", least)]
    facts |= {"maxValidatorCount": hex(most), "minValidatorCount": hex(least)}
    show(block("NEW IBFT FORK", key_values(rows)) + "\n", facts)


@ibft.command(short_help="Let the quorum of later releases count from a height.")
@chain_option
@click.option("--from", "first", type=Integer(), default=0, metavar="HEIGHT", help="First such block.  [required]")
@generation_option
@grpc_address_unused
def quorum(chain: str, first: int, generation: Generation | None) -> None:
    """Have blocks from a height on need the seals of two thirds of their validators, rounded up."""
    document = read_genesis(chain, generation)
    require_flags("first")
    if document.genesis.params.engine.name != "ibft":
        raise UsageError(""""ibft" setting doesn't exist in "engine" of genesis.json'""")
    replace_genesis(chain, document.with_quorum_start(first))
    rows = key_values([("Chain", chain), ("From", first)])
    show(block("NEW IBFT QUORUM START", rows) + "\n", {"chain": chain, "from": hex(first)})
