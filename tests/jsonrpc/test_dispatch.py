from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.jsonrpc.door import Headless, backend_of

from polygon_edge.jsonrpc import dispatch
from polygon_edge.jsonrpc.app import methods
from polygon_edge.jsonrpc.codec import decode_flag, decode_text
from polygon_edge.jsonrpc.dispatch import Dispatcher, Method, Parameter
from polygon_edge.jsonrpc.rpc_error import RpcError

INVALID = {"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid json request"}}


def fail() -> None:
    raise LookupError("a bug")


def refuse() -> None:
    raise RpcError("not today", data="0x01")


DISPATCHER = Dispatcher(
    {
        "test_echo": Method(lambda *values: list(values), (Parameter(decode_text, "none"), Parameter(decode_flag, 0))),
        "test_must": Method(lambda value: value, (Parameter(decode_text),)),
        "test_bare": Method(lambda: "done"),
        "test_long": Method(lambda: "x" * 1000),
        "test_fail": Method(fail),
        "test_refuse": Method(refuse),
    },
    batch_limit=3,
)


def answer(document: object) -> Any:
    return json.loads(DISPATCHER.answer(json.dumps(document).encode()))


def call(method: str, **members: object) -> Any:
    return answer({"id": 1, "method": method} | members)


@pytest.mark.parametrize(
    "body", [b"", b" \n", b"{", b"17", b"{}", b'"x"', b"[1]", b"[[]]", b"\xff\xfe", b"nul", b"[1,]"]
)
def test_what_is_no_request_gets_an_error_without_id(body: bytes) -> None:
    assert json.loads(DISPATCHER.answer(body)) == INVALID


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"1e999", b"9" * 5000, b"1" + b"0" * 400])
def test_numbers_that_json_or_a_double_cannot_hold_are_no_request(number: bytes) -> None:
    assert json.loads(DISPATCHER.answer(b'{"method":"test_bare","id":' + number + b"}")) == INVALID


@pytest.mark.parametrize("depth", [32, 5_000, 20_000])
def test_deep_json_is_no_request_even_where_the_interpreter_would_follow_it(depth: int) -> None:
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(10_000_000)
    try:
        for start in (b"[", b'{"a":', b'["[",{"a\\"":'):
            assert json.loads(DISPATCHER.answer(start * depth)) == INVALID
        for deep in (b"[" * depth + b"]" * depth, b'{"a":' * depth + b"1" + b"}" * depth):
            assert json.loads(DISPATCHER.answer(b'{"method":"test_bare","id":' + deep + b"}")) == INVALID
    finally:
        sys.setrecursionlimit(limit)


@pytest.mark.parametrize(
    "body",
    [
        *(b"[" * 90_000, (b"[" * 31 + b"]" * 31) * 3_000, b"[" + b"[]," * 45_000 + b"0", b"[]" * 2_500_000),
        *(b'"' * 5_000_000, b'"\\' * 2_500_000, b'"' + b'\\"' * 2_500_000, b'{"":' * 90_000, b"{" * 90_000 + b'"\\'),
    ],
    ids=["open", "deep", "lists", "many", "quotes", "escapes", "escaped quotes", "objects", "an open string"],
)
def test_no_body_takes_long_to_refuse(body: bytes) -> None:
    begun = time.process_time()
    assert json.loads(DISPATCHER.answer(body))["error"]["code"] == -32600
    assert time.process_time() - begun < 3


def test_brackets_inside_strings_do_not_count_and_an_id_may_be_nested() -> None:
    assert call("test_echo", params=["[" * 1000 + '\\"[{' * 1000])["result"] == ["[" * 1000 + '\\"[{' * 1000, 0]
    nested: list[Any] = []
    for _ in range(dispatch.MAXIMUM_DEPTH - 2):
        nested = [nested]
    assert call("test_bare", id=nested) == {"jsonrpc": "2.0", "id": nested, "result": "done"}
    assert call("test_bare", id=[nested]) == INVALID


@pytest.mark.parametrize("body", [b"[]", b"null", b" [ ] "])
def test_an_empty_batch_is_an_empty_array(body: bytes) -> None:
    assert DISPATCHER.answer(body) == b"[]"


@pytest.mark.parametrize(
    ("sent", "echoed"),
    [
        (1, 1),
        ("text", "text"),
        (1.5, 1.5),
        (2.0, 2),
        (12345678901234567890, 12345678901234567000),
        ([1], [1]),
        ({"a": 1}, {"a": 1}),
        (False, False),
        ("\ud800", "\ud800"),
        (None, None),
    ],
)
def test_ids_come_back_as_from_the_go_client(sent: object, echoed: object) -> None:
    assert call("test_bare", id=sent) == {"jsonrpc": "2.0", "id": echoed, "result": "done"}


def test_an_error_leaves_out_a_null_id_and_a_result_does_not() -> None:
    assert answer({"method": "test_bare"}) == {"jsonrpc": "2.0", "id": None, "result": "done"}
    assert "id" not in call("test_none", id=None)


def test_parameters_that_are_missing_or_null_take_their_zero_value_and_more_are_overlooked() -> None:
    assert call("test_echo", params=[])["result"] == ["none", 0]
    assert call("test_echo", params=None)["result"] == ["none", 0]
    assert call("test_echo", params=[None, True])["result"] == ["none", True]
    assert call("test_echo", params=["a", False, 3, {}])["result"] == ["a", False]


@pytest.mark.parametrize("params", [{}, "x", 5, True, [5], ["a", "b"]])
def test_parameters_that_cannot_be_read_are_invalid(params: object) -> None:
    assert call("test_echo", params=params)["error"] == {"code": -32602, "message": "Invalid Params"}


def test_parameters_must_be_there_for_a_method_that_has_any() -> None:
    assert call("test_echo")["error"]["code"] == -32602
    assert call("test_must", params=[])["error"]["code"] == -32602
    assert call("test_must", params=[None])["error"]["code"] == -32602
    assert call("test_bare")["result"] == "done"
    assert call("test_bare", params={"odd": 1})["result"] == "done"


@pytest.mark.parametrize("name", ["eth", "_", "eth_", "TEST_bare", "test_Bare", "é_\ud800"])
def test_an_unknown_method_is_named(name: str) -> None:
    assert call(name)["error"] == {"code": -32601, "message": f"the method {name} does not exist/is not available"}


def test_a_single_request_without_method_is_invalid_but_in_a_batch_it_is_unknown() -> None:
    assert answer({"id": 3}) == INVALID | {"id": 3}
    assert answer([{"id": 3}, None])[0]["error"]["code"] == -32601
    assert answer([{"id": 3}, None])[1] == {
        "jsonrpc": "2.0",
        "error": {"code": -32601, "message": "the method  does not exist/is not available"},
    }
    assert answer({"id": 3, "method": 5}) == INVALID


def test_member_names_may_have_any_case() -> None:
    assert answer({"ID": 3, "Method": "test_echo", "PARAMS": ["a"]})["result"] == ["a", 0]


def test_a_batch_is_answered_in_order_and_one_failure_stays_alone() -> None:
    found = answer(
        [{"id": 1, "method": "test_bare"}, {"id": 2, "method": "test_none"}, {"id": 3, "method": "test_bare"}]
    )
    assert [entry["id"] for entry in found] == [1, 2, 3]
    assert ["result" in entry for entry in found] == [True, False, True]


def test_a_batch_has_a_limit_of_length_and_none_when_it_is_zero() -> None:
    batch = [{"id": number, "method": "test_bare"} for number in range(4)]
    assert answer(batch) == {"jsonrpc": "2.0", "error": {"code": -32600, "message": "Batch request length too long"}}
    unlimited = Dispatcher({"test_bare": Method(lambda: 1)}, batch_limit=0)
    assert len(json.loads(unlimited.answer(json.dumps(batch * 10).encode()))) == 40


def test_a_batch_has_a_limit_of_bytes_to_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "MAXIMUM_BATCH_ANSWER_BYTES", 1500)
    found = answer([{"id": number, "method": "test_long"} for number in range(3)])
    assert ["result" in entry for entry in found] == [True, True, False]
    assert "send smaller batches" in found[2]["error"]["message"]
    assert found[2]["id"] == 2


def test_an_error_of_a_method_carries_code_text_and_data() -> None:
    assert call("test_refuse")["error"] == {"code": -32600, "message": "not today", "data": "0x01"}


def test_a_bug_is_an_internal_error_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        assert call("test_fail")["error"] == {"code": -32603, "message": "Internal error"}
    assert "test_fail failed" in caplog.text
    assert "a bug" in caplog.text


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=6), inner, max_size=5),
    max_leaves=20,
)
NAMES = sorted(methods(backend_of(Headless())))
REQUESTS = st.fixed_dictionaries(
    {"method": st.sampled_from([*NAMES, "eth_x"]) | JSON}, optional={"id": JSON, "params": st.lists(JSON) | JSON}
)


@given(st.binary(max_size=200) | (REQUESTS | st.lists(REQUESTS, max_size=4) | JSON).map(json.dumps).map(str.encode))
@example(b'{"method":"eth_getBlockByNumber","params":["0x0"]}\xff')
def test_whatever_the_bytes_are_there_is_an_answer(body: bytes) -> None:
    logging.disable(logging.CRITICAL)
    try:
        found = json.loads(Dispatcher(methods(backend_of(Headless())), 20).answer(body))
    finally:
        logging.disable(logging.NOTSET)
    for entry in found if isinstance(found, list) else [found]:
        assert entry["jsonrpc"] == "2.0"
        assert ("result" in entry) != ("error" in entry)
