"""What is told of the pool, over a real pool."""

from __future__ import annotations

from typing import Any

import pytest
from tests.jsonrpc.door import backend_of
from tests.txpool.ledger import ALICE, BOB, Ledger

from polygon_edge.jsonrpc.rpc_error import RpcError
from polygon_edge.jsonrpc.txpool import MAXIMUM_CONTENT_BYTES, TxPool
from polygon_edge.txpool.pool import PoolLimits, TransactionPool


def pool_of(ledger: Ledger) -> TransactionPool:
    return ledger.pool(PoolLimits(max_enqueued=1_000))


def method(pool: TransactionPool, name: str) -> Any:
    return TxPool(backend_of(None, pool=pool)).methods()[name].call()


def test_status_and_inspect_count_what_is_promoted_and_what_waits() -> None:
    ledger = Ledger()
    pool = pool_of(ledger)
    for sender, nonce in ((ALICE, 0), (ALICE, 1), (BOB, 7)):
        pool.add(ledger.sign(sender, nonce, 3, value=5).raw)
    assert method(pool, "txpool_status") == {"pending": 2, "queued": 1}
    found = method(pool, "txpool_inspect")
    assert (found["currentCapacity"], found["maxCapacity"]) == (3, 4096)
    assert list(found["pending"]) == ["0x" + "61" * 20]
    assert found["pending"]["0x" + "61" * 20] == dict.fromkeys(("0", "1"), "5 wei + 21000 gas x 3 wei")
    assert found["queued"] == {"0x" + "62" * 20: {"7": "5 wei + 21000 gas x 3 wei"}}


def test_the_whole_content_is_refused_where_it_would_be_a_giant_answer() -> None:
    ledger = Ledger()
    pool = pool_of(ledger)
    for nonce in range(MAXIMUM_CONTENT_BYTES // 130_000 + 1):
        pool.add(ledger.sign(ALICE, nonce, size=130_000).raw)
    with pytest.raises(RpcError, match="expected at most 8388608: see txpool_inspect"):
        method(pool, "txpool_content")
    assert method(pool, "txpool_status")["pending"] == 65
