"""Transactions of several kinds, signed here and sent through JSON-RPC."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from eth_account import Account
from eth_utils.crypto import keccak

from demonstration.contracts import store_creation, word

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount


CHAIN_ID = 4711
GAS_PRICE = 1_000_000_000
ACCOUNTS = 8


def accounts() -> list[LocalAccount]:
    """The accounts that send; their keys are known to everybody who reads this."""
    return [Account.from_key(keccak(b"demonstration account %d" % index)) for index in range(ACCOUNTS)]


class JsonRpc(Protocol):
    """A node that can be asked."""

    def rpc(self, method: str, *params: object) -> Any:  # noqa: ANN401 - any JSON value
        """The result of one call."""
        ...


@dataclass
class Load:
    """Sends transactions to a node and remembers what was sent.

    With `dynamic_fees` every second account names its fees as EIP-1559 does; only a chain with london takes that.
    """

    node: JsonRpc
    dynamic_fees: bool = False
    kinds: Counter[str] = field(default_factory=Counter)
    hashes: list[str] = field(default_factory=list)
    contracts: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._senders = accounts()
        pending = [self.node.rpc("eth_getTransactionCount", account.address, "pending") for account in self._senders]
        self._nonces = [int(nonce, 16) for nonce in pending]

    def send(self, kind: str, sender: int, to: str | None, *, value: int = 0, data: bytes = b"", gas: int) -> str:
        """Sign and send one transaction; returns its hash."""
        account = self._senders[sender]
        transaction: dict[str, Any] = {
            "nonce": self._nonces[sender],
            "gas": gas,
            "value": value,
            "data": data,
            "chainId": CHAIN_ID,
        }
        if self.dynamic_fees and sender % 2:
            transaction |= {"type": 2, "maxFeePerGas": 2 * GAS_PRICE, "maxPriorityFeePerGas": GAS_PRICE // 100 + sender}
        else:
            transaction["gasPrice"] = GAS_PRICE + sender
        if to is not None:
            transaction["to"] = to
        signed = account.sign_transaction(transaction)
        transaction_hash = str(self.node.rpc("eth_sendRawTransaction", "0x" + bytes(signed.raw_transaction).hex()))
        self._nonces[sender] += 1
        self.kinds[kind] += 1
        self.hashes.append(transaction_hash)
        return transaction_hash

    def deploy(self, sender: int) -> str:
        """Send a contract creation; returns its hash."""
        return self.send("contract creation", sender, None, data=store_creation(), gas=200_000)

    def wave(self, rounds: int) -> None:
        """Send `rounds` of every kind from every account."""
        for number in range(rounds):
            for sender in range(ACCOUNTS):
                contract = self.contracts[(number + sender) % len(self.contracts)]
                receiver = self._senders[(sender + 1) % ACCOUNTS].address
                kind = (number + sender) % 4
                if kind == 0:
                    self.send("transfer", sender, receiver, value=10**15 + number, gas=21_000)
                elif kind == 1:
                    slot, value = number * ACCOUNTS + sender, 2 * (number + 1)
                    self.send("storage write with log", sender, contract, data=word(slot) + word(value), gas=90_000)
                elif kind == 2:
                    self.send("call that reverts", sender, contract, data=word(1) + word(2 * number + 1), gas=60_000)
                else:
                    self.send("transfer with data", sender, receiver, value=1, data=bytes(range(1, 201)), gas=30_000)
