"""How votes change the validators of a PoA chain: ballots, epochs, snapshots (§3.7).

Pure functions from snapshots and votes to snapshots. Which heights they hold for, and what comes beside votes, is
`engine`'s; files are in `snapshot_files`, signature recovery is the Rust core's.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from polygon_edge.chain import rlp
from polygon_edge.chain.address import ADDRESS_SIZE
from polygon_edge.chain.validator import (
    BLS_PUBLIC_KEY_SIZE,
    BLS_VALIDATOR_SIZE,
    ValidatorSet,
    address_of,
    type_of,
)
from polygon_edge.errors import BlockRuleError, Rule

if TYPE_CHECKING:
    from polygon_edge.chain.validator import ValidatorType

ADD_NONCE = b"\xff" * 8
REMOVE_NONCE = bytes(8)
NO_VOTE = bytes(ADDRESS_SIZE)
"""The miner field of a block that does not vote. Anything else votes, even an empty field (for the zero address)."""

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
    """A vote that still counts: `voter` (20 bytes) wants `candidate` (a validator) added (`authorize`) or removed."""

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
    """The snapshots kept, ascending, and the last block whose vote they include."""

    snapshots: tuple[Snapshot, ...]
    last_block: int


class Segment(NamedTuple):
    """`validators` may sign the blocks from `first` on, up to the next segment."""

    first: int
    validators: ValidatorSet


class Count(NamedTuple):
    """What the votes of some blocks come to.

    `segments` cover the blocks from the first on. `refusal` is the first vote that breaks a rule, None if there is
    none: segments and state end before that block, at `last`.
    """

    last: int
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


def candidate_of(vote: Vote, validator_type: ValidatorType) -> bytes:
    """Return whom a vote is about, as a validator, from the miner field (§3.7).

    On a chain of BLS seals a key of another length than 48 bytes is kept as it is: such a candidate can be voted for,
    as in Go, but cannot become a validator. Raises BlockRuleError for a field that holds no validator.
    """
    if validator_type == "ecdsa":
        return vote.miner.rjust(ADDRESS_SIZE, b"\0")[-ADDRESS_SIZE:]
    try:
        item = rlp.decode(vote.miner)
    except rlp.RlpError as error:
        raise _refused(vote, f"no RLP: {error}") from error
    if not isinstance(item, list) or len(item) < 2:
        raise _refused(vote, "no list of two items")
    address, key = item[:2]
    if isinstance(address, list) or isinstance(key, list) or len(address) != ADDRESS_SIZE:
        raise _refused(vote, "a list of other items")
    return address + key


def _refused(vote: Vote, found: str) -> BlockRuleError:
    expected = "a list of an address and a BLS key"
    return BlockRuleError(
        Rule.CONSTANTS_AND_VOTE, vote.number, hash=vote.hash, what="miner", expected=expected, found=found
    )


def apply_vote(snapshot: Snapshot, vote: Vote, validator_type: ValidatorType = "ecdsa") -> Snapshot:
    """Return the snapshot after a vote in mid-epoch, the same object when the vote changes nothing (§3.7).

    Raises BlockRuleError for a nonce that is no vote value, a miner field that names no validator, and a candidate that
    cannot be added. Whether the voter is a validator is the caller's rule.
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
    candidate = candidate_of(vote, validator_type)
    validators = snapshot.validators
    if any(address_of(validator) == address_of(candidate) for validator in validators) == authorize:
        return snapshot
    ballots = snapshot.ballots or ()
    if not any(ballot.voter == vote.proposer and ballot.candidate == candidate for ballot in ballots):
        ballots = (*ballots, Ballot(vote.proposer, candidate, authorize))
    if sum(ballot.candidate == candidate for ballot in ballots) > len(validators) // 2:
        if authorize:
            _check_addition(vote, candidate, validators)
            validators = (*validators, candidate)
        else:
            removed = address_of(candidate)
            validators = tuple(validator for validator in validators if address_of(validator) != removed)
            ballots = tuple(ballot for ballot in ballots if ballot.voter != removed)
        ballots = tuple(ballot for ballot in ballots if ballot.candidate != candidate)
    if ballots == (snapshot.ballots or ()) and validators == snapshot.validators:
        return snapshot
    return Snapshot(vote.number, vote.hash, ballots, validators)


def _check_addition(vote: Vote, candidate: bytes, validators: ValidatorSet) -> None:
    """Raise where the candidate is no validator of the set's type."""
    size = BLS_VALIDATOR_SIZE if type_of(validators) == "bls" else ADDRESS_SIZE
    if validators and len(candidate) != size:
        key = len(candidate) - ADDRESS_SIZE
        expected = f"a BLS key of {BLS_PUBLIC_KEY_SIZE} bytes" if size == BLS_VALIDATOR_SIZE else "no BLS key"
        raise BlockRuleError(
            Rule.CONSTANTS_AND_VOTE,
            vote.number,
            hash=vote.hash,
            what="miner",
            expected=expected,
            found=f"{key} bytes",
        )


def replace_validators(state: SnapshotState, number: int, block_hash: bytes, validators: ValidatorSet) -> SnapshotState:
    """Return the state after block `number`, at which a fork entry sets `validators` and forgets all ballots (§3.7)."""
    kept = tuple(snapshot for snapshot in state.snapshots if snapshot.number != number)
    replaced = (*kept, Snapshot(number, block_hash, (), validators))
    return SnapshotState(tuple(sorted(replaced, key=_number)), state.last_block)


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


def count_votes(
    state: SnapshotState,
    blocks: tuple[int, int],
    votes: Sequence[Vote],
    hash_of: HashOf,
    *,
    epoch_size: int,
    validator_type: ValidatorType = "ecdsa",
) -> Count:
    """Work out what the first to the last of `blocks`, both included, do to the validators.

    `votes` are the blocks among them whose miner is not `NO_VOTE`, ascending. `hash_of` is asked only for the ends of
    epochs that close with open ballots. Costs time per vote and per epoch, none per block.
    """
    first, last = blocks
    snapshots = list(state.snapshots)

    def end_epochs(current: Snapshot, end: int, number: int) -> tuple[int, Snapshot]:
        """Close the epochs that end at `end` and up to `number`; return the next end and the snapshot that holds."""
        while end <= number:
            if current.ballots:
                current = Snapshot(end, hash_of(end), None, current.validators)
                snapshots.append(current)
            prune(snapshots, end, epoch_size)
            end += epoch_size
        return end, current

    current = snapshot_at(snapshots, first - 1)
    segments = [Segment(first, current.validators)]
    refusal: BlockRuleError | None = None
    next_end = -(-first // epoch_size) * epoch_size
    for vote in votes:
        next_end, current = end_epochs(current, next_end, vote.number)
        if vote.number % epoch_size == 0:
            continue
        try:
            changed = apply_vote(current, vote, validator_type)
        except BlockRuleError as error:
            refusal, last = error, vote.number - 1
            break
        if changed is current:
            continue
        snapshots.append(changed)
        if changed.validators != current.validators and vote.number < last:
            segments.append(Segment(vote.number + 1, changed.validators))
        current = changed
    end_epochs(current, next_end, last)
    return Count(last, tuple(segments), refusal, SnapshotState(tuple(snapshots), last))


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
