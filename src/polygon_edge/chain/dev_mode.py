"""What `server --dev` makes of a genesis file: every fork from the start, and the interval that the operator asks for.

The file itself stays as it is, and so does block 0; the blocks after it are another chain's than without the flag.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from polygon_edge.chain.generation import Generation
from polygon_edge.chain.genesis import FORK_NAMES
from polygon_edge.errors import GenesisError

if TYPE_CHECKING:
    from polygon_edge.chain.genesis import Genesis


def in_dev_mode(genesis: Genesis, interval: int) -> Genesis:
    """Return `genesis` with all forks of its generation at block 0; of the engine `dev`, with `interval` in seconds.

    Raises GenesisError where a fork cannot work: `london` without a contract that the base fee goes to (§1.1).
    """
    params = genesis.params
    names = FORK_NAMES[genesis.generation]
    # In G2 that fork does nothing.
    if genesis.generation is Generation.G3 and not params.burn_contracts:
        raise GenesisError(
            genesis.file, "params.burnContract", "a contract: --dev turns the fork london on, which burns fees", "none"
        )
    engine = replace(params.engine, interval=interval) if params.engine.name == "dev" else params.engine
    return replace(genesis, params=replace(params, forks=dict.fromkeys(names, 0), engine=engine))
