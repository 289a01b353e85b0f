"""The engine `dev`: a block every few seconds of whatever waits, without a seal; for trying things out alone.

Owns the order of the steps. What is in a block comes from a callable, gas limit and base fee from `consensus` and
`chain`; the block takes the same way into the chain as any other.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from polygon_edge import _core
from polygon_edge.consensus.block_time import next_gas_limit
from polygon_edge.execution.block_thread import BlockThread

if TYPE_CHECKING:
    from collections.abc import Callable

    from polygon_edge.chain.base_fee import BaseFees
    from polygon_edge.execution.append import Appender
    from polygon_edge.execution.sealing import Offer

logger = logging.getLogger(__name__)

NOBODY = bytes(20)
"""Who gets the fees: the address that the client reads out of an empty miner field (§5 of the consensus sheet)."""


class DevBlocks(BlockThread):
    """Makes blocks in a thread of its own from `start` until `stop` is set, `interval` seconds apart.

    `base_fees` are those of a chain with london, `block_gas_target` the gas limit to move to, 0 to keep it.
    """

    def __init__(
        self,
        chain: _core.Chain,
        appender: Appender,
        offer: Offer,
        *,
        interval: int,
        block_gas_target: int,
        base_fees: BaseFees,
        stop: threading.Event,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(lambda: True, self.make_next, stop)
        self._chain = chain
        self._appender = appender
        self._offer = offer
        self._interval = interval
        self._block_gas_target = block_gas_target
        self._base_fees = base_fees
        self._clock = clock

    def start(self) -> None:
        """Begin with the block after the head, one interval from now."""
        logger.info("making a block every %d s: engine dev, whose blocks nobody seals", self._interval)
        super().start()

    def make_next(self) -> None:
        """Wait for the interval, then build and append the block after the head; return early when asked to stop."""
        if self._stop.wait(min(self._interval, threading.TIMEOUT_MAX)):
            return
        number, _, gas_limit = self._chain.tip
        raw = self._chain.header(number)
        if raw is None:
            raise LookupError(number)
        candidates = self._offer.candidates()
        # Whatever the time of the block before: the client takes the clock's as well.
        proposal = self._chain.propose(
            coinbase=NOBODY,
            timestamp=int(self._clock()),
            gas_limit=next_gas_limit(gas_limit, self._block_gas_target),
            validators=(),
            candidates=candidates,
            base_fee=self._base_fees.after(_core.decode_header(raw)),
        )
        self._appender.append(proposal.record())
        logger.info(
            "block made: number=%d hash=0x%s transactions=%d gas_used=%d",
            proposal.number,
            proposal.hash.hex(),
            proposal.transactions,
            proposal.gas_used,
        )
        self._offer.settle(candidates, proposal.outcomes)
