"""What the pool asks of the committed head, whatever is executed beyond it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

import pytest
from tests.golden.earlier import EarlierChain
from tests.golden.recorded import Network

from polygon_edge import _core
from polygon_edge.archive.flat import FlatArchive
from polygon_edge.chain.genesis import load_genesis
from polygon_edge.chain.genesis_block import core_rules, genesis_block
from polygon_edge.chain.rules import rules_of
from polygon_edge.errors import Refusal
from polygon_edge.store.head_state import HeadState

if TYPE_CHECKING:
    from pathlib import Path

GWEI = 10**9


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
        # Nothing of later chains is asked for on this one.
        assert (state.base_fee, state.dynamic_fee_refusal, state.init_code_limit) == (0, Refusal.TYPE, None)


@pytest.mark.shared
def test_what_a_later_chain_asks_of_a_transaction_follows_its_forks(shared: Path, tmp_path: Path) -> None:
    network = Network(shared / "golden/v1.3.2/forks-late")
    rules = rules_of(load_genesis(network.genesis))
    with _core.Chain.open(network.opened_directory("data-dir", tmp_path), create=False) as whole:
        chain = EarlierChain(whole)
        state = HeadState(cast("_core.Chain", chain), rules)
        asked = []
        # London comes with block 20, and hashes have the type from block 60 on; the genesis block alone has a base fee.
        for chain.height in (0, 19, 20, 59, 60):
            asked.append((state.base_fee, state.dynamic_fee_refusal))
        assert asked == [
            (0, Refusal.TYPE),
            (0, Refusal.TYPE),
            (GWEI, Refusal.DYNAMIC_FEE),
            (GWEI, Refusal.DYNAMIC_FEE),
            (GWEI, None),
        ]
        assert state.init_code_limit == 49_152
        assert HeadState(cast("_core.Chain", chain), replace(rules, forks={})).init_code_limit is None
