"""What the twin's machine depends on: flags, access lists, and the ways to fail that only Edge has (§6.5, §6.9)."""

from __future__ import annotations

from dataclasses import dataclass, field

from eth.exceptions import OutOfGas, VMError

UINT64 = 1 << 64

SYSTEM_CALLER = bytes.fromhex("fffffffffffffffffffffffffffffffffffffffe")

LISTS = {
    "deployer-allow": bytes.fromhex("0200000000000000000000000000000000000000"),
    "deployer-block": bytes.fromhex("0300000000000000000000000000000000000000"),
    "transactions-allow": bytes.fromhex("0200000000000000000000000000000000000002"),
    "transactions-block": bytes.fromhex("0300000000000000000000000000000000000002"),
    "bridge-allow": bytes.fromhex("0200000000000000000000000000000000000004"),
    "bridge-block": bytes.fromhex("0300000000000000000000000000000000000004"),
}
ENABLED, ADMIN = 1, 2
READ_ROLE = bytes.fromhex("d78bca69")
WRITTEN_ROLES = {bytes.fromhex("704b6c02"): ADMIN, bytes.fromhex("0aaf7043"): ENABLED, bytes.fromhex("8c6bfb3b"): 0}


@dataclass(frozen=True)
class EdgeRules:
    """What a rule of execution depends on, at any height: the flags of `forks` and the access lists that exist."""

    generation: str
    flags: frozenset[str]
    chain_id: int = 100
    lists: frozenset[str] = field(default_factory=frozenset)

    def __contains__(self, flag: str) -> bool:
        return flag in self.flags


class UnplayableError(Exception):
    """A frame with gas near 2^64 (§6.7.15) does not come to its end soon, or wants memory without end."""


class NotAuthorisedError(VMError):
    """An access list refuses the frame, which loses its gas (§6.9)."""


class InsufficientBalanceError(VMError):
    """The top-level frame cannot send its value, in generation 3: the gas is kept (§6.2)."""

    burns_gas = False


class ListRefusalError(VMError):
    """A list contract refuses: the gas that it did not use is kept (§6.9)."""

    burns_gas = False


class UnpaidCodeError(OutOfGas):
    """A creation that cannot pay for its code."""


@dataclass(frozen=True)
class TransactionContext:
    """What instructions see of the transaction."""

    origin: bytes
    gas_price: int
