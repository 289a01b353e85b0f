"""Every recorded answer of the Go client to a method that we have, asked again of the Go client's own data directory."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from tests.conftest import recorded_folder
from tests.golden.recorded import Network
from tests.jsonrpc.door import Headless, backend_of
from tests.jsonrpc.recorded_node import open_door

from polygon_edge.jsonrpc.app import methods

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.jsonrpc.door import Door

ZERO_WORD = "0x" + "00" * 32
ABSENT_NAMESPACES = ("debug_",)
"""Namespaces that the Go client has and we do not have yet."""

CODE_QUIRK = "unable to fetch code"
NONCE_QUIRK = "incorrect nonce"
GENESIS_QUIRK = "invalid signature"


@pytest.fixture(
    scope="module",
    params=["v0.6.3/poa-ecdsa", pytest.param("v0.6.3/single", marks=pytest.mark.shared)],
)
def network(request: pytest.FixtureRequest) -> Network:
    return Network(recorded_folder(request.param))


@pytest.fixture(scope="module")
def door(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    with open_door(network, tmp_path_factory.mktemp("node")) as opened:
        yield opened


def without_indices(value: Any) -> Any:
    """Logs without the two fields that v0.6.3 mostly gets wrong (D-18)."""
    if isinstance(value, list):
        return [without_indices(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    wrong = ("logIndex", "transactionIndex") if "logIndex" in value else ()
    return {name: without_indices(member) for name, member in value.items() if name not in wrong}


class Replay:
    """Asks again what was recorded. Where we deviate on purpose, the method here says how, and its name and text why."""

    def __init__(self, door: Door) -> None:
        self.door = door
        self.filters: dict[str, str] = {}

    def compare(self, row: dict[str, Any]) -> None:
        request, recorded = row["request"], row["response"]
        if isinstance(request, dict) and "rawBody" in request:
            assert self.door.post(request["rawBody"].encode()).json() == recorded
        elif isinstance(request, list):
            answers = self.door.client.post("/", json=request).json()
            for entry, answer, expected in zip(request, answers, recorded, strict=True) if answers[0:1] else ():
                self.compare_one(entry, answer, expected)
        else:
            known = [self.filters.get(str(value), value) for value in request.get("params", [])]
            asked = request | ({"params": known} if isinstance(request.get("params"), list) else {})
            self.compare_one(request, self.door.client.post("/", json=asked).json(), recorded)

    def compare_one(self, request: dict[str, Any], answer: Any, recorded: Any) -> None:
        deviation = getattr(self, request.get("method", ""), None)
        if deviation is None:
            assert answer == recorded
        else:
            deviation(request, answer, recorded)

    def eth_getBlockTransactionCountByNumber(self, request: Any, answer: Any, recorded: Any) -> None:
        """D-8: a quantity, as v1.3.2; v0.6.3 gives a bare number."""
        count = recorded["result"]
        assert answer == recorded | {"result": hex(count) if isinstance(count, int) else count}

    def eth_getTransactionReceipt(self, request: Any, answer: Any, recorded: Any) -> None:
        """D-18: right indices; `test_log_indices_count_through_the_block` looks at them."""
        assert without_indices(answer) == without_indices(recorded)

    def eth_getLogs(self, request: Any, answer: Any, recorded: Any) -> None:
        """D-18, and where the Go client panics and drops the connection, an error."""
        if "transportError" in recorded:
            assert answer["error"] == {"code": -32602, "message": "Invalid Params"}
        else:
            assert without_indices(answer) == without_indices(recorded)

    def eth_getCode(self, request: Any, answer: Any, recorded: Any) -> None:
        """D-8: no code is no error, as in v1.3.2."""
        if recorded.get("error", {}).get("message") == CODE_QUIRK:
            assert answer["result"] == "0x"
        else:
            assert answer == recorded

    def eth_getStorageAt(self, request: Any, answer: Any, recorded: Any) -> None:
        """D-8: the value that is there; v0.6.3 decodes it twice. `test_storage_is_what_the_trie_holds` has the values."""
        if "error" in recorded:
            assert answer == recorded
        else:
            assert re.fullmatch("0x[0-9a-f]{64}", answer["result"])
            if answer["result"] == ZERO_WORD:
                assert recorded["result"] == ZERO_WORD

    def eth_call(self, request: Any, answer: Any, recorded: Any) -> None:
        """D-8: revert data as v1.3.2; calls into the past, which v0.6.3 refuses where the sender's nonce has grown since
        and at block 0 always.
        """
        if recorded.get("error", {}).get("message") in (NONCE_QUIRK, GENESIS_QUIRK):
            assert "result" in answer
        else:
            assert self.without_revert_data(answer) == recorded

    def eth_estimateGas(self, request: Any, answer: Any, recorded: Any) -> None:
        """D-8: revert data as v1.3.2."""
        assert self.without_revert_data(answer) == recorded

    @staticmethod
    def without_revert_data(answer: Any) -> Any:
        if "execution was reverted" not in answer.get("error", {}).get("message", ""):
            return answer
        given = answer["error"].pop("data", "0x")
        assert re.fullmatch("0x([0-9a-f]{2})*", given)
        assert ("execution was reverted: " in answer["error"]["message"]) == given.startswith("0x08c379a0")
        return answer

    def eth_accounts(self, request: Any, answer: Any, recorded: Any) -> None:
        """An addition that is safe: no accounts."""
        assert answer["result"] == []

    def eth_newFilter(self, request: Any, answer: Any, recorded: Any) -> None:
        """D-8: ids as in v1.3.2."""
        assert re.fullmatch("0x[0-9a-f]{32}", answer["result"])
        self.filters[recorded["result"]] = answer["result"]

    eth_newBlockFilter = eth_newFilter

    def eth_getFilterChanges(self, request: Any, answer: Any, recorded: Any) -> None:
        """No news are an empty list; v0.6.3 gives null for the first poll of a filter of logs."""
        assert answer == ({**recorded, "result": []} if recorded.get("result", "") is None else recorded)

    def eth_getFilterLogs(self, request: Any, answer: Any, recorded: Any) -> None:
        """D-18."""
        assert without_indices(answer) == without_indices(recorded)


def test_every_recorded_answer_comes_again(network: Network, door: Door) -> None:
    replay, compared, failures = Replay(door), 0, []
    for row in network.rows("rpc.jsonl"):
        request = row["request"]
        if isinstance(request, dict) and request.get("method", "").startswith(ABSENT_NAMESPACES):
            continue
        compared += 1
        try:
            replay.compare(row)
        except AssertionError as error:
            failures.append(f"{json.dumps(request)[:300]}\n  {str(error)[:600]}")
    assert not failures, f"{len(failures)} of {compared}:\n" + "\n".join(failures[:30])
    assert compared > 900


def test_every_method_that_we_have_was_recorded_or_is_said_to_be_ours(network: Network) -> None:
    recorded = {row["request"].get("method") for row in network.rows("rpc.jsonl") if isinstance(row["request"], dict)}
    assert set(methods(backend_of(Headless()))) - recorded == set()


def test_log_indices_count_through_the_block(network: Network, door: Door) -> None:
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
    assert seen > 10


def test_storage_is_what_the_trie_holds(network: Network, door: Door) -> None:
    compared = 0
    for row in network.rows("state.jsonl"):
        for slot, value in list(row.get("storage", {}).items())[:5]:
            found = door.result("eth_getStorageAt", row["address"], slot, hex(row["number"]))
            assert int(found, 16) == int(value, 16), row
            compared += 1
        if row.get("exists") is not False:
            assert int(door.result("eth_getBalance", row["address"], hex(row["number"])), 16) == int(row["balance"])
    assert compared > 100
