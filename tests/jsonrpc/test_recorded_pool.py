"""What wallets sent to Go nodes of later chains, sent again: taken under the same hash or refused in the same words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.conftest import recorded_folder
from tests.golden.recorded import Network
from tests.jsonrpc.recorded_node import RecordedNode, empty_pool, open_node

from polygon_edge.chain.genesis import load_genesis
from polygon_edge.chain.rules import rules_of
from polygon_edge.errors import PoolError

if TYPE_CHECKING:
    from pathlib import Path

    from polygon_edge.chain.rules import Rules

BLOCKS_UNTIL_SEALED = 4
"""How many blocks at most came between the moment when a transaction was taken and the block that has it."""

MOST_POOLED = 3
LAST_BLOCK_BEFORE = 51
"""Where the one network that was recorded under two genesis files got the second."""

pytestmark = pytest.mark.shared


@pytest.mark.parametrize(
    "name", ["access-lists", "forks-early", "forks-late", "poa-bls", "poa-ecdsa-london", "pos-ecdsa", "switch"]
)
def test_what_was_sent_is_taken_or_refused_as_it_was(name: str, tmp_path: Path) -> None:
    network = Network(recorded_folder(f"v1.3.2/{name}", "transactions.jsonl"))
    taken = refused = 0
    with open_node(network, tmp_path) as node:
        rules = (rules_before(network, node.backend.rules), node.backend.rules)
        for row in network.rows("transactions.jsonl"):
            if "raw" not in row:
                continue
            raw = bytes.fromhex(row["raw"][2:])
            node.chain.height = node.chain.last
            if "error" in row:
                answers = {send(node, rules, height, raw) for height in heights_of_nonce(node, row)}
                assert row["error"]["message"] in answers, row["label"]
                refused += 1
            elif (place := node.chain.find_transaction(bytes.fromhex(row["hash"][2:]))) is not None:
                last = place[0] - 1
                answers = {
                    send(node, rules, height, raw) for height in range(max(last - BLOCKS_UNTIL_SEALED, 0), last + 1)
                }
                assert row["hash"] in answers, row["label"]
                taken += 1
    assert taken > 50
    assert refused >= (1 if name in {"forks-late", "forks-early", "poa-bls", "poa-ecdsa-london", "pos-ecdsa"} else 0)


def heights_of_nonce(node: RecordedNode, row: dict[str, Any]) -> list[int]:
    """Where a transaction may have been refused: its sender at its nonce, a few before it (in the pool), beyond."""
    address = bytes.fromhex(row["from"][2:])
    accounts = [node.chain.account(node.chain.state_root_at(height), address) for height in range(node.chain.last + 1)]
    nonces = [0 if account is None else account[0] for account in accounts]
    beyond = [height for height, nonce in enumerate(nonces) if nonce > row["nonce"]]
    near = range(row["nonce"] - MOST_POOLED, row["nonce"] + 1)
    return [height for height, nonce in enumerate(nonces) if nonce in near] + beyond[:1]


def rules_before(network: Network, rules: Rules) -> Rules:
    """What the node began with; one got another genesis file on its way."""
    file = network.folder / "genesis-before.json"
    return rules_of(load_genesis(file)) if file.exists() else rules


def send(node: RecordedNode, rules: tuple[Rules, Rules], height: int, raw: bytes) -> str:
    """What a pool says at a height, by the rules of then or now: a hash, or why not."""
    node.chain.height = height
    before, after = rules
    try:
        return "0x" + empty_pool(node.chain, before if height <= LAST_BLOCK_BEFORE else after).add(raw).hex()
    except PoolError as error:
        return str(error)
