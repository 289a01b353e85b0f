"""Makes an opened chain ready: a half-written head is repaired, the genesis block written or compared.

Owns what is said when either cannot be done as asked. The records are the core's.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from polygon_edge.chain.generation import Generation
from polygon_edge.chain.genesis_block import core_rules, genesis_block
from polygon_edge.errors import DataDirectoryError, GenesisError

if TYPE_CHECKING:
    from polygon_edge import _core
    from polygon_edge.chain.genesis import Genesis
    from polygon_edge.chain.rules import Rules

logger = logging.getLogger(__name__)


def start_chain(chain: _core.Chain, rules: Rules, genesis: Genesis) -> _core.Genesis:
    """Make `chain` ready to be extended, and return its genesis block.

    Raises DataDirectoryError for another genesis block and for damage that is not that of one killed node; GenesisError
    where the stored genesis block is that of the same file read as another generation.
    """
    if rules.generation is Generation.G2:
        logger.warning(
            "generation G2 (v0.7.2 to v0.8.1) follows the fact sheet only: no recorded chain proves it, compare the "
            "state with another node's"
        )
    repair_head(chain)
    block = genesis_block(rules, genesis)
    try:
        chain.start(core_rules(rules), block)
    except DataDirectoryError as error:
        stored = None if chain.head is None else chain.canonical_hash(genesis.number)
        if stored is not None:
            refuse_other_generation(rules, genesis, stored, cause=error)
        raise
    return block


def repair_head(chain: _core.Chain) -> None:
    """Go back to the last whole block where a killed node left the head half-written (§4.4), and say so.

    Nothing can ask for the head before. Raises DataDirectoryError for damage that is not that of one killed node.
    """
    repair = chain.repair_head()
    if repair is None:
        return
    named, missing, head = repair
    if head is None:
        logger.warning(
            "the genesis block lacks its %s, as after a kill at the first start: it is written anew", missing
        )
        return
    logger.warning(
        "the head was left half-written, as after a kill of a v0.6.x node: block %d lacks its %s. Went back to "
        "block %d, the last whole one; what the chain had above it comes again by restore",
        named,
        missing,
        head,
    )


def refuse_other_generation(
    rules: Rules, genesis: Genesis, genesis_hash: bytes, *, cause: Exception | None = None
) -> None:
    """Raise GenesisError where `genesis_hash` is that of the same genesis file read as another generation."""
    for generation in Generation:
        if generation is rules.generation:
            continue
        try:
            block = genesis_block(replace(rules, generation=generation), replace(genesis, generation=generation))
        except GenesisError:
            continue
        if block.hash == genesis_hash:
            raise GenesisError(
                genesis.file,
                "params.forks",
                f"a genesis file of generation {generation.value}, which its blocks are of",
                f"one of {rules.generation.value} (see --generation)",
            ) from cause
