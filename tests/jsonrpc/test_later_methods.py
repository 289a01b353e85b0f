"""Whatever a later chain is asked about fees and calls, the answer is a result or a refusal, never a slip of ours."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.conftest import recorded_folder
from tests.golden.recorded import Network
from tests.jsonrpc.recorded_node import open_node

from polygon_edge.jsonrpc.app import methods
from polygon_edge.jsonrpc.dispatch import Dispatcher

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.shared

CONTRACT = "0x028BB2494f2abcD393F595d25113271F6FE75294"
RICH = "0xE318Ac0b7E1d1C5966760f8C44017D4A71047d29"
INTERNAL_ERROR = -32603

NUMBERS = st.integers(0, 2**70).map(hex) | st.integers(-5, 2**66) | st.sampled_from(["0x", "x", "", None, "latest"])
BYTES = st.binary(max_size=40).map(lambda value: "0x" + value.hex()) | NUMBERS
ADDRESSES = st.sampled_from([CONTRACT, RICH, "0x" + "00" * 20, "0x" + "00" * 19 + "01", "0x12", None])
MESSAGES = st.fixed_dictionaries(
    {},
    optional={
        "from": ADDRESSES,
        "to": ADDRESSES,
        "gas": NUMBERS,
        "gasPrice": BYTES,
        "gasTipCap": BYTES,
        "gasFeeCap": BYTES,
        "value": BYTES,
        "data": BYTES,
        "nonce": NUMBERS,
        "type": NUMBERS,
    },
)
SLOTS = st.dictionaries(st.integers(0, 9).map(hex), BYTES, max_size=3)
OVERRIDES = st.dictionaries(
    ADDRESSES.filter(lambda address: address is not None),
    st.fixed_dictionaries(
        {}, optional={"nonce": NUMBERS, "balance": BYTES, "code": BYTES, "state": SLOTS, "stateDiff": SLOTS}
    ),
    max_size=3,
)
PERCENTILES = st.lists(st.floats(-1, 101) | st.integers(0, 100), max_size=4)
CALLS = st.one_of(
    st.tuples(st.just("eth_call"), st.tuples(MESSAGES, NUMBERS, OVERRIDES)),
    st.tuples(st.just("eth_estimateGas"), st.tuples(MESSAGES, NUMBERS)),
    st.tuples(st.just("eth_feeHistory"), st.tuples(NUMBERS, NUMBERS, PERCENTILES)),
    st.tuples(
        st.just("eth_sendRawTransaction"),
        st.tuples(
            st.sampled_from(["0x02", "0x7f", "0x01", "0x"]).flatmap(
                lambda kind: st.binary(max_size=120).map(lambda value: kind + value.hex())
            )
        ),
    ),
)


@pytest.fixture(scope="module")
def dispatcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dispatcher]:
    network = Network(recorded_folder("v1.3.2/forks-late", "data-dir.tar.zst"))
    with open_node(network, tmp_path_factory.mktemp("node")) as node:
        yield Dispatcher(methods(node.backend), 20)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(CALLS)
def test_no_answer_is_an_internal_error(dispatcher: Dispatcher, call: tuple[str, tuple[Any, ...]]) -> None:
    method, params = call
    request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    answer = json.loads(dispatcher.answer(json.dumps(request).encode()))
    assert ("result" in answer) != ("error" in answer)
    assert answer.get("error", {}).get("code") != INTERNAL_ERROR, answer
