"""Every recorded answer of the Go client to a method that we have, asked again on the Go client's data directory."""

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
    from collections.abc import Callable, Iterator

    from tests.jsonrpc.door import Door

ZERO_WORD = "0x" + "00" * 32
ABSENT_NAMESPACES = ("debug_",)
"""Namespaces that the Go client has and we do not have yet."""

CODE_QUIRK = "unable to fetch code"
NONCE_QUIRK = "incorrect nonce"
GENESIS_QUIRK = "invalid signature"
DECODER_TEXTS = (
    "cannot parse RLP: cannot parse empty string",
    "value is not of type array",
    "incorrect number of elements to decode transaction, expected 9 but found 0",
)


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


def transaction_count(answer: Any, recorded: Any) -> None:
    """D-8: a quantity, as v1.3.2; v0.6.3 gives a bare number."""
    count = recorded["result"]
    assert answer == recorded | {"result": hex(count) if isinstance(count, int) else count}


def without_log_indices(answer: Any, recorded: Any) -> None:
    """D-18: right indices; `test_log_indices_count_through_the_block` looks at them. And where the Go client panics and
    drops the connection, an error.
    """
    if "transportError" in recorded:
        assert answer["error"] == {"code": -32602, "message": "Invalid Params"}
    else:
        assert without_indices(answer) == without_indices(recorded)


def code(answer: Any, recorded: Any) -> None:
    """D-8: no code is no error, as in v1.3.2."""
    if recorded.get("error", {}).get("message") == CODE_QUIRK:
        assert answer["result"] == "0x"
    else:
        assert answer == recorded


def storage(answer: Any, recorded: Any) -> None:
    """D-8: the value that is there; v0.6.3 decodes it twice. `test_storage_is_what_the_trie_holds` has the values."""
    if "error" in recorded:
        assert answer == recorded
    else:
        assert re.fullmatch("0x[0-9a-f]{64}", answer["result"])
        assert answer["result"] != ZERO_WORD or recorded["result"] == ZERO_WORD


def execution(answer: Any, recorded: Any) -> None:
    """D-8: revert data as v1.3.2, and calls into the past, which v0.6.3 refuses where the sender's nonce has grown
    since, and at block 0 always.
    """
    if recorded.get("error", {}).get("message") in (NONCE_QUIRK, GENESIS_QUIRK):
        assert "result" in answer
        return
    if "execution was reverted" in answer.get("error", {}).get("message", ""):
        given = answer["error"].pop("data", "0x")
        assert re.fullmatch("0x([0-9a-f]{2})*", given)
        assert ("execution was reverted: " in answer["error"]["message"]) == given.startswith("0x08c379a0")
    assert answer == recorded


def sending(answer: Any, recorded: Any) -> None:
    """What is no transaction is refused in our decoder's words, which say where; all else in the Go client's."""
    if recorded["error"]["message"] in DECODER_TEXTS:
        assert answer["error"]["code"] == recorded["error"]["code"]
        assert "expected" in answer["error"]["message"]
    else:
        assert answer == recorded


def slots(answer: Any, recorded: Any) -> None:
    """Some recorded nodes were started with another number of slots."""
    assert answer["result"] == recorded["result"] | {"maxCapacity": 4096}


def accounts(answer: Any, recorded: Any) -> None:
    """An addition that is safe: no accounts."""
    assert recorded["error"]["code"] == -32601
    assert answer["result"] == []


def new_filter(answer: Any, recorded: Any) -> None:
    """D-8: ids as in v1.3.2."""
    assert "result" in recorded
    assert re.fullmatch("0x[0-9a-f]{32}", answer["result"])


def filter_changes(answer: Any, recorded: Any) -> None:
    """No news are an empty list; v0.6.3 gives null for the first poll of a filter of logs."""
    assert answer == ({**recorded, "result": []} if recorded.get("result", "") is None else recorded)


DEVIATIONS: dict[str, Callable[[Any, Any], None]] = {
    "eth_accounts": accounts,
    "eth_call": execution,
    "eth_estimateGas": execution,
    "eth_getBlockTransactionCountByNumber": transaction_count,
    "eth_getCode": code,
    "eth_getFilterChanges": filter_changes,
    "eth_getFilterLogs": without_log_indices,
    "eth_getLogs": without_log_indices,
    "eth_getStorageAt": storage,
    "eth_getTransactionReceipt": without_log_indices,
    "eth_newBlockFilter": new_filter,
    "eth_newFilter": new_filter,
    "eth_sendRawTransaction": sending,
    "txpool_inspect": slots,
}
"""Where we answer something else on purpose: what, and why."""


class Replay:
    """Asks again what was recorded."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._filters: dict[str, str] = {}

    def compare(self, row: dict[str, Any]) -> None:
        request, recorded = row["request"], row["response"]
        if isinstance(request, dict) and "rawBody" in request:
            assert self._door.post(request["rawBody"].encode()).json() == recorded
        elif isinstance(request, list) and isinstance(recorded, list):
            answers = self._ask(request)
            for entry, answer, expected in zip(request, answers, recorded, strict=True):
                self._compare_one(entry, answer, expected)
        elif isinstance(request, list):
            assert self._ask(request) == recorded
        else:
            if isinstance(request.get("params"), list):
                request = request | {"params": [self._filters.get(str(value), value) for value in request["params"]]}
            answer = self._ask(request)
            self._compare_one(request, answer, recorded)
            if request.get("method") in ("eth_newFilter", "eth_newBlockFilter"):
                self._filters[recorded["result"]] = answer["result"]

    def _ask(self, document: object) -> Any:
        return self._door.client.post("/", json=document).json()

    @staticmethod
    def _compare_one(request: dict[str, Any], answer: Any, recorded: Any) -> None:
        deviation = DEVIATIONS.get(request.get("method", ""))
        if deviation is None:
            assert answer == recorded
        else:
            deviation(answer, recorded)


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


def test_log_indices_count_through_the_block(door: Door) -> None:
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
