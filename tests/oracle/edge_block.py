"""Transactions in a block by Edge's rules: what is asked before, what is paid, what is left (§6.2, §6.3).

Frames are `edge_machine`'s, accounts `edge_state`'s.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from eth._utils.address import generate_contract_address
from eth.vm.message import Message
from tests.oracle.edge_machine import machine
from tests.oracle.edge_rules import UINT64, EdgeRules, TransactionContext
from tests.oracle.edge_state import BlockState, NonceOverflowError
from tests.oracle.twin import receipt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.oracle.edge_machine import EdgeComputation
    from tests.oracle.twin import Log


@dataclass(frozen=True)
class Call:
    """A transaction without its signature, or a message; `to` is none for a creation.

    A dynamic fee has `tip` and `cap`, and no gas price.
    """

    sender: bytes
    to: bytes | None
    nonce: int = 0
    gas: int = 100_000
    value: int = 0
    input: bytes = b""
    gas_price: int = 0
    tip: int | None = None
    cap: int | None = None

    @property
    def is_dynamic(self) -> bool:
        return self.tip is not None


class RefusedError(Exception):
    """The transaction cannot be in a block; nothing of it stays."""


@dataclass(frozen=True)
class Outcome:
    """What became of a transaction: `error` is none where it succeeded, `output` what its frame returned."""

    gas_used: int
    logs: tuple[Log, ...]
    output: bytes
    error: str | None

    def receipt(self, cumulative_gas: int) -> bytes:
        """Its consensus receipt (§2.6)."""
        return receipt(self.error is None, cumulative_gas, self.logs)


def _intrinsic_gas(rules: EdgeRules, call: Call) -> int:
    is_costly = call.to is None and "homestead" in rules
    zeros = call.input.count(0)
    price = 16 if "istanbul" in rules else 68
    return (53_000 if is_costly else 21_000) + 4 * zeros + price * (len(call.input) - zeros)


def _effective_price(call: Call, base_fee: int) -> int:
    """§6.3."""
    if call.gas_price or base_fee == 0:
        return call.gas_price
    return min((call.tip or 0) + base_fee, call.cap or 0)


def _upfront(rules: EdgeRules, call: Call, base_fee: int) -> int:
    """What must be there for the gas; raises RefusedError where a fee is not as it must be (§6.3)."""
    if rules.generation != "G3":
        return call.gas * call.gas_price
    tip, cap = call.tip or 0, call.cap or 0
    has_fix = "londonfix" in rules
    if call.is_dynamic and (tip or cap) and (not has_fix or "london" in rules) and (cap < tip or cap < base_fee):
        raise RefusedError("fee caps")
    if has_fix:
        if "london" in rules and not call.is_dynamic and call.gas_price < base_fee:
            raise RefusedError("gas price below the base fee")
        return call.gas * _effective_price(call, base_fee)
    return call.gas * (cap or call.gas_price)


def _tip(rules: EdgeRules, call: Call, price: int, base_fee: int) -> int:
    """What the proposer gets for each gas (§6.3)."""
    if rules.generation != "G3" or "london" not in rules:
        return price
    tip = (call.tip or 0) if call.is_dynamic else call.gas_price
    cap = (call.cap or 0) if call.is_dynamic else call.gas_price
    if "londonfix" in rules:
        return tip if base_fee == 0 else min(tip, cap - base_fee)
    return min(cap - base_fee, tip) if call.is_dynamic else price


def _run(rules: EdgeRules, state: BlockState, call: Call, gas: int, price: int) -> EdgeComputation | None:
    """The frame of the transaction; none for a creation that is refused at once, which costs all gas (§6.2)."""
    frames, transaction = machine(rules), TransactionContext(call.sender, price)
    if call.to is None:
        address = generate_contract_address(call.sender, state.get_nonce(call.sender))
        try:
            state.increment_nonce(call.sender)
        except NonceOverflowError:
            return None
        if state.has_code_or_nonce(address):
            return None
        message = Message(
            gas=gas, to=b"", sender=call.sender, value=call.value, data=b"", code=call.input, create_address=address
        )
        return frames.apply_create_message(state, message, transaction)
    state.increment_nonce(call.sender)
    message = Message(
        gas=gas, to=call.to, sender=call.sender, value=call.value, data=call.input, code=state.get_code(call.to)
    )
    return frames.apply_message(state, message, transaction)


@contextmanager
def nested_frames() -> Iterator[None]:
    """Let Python nest as deep as 1,025 frames of py-evm need."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, 16_000))
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)


def execute(rules: EdgeRules, state: BlockState, call: Call, burn_contract: bytes | None = None) -> Outcome:
    """Execute a transaction on `state`; raises RefusedError for one that no block may hold, and changes nothing."""
    snapshot = state.snapshot()
    try:
        return _execute(rules, state, call, burn_contract)
    except (RefusedError, NonceOverflowError) as refused:
        state.revert(snapshot)
        raise RefusedError(str(refused)) from refused


def _execute(rules: EdgeRules, state: BlockState, call: Call, burn_contract: bytes | None) -> Outcome:
    base_fee = state.base_fee
    if state.get_nonce(call.sender) != call.nonce:
        raise RefusedError("nonce")
    if not state.subtract_balance(call.sender, _upfront(rules, call, base_fee)):
        raise RefusedError("balance for the gas")
    gas = call.gas - _intrinsic_gas(rules, call)
    if gas < 0:
        raise RefusedError("intrinsic gas")
    if rules.generation == "G1" and state.get_balance(call.sender) < call.value:
        raise RefusedError("balance for the value")
    price = _effective_price(call, base_fee)
    with nested_frames():
        frame = _run(rules, state, call, gas, price)
    # In 64 bits: more than was bought may be left (§6.7.15).
    gas_left = 0 if frame is None else frame.get_gas_remaining()
    gas_used = (call.gas - gas_left) % UINT64
    refund = min(state.refund, gas_used // 2)
    gas_used, gas_left = gas_used - refund, (gas_left + refund) % UINT64
    state.add_balance(call.sender, gas_left * price)
    state.add_balance(state.coinbase, gas_used * _tip(rules, call, price, base_fee))
    if burn_contract is not None and "london" in rules:
        state.add_balance(burn_contract, gas_used * base_fee)
    logs = state.end_transaction()
    if frame is None:
        return Outcome(gas_used, logs, b"", "refused")
    if frame.is_error:
        return Outcome(gas_used, logs, frame.output, type(frame.error).__name__)
    error = "UnpaidCodeError" if frame.has_unpaid_code else None
    return Outcome(gas_used, logs, frame.output, error)
