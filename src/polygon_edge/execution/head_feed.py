"""Tells whoever subscribed that the chain has a new head; knows none of them.

Heads are published after their commit is synced, in the thread that committed them.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TypeAlias

logger = logging.getLogger(__name__)

OnHead: TypeAlias = Callable[[int, bytes], None]
"""Takes the number and the 32-byte hash of the new head; must return at once."""


class HeadFeed:
    """A list of subscribers; any thread may subscribe, unsubscribe and publish."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._subscribers: dict[object, OnHead] = {}

    def subscribe(self, on_head: OnHead) -> Callable[[], None]:
        """Call `on_head` for every head from now on, until the returned callable is called."""
        ticket = object()
        with self._lock:
            self._subscribers[ticket] = on_head

        def unsubscribe() -> None:
            with self._lock:
                self._subscribers.pop(ticket, None)

        return unsubscribe

    def publish(self, number: int, hash: bytes) -> None:
        """Tell every subscriber, in the order of subscription; one that fails is logged and the rest are told."""
        with self._lock:
            subscribers = list(self._subscribers.values())
        for on_head in subscribers:
            try:
                on_head(number, hash)
            except Exception:
                logger.exception("a subscriber of new heads failed at block %d", number)
