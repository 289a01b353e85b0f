"""A lone validator makes its chain longer: build at the right moment, sign, append; one block after the other.

Owns the order of the steps. What is in a block comes from a callable, who may sign from `consensus`,
when and how large from `consensus.block_time`; the finished block takes the same way into the chain as any other.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from polygon_edge import _core
from polygon_edge.chain.address import checksum_address
from polygon_edge.chain.validator import address_of, bls_public_key_of
from polygon_edge.consensus.block_time import next_gas_limit, next_timestamp
from polygon_edge.execution.block_thread import BlockThread

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence

    from polygon_edge.chain.validator import ValidatorSet
    from polygon_edge.consensus.engine import Engine
    from polygon_edge.execution.append import Appender

logger = logging.getLogger(__name__)

LONGEST_BUILD_SECONDS = 0.5
"""How long before its timestamp a block is begun, at most; a fourth of the block time where that is less."""

LONGEST_WAIT_SECONDS = 1.0
"""How long the clock is not looked at, at most."""

LONG_WAIT_BLOCK_TIMES = 10
"""A head whose timestamp lies so many block times ahead of the clock is worth a warning."""


class Offer(Protocol):
    """The transactions on offer, and what became of them."""

    def candidates(self) -> list[_core.Transaction]:
        """The transactions a block may take, the best first, those of one sender in order of nonce."""
        ...

    def settle(self, candidates: Sequence[_core.Transaction], outcomes: Sequence[str]) -> None:
        """Learn what became of each candidate (`_core.Proposal.outcomes`)."""
        ...


@dataclass(frozen=True, slots=True)
class SealingRules:
    """What the operator may choose: seconds from block to block, and the gas limit to move to (0 keeps it)."""

    block_time_seconds: int
    block_gas_target: int


class Sealer(BlockThread):
    """Seals blocks in a thread of its own from `start` until `stop` is set, as long as its key is the only validator.

    `bls_key` is needed where the validators have BLS keys; blocks are signed with `key` also there.
    """

    def __init__(
        self,
        chain: _core.Chain,
        engine: Engine,
        appender: Appender,
        key: _core.EcdsaKey,
        offer: Offer,
        *,
        bls_key: _core.BlsKey | None = None,
        rules: SealingRules,
        stop: threading.Event,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(self._may_seal, self.seal_next, stop)
        self._chain = chain
        self._engine = engine
        self._appender = appender
        self._key = key
        self._bls_key = bls_key
        self._offer = offer
        self._rules = rules
        self._clock = clock
        self._is_said = False

    def _may_seal(self) -> bool:
        """Whether this key is the only validator of the next block; says why where it is not."""
        number = self._chain.tip[0] + 1
        validators = self._engine.validators(number)
        own = [validator for validator in validators if address_of(validator) == self._key.address]
        if not own:
            among = "the validator" if len(validators) == 1 else f"among the {len(validators)} validators"
            logger.info(
                "not sealing: %s is not %s of block %d; blocks come by restore only",
                checksum_address(self._key.address),
                among,
                number,
            )
            return False
        public_key = bls_public_key_of(own[0])
        if public_key is not None and (self._bls_key is None or self._bls_key.public_key != public_key):
            validator = checksum_address(self._key.address)
            logger.warning("not sealing: the BLS key is not the one that validator %s has on this chain", validator)
            return False
        if len(validators) > 1:
            logger.warning(
                "not sealing: block %d needs the seals of %d validators, and this version seals alone only",
                number,
                len(validators),
            )
            return False
        if not self._is_said:
            self._is_said = True
            self._say_alone()
        return True

    def _say_alone(self) -> None:
        seconds = self._rules.block_time_seconds
        logger.info(
            "sealing alone: %s is the only validator of block %d; a block every %s",
            checksum_address(self._key.address),
            self._chain.tip[0] + 1,
            "second" if seconds == 1 else f"{seconds} s",
        )

    def seal_next(self) -> None:
        """Build, seal and append the block after the head, at its time; returns early when asked to stop."""
        number, _, gas_limit = self._chain.tip
        raw = self._chain.header(number)
        if raw is None:
            raise LookupError(number)
        block_time = self._rules.block_time_seconds
        timestamp = next_timestamp(_core.decode_header(raw).timestamp, self._clock(), block_time)
        build_seconds = min(LONGEST_BUILD_SECONDS, block_time / 4)
        if self._wait_until(timestamp - build_seconds, number + 1):
            return
        candidates = [] if self._engine.must_be_empty(number + 1) else self._offer.candidates()
        validators = self._engine.validators(number + 1)
        proposal = self._chain.propose(
            coinbase=self._key.address,
            timestamp=timestamp,
            gas_limit=next_gas_limit(gas_limit, self._rules.block_gas_target),
            validators=validators,
            candidates=candidates,
            seconds=build_seconds,
        )
        if self._wait_until(timestamp, number + 1):
            return
        self._append(proposal, validators)
        self._offer.settle(candidates, proposal.outcomes)

    def _append(self, proposal: _core.Proposal, validators: ValidatorSet) -> None:
        seal = self._key.sign(_core.proposer_digest(proposal.hash))
        self._appender.append(proposal.record(seal, self._committed_seals(proposal, validators)))
        logger.info(
            "block sealed: number=%d hash=0x%s transactions=%d gas_used=%d validators=%d",
            proposal.number,
            proposal.hash.hex(),
            proposal.transactions,
            proposal.gas_used,
            len(validators),
        )

    def _committed_seals(self, proposal: _core.Proposal, validators: ValidatorSet) -> list[bytes]:
        digest = proposal.committed_digest()
        if self._bls_key is None or bls_public_key_of(validators[0]) is None:
            return [self._key.sign(digest)]
        return proposal.aggregate({self._key.address: self._bls_key.sign(digest)})

    def _wait_until(self, moment: float, number: int) -> bool:
        """Wait for the time of block `number`; returns True when asked to stop meanwhile.

        Warns where that is far away: the head is ahead of the clock, or the clock was set back while we waited.
        """
        longest_expected = LONG_WAIT_BLOCK_TIMES * self._rules.block_time_seconds
        is_warned = False
        while (missing := moment - self._clock()) > 0:
            if missing > longest_expected and not is_warned:
                is_warned = True
                logger.warning("block %d can be sealed in %.0f s only: the head is ahead of the clock", number, missing)
            # The clock may be set while we wait, so no wait is long.
            if self._stop.wait(min(missing, LONGEST_WAIT_SECONDS)):
                return True
        return self._stop.is_set()
