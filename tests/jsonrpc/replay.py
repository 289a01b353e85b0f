"""Recorded answers of Go nodes, asked again: what must be the same, and what is another on purpose, and why."""

from __future__ import annotations

import contextlib
import json
import re
from typing import TYPE_CHECKING, Any

from polygon_edge.jsonrpc.app import methods
from polygon_edge.jsonrpc.dispatch import Dispatcher

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.jsonrpc.door import Door
    from tests.jsonrpc.recorded_node import RecordedNode

ZERO_WORD = "0x" + "00" * 32
CODE_QUIRK = "unable to fetch code"
NONCE_QUIRK = "incorrect nonce"
GENESIS_QUIRK = "invalid signature"
DECODER_TEXTS = (
    "cannot parse RLP: ",
    "value is not of type array",
    "incorrect number of elements to decode transaction, ",
    "incorrect number of transaction elements, ",
    "unknown transaction type: ",
)
MOVES = 4
"""How many blocks may have been sealed while one question was on its way."""


def same(answer: Any, recorded: Any) -> None:
    """No deviation."""
    assert answer == recorded


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
    if recorded["error"]["message"].startswith(DECODER_TEXTS):
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


EARLY: dict[str, Callable[[Any, Any], None]] = {
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
"""Where we answer something else than v0.6.3 on purpose."""


def reverted(answer: Any, recorded: Any) -> None:
    """D-8: the text of v0.6.3 for what was reverted; the data is the same."""
    if "error" in recorded:
        text = recorded["error"]["message"].replace("execution reverted", "execution was reverted")
        recorded = recorded | {"error": recorded["error"] | {"message": text}}
    assert answer == recorded


def code_of_errors(answer: Any, recorded: Any) -> None:
    """D-8: what a method itself refuses has the code of v0.6.3. And where the Go client panics and drops the line,
    an error.
    """
    if recorded is None:
        assert answer["error"] == {"code": -32602, "message": "Invalid Params"}
    elif recorded.get("error", {}).get("code") == -32603:
        assert answer == recorded | {"error": recorded["error"] | {"code": -32600}}
    else:
        assert answer == recorded


def quantity_of_now(answer: Any, recorded: Any) -> None:
    """It counts what this process has seen: blocks since its start, peers."""
    assert re.fullmatch("0x[0-9a-f]+", recorded["result"])
    assert re.fullmatch("0x[0-9a-f]+", answer["result"])


def version(answer: Any, recorded: Any) -> None:
    """Our name and version, in the layout of v0.6.3."""
    name = recorded["result"].split("/")[0]
    assert answer["result"].startswith(f"{name} [chain-id: ")


def refused_sending(answer: Any, recorded: Any) -> None:
    """D-8: the text of v0.6.3, with its slip."""
    assert answer == recorded | {
        "error": recorded["error"] | {"message": recorded["error"]["message"].replace("instead", "insead")}
    }


def syncing(answer: Any, recorded: Any) -> None:
    """A node among others may be behind for a moment; ours has no network."""
    assert recorded["result"] is False or recorded["result"]["type"] == "bulk-sync"
    assert answer["result"] is False


def fee_history(answer: Any, recorded: Any) -> None:
    """Tips are weighted by gas, as tools expect; v1.3.2 weighs by wei, so that one low price stands for nearly all."""
    if "error" in recorded:
        assert answer == recorded
        return
    ours, theirs = answer["result"], recorded["result"]
    assert ours | {"reward": None} == theirs | {"reward": None}
    for tips, recorded_tips in zip(ours.get("reward", ()), theirs.get("reward", ()), strict=True):
        assert len(tips) == len(recorded_tips)
        numbers = [int(tip, 16) for tip in tips]
        assert numbers == sorted(numbers)
        assert set(recorded_tips) <= set(tips)


def bridge(answer: Any, recorded: Any) -> None:
    """Chains of IBFT have no bridge: the Go client panics and drops the connection."""
    assert recorded is None
    assert answer["error"]["code"] == -32601


LATER: dict[str, Callable[[Any, Any], None]] = {
    "bridge_generateExitProof": bridge,
    "bridge_getStateSyncProof": bridge,
    "eth_accounts": accounts,
    "eth_call": reverted,
    "eth_estimateGas": reverted,
    "eth_feeHistory": fee_history,
    "eth_getFilterChanges": filter_changes,
    "eth_getLogs": code_of_errors,
    "eth_getFilterLogs": code_of_errors,
    "eth_newBlockFilter": new_filter,
    "eth_newFilter": new_filter,
    "eth_sendRawTransaction": sending,
    "eth_sendTransaction": refused_sending,
    "eth_syncing": syncing,
    "net_peerCount": quantity_of_now,
    "web3_clientVersion": version,
}
"""Where we answer something else than v1.3.2 on purpose."""


class Replay:
    """Asks a node again what was recorded in `rows`, one after the other.

    With a `door` the questions come through HTTP; else the dispatcher is asked, which has the same bytes to answer.
    """

    def __init__(self, node: RecordedNode, rows: Sequence[dict[str, Any]], door: Door | None = None) -> None:
        self._chain, self._has_types = node.chain, node.has_types
        self._door = door
        self._dispatcher = Dispatcher(methods(node.backend), node.backend.batch_limit)
        self._filters: dict[str, str] = {}
        self._first_blocks = self._polled_blocks(rows)
        self._deviations = LATER if node.has_types else EARLY
        if node.has_types and not node.is_london:
            self._deviations = LATER | {"eth_gasPrice": quantity_of_now}

    def compare(self, row: dict[str, Any]) -> None:
        """Assert that the answer to a row is the recorded one.

        The later nodes sealed while they were recorded: their head may have moved on from question to question, never
        back.
        """
        before = self._chain.height
        most = min(before + MOVES, self._chain.last) if self._has_types else before
        self._follow_polls(row)
        try:
            self._compare(row)
        except AssertionError:
            if not self._comes_later(row, most):
                self._chain.height = before
                raise

    def _comes_later(self, row: dict[str, Any], most: int) -> bool:
        for height in range(self._chain.height + 1, most + 1):
            self._chain.height = height
            with contextlib.suppress(AssertionError):
                self._compare(row)
                return True
        return False

    def _polled_blocks(self, rows: Sequence[dict[str, Any]]) -> dict[str, int]:
        """The first block that each filter told of."""
        found: dict[str, int] = {}
        for row in rows:
            news = polled(row)
            if news:
                found.setdefault(row["request"]["params"][0], self._number(news[0]))
        return found

    def _follow_polls(self, row: dict[str, Any]) -> None:
        """A poll is made only once; it tells itself how far the head had come, and where it was at the beginning."""
        news = polled(row)
        if news:
            self._move(self._number(news[-1]))
        elif method_of(row) == "eth_newBlockFilter" and row["response"]["result"] in self._first_blocks:
            self._move(self._first_blocks[row["response"]["result"]] - 1)

    def _move(self, height: int) -> None:
        assert height >= self._chain.height
        self._chain.height = height

    def _number(self, block_hash: str) -> int:
        number = self._chain.number_at(bytes.fromhex(block_hash[2:]))
        assert number is not None
        return number

    def _compare(self, row: dict[str, Any]) -> None:
        request, recorded = row["request"], row["response"]
        if row.get("http") is True:
            self._compare_http(request, recorded)
        elif row.get("raw"):
            assert self._post(request.encode()) == json.loads(recorded)
        elif isinstance(request, dict) and "rawBody" in request:
            assert self._post(request["rawBody"].encode()) == recorded
        elif isinstance(request, list) and isinstance(recorded, list):
            answers = self._ask(request)
            for entry, answer, expected in zip(request, answers, recorded, strict=True):
                self._compare_one(entry, answer, expected)
        elif isinstance(request, list):
            assert self._ask(request) == recorded
        else:
            self._compare_call(request, recorded)

    def _compare_call(self, request: dict[str, Any], recorded: Any) -> None:
        if isinstance(request.get("params"), list):
            request = request | {"params": [self._filters.get(str(value), value) for value in request["params"]]}
        answer = self._ask(request)
        self._compare_one(request, answer, recorded)
        if request.get("method") in ("eth_newFilter", "eth_newBlockFilter"):
            self._filters[recorded["result"]] = answer["result"]

    def _compare_http(self, request: dict[str, Any], recorded: dict[str, Any]) -> None:
        assert self._door is not None
        answer = self._door.client.request(request["verb"], request["path"], headers=request["headers"])
        assert answer.status_code == recorded["status"]
        assert answer.text == recorded["body"]
        for name, value in recorded["headers"].items():
            if name.startswith(("Access-Control-", "Content-Type")):
                assert answer.headers[name] == value

    def _post(self, body: bytes) -> Any:
        if self._door is None:
            return json.loads(self._dispatcher.answer(body))
        return self._door.post(body).json()

    def _ask(self, document: object) -> Any:
        return self._post(json.dumps(document).encode())

    def _compare_one(self, request: dict[str, Any], answer: Any, recorded: Any) -> None:
        deviation = self._deviations.get(request.get("method", ""), same)
        try:
            deviation(answer, recorded)
        except AssertionError as error:
            raise AssertionError(f"answered {str(answer)[:500]}\n  recorded {str(recorded)[:500]}") from error


def method_of(row: dict[str, Any]) -> str:
    """The method that a row asks for; empty for what is no single request."""
    request = row["request"]
    return request.get("method") or "" if isinstance(request, dict) else ""


def polled(row: dict[str, Any]) -> list[str]:
    """The hashes of new blocks that a row tells."""
    if method_of(row) != "eth_getFilterChanges":
        return []
    news = row["response"].get("result") or []
    return [entry for entry in news if isinstance(entry, str)]
