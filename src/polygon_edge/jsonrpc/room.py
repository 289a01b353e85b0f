"""How much memory all requests of one door may hold at the same time, each from its first byte to its last.

Every other bound is for one request; hundreds of clients at their bounds would still add up to gigabytes.
"""

from __future__ import annotations

from typing import Self

from polygon_edge.jsonrpc.rpc_error import RpcError


class Room:
    """`size` bytes, shared by bodies that arrive and answers that leave. For one event loop, without a lock.

    Whoever holds no more than `free` bytes takes none of it: large requests must not keep small ones out.
    """

    def __init__(self, size: int, free: int = 0) -> None:
        self._size = size
        self.free = free
        self._taken = 0

    def request(self) -> Share:
        """Return the share of a new request, empty so far."""
        return Share(self)

    def move(self, bytes_more: int) -> None:
        """Take `bytes_more`, or give back when it is negative; raises RpcError where there are not so many left."""
        if bytes_more > 0 and self._taken + bytes_more > self._size:
            raise RpcError(
                f"busy: large requests and answers of other clients hold {self._taken} bytes, and {bytes_more} more do"
                f" not fit into {self._size}; try again later"
            )
        self._taken += bytes_more


class Share:
    """What one request holds of a room; given back when the `with` block ends."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._bytes = 0

    def hold(self, size: int) -> None:
        """Hold `size` bytes from now on, more or fewer than before; raises RpcError where there is no room."""
        wanted = size if size > self._room.free else 0
        self._room.move(wanted - self._bytes)
        self._bytes = wanted

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.hold(0)
