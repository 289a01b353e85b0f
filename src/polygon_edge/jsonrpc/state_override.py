"""What `eth_call` may replace in the state before it executes: the third parameter of later generations (§5.4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from polygon_edge.jsonrpc.codec import (
    decode_address,
    decode_amount,
    decode_count,
    decode_hash,
    decode_optional_data,
    fields,
)
from polygon_edge.jsonrpc.rpc_error import InvalidParametersError, RpcError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class AccountOverride:
    """What is replaced of one account; none leaves it as it is.

    `storage` maps slots to values, 32 bytes each; `is_whole` says that the account has no others.
    """

    nonce: int | None
    balance: int | None
    code: bytes | None
    storage: Mapping[bytes, bytes]
    is_whole: bool


def decode_overrides(value: object) -> dict[bytes, AccountOverride]:
    """Read an object of accounts by their addresses."""
    if not isinstance(value, dict):
        raise InvalidParametersError
    return {decode_address(address): _account(entry) for address, entry in value.items()}


def _account(value: object) -> AccountOverride:
    found = fields({} if value is None else value, ("nonce", "code", "balance", "state", "stateDiff"))
    if "state" in found and "stateDiff" in found:
        raise RpcError("cannot override both state and state diff")
    return AccountOverride(
        nonce=decode_count(found["nonce"]) if "nonce" in found else None,
        balance=_balance(found["balance"]) if "balance" in found else None,
        code=decode_optional_data(found["code"]) if "code" in found else None,
        storage=_slots(found.get("state", found.get("stateDiff", {}))),
        is_whole="state" in found,
    )


def _balance(value: object) -> int:
    """Read up to 256 bits, where the Go client takes 64: tools give themselves more than 18 coins."""
    if isinstance(value, str) and value.startswith("0x"):
        return decode_amount(value)
    return decode_count(value)


def _slots(value: object) -> dict[bytes, bytes]:
    if not isinstance(value, dict):
        raise InvalidParametersError
    return {decode_hash(slot): decode_hash(content) for slot, content in value.items()}
