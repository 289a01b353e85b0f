"""Every recorded answer of the Go client to a method that we have, asked again on the Go client's data directory."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.conftest import recorded_folder
from tests.golden.recorded import NETWORKS, Network
from tests.jsonrpc.door import EARLY_RULES, LATER_RULES, Door, Headless, backend_of
from tests.jsonrpc.recorded_node import RecordedNode, open_door, open_node
from tests.jsonrpc.replay import Replay, method_of

from polygon_edge.jsonrpc.app import methods

if TYPE_CHECKING:
    from collections.abc import Iterator

    from polygon_edge.chain.rules import Rules

ABSENT = ("debug_",)
"""Namespaces that the Go client has and we do not have yet."""

CARRIED = "v0.6.3/poa-ecdsa"
"""The network whose answers travel with the source."""

SHARED = [name for name in NETWORKS if name != CARRIED]


@pytest.fixture(
    scope="module",
    params=[CARRIED, *(pytest.param(name, marks=pytest.mark.shared) for name in SHARED)],
)
def network(request: pytest.FixtureRequest) -> Network:
    return Network(recorded_folder(request.param, "rpc.jsonl", "data-dir.tar.zst"))


def rows_of(network: Network) -> list[dict[str, Any]]:
    return [row for row in network.rows("rpc.jsonl") if not method_of(row).startswith(ABSENT) and not is_socket(row)]


def is_socket(row: dict[str, Any]) -> bool:
    """There are no web sockets yet."""
    return row.get("http") is True and row["request"]["path"] == "/ws"


def first_head(rows: list[dict[str, Any]]) -> int | None:
    """Where the head was when the recording began, none where it stood still at the end of the chain."""
    heads = [int(row["response"]["result"], 16) for row in rows if method_of(row) == "eth_blockNumber"]
    return heads[0] if heads else None


def fill_pool(node: RecordedNode, network: Network, rows: list[dict[str, Any]]) -> None:
    """What waited in the pool of the recorded node waits in ours."""
    contents = [row["response"]["result"] for row in rows if method_of(row) == "txpool_content"]
    raw = {row.get("hash"): row["raw"] for row in network.rows("transactions.jsonl") if "raw" in row}
    for kind in ("pending", "queued"):
        for content in contents[:1]:
            for nonces in content[kind].values():
                for waiting in nonces.values():
                    node.backend.pool.add(bytes.fromhex(raw[waiting["hash"]][2:]))


@pytest.fixture(scope="module")
def node(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RecordedNode]:
    with open_node(network, tmp_path_factory.mktemp("node"), first_head(rows_of(network))) as opened:
        yield opened


@pytest.fixture(
    scope="module",
    params=[
        "v0.6.3/poa-ecdsa",
        *(pytest.param(name, marks=pytest.mark.shared) for name in ("v0.6.3/single", "v1.3.2/poa-ecdsa-london")),
    ],
)
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Network, Door]]:
    """A network behind a door, as it was at its end."""
    network = Network(recorded_folder(request.param, "rpc.jsonl", "data-dir.tar.zst"))
    with open_door(network, tmp_path_factory.mktemp("served")) as door:
        yield network, door


def test_every_recorded_answer_comes_again(network: Network, node: RecordedNode) -> None:
    rows, failures = rows_of(network), []
    fill_pool(node, network, rows)
    through_http = network.folder.name in {"poa-ecdsa", "access-lists"}
    with Door(node.backend) if through_http else contextlib.nullcontext() as door:
        replay = Replay(node, rows, door)
        asked = [row for row in rows if door is not None or row.get("http") is not True]
        for row in asked:
            try:
                replay.compare(row)
            except AssertionError as error:
                failures.append(f"{json.dumps(row['request'])[:300]}\n  {str(error)[:1200]}")
    assert not failures, f"{len(failures)} of {len(asked)}:\n" + "\n".join(failures[:30])
    # Of two networks nothing but blocks and receipts was recorded.
    assert len(asked) > (50 if network.folder.name in {"big-blocks", "switch"} and node.has_types else 500)


@pytest.mark.parametrize(
    ("name", "rules"),
    [
        ("v0.6.3/poa-ecdsa", EARLY_RULES),
        pytest.param("v1.3.2/poa-ecdsa-london", LATER_RULES, marks=pytest.mark.shared),
    ],
)
def test_every_method_that_we_have_was_recorded_or_is_said_to_be_ours(name: str, rules: Rules) -> None:
    recorded = {method_of(row) for row in rows_of(Network(recorded_folder(name, "rpc.jsonl")))}
    assert set(methods(backend_of(Headless(), rules=rules))) - recorded == set()


def test_log_indices_count_through_the_block(served: tuple[Network, Door]) -> None:
    network, door = served
    seen = 0
    for number in range(1, int(door.result("eth_blockNumber"), 16) + 1):
        block = door.result("eth_getBlockByNumber", number, False)
        logs = door.result("eth_getLogs", {"blockHash": block["hash"]})
        from_receipts = [
            log for hash in block["transactions"] for log in door.result("eth_getTransactionReceipt", hash)["logs"]
        ]
        assert logs == from_receipts
        for index, log in enumerate(logs):
            assert int(log["logIndex"], 16) == index
            assert block["transactions"][int(log["transactionIndex"], 16)] == log["transactionHash"]
        seen += len(logs)
    assert seen == len(door.result("eth_getLogs", {"fromBlock": "earliest"}))
    assert seen == sum(len(row["logs"]) for row in network.rows("receipts.jsonl"))


def test_storage_is_what_the_trie_holds(served: tuple[Network, Door]) -> None:
    network, door = served
    compared = 0
    for row in network.rows("state.jsonl"):
        for slot, value in list(row.get("storage", {}).items())[:5]:
            found = door.result("eth_getStorageAt", row["address"], slot, hex(row["number"]))
            assert int(found, 16) == int(value, 16), row
            compared += 1
        if row.get("exists") is not False:
            assert int(door.result("eth_getBalance", row["address"], hex(row["number"])), 16) == int(row["balance"], 0)
            compared += 1
    assert compared > 50
