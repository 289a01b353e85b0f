"""Owns the figures of work over blocks: sums, rates, the time that is left."""

from collections.abc import Callable

Clock = Callable[[], float]


class Tally:
    """Sums of the work reported so far and the rates they make, in seconds of ``clock``."""

    def __init__(self, total_blocks: int | None, clock: Clock) -> None:
        self.total_blocks = total_blocks
        self.blocks = 0
        self.transactions = 0
        self.gas = 0
        self.size = 0
        self.head: int | None = None
        self._clock = clock
        self._started = clock()

    def add(self, *, blocks: int, transactions: int, gas: int, size: int = 0, head: int) -> None:
        """Adds one report."""
        self.blocks += blocks
        self.transactions += transactions
        self.gas += gas
        self.size += size
        self.head = head

    @property
    def elapsed_seconds(self) -> float:
        """Seconds since the work began."""
        return self._clock() - self._started

    def per_second(self, amount: int) -> float:
        """The mean rate of ``amount`` since the work began; 0 before any time has passed."""
        elapsed = self.elapsed_seconds
        return amount / elapsed if elapsed > 0 else 0.0

    @property
    def remaining_seconds(self) -> float | None:
        """The time the missing blocks would take at the mean rate; None while that cannot be told."""
        rate = self.per_second(self.blocks)
        if self.total_blocks is None or rate == 0:
            return None
        return max(self.total_blocks - self.blocks, 0) / rate

    def describe_rate(self) -> str:
        """The mean rate as text: of bytes where bytes are reported, else of transactions; nothing before a block."""
        if not self.blocks:
            return ""
        if self.size:
            return f"{self.per_second(self.size) / 1e6:.1f} MB/s"
        return f"{self.per_second(self.transactions):.0f} tx/s"

    def describe(self) -> str:
        """The figures as one line of text; rates and sums are left out where there is nothing to sum up."""
        if not self.blocks:
            return "no blocks" if self.total_blocks is None else f"none of {self.total_blocks} blocks"
        blocks = f"{self.blocks}" if self.total_blocks is None else f"{self.blocks}/{self.total_blocks}"
        parts = [f"{blocks} blocks"]
        if self.size:
            parts += [f"{self.size / 1e6:.1f} MB", f"{self.per_second(self.blocks):.0f} blocks/s", self.describe_rate()]
        else:
            parts += [
                f"{self.transactions} transactions",
                self.describe_rate(),
                f"{self.per_second(self.gas) / 1e6:.1f} Mgas/s",
            ]
        if self.head is not None:
            parts.insert(0, f"head {self.head}")
        return ", ".join(parts)
