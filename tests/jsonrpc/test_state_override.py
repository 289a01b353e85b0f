"""The third parameter of `eth_call`: how it is read, and what a call sees of it on a recorded chain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.conftest import recorded_folder
from tests.golden.recorded import Network
from tests.jsonrpc.recorded_node import open_door

from polygon_edge.jsonrpc.rpc_error import InvalidParametersError, RpcError
from polygon_edge.jsonrpc.state_override import AccountOverride, decode_overrides

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.jsonrpc.door import Door

NOBODY = "0x" + "77" * 20
ADDRESS = bytes.fromhex(NOBODY[2:])
WORD = (5).to_bytes(32, "big")
RETURN_SLOT_7 = "0x60075460005260206000f3"
RETURN_CALLER_BALANCE = "0x333160005260206000f3"


def test_every_field_is_read_as_leniently_as_elsewhere() -> None:
    assert decode_overrides({}) == {}
    found = decode_overrides(
        {
            NOBODY: {"Nonce": 7, "balance": "0x" + "ff" * 32, "CODE": "0x6001", "stateDiff": {"0x1": "0x5"}},
            "0x" + "78" * 20: {"balance": "17", "nonce": "0x10", "state": {}},
            "0x" + "79" * 20: None,
        }
    )
    assert list(found.values()) == [
        AccountOverride(7, 2**256 - 1, b"\x60\x01", {(1).to_bytes(32, "big"): WORD}, is_whole=False),
        AccountOverride(16, 17, None, {}, is_whole=True),
        AccountOverride(None, None, None, {}, is_whole=False),
    ]


@pytest.mark.parametrize(
    "value",
    [
        5,
        [],
        {"0x12": {}},
        {NOBODY: 5},
        {NOBODY: {"nonce": "x"}},
        {NOBODY: {"nonce": hex(1 << 64)}},
        {NOBODY: {"balance": True}},
        {NOBODY: {"balance": "0x" + "ff" * 33}},
        {NOBODY: {"code": 5}},
        {NOBODY: {"state": []}},
        {NOBODY: {"stateDiff": {"0x1": 5}}},
    ],
)
def test_what_cannot_be_read_is_refused(value: object) -> None:
    with pytest.raises(InvalidParametersError):
        decode_overrides(value)


def test_slots_are_replaced_in_one_way_or_the_other() -> None:
    with pytest.raises(RpcError, match="cannot override both state and state diff"):
        decode_overrides({NOBODY: {"state": {}, "stateDiff": {}}})


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    network = Network(recorded_folder("v1.3.2/forks-late", "data-dir.tar.zst"))
    with open_door(network, tmp_path_factory.mktemp("node")) as opened:
        yield opened


def call(door: Door, message: dict[str, Any], overrides: object) -> Any:
    return door.ask("eth_call", message, "latest", overrides)


@pytest.mark.shared
def test_a_call_sees_the_code_the_slots_and_the_balance_that_it_was_given(door: Door) -> None:
    def given(**fields: Any) -> int:
        return int(call(door, {"from": NOBODY, "to": NOBODY}, {NOBODY: fields})["result"], 16)

    assert given(code=RETURN_SLOT_7) == 0
    assert given(code=RETURN_SLOT_7, stateDiff={"0x7": "0x2a"}) == 42
    assert given(code=RETURN_SLOT_7, state={"0x7": "0x2b"}) == 43
    assert given(code=RETURN_CALLER_BALANCE, balance="0x2c") == 44
    # Nothing is kept.
    assert door.result("eth_getCode", NOBODY, "latest") == "0x"
    assert door.result("eth_call", {"to": NOBODY, "data": "0x"}, "latest") == "0x"


@pytest.mark.shared
def test_a_balance_that_is_given_can_be_sent(door: Door) -> None:
    message = {"from": NOBODY, "to": "0x" + "78" * 20, "value": "0x5"}
    assert "insufficient balance" in call(door, message, {})["error"]["message"]
    assert call(door, message, {NOBODY: {"balance": "0x5"}})["result"] == "0x"


@pytest.mark.shared
def test_overrides_that_cannot_be_read_are_invalid_parameters(door: Door) -> None:
    answer = call(door, {"to": NOBODY}, {NOBODY: {"nonce": "x"}})
    assert answer["error"] == {"code": -32602, "message": "Invalid Params"}
