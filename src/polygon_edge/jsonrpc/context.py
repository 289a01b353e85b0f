"""What the node hands to the JSON-RPC door, and the bounds under which the door serves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from polygon_edge import _core
    from polygon_edge.chain.rules import Rules


class PoolBounds(Protocol):
    """How much a pool takes."""

    @property
    def max_slots(self) -> int:
        """Slots in all."""
        ...


class Pool(Protocol):
    """What the methods ask of the transaction pool."""

    @property
    def limits(self) -> PoolBounds:
        """How much it takes."""
        ...

    @property
    def slots_used(self) -> int:
        """How much of that is taken."""
        ...

    def add(self, raw: bytes) -> bytes:
        """Take the transaction in `raw` and return its 32-byte hash; raises PoolError."""
        ...

    def find(self, hash: bytes) -> _core.Transaction | None:
        """Return a transaction that waits, none if there is none of that hash."""
        ...

    def next_nonce(self, address: bytes) -> int:
        """Return the nonce that the next transaction of `address` needs."""
        ...

    def content(self) -> Mapping[str, Mapping[bytes, Mapping[int, _core.Transaction]]]:
        """Return what is `pending` and what is `queued`, by sender and nonce."""
        ...


@dataclass(frozen=True, slots=True)
class SyncProgress:
    """How far a restore or a sync has come, in block numbers; `kind` is what the Go client calls it."""

    starting: int
    current: int
    highest: int
    kind: str = "restore"


@dataclass(frozen=True, slots=True)
class Backend:
    """What the methods answer from.

    `rules` are those of the chain, `name` is its name in the genesis file, `batch_limit` the longest batch (0: no
    limit), `block_range_limit` how many blocks a query for logs may span (0: no limit), `price_limit` the least gas
    price in wei.
    """

    chain: _core.Chain
    rules: Rules
    name: str
    chain_id: int
    version: str
    pool: Pool
    sync_progress: Callable[[], SyncProgress | None]
    batch_limit: int = 20
    block_range_limit: int = 1000
    allowed_origins: tuple[str, ...] = ("*",)
    price_limit: int = 0


@dataclass(frozen=True, slots=True)
class Limits:
    """What clients can take of this process: bytes, connections, threads, seconds.

    All bodies and answers above `free_bytes` hold at most `room_bytes` together, and of the bodies above
    `small_body_bytes` only `large_bodies` are worked on at once. A connection is closed that does not finish its header
    in `header_seconds`, its body in `body_seconds`, that stays idle for `idle_seconds` or does not read for
    `stall_seconds`, and every one that is still open `stop_seconds` after the stop began.
    """

    body_bytes: int = 5 * 1024 * 1024
    header_bytes: int = 64 * 1024
    small_body_bytes: int = 256 * 1024
    large_bodies: int = 1
    room_bytes: int = 64 * 1024 * 1024
    free_bytes: int = 64 * 1024
    connections: int = 512
    threads: int = 8
    header_seconds: float = 30
    body_seconds: float = 60
    idle_seconds: float = 30
    stall_seconds: float = 30
    stop_seconds: float = 5
