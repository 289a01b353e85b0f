"""The rules of one chain as one frozen value, chosen from its genesis file and handed down.

This is the only place that asks which generation a chain is of.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from polygon_edge.chain.block import BlsValidatorsError, ExtraDataError, listed_validators
from polygon_edge.chain.genesis import Generation, Genesis
from polygon_edge.errors import GenesisError, UnsupportedGenesisError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Rules:
    """What does not change while a chain runs. `forks` maps a fork's name to its first block; absent means never.

    `engine` is `ibft`, `dev` or `dummy`; `epoch_size` in blocks; below `quorum_size_block` the legacy quorum counts
    (§5.4).
    """

    generation: Generation
    chain_id: int
    forks: Mapping[str, int]
    engine: str
    epoch_size: int
    quorum_size_block: int


def rules_of(genesis: Genesis) -> Rules:
    """Choose the rules of the chain that `genesis` starts.

    Raises UnsupportedGenesisError (see `refuse_unsupported`).
    """
    refuse_unsupported(genesis)
    return Rules(
        generation=genesis.generation,
        chain_id=genesis.params.chain_id,
        forks=dict(genesis.params.forks),
        engine=genesis.params.engine.name,
        epoch_size=genesis.params.engine.epoch_size,
        quorum_size_block=genesis.params.engine.quorum_size_block,
    )


def refuse_unsupported(genesis: Genesis) -> None:
    """Raise UnsupportedGenesisError, naming the key, for a chain that this version cannot run: anything but G1, IBFT,
    PoA, ECDSA.
    """

    def refuse(path: str, expected: str, found: str) -> UnsupportedGenesisError:
        return UnsupportedGenesisError(genesis.file, path, expected, found)

    engine = genesis.params.engine
    if engine.name != "ibft":
        raise refuse("params.engine", "ibft (other engines are not supported yet)", engine.name)
    path = "params.engine.ibft"
    if genesis.generation is not Generation.G1:
        key, found = (
            (f"{path}.blockTime", "a block time") if engine.has_block_time else ("params.forks", "forks as objects")
        )
        raise refuse(key, "a chain of v0.6.x (G1; later generations are not supported yet)", found)
    if engine.has_fork_list:
        raise refuse(f"{path}.types", "key type (fork lists are not supported yet)", "a fork list")
    if engine.kind != "PoA":
        raise refuse(f"{path}.type", "PoA (PoS is not supported yet)", str(engine.kind))
    if engine.validator_type != "ecdsa":
        raise refuse(f"{path}.validator_type", "ecdsa (BLS is not supported yet)", engine.validator_type)


def initial_validators(genesis: Genesis) -> tuple[bytes, ...]:
    """Return the ECDSA validators of block 1, 20-byte addresses in order, from the genesis extra data (§3.3).

    Raises UnsupportedGenesisError for BLS validators, GenesisError for extra data that is not IBFT's or lists nobody.
    """
    path = "genesis.extraData"
    try:
        validators = listed_validators(genesis.extra_data)
    except BlsValidatorsError as error:
        raise UnsupportedGenesisError(
            genesis.file, path, "ECDSA validators (BLS is not supported yet)", str(error)
        ) from error
    except ExtraDataError as error:
        raise GenesisError(genesis.file, path, "IBFT extra data", str(error)) from error
    if not validators or len(set(validators)) != len(validators):
        raise GenesisError(genesis.file, path, "distinct validators, at least one", f"{len(validators)} validators")
    return validators
