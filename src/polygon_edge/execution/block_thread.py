"""The thread in which a node makes blocks, one after the other; what a block is and when it is due is its caller's."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from polygon_edge.errors import StoppedBySignalError

if TYPE_CHECKING:
    from collections.abc import Callable


class BlockThread:
    """Calls `make_next` in a thread of its own from `start` on, until `stop` is set or `may_go_on` says no.

    `error` is what ended the thread before its time, None as long as nothing did.
    """

    def __init__(self, may_go_on: Callable[[], bool], make_next: Callable[[], None], stop: threading.Event) -> None:
        self._may_go_on = may_go_on
        self._make_next = make_next
        self._stop = stop
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="sealing", daemon=True)

    def start(self) -> None:
        """Begin with the block after the head."""
        self._thread.start()

    def join(self) -> None:
        """Wait for the end of the thread, if it was started, after `stop` was set."""
        if self._thread.ident is not None:
            self._thread.join()

    def _work(self) -> None:
        try:
            while not self._stop.is_set() and self._may_go_on():
                self._make_next()
        except StoppedBySignalError:
            pass
        except BaseException as error:  # noqa: BLE001 - handed to whoever waits for the node
            self.error = error
