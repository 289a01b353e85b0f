"""Memory that many requests share: what each of them holds is bounded elsewhere, this bounds what they hold together.

Used in one event loop only, so nothing is locked.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

FREE_BYTES: Final = 64 * 1024
"""What anybody gets in any case: so large requests cannot keep small ones from being served."""


class Budget:
    """So many bytes for everybody together."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._held = 0

    @contextmanager
    def share(self) -> Iterator[Share]:
        """Give one request its share, which comes back at the end of the `with` block."""
        share = Share(self)
        try:
            yield share
        finally:
            share.take(0)

    def exchange(self, before: int, after: int) -> bool:
        """Hold `after` bytes in place of `before`; says whether there is room, and holds what it did where not."""
        if self._held - before + after > self._limit and after > before:
            return False
        self._held += after - before
        return True


class Share:
    """What one request holds of a budget."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._held = 0

    def take(self, size: int) -> bool:
        """Hold `size` bytes in all from now on, no longer what was held before; says whether there is room."""
        wanted = size if size > FREE_BYTES else 0
        if not self._budget.exchange(self._held, wanted):
            return False
        self._held = wanted
        return True
