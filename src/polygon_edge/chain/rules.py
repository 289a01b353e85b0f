"""The rules of one chain as one frozen value, chosen from its genesis file and handed down.

This is the only place that asks which generation a chain is of.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from polygon_edge.chain.block import ExtraDataError, listed_validators
from polygon_edge.chain.schedule import Schedule, schedule_of
from polygon_edge.chain.validator import are_distinct, type_of
from polygon_edge.errors import GenesisError, UnsupportedGenesisError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from polygon_edge.chain.engine import Engine, ForkEntry
    from polygon_edge.chain.generation import Generation
    from polygon_edge.chain.genesis import Genesis
    from polygon_edge.chain.validator import ValidatorSet

ENGINES = ("ibft", "dev", "dummy")


@dataclass(frozen=True, slots=True)
class Rules:
    """What does not change while a chain runs. `forks` maps a fork's name to its first block; absent means never.

    `engine` is `ibft`, `dev` or `dummy`; below `quorum_size_block` the legacy quorum counts (§5.4). `deployments` are
    the entries whose staking contract is put into the state, by that block; `burn_contracts` (first block, address);
    `access_lists` the names of those that are configured. `block_time` is in nanoseconds, None where the node chooses.
    """

    generation: Generation
    chain_id: int
    forks: Mapping[str, int]
    engine: str
    epoch_size: int
    quorum_size_block: int
    schedule: Schedule = field(default_factory=Schedule)
    deployments: Mapping[int, ForkEntry] = field(default_factory=dict)
    burn_contracts: tuple[tuple[int, bytes], ...] = ()
    access_lists: tuple[str, ...] = ()
    block_time: int | None = None

    @property
    def has_validators(self) -> bool:
        """Whether blocks are sealed by validators; the engines `dev` and `dummy` have none."""
        return self.engine == "ibft"


def rules_of(genesis: Genesis) -> Rules:
    """Choose the rules of the chain that `genesis` starts.

    Raises UnsupportedGenesisError (see `refuse_unsupported`).
    """
    refuse_unsupported(genesis)
    engine = genesis.params.engine
    return Rules(
        generation=genesis.generation,
        chain_id=genesis.params.chain_id,
        forks=dict(genesis.params.forks),
        engine=engine.name,
        epoch_size=engine.epoch_size,
        quorum_size_block=engine.quorum_size_block,
        schedule=schedule_of(engine),
        deployments=_deployments(engine),
        burn_contracts=genesis.params.burn_contracts,
        access_lists=tuple(access_list.kind.name for access_list in genesis.params.access_lists),
        block_time=engine.block_time,
    )


def _deployments(engine: Engine) -> dict[int, ForkEntry]:
    """The entries that put the staking contract into the state; of several for one block the last in the file."""
    return {
        entry.deployment: entry
        for entry in engine.entries
        # Nothing executes block 0.
        if entry.kind == "PoS" and entry.deployment
    }


def refuse_unsupported(genesis: Genesis) -> None:
    """Raise UnsupportedGenesisError, naming the key, for a chain of an engine that this program does not have."""
    name = genesis.params.engine.name
    if name not in ENGINES:
        raise UnsupportedGenesisError(genesis.file, "params.engine", f"one of {', '.join(ENGINES)}", name)


def initial_validators(genesis: Genesis) -> ValidatorSet:
    """Return the validators that the genesis extra data lists, in order: 20 bytes each, with BLS keys 68 (§3.3).

    Raises GenesisError for extra data that is not IBFT's, lists nobody, or lists validators of another type than the
    file asks for.
    """
    path = "genesis.extraData"
    try:
        validators = listed_validators(genesis.extra_data)
    except ExtraDataError as error:
        raise GenesisError(genesis.file, path, "IBFT extra data", str(error)) from error
    if not validators or not are_distinct(validators):
        raise GenesisError(genesis.file, path, "distinct validators, at least one", f"{len(validators)} validators")
    entry = schedule_of(genesis.params.engine).at(0).entry
    if entry is not None and type_of(validators) != entry.validator_type:
        raise GenesisError(
            genesis.file, path, f"{entry.validator_type} validators", f"{type_of(validators)} validators"
        )
    return validators
