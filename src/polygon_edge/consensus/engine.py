"""Who may sign which block, for every kind of chain: which rules at which height, moved forward run by run.

Owns the validators of the chain's moving end. What votes do is `validators`', what the staking contract says
`staked_validators`', which of the two counts when `chain.schedule`'s; header rules are the Rust core's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from polygon_edge.consensus.validators import (
    NO_VOTE,
    SealedHeader,
    Segment,
    Snapshot,
    SnapshotState,
    Vote,
    count_votes,
    replace_validators,
    snapshot_at,
)
from polygon_edge.errors import UncoveredBlockError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from polygon_edge.chain.schedule import Regime, Schedule
    from polygon_edge.chain.validator import ValidatorSet
    from polygon_edge.consensus.staked_validators import StakedValidators
    from polygon_edge.consensus.validators import HashOf
    from polygon_edge.errors import BlockRuleError


@dataclass(frozen=True, slots=True)
class Plan:
    """What the blocks `first` to `last` do to the validators, not yet committed.

    `last` may lie before the last block asked for: where the set of the next block is not known before its parent is
    executed. `segments` cover the blocks from the first on. `refusal` is the vote in block `last` + 1 that breaks a
    rule, None if there is none. `state` is None on chains without votes.
    """

    first: int
    last: int
    votes: tuple[Vote, ...]
    segments: tuple[Segment, ...]
    refusal: BlockRuleError | None
    state: SnapshotState | None


class Engine:
    """The validators at the end of a chain: `plan` a run, then `commit` as far as it held.

    `state` holds the snapshots of a chain that has votes at some height, `staked` reads the contract of one that has
    proof of stake at some height; `head` is the last block.
    """

    def __init__(
        self,
        schedule: Schedule,
        state: SnapshotState | None,
        staked: StakedValidators | None = None,
        *,
        head: int | None = None,
    ) -> None:
        if schedule.has_votes and (state is None or not state.snapshots):
            raise ValueError("at least one snapshot is needed to know the validators")
        if head is None:
            head = 0 if state is None else state.last_block
        self.schedule = schedule
        self.state = state if schedule.has_votes else None
        self.last_block = head
        self._staked = staked

    def validators(self, number: int) -> ValidatorSet:
        """Return who may sign block `number`, for heights up to `last_block` + 1; nobody where nobody seals.

        Below what is kept of snapshots, the oldest set kept (§3.7).
        """
        if not self.schedule.regimes:
            return ()
        regime = self.schedule.at(number)
        if regime.entry is not None and regime.entry.kind == "PoS":
            return self._staked_at(number, regime)
        if regime.entry is None or self.state is None:
            raise UncoveredBlockError(number)
        return snapshot_at(self.state.snapshots, number - 1).validators

    def must_be_empty(self, number: int) -> bool:
        """Whether block `number` ends an epoch in which it may hold no transactions (§6.11)."""
        if not self.schedule.regimes or number == 0 or number % self.schedule.epoch_size:
            return False
        return self.schedule.at(number).ends_epochs_empty

    def _staked_at(self, number: int, regime: Regime) -> ValidatorSet:
        if regime.entry is None or self._staked is None:
            raise UncoveredBlockError(number)
        height = self.schedule.contract_height(number, regime.entry)
        return self._staked.after(height, regime.entry.validator_type)

    def plan(self, first: int, last: int, votes: Sequence[Vote], hash_of: HashOf) -> Plan:
        """Work out the sets for the blocks from `first` on, up to `last` or as far as they are known, changing nothing.

        `first` must follow `last_block`. `votes` are the blocks among them whose miner is not `NO_VOTE`, ascending.
        `hash_of` is asked only for the ends of epochs that close with open ballots and for the blocks before a
        replacement. Costs time per vote, per epoch and per fork entry, none per block. Raises StakingContractError, and
        UncoveredBlockError where no fork entry covers block `first`.
        """
        if first != self.last_block + 1 or last < first:
            raise ValueError(f"blocks {first} to {last} do not follow block {self.last_block}")
        if not self.schedule.regimes:
            return Plan(first, last, (), (Segment(first, ()),), None, None)
        state = self.state
        segments: list[Segment] = []
        refusal: BlockRuleError | None = None
        for begin, end, regime in self.schedule.pieces(first, last):
            known = self._known(begin, end, first, regime)
            if known < begin:
                last = begin - 1
                break
            counted = None
            if regime.counts_votes and state is not None:
                inside = [vote for vote in votes if begin <= vote.number <= known]
                counted = count_votes(
                    state,
                    (begin, known),
                    inside,
                    hash_of,
                    epoch_size=self.schedule.epoch_size,
                    validator_type=regime.entry.validator_type if regime.entry else "ecdsa",
                )
                state, refusal, known = counted.state, counted.refusal, counted.last
            segments.extend(self._segments(begin, regime, counted.segments if counted else ()))
            if state is not None and refusal is None:
                state = _replaced(self.schedule, state, known, hash_of)
            if known < end:
                last = known
                break
        return Plan(first, last, tuple(votes), tuple(segments), refusal, state)

    def _segments(self, begin: int, regime: Regime, counted: tuple[Segment, ...]) -> tuple[Segment, ...]:
        if regime.entry is not None and regime.entry.kind == "PoS":
            return (Segment(begin, self._staked_at(begin, regime)),)
        return counted

    def _known(self, begin: int, end: int, first: int, regime: Regime) -> int:
        """The last of the blocks `begin` to `end` whose validators are known when all before `first` are executed."""
        if regime.entry is None:
            if begin == first:
                raise UncoveredBlockError(begin)
            return begin - 1
        if regime.entry.kind == "PoA":
            return end
        if self.schedule.contract_height(begin, regime.entry) >= first:
            return begin - 1
        epoch_size = self.schedule.epoch_size
        return min(end, begin // epoch_size * epoch_size + epoch_size - 1)

    def commit(self, plan: Plan, up_to: int, hash_of: HashOf) -> None:
        """Make the part of `plan` up to block `up_to` the committed state.

        A lower `up_to` than planned is a run that failed in its middle.
        """
        if plan.first != self.last_block + 1 or not plan.first - 1 <= up_to <= plan.last:
            raise ValueError(f"blocks {plan.first} to {up_to} do not follow block {self.last_block} in this plan")
        if up_to < plan.first:
            return
        if up_to < plan.last:
            votes = [vote for vote in plan.votes if vote.number <= up_to]
            plan = self.plan(plan.first, up_to, votes, hash_of)
        self.state, self.last_block = plan.state, up_to


def resume(
    schedule: Schedule,
    loaded: SnapshotState | None,
    head: int,
    header_of: Callable[[int], SealedHeader],
    staked: StakedValidators | None = None,
) -> Engine:
    """Bring loaded snapshots, if any, to the `head` of the local chain.

    Snapshots that are not of this chain, beyond its head, from before the last block after which earlier votes do not
    matter, or that give the head other validators than its header lists are not trusted: then they are rebuilt from the
    headers after that block, as Go does when the files are missing (§3.7). Asks `header_of` for at most one epoch's
    blocks and the loaded snapshots'.
    """
    if not schedule.has_votes:
        return Engine(schedule, None, staked, head=head)
    begin = schedule.rebuild_height(head)
    state = None if loaded is None else _usable(loaded, head, begin, header_of)
    if state is not None:
        engine = Engine(schedule, _advanced(schedule, state, head, header_of), staked, head=head)
        # The files carry no checksum, and validators that rotted there would make every later block look wrong.
        if not _tells_votes(schedule, head) or engine.validators(head) == header_of(head).validators:
            return engine
    header = header_of(begin)
    start = Snapshot(begin, header.hash, (), header.validators)
    state = _advanced(schedule, SnapshotState((start,), begin), head, header_of)
    return Engine(schedule, state, staked, head=head)


def _tells_votes(schedule: Schedule, number: int) -> bool:
    """Whether the validators of block `number`, as its header lists them, are those of the snapshots."""
    entry = schedule.at(number).entry
    return number > 0 and entry is not None and entry.kind == "PoA"


def _advanced(
    schedule: Schedule, state: SnapshotState, head: int, header_of: Callable[[int], SealedHeader]
) -> SnapshotState:
    """Count the votes of the blocks after `state` up to `head`."""

    def hash_of(number: int) -> bytes:
        return header_of(number).hash

    state = _replaced(schedule, state, state.last_block, hash_of)
    if state.last_block >= head:
        return state
    for begin, end, regime in schedule.pieces(state.last_block + 1, head):
        if regime.counts_votes:
            headers = map(header_of, range(begin, end + 1))
            votes = [Vote(*header[:5]) for header in headers if header.miner != NO_VOTE]
            validator_type = regime.entry.validator_type if regime.entry else "ecdsa"
            counted = count_votes(
                state, (begin, end), votes, hash_of, epoch_size=schedule.epoch_size, validator_type=validator_type
            )
            if counted.refusal is not None:
                raise counted.refusal
            state = counted.state
        state = _replaced(schedule, state, end, hash_of)
    return state


def _replaced(schedule: Schedule, state: SnapshotState, number: int, hash_of: HashOf) -> SnapshotState:
    """The state after block `number`, where a fork entry may set its own validators."""
    replacement = schedule.replacements.get(number + 1)
    return state if replacement is None else replace_validators(state, number, hash_of(number), replacement)


def _usable(
    loaded: SnapshotState, head: int, begin: int, header_of: Callable[[int], SealedHeader]
) -> SnapshotState | None:
    last = min(loaded.last_block, head)
    kept = tuple(snapshot for snapshot in loaded.snapshots if snapshot.number <= last)
    if not kept or last < begin:
        return None
    if any(header_of(snapshot.number).hash != snapshot.hash for snapshot in kept):
        return None
    return SnapshotState(kept, last)
