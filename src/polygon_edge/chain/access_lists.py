"""The access lists of later chains: their names, addresses, and what they put into the genesis state (§5.5, §6.9).

What they forbid is decided in the core.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from polygon_edge.chain.document import Value

ENABLED_ROLE = 1
ADMIN_ROLE = 2
BALANCE = 1
"""Of the list's address: an account without anything would be taken for empty."""


@dataclass(frozen=True, slots=True)
class AccessListKind:
    """One of the six lists: its `name` at the border to the core, its `key` in the genesis file, its address."""

    name: str
    key: str
    address: bytes


def _address(first: int, last: int) -> bytes:
    return bytes([first, *bytes(18), last])


KINDS = (
    AccessListKind("deployer-allow", "contractDeployerAllowList", _address(2, 0)),
    AccessListKind("deployer-block", "contractDeployerBlockList", _address(3, 0)),
    AccessListKind("transactions-allow", "transactionsAllowList", _address(2, 2)),
    AccessListKind("transactions-block", "transactionsBlockList", _address(3, 2)),
    AccessListKind("bridge-allow", "bridgeAllowList", _address(2, 4)),
    AccessListKind("bridge-block", "bridgeBlockList", _address(3, 4)),
)
G2_KIND = AccessListKind("deployer-allow", "contractDeployerAllowListConfig", _address(2, 0))
"""The one list of v0.8.x."""


@dataclass(frozen=True, slots=True)
class AccessList:
    """A list that is configured, also where nobody is on it."""

    kind: AccessListKind
    admins: tuple[bytes, ...]
    enabled: tuple[bytes, ...]

    @property
    def roles(self) -> dict[bytes, int]:
        """The role of each address; whoever is both enabled and admin is admin."""
        return dict.fromkeys(self.enabled, ENABLED_ROLE) | dict.fromkeys(self.admins, ADMIN_ROLE)


def parse_access_lists(params: Value, kinds: tuple[AccessListKind, ...] = KINDS) -> tuple[AccessList, ...]:
    """Read the lists among `kinds` that the section `params` configures."""
    found = []
    for kind in kinds:
        value = params.field(kind.key)
        if value is not None:
            found.append(AccessList(kind, _addresses(value, "adminAddresses"), _addresses(value, "enabledAddresses")))
    return tuple(found)


def _addresses(value: Value, name: str) -> tuple[bytes, ...]:
    addresses = value.field(name)
    return () if addresses is None else tuple(address.address() for address in addresses.items())
