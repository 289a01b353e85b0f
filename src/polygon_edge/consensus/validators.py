"""Who may sign which block of a PoA chain: votes, epochs, snapshots (§3.7).

Pure state: blocks in, sets out. Files are in `snapshot_files`, signature recovery in the Rust core.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from polygon_edge.errors import BlockRuleError, Rule

ADD_NONCE = b"\xff" * 8
REMOVE_NONCE = bytes(8)
NO_VOTE = bytes(20)
"""The miner field of a block that does not vote. Anything else votes, even an empty field (for the zero address)."""

ValidatorSet: TypeAlias = tuple[bytes, ...]
"""Addresses of 20 bytes, in the order that headers list them and proposers rotate."""

HashOf: TypeAlias = Callable[[int], bytes]
"""Gives the 32-byte hash of the block at a height."""


class Vote(NamedTuple):
    """A block whose miner is not `NO_VOTE`: who sealed it (20 bytes, recovered), and its miner and nonce fields as they
    stand.
    """

    number: int
    hash: bytes
    proposer: bytes
    miner: bytes
    nonce: bytes


class Ballot(NamedTuple):
    """A vote that still counts: `voter` wants `candidate` added (`authorize`) or removed."""

    voter: bytes
    candidate: bytes
    authorize: bool


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Validators and open ballots after block `number`.

    `ballots` is None where Go writes null: after an epoch's end, until the file is read again.
    """

    number: int
    hash: bytes
    ballots: tuple[Ballot, ...] | None
    validators: ValidatorSet


@dataclass(frozen=True, slots=True)
class SnapshotState:
    """The snapshots kept, ascending, and the last block they include."""

    snapshots: tuple[Snapshot, ...]
    last_block: int


class Segment(NamedTuple):
    """`validators` may sign the blocks from `first` on, up to the next segment."""

    first: int
    validators: ValidatorSet


class Plan(NamedTuple):
    """What a run of blocks does to the validators, not yet committed.

    `segments` cover the run from its first block on. `refusal` is the first vote that breaks a rule, None if there is
    none: segments and state end before that block.
    """

    first: int
    last: int
    votes: tuple[Vote, ...]
    segments: tuple[Segment, ...]
    refusal: BlockRuleError | None
    state: SnapshotState


def start_state(genesis_hash: bytes, validators: ValidatorSet) -> SnapshotState:
    """Return the state at block 0."""
    return SnapshotState((Snapshot(0, genesis_hash, (), validators),), 0)


def snapshot_at(snapshots: Sequence[Snapshot], number: int) -> Snapshot:
    """Return the snapshot that holds after block `number`: the greatest at or below it, or the oldest kept (§3.7)."""
    index = bisect_left(snapshots, number, key=_number)
    if index == len(snapshots) or (index > 0 and snapshots[index].number != number):
        index -= 1
    return snapshots[index]


def _number(snapshot: Snapshot) -> int:
    return snapshot.number


def apply_vote(snapshot: Snapshot, vote: Vote) -> Snapshot:
    """Return the snapshot after a vote in mid-epoch, the same object when the vote changes nothing (§3.7).

    Raises BlockRuleError for a nonce that is no vote value. Whether the voter is a validator is the caller's rule.
    """
    if vote.nonce not in (ADD_NONCE, REMOVE_NONCE):
        raise BlockRuleError(
            Rule.CONSTANTS_AND_VOTE,
            vote.number,
            hash=vote.hash,
            expected="nonce 0xffffffffffffffff or 0x0000000000000000",
            found=vote.nonce,
        )
    authorize = vote.nonce == ADD_NONCE
    candidate = vote.miner.rjust(20, b"\0")[-20:]
    validators = snapshot.validators
    if (candidate in validators) == authorize:
        return snapshot
    ballots = snapshot.ballots or ()
    if not any(ballot.voter == vote.proposer and ballot.candidate == candidate for ballot in ballots):
        ballots = (*ballots, Ballot(vote.proposer, candidate, authorize))
    if sum(ballot.candidate == candidate for ballot in ballots) > len(validators) // 2:
        if authorize:
            validators = (*validators, candidate)
        else:
            validators = tuple(address for address in validators if address != candidate)
            ballots = tuple(ballot for ballot in ballots if ballot.voter != candidate)
        ballots = tuple(ballot for ballot in ballots if ballot.candidate != candidate)
    if ballots == (snapshot.ballots or ()) and validators == snapshot.validators:
        return snapshot
    return Snapshot(vote.number, vote.hash, ballots, validators)


def prune(snapshots: list[Snapshot], epoch_end: int, epoch_size: int) -> None:
    """Drop the old snapshots that Go drops at an epoch's end.

    Of the two around the start of the last epoch but one, Go keeps the older only when the younger is the nearer: a
    slip, but the file shows it. Later blocks need neither.
    """
    start = epoch_end - 2 * epoch_size
    if start <= 0 or len(snapshots) == 1:
        return
    index = bisect_left(snapshots, start, key=_number)
    if index == len(snapshots):
        index -= 1
    elif index > 0:
        younger, older = snapshots[index].number, snapshots[index - 1].number
        if younger != start and younger - start < start - older:
            index -= 1
    del snapshots[:index]


class Snapshots:
    """The validators of a PoA chain, moved forward run by run: `plan`, then `commit` as far as the run held."""

    def __init__(self, state: SnapshotState, epoch_size: int) -> None:
        if not state.snapshots:
            raise ValueError("at least one snapshot is needed to know the validators")
        self.state = state
        self.epoch_size = epoch_size

    @property
    def last_block(self) -> int:
        """The last block committed."""
        return self.state.last_block

    def validators(self, number: int) -> ValidatorSet:
        """Return who may sign block `number`, for heights up to `last_block` + 1.

        Below what is kept, the oldest set kept (§3.7).
        """
        return snapshot_at(self.state.snapshots, number - 1).validators

    def plan(self, first: int, last: int, votes: Sequence[Vote], hash_of: HashOf) -> Plan:
        """Work out the sets for the blocks `first` to `last`, changing nothing.

        `first` must follow `last_block`. `votes` are the blocks among them whose miner is not `NO_VOTE`, ascending.
        `hash_of` is asked only for the ends of epochs that close with open ballots. Costs time per vote and per epoch,
        none per block.
        """
        if first != self.state.last_block + 1 or last < first:
            raise ValueError(f"blocks {first} to {last} do not follow block {self.state.last_block}")
        snapshots = list(self.state.snapshots)
        current = snapshot_at(snapshots, first - 1)
        segments = [Segment(first, current.validators)]
        refusal: BlockRuleError | None = None
        next_end = -(-first // self.epoch_size) * self.epoch_size
        for vote in votes:
            next_end, current = self._end_epochs(snapshots, current, next_end, vote.number, hash_of)
            if vote.number % self.epoch_size == 0:
                continue
            try:
                changed = apply_vote(current, vote)
            except BlockRuleError as error:
                refusal, last = error, vote.number - 1
                break
            if changed is current:
                continue
            snapshots.append(changed)
            if changed.validators != current.validators and vote.number < last:
                segments.append(Segment(vote.number + 1, changed.validators))
            current = changed
        self._end_epochs(snapshots, current, next_end, last, hash_of)
        return Plan(first, last, tuple(votes), tuple(segments), refusal, SnapshotState(tuple(snapshots), last))

    def _end_epochs(
        self, snapshots: list[Snapshot], current: Snapshot, end: int, number: int, hash_of: HashOf
    ) -> tuple[int, Snapshot]:
        """Close the epochs that end at `end` and up to `number`.

        Return the next end and the snapshot that then holds.
        """
        while end <= number:
            if current.ballots:
                current = Snapshot(end, hash_of(end), None, current.validators)
                snapshots.append(current)
            prune(snapshots, end, self.epoch_size)
            end += self.epoch_size
        return end, current

    def commit(self, plan: Plan, up_to: int, hash_of: HashOf) -> None:
        """Make the part of `plan` up to block `up_to` the committed state.

        A lower `up_to` than planned is a run that failed in its middle.
        """
        if plan.first != self.state.last_block + 1 or not plan.first - 1 <= up_to <= plan.last:
            raise ValueError(f"blocks {plan.first} to {up_to} do not follow block {self.state.last_block} in this plan")
        if up_to == plan.last:
            self.state = plan.state
        elif up_to >= plan.first:
            votes = [vote for vote in plan.votes if vote.number <= up_to]
            self.state = self.plan(plan.first, up_to, votes, hash_of).state


class SealedHeader(NamedTuple):
    """What a rebuild needs of a stored header: its hash, its recovered proposer, miner, nonce, and the validators its
    extra data lists.
    """

    number: int
    hash: bytes
    proposer: bytes
    miner: bytes
    nonce: bytes
    validators: ValidatorSet


def resume(
    loaded: SnapshotState | None, head: int, epoch_size: int, header_of: Callable[[int], SealedHeader]
) -> Snapshots:
    """Bring loaded snapshots, if any, to the `head` of the local chain.

    Snapshots that are not of this chain, beyond its head, of an earlier epoch, or that give the head other validators
    than its header lists are not trusted: then the current epoch is rebuilt from its headers, as Go does when the files
    are missing (§3.7). Asks `header_of` for at most the current epoch's blocks and the loaded snapshots'.
    """
    state = None if loaded is None else _usable(loaded, head, epoch_size, header_of)
    if state is not None:
        snapshots = _advanced(state, head, epoch_size, header_of)
        # The files carry no checksum, and validators that rotted there would make every later block look wrong.
        if head == 0 or snapshots.validators(head) == header_of(head).validators:
            return snapshots
    begin = header_of(head - head % epoch_size)
    state = SnapshotState((Snapshot(begin.number, begin.hash, (), begin.validators),), begin.number)
    return _advanced(state, head, epoch_size, header_of)


def _advanced(state: SnapshotState, head: int, epoch_size: int, header_of: Callable[[int], SealedHeader]) -> Snapshots:
    """Count the votes of the blocks after `state` up to `head`."""
    snapshots = Snapshots(state, epoch_size)
    if snapshots.last_block < head:
        first = snapshots.last_block + 1
        headers = map(header_of, range(first, head + 1))
        votes = [Vote(*header[:5]) for header in headers if header.miner != NO_VOTE]
        plan = snapshots.plan(first, head, votes, lambda number: header_of(number).hash)
        if plan.refusal is not None:
            raise plan.refusal
        snapshots.commit(plan, head, lambda number: header_of(number).hash)
    return snapshots


def _usable(
    loaded: SnapshotState, head: int, epoch_size: int, header_of: Callable[[int], SealedHeader]
) -> SnapshotState | None:
    last = min(loaded.last_block, head)
    kept = tuple(snapshot for snapshot in loaded.snapshots if snapshot.number <= last)
    if not kept or last // epoch_size < head // epoch_size:
        return None
    if any(header_of(snapshot.number).hash != snapshot.hash for snapshot in kept):
        return None
    return SnapshotState(kept, last)
