"""What the pool sees of the chain while a block is executed and not committed yet: the state before it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.execution.test_sealing import GAS_LIMIT, KEY, SENDER, START, bench_of, transaction

from polygon_edge import _core
from polygon_edge.node import HeadState

if TYPE_CHECKING:
    from pathlib import Path


def test_a_block_counts_once_it_is_committed(tmp_path: Path) -> None:
    sender = bytes.fromhex(SENDER.address[2:])
    with _core.Chain.open(tmp_path) as chain:
        bench = bench_of(chain, [KEY])
        state = HeadState(chain)
        before = state.account(sender)
        assert (before, state.gas_limit) == ((0, 10**18), GAS_LIMIT)
        proposal = chain.propose(
            coinbase=KEY.address,
            timestamp=int(START),
            gas_limit=GAS_LIMIT + 5,
            validators=[KEY.address],
            candidates=[transaction(bench, 0)],
        )
        seal = KEY.sign(_core.proposer_digest(proposal.hash))
        committed = KEY.sign(_core.committed_digest(proposal.hash))
        run = _core.prepare(bench.rules, [proposal.record(seal, [committed])])
        executed = chain.execute(run, 0, 1)
        assert chain.tip[0] == 1
        assert state.account(sender) == before
        assert state.gas_limit == GAS_LIMIT
        chain.commit(executed)
        assert state.account(sender) == (1, 10**18 - 21_000 - 1)
        assert state.gas_limit == GAS_LIMIT + 5
        assert state.account(b"\x99" * 20) == (0, 0)
