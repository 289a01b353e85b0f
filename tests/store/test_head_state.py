"""The pool asks for the state at the committed head, whatever is executed beyond it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polygon_edge import _core
from polygon_edge.archive.flat import FlatArchive
from polygon_edge.chain.genesis import load_genesis
from polygon_edge.chain.genesis_block import core_rules, genesis_block
from polygon_edge.chain.rules import rules_of
from polygon_edge.store.head_state import HeadState

if TYPE_CHECKING:
    from pathlib import Path

    from tests.golden.recorded import Network


def test_a_block_that_is_executed_and_not_committed_does_not_show(poa: Network, tmp_path: Path) -> None:
    genesis = load_genesis(poa.genesis)
    rules = rules_of(genesis)
    with FlatArchive.open(poa.archive("full.dat", tmp_path)) as archive:
        records = [record.raw for record in archive.records()][1:]
    run = _core.prepare(core_rules(rules), records)
    addresses = [account.address for account in genesis.alloc]
    with _core.Chain.open(tmp_path / "data") as chain:
        chain.start(core_rules(rules), genesis_block(rules, genesis))
        state = HeadState(chain, rules)
        before = [state.account(address) for address in addresses]
        executed = chain.execute(run, 0, len(run))
        assert executed.blocks == len(run)
        assert [state.account(address) for address in addresses] == before
        assert state.gas_limit == genesis.gas_limit
        chain.commit(executed)
        assert [state.account(address) for address in addresses] != before
        assert state.gas_limit == chain.tip[2]
