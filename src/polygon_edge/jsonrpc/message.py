"""What `eth_call` and `eth_estimateGas` execute: the call object, its outcome, the search for the least gas (§5.4)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from polygon_edge import _core
from polygon_edge.chain.address import ADDRESS_SIZE
from polygon_edge.chain.fees import effective_gas_price
from polygon_edge.chain.intrinsic_gas import intrinsic_gas
from polygon_edge.jsonrpc.codec import (
    data,
    decode_address,
    decode_amount,
    decode_count,
    decode_optional_data,
    decode_uint64,
    fields,
)
from polygon_edge.jsonrpc.rpc_error import RpcError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from polygon_edge.jsonrpc.history import History
    from polygon_edge.jsonrpc.state_override import AccountOverride

_INTRINSIC_GAS_REFUSAL: Final = "not enough gas supplied for intrinsic gas costs"
_MORE_GAS_MAY_HELP: Final = frozenset({"out of gas", "contract creation code storage out of gas"})
_ERROR_STRING_SELECTOR: Final = bytes.fromhex("08c379a0")
_NO_SENDER: Final = bytes(ADDRESS_SIZE)
_DYNAMIC_FEE: Final = 2
_FIELDS: Final = ("from", "to", "gas", "gasPrice", "value", "data", "input", "nonce")
_TYPED_FIELDS: Final = (*_FIELDS, "type", "gasTipCap", "gasFeeCap")


@dataclass(frozen=True, slots=True)
class Message:
    """A call or creation; `gas` 0 stands for as much as a block may use, no `sender` for the zero address.

    A nonce may be sent but does not count: the message is executed as the sender's next one (D-8; v0.6.3 compares it
    with the state, so that a sender who has sent since cannot call into the past). The type and the caps count where
    a chain may have them, see `priced`.
    """

    sender: bytes | None
    to: bytes | None
    input: bytes
    value: int
    gas: int
    gas_price: int
    type: int = 0
    gas_tip_cap: int | None = None
    gas_fee_cap: int | None = None


def decode_message(value: object) -> Message:
    """Read a call object; `data` counts before `input`."""
    return _decode(value, _FIELDS, decode_uint64)


def decode_typed_message(value: object) -> Message:
    """Read a call object as later generations do: with a type and caps, and numbers that need not be texts."""
    return _decode(value, _TYPED_FIELDS, decode_count)


def _decode(value: object, names: Sequence[str], decode_number: Callable[[object], int]) -> Message:
    found = fields(value, names)
    if "nonce" in found:
        decode_number(found["nonce"])
    to = found.get("to")
    recipient = None if to is None else decode_address(to)
    text = found.get("data", found.get("input"))
    sent = None if text is None else decode_optional_data(text)
    message = Message(
        sender=decode_address(found["from"]) if "from" in found else None,
        to=recipient,
        input=sent or b"",
        value=decode_amount(found.get("value", "0x")),
        gas=decode_number(found.get("gas", "0x0")),
        gas_price=decode_amount(found.get("gasPrice", "0x")),
        type=decode_number(found.get("type", "0x0")),
        gas_tip_cap=decode_amount(found["gasTipCap"]) if "gasTipCap" in found else None,
        gas_fee_cap=decode_amount(found["gasFeeCap"]) if "gasFeeCap" in found else None,
    )
    if recipient is None and sent is None:
        raise RpcError("contract creation without data provided")
    return message


def priced(message: Message, history: History, height: int, suggest: Callable[[], int]) -> Message:
    """Return `message` with the one price that it has at block `height`; without an offer it has the suggested one.

    Nobody pays it: it is what the code sees as its gas price.
    """
    if not effective_gas_price(message, history.pool_base_fee()):
        if message.type == _DYNAMIC_FEE:
            message = replace(message, gas_fee_cap=suggest())
        else:
            message = replace(message, gas_price=suggest())
    price = effective_gas_price(message, history.header(height).base_fee)
    return replace(message, gas_price=price, gas_tip_cap=None, gas_fee_cap=None)


class RevertedError(RpcError):
    """A message that the called code reverted, with what it gave as the reason."""

    def __init__(self, output: bytes, prefix: str = "") -> None:
        self.output = output
        reason = revert_reason(output)
        text = "execution was reverted" if reason is None else f"execution was reverted: {reason}"
        super().__init__(prefix + text, data=data(output) if output else None)


def revert_reason(output: bytes) -> str | None:
    """Return the text of a Solidity `Error(string)`, none where the output is anything else."""
    payload = output.removeprefix(_ERROR_STRING_SELECTOR)
    if len(payload) == len(output):
        return None
    offset = int.from_bytes(payload[:32], "big")
    start = offset + 32
    if start > len(payload):
        return None
    length = int.from_bytes(payload[offset:start], "big")
    if start + length > len(payload):
        return None
    return payload[start : start + length].decode("utf-8", "replace")


def call(
    history: History, message: Message, height: int, overrides: Mapping[bytes, AccountOverride] | None = None
) -> bytes:
    """Execute `message` on the state after block `height` and return its output; raises RpcError where it fails.

    `overrides` replace accounts of that state, by address.
    """
    limit = history.header(height).gas_limit
    outcome = _execute(history, message, height, min(message.gas or limit, limit), overrides)
    if outcome.status == "success":
        return outcome.output
    if outcome.status == "revert":
        raise RevertedError(outcome.output)
    raise RpcError(f"unable to execute call: {outcome.status}")


def estimate_gas(history: History, message: Message, height: int) -> int:
    """Return the least gas with which `message` succeeds on the state after block `height`; raises RpcError."""
    rules = history.rules
    least = intrinsic_gas(rules.forks, height, creates=message.to is None, data=b"")
    if rules.has_transaction_types and message.to is not None and message.value and not message.input:
        # Later generations execute no transfer for this, whatever its receiver does.
        return least
    block_limit = history.header(height).gas_limit
    most = min(message.gas, block_limit) if message.gas >= least else block_limit
    if message.sender not in (None, _NO_SENDER):
        most = min(most, _affordable_gas(history, message, height, most))
    low, high = least, most
    while low < high:
        middle = (low + high) // 2
        if _needs_more(history, message, height, middle):
            low = middle + 1
        else:
            high = middle
    _confirm(history, message, height, high)
    return high


def _affordable_gas(history: History, message: Message, height: int, most: int) -> int:
    account = None if message.sender is None else history.account(height, message.sender)
    balance = 0 if account is None else account[1]
    if history.rules.has_transaction_types:
        return balance // message.gas_price if message.gas_price and balance else most
    if message.value > balance:
        raise RpcError("insufficient funds for execution")
    left = balance - message.value
    return left // message.gas_price if message.gas_price and left else most


def _needs_more(history: History, message: Message, height: int, gas: int) -> bool:
    """Say whether more gas may help; a failure that it cannot help ends the search."""
    try:
        outcome = _execute(history, message, height, gas)
    except RpcError as error:
        if error.message == _INTRINSIC_GAS_REFUSAL:
            return True
        raise
    if outcome.status == "success":
        return False
    if outcome.status == "revert" or outcome.status in _MORE_GAS_MAY_HELP:
        return True
    raise RpcError(outcome.status)


def _confirm(history: History, message: Message, height: int, gas: int) -> None:
    prefix = f"unable to apply transaction even for the highest gas limit {gas}: "
    try:
        outcome = _execute(history, message, height, gas)
    except RpcError as error:
        raise RpcError(prefix + error.message) from error
    if outcome.status == "revert":
        raise RevertedError(outcome.output, prefix)
    if outcome.status != "success":
        raise RpcError(prefix + outcome.status)


def _execute(
    history: History,
    message: Message,
    height: int,
    gas: int,
    overrides: Mapping[bytes, AccountOverride] | None = None,
) -> _core.CallOutcome:
    try:
        return history.chain.call(
            height,
            sender=message.sender or _NO_SENDER,
            to=message.to,
            value=message.value,
            input=message.input,
            gas=gas,
            gas_price=message.gas_price,
            overrides=[
                (address, entry.nonce, entry.balance, entry.code, tuple(entry.storage.items()), entry.is_whole)
                for address, entry in (overrides or {}).items()
            ],
        )
    except _core.CallRefusedError as error:
        raise RpcError(str(error)) from error
