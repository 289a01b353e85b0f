"""Ports of this machine for servers that must be told theirs before they listen."""

from __future__ import annotations

import random
import socket
from contextlib import ExitStack

# Below those that the system gives to outgoing connections, one of which would else take the port in between.
CANDIDATES = range(10_000, 30_000)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, all different."""
    found: list[int] = []
    with ExitStack() as stack:
        while len(found) < count:
            port = random.choice(CANDIDATES)
            listener = stack.enter_context(socket.socket())
            # A connection that ended here a moment ago does not hinder a server either.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
            found.append(port)
    return found


def free_port() -> int:
    """A port that nobody listens on."""
    return free_ports(1)[0]
