"""The data directory of a Go node, opened as our node would open it, with a door in front."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from tests.golden.earlier import EarlierChain
from tests.jsonrpc.door import Door, backend_of

from polygon_edge import _core
from polygon_edge.chain.genesis import load_genesis
from polygon_edge.chain.genesis_block import core_rules, genesis_block
from polygon_edge.chain.intrinsic_gas import intrinsic_gas
from polygon_edge.chain.rules import rules_of
from polygon_edge.store.head_state import HeadState
from polygon_edge.txpool.pool import PoolLimits, TransactionPool

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.golden.recorded import Network

    from polygon_edge.chain.rules import Rules
    from polygon_edge.jsonrpc.context import Backend


@dataclass(frozen=True, slots=True)
class RecordedNode:
    """What a node of a recorded network answers from; a test may move the head of its chain."""

    backend: Backend
    chain: EarlierChain

    @property
    def has_types(self) -> bool:
        """Whether it is of a generation with typed transactions."""
        return self.backend.rules.has_transaction_types

    @property
    def is_london(self) -> bool:
        """Whether its head has a base fee."""
        return self.backend.rules.is_active("london", self.chain.height)


@contextmanager
def open_door(network: Network, scratch: Path) -> Iterator[Door]:
    """A door on `data-dir` of `network`, unpacked below `scratch`."""
    with open_node(network, scratch) as node, Door(node.backend) as door:
        yield door


@contextmanager
def open_node(network: Network, scratch: Path, height: int | None = None) -> Iterator[RecordedNode]:
    """A node on `data-dir` of `network`, unpacked below `scratch`, with its head at `height`."""
    genesis = load_genesis(network.genesis)
    rules = rules_of(genesis)
    with _core.Chain.open(network.opened_directory("data-dir", scratch / "node"), create=False) as whole:
        whole.start(core_rules(rules), genesis_block(rules, genesis))
        earlier = EarlierChain(whole, height)
        described: dict[str, Any] = {
            "name": genesis.name,
            "chain_id": rules.chain_id,
            "rules": rules,
            "pool": empty_pool(earlier, rules),
        }
        yield RecordedNode(backend_of(cast("_core.Chain", earlier), **described), earlier)


def empty_pool(chain: EarlierChain, rules: Rules) -> TransactionPool:
    """A pool that follows the head of `chain`, as our node makes one."""
    for_core = core_rules(rules)
    return TransactionPool(
        HeadState(cast("_core.Chain", chain), rules),
        lambda raw: _core.decode_transaction(for_core, chain.height + 1, raw),
        PoolLimits(),
        intrinsic_gas=lambda sent: intrinsic_gas(
            rules.forks, chain.height + 1, creates=sent.to is None, data=sent.input
        ),
    )
