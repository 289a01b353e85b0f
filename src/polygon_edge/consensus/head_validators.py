"""The validators at the head of an open chain: read from the consensus files, or from the headers where those fail."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING

from polygon_edge import _core
from polygon_edge.chain.rules import initial_validators
from polygon_edge.consensus.engine import Engine, resume
from polygon_edge.consensus.snapshot_files import load_state, save_state
from polygon_edge.consensus.staked_validators import StakedValidators
from polygon_edge.consensus.validators import SealedHeader, start_state
from polygon_edge.errors import ConsensusFileError

if TYPE_CHECKING:
    from pathlib import Path

    from polygon_edge.chain.genesis import Genesis
    from polygon_edge.chain.rules import Rules

logger = logging.getLogger(__name__)


def validators_at_head(chain: _core.Chain, folder: Path, genesis: Genesis, rules: Rules) -> Engine:
    """The validators after the chain's last block; `folder` is the data directory's `consensus`.

    Missing, old or damaged files are made up for by the headers of the epoch (§3.7); damage is warned of.
    """
    number, block_hash, _ = chain.tip
    staked = StakedValidators(chain)
    if number == 0:
        state = start_state(block_hash, initial_validators(genesis)) if rules.schedule.has_votes else None
        return Engine(rules.schedule, state, staked, head=0)
    loaded = None
    if rules.schedule.has_votes:
        try:
            loaded = load_state(folder)
        except ConsensusFileError as error:
            logger.warning("%s; the validators are taken from the headers of the epoch", error)

    def header_of(height: int) -> SealedHeader:
        return SealedHeader(*chain.sealed_header(height))

    return resume(rules.schedule, loaded, number, header_of, staked)


def complete_files(chain: _core.Chain, folder: Path, genesis: Genesis, rules: Rules) -> None:
    """Write the consensus files anew unless they are those of the head.

    They are written after the last commit, and a kill between the two leaves all blocks and no files, or old ones.
    """
    with contextlib.suppress(ConsensusFileError):
        state = load_state(folder)
        if state is not None and state.last_block == chain.tip[0]:
            return
    save_validators(folder, validators_at_head(chain, folder, genesis, rules))


def save_validators(folder: Path, engine: Engine) -> None:
    """Write both consensus files as Go does on a clean shutdown, where the chain has votes at some height.

    Raises DiskFullError and OSError.
    """
    if engine.state is not None:
        save_state(folder, engine.state, _core.keccak256)
