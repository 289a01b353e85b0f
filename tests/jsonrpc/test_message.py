"""The search for the least gas, on machines that are as simple as a search needs them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.jsonrpc.door import EARLY_RULES

from polygon_edge import _core
from polygon_edge.jsonrpc.message import Message, RevertedError, call, decode_message, estimate_gas
from polygon_edge.jsonrpc.rpc_error import RpcError

if TYPE_CHECKING:
    from collections.abc import Callable

    from polygon_edge.jsonrpc.history import History

LIMIT = 5_000_000
TO = "0x" + "11" * 20
REASON = bytes.fromhex("08c379a0") + (32).to_bytes(32, "big") + (2).to_bytes(32, "big") + b"no".ljust(32, b"\0")


@dataclass
class Outcome:
    status: str
    output: bytes = b""


class Machine:
    """A chain of one state whose calls do what `run` says about their gas."""

    gas_limit = LIMIT
    balance = 10**18
    rules = EARLY_RULES

    def __init__(self, run: Callable[[int], Outcome]) -> None:
        self._run = run
        self.calls: list[dict[str, Any]] = []

    @property
    def chain(self) -> Machine:
        return self

    def header(self, height: int) -> Machine:
        assert height == 7
        return self

    def account(self, height: int, address: bytes) -> tuple[int, int, bytes, bytes]:
        assert (height, len(address)) == (7, 20)
        return 0, self.balance, b"", b""

    def call(self, number: int, **message: Any) -> Outcome:
        assert number == 7
        self.calls.append(message)
        return self._run(message["gas"])


def needs(gas: int) -> Callable[[int], Outcome]:
    return lambda given: Outcome("success", b"\x01") if given >= gas else Outcome("out of gas")


def estimate(machine: Machine, **members: object) -> int:
    return estimate_gas(cast("History", machine), decode_message({"to": TO} | members), 7)


@given(st.integers(21_000, LIMIT))
def test_the_least_gas_is_found(gas: int) -> None:
    assert estimate(Machine(needs(gas))) == gas


def test_a_creation_starts_higher() -> None:
    assert estimate_gas(cast("History", Machine(needs(1))), decode_message({"data": "0x00"}), 7) == 53_000
    assert estimate(Machine(needs(1))) == 21_000


def test_what_no_gas_helps_is_told_with_the_limit_that_was_tried() -> None:
    text = "unable to apply transaction even for the highest gas limit 5000000: out of gas"
    with pytest.raises(RpcError, match=text):
        estimate(Machine(needs(LIMIT + 1)))
    with pytest.raises(RpcError, match="highest gas limit 100000: "):
        estimate(Machine(needs(LIMIT)), gas="0x186a0")
    with pytest.raises(RpcError, match="highest gas limit 5000000: "):
        estimate(Machine(needs(LIMIT + 1)), gas="0x7fffffffffffffff")


def test_a_limit_below_the_cost_of_any_transaction_is_overlooked() -> None:
    assert estimate(Machine(needs(30_000)), gas="0x10") == 30_000


def test_a_revert_is_told_with_its_reason_and_its_data() -> None:
    machine = Machine(lambda _: Outcome("revert", REASON))
    with pytest.raises(RevertedError, match="highest gas limit 5000000: execution was reverted: no") as failure:
        estimate(machine)
    assert failure.value.data == "0x" + REASON.hex()
    with pytest.raises(RevertedError, match=r"^execution was reverted$") as bare:
        call(cast("History", Machine(lambda _: Outcome("revert"))), decode_message({"to": TO}), 7)
    assert bare.value.data is None


def test_another_failure_ends_the_search_at_once() -> None:
    machine = Machine(lambda _: Outcome("opcode not found"))
    with pytest.raises(RpcError, match=r"^opcode not found$"):
        estimate(machine)
    assert len(machine.calls) == 1
    with pytest.raises(RpcError, match="unable to execute call: opcode not found"):
        call(cast("History", machine), decode_message({"to": TO}), 7)


def refuse_below(gas: int, text: str) -> Callable[[int], Outcome]:
    def run(given: int) -> Outcome:
        if given < gas:
            raise _core.CallRefusedError(text)
        return Outcome("success")

    return run


def test_a_refusal_for_intrinsic_gas_asks_for_more_and_another_one_ends_the_search() -> None:
    text = "not enough gas supplied for intrinsic gas costs"
    assert estimate(Machine(refuse_below(60_000, text))) == 60_000
    with pytest.raises(RpcError, match="highest gas limit 5000000: " + text):
        estimate(Machine(refuse_below(LIMIT + 1, text)))
    with pytest.raises(RpcError, match=r"^not enough funds to cover gas costs$"):
        estimate(Machine(refuse_below(60_000, "not enough funds to cover gas costs")))


def test_a_sender_must_afford_the_value_and_bounds_the_gas() -> None:
    machine = Machine(needs(40_000))
    sender = {"from": "0x" + "22" * 20}
    with pytest.raises(RpcError, match="insufficient funds for execution"):
        estimate(machine, **sender, value=hex(10**18 + 1))
    machine.balance = 100_000
    assert estimate(machine, **sender, gasPrice="0x2") == 40_000
    machine.calls.clear()
    with pytest.raises(RpcError, match="highest gas limit 33333: out of gas"):
        estimate(machine, **sender, gasPrice="0x3")
    assert max(message["gas"] for message in machine.calls) == 33_333


def test_a_call_takes_the_gas_of_a_block_unless_it_says_less() -> None:
    machine = Machine(needs(1))
    for gas, used in (("0x0", LIMIT), ("0x5208", 21_000), ("0xffffffffff", LIMIT)):
        message = decode_message({"to": TO, "gas": gas, "value": "0x1", "data": "0x02"})
        assert isinstance(message, Message)
        assert call(cast("History", machine), message, 7) == b"\x01"
        assert machine.calls[-1] == {
            "sender": bytes(20),
            "to": bytes.fromhex(TO[2:]),
            "value": 1,
            "input": b"\x02",
            "gas": used,
            "gas_price": 0,
            "overrides": [],
        }
