"""The data directory of a Go node, opened as our node would open it, with a door in front."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.jsonrpc.door import Door, backend_of

from polygon_edge import _core
from polygon_edge.chain.genesis import load_genesis
from polygon_edge.chain.genesis_block import core_rules, genesis_block
from polygon_edge.chain.intrinsic_gas import intrinsic_gas
from polygon_edge.chain.rules import rules_of
from polygon_edge.txpool.pool import PoolLimits, TransactionPool

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.golden.recorded import Network


class HeadState:
    """The state at the head of a chain, as the pool asks for it."""

    def __init__(self, chain: _core.Chain) -> None:
        self._chain = chain
        self.gas_limit = chain.tip[2]

    def account(self, address: bytes) -> tuple[int, int]:
        found = self._chain.account(self._chain.state_root, address)
        return (0, 0) if found is None else found[:2]


@contextmanager
def open_door(network: Network, scratch: Path) -> Iterator[Door]:
    """A door on `data-dir` of `network`, unpacked below `scratch`."""
    genesis = load_genesis(network.genesis)
    rules = rules_of(genesis)
    for_core = core_rules(rules)
    with _core.Chain.open(network.data_directory("data-dir", scratch / "node"), create=False) as chain:
        chain.start(for_core, genesis_block(rules, genesis))
        assert chain.head is not None
        height = chain.head[0] + 1
        pool = TransactionPool(
            HeadState(chain),
            lambda raw: _core.decode_transaction(for_core, height, raw),
            PoolLimits(),
            intrinsic_gas=lambda sent: intrinsic_gas(rules.forks, height, creates=sent.to is None, data=sent.input),
        )
        described: dict[str, Any] = {"name": genesis.name, "chain_id": rules.chain_id, "pool": pool}
        with Door(backend_of(chain, **described)) as door:
            yield door
