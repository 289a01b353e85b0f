from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polygon_edge.chain.engine import Engine as EngineSection
from polygon_edge.chain.engine import ForkEntry
from polygon_edge.chain.genesis import load_genesis
from polygon_edge.chain.rules import initial_validators, rules_of
from polygon_edge.chain.schedule import Schedule, schedule_of
from polygon_edge.consensus.engine import Engine, Plan, resume
from polygon_edge.consensus.validators import (
    ADD_NONCE,
    NO_VOTE,
    REMOVE_NONCE,
    Ballot,
    SealedHeader,
    Snapshot,
    SnapshotState,
    Vote,
    prune,
    snapshot_at,
    start_state,
)
from polygon_edge.errors import BlockRuleError, Rule

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from polygon_edge.chain.validator import ValidatorSet


def address(index: int) -> bytes:
    return bytes([index]) * 20


A, B, C, D, E, F = map(address, range(1, 7))


def hash_of(number: int) -> bytes:
    return number.to_bytes(32, "big")


def no_hash(number: int) -> bytes:
    raise AssertionError(f"the hash of block {number} was asked for")


def vote(number: int, proposer: bytes, candidate: bytes, add: bool = True) -> Vote:
    return Vote(number, hash_of(number), proposer, candidate, ADD_NONCE if add else REMOVE_NONCE)


def poa(epoch_size: int) -> Schedule:
    return schedule_of(EngineSection("ibft", "params.engine.ibft.type", (ForkEntry("PoA", "ecdsa"),), epoch_size))


def snapshots(*validators: bytes, epoch_size: int = 20) -> Engine:
    return Engine(poa(epoch_size), start_state(hash_of(0), validators))


def state_of(chain: Engine | Plan) -> SnapshotState:
    assert chain.state is not None
    return chain.state


def run(chain: Engine, last: int, *votes: Vote) -> Plan:
    plan = chain.plan(chain.last_block + 1, last, votes, hash_of)
    chain.commit(plan, plan.last, hash_of)
    return plan


# --- votes


def test_more_than_half_add_at_the_end_and_from_the_next_block() -> None:
    chain = snapshots(A, B, C, D)
    plan = run(chain, 10, vote(1, A, E), vote(2, B, E), vote(3, C, E))
    assert plan.segments == ((1, (A, B, C, D)), (4, (A, B, C, D, E)))
    assert chain.validators(3) == (A, B, C, D)
    assert chain.validators(4) == chain.validators(11) == (A, B, C, D, E)
    assert [kept.number for kept in state_of(chain).snapshots] == [0, 1, 2, 3]
    assert state_of(chain).snapshots[-1].ballots == ()


def test_exactly_half_is_not_enough() -> None:
    assert len(run(snapshots(A, B, C, D), 10, vote(1, A, E), vote(2, B, E)).segments) == 1


def test_removal_keeps_the_order_and_forgets_the_votes_of_the_removed() -> None:
    chain = snapshots(A, B, C)
    run(chain, 10, vote(1, B, E), vote(2, A, B, add=False), vote(3, C, B, add=False))
    assert state_of(chain).snapshots[-1] == Snapshot(3, hash_of(3), (), (A, C))


def test_a_second_vote_of_the_same_validator_changes_nothing() -> None:
    chain = snapshots(A, B, C)
    run(chain, 10, vote(1, A, E), vote(2, A, E))
    assert [kept.number for kept in state_of(chain).snapshots] == [0, 1]


def test_a_repeated_vote_counts_against_the_set_as_it_is_by_then() -> None:
    # Two of four are not enough; two of three are, and the repeated vote finds that out.
    chain = snapshots(A, B, C, D)
    run(chain, 3, vote(1, A, E), vote(2, B, E), vote(3, A, D, add=False))
    run(chain, 5, vote(4, B, D, add=False), vote(5, C, D, add=False))
    assert chain.validators(6) == (A, B, C)
    assert state_of(run(chain, 6, vote(6, A, E))).snapshots[-1].validators == (A, B, C, E)


def test_votes_that_are_satisfied_already_are_dropped() -> None:
    chain = snapshots(A, B)
    run(chain, 10, vote(1, A, B), vote(2, A, E, add=False))
    assert [kept.number for kept in state_of(chain).snapshots] == [0]


def test_the_end_of_an_epoch_clears_votes_and_ignores_its_own() -> None:
    chain = snapshots(A, B, C, epoch_size=5)
    run(chain, 7, vote(3, A, E), vote(5, B, E), vote(6, B, E))
    assert state_of(chain).snapshots[2] == Snapshot(5, hash_of(5), None, (A, B, C))
    assert state_of(chain).snapshots[3].ballots == (Ballot(B, E, True),)
    assert chain.validators(8) == (A, B, C)


def test_an_epoch_without_open_votes_leaves_no_snapshot_and_asks_for_no_hash() -> None:
    chain = snapshots(A, epoch_size=5)
    chain.commit(chain.plan(1, 23, [], no_hash), 23, no_hash)
    assert chain.state == SnapshotState(start_state(hash_of(0), (A,)).snapshots, 23)


def test_a_miner_of_another_length_is_read_as_go_reads_it() -> None:
    chain = snapshots(A)
    run(chain, 4, vote(1, A, b"\xff" * 12 + E), vote(2, A, b"\x07"))
    assert chain.validators(3) == (A, E)
    assert state_of(chain).snapshots[-1].ballots == (Ballot(A, bytes(19) + b"\x07", True),)


def test_a_nonce_that_is_no_vote_ends_the_plan_before_its_block() -> None:
    chain = snapshots(A)
    bad = Vote(12, hash_of(12), A, F, b"\x01" * 8)
    plan = chain.plan(1, 30, [vote(3, A, E), bad, vote(13, A, F)], hash_of)
    assert isinstance(plan.refusal, BlockRuleError)
    assert (plan.refusal.rule, plan.refusal.number) == (Rule.CONSTANTS_AND_VOTE, 12)
    assert (plan.last, state_of(plan).last_block) == (11, 11)
    chain.commit(plan, 11, hash_of)
    assert chain.validators(12) == (A, E)


def test_a_refusal_in_the_first_block_commits_nothing() -> None:
    chain = snapshots(A)
    before = chain.state
    plan = chain.plan(1, 30, [Vote(1, hash_of(1), A, F, b"\x01" * 8)], hash_of)
    chain.commit(plan, 0, hash_of)
    assert chain.state == before


# --- plan and commit


def test_a_plan_changes_nothing_and_can_be_committed_in_part() -> None:
    votes = [vote(1, A, E), vote(7, A, F), vote(8, E, F)]
    whole, part = snapshots(A, epoch_size=5), snapshots(A, epoch_size=5)
    before = part.state
    plan = part.plan(1, 12, votes, hash_of)
    assert part.state is before
    part.commit(plan, 7, hash_of)
    run(whole, 7, votes[0], votes[1])
    assert part.state == whole.state
    assert part.last_block == 7


def test_committing_nothing_of_a_plan_changes_nothing() -> None:
    chain = snapshots(A)
    before = chain.state
    chain.commit(chain.plan(1, 5, [vote(1, A, E)], hash_of), 0, hash_of)
    assert chain.state is before


def test_plans_that_do_not_follow_are_programming_errors() -> None:
    chain = snapshots(A)
    plan = chain.plan(1, 5, [], hash_of)
    with pytest.raises(ValueError, match="do not follow"):
        chain.plan(2, 5, [], hash_of)
    with pytest.raises(ValueError, match="do not follow"):
        chain.plan(1, 0, [], hash_of)
    with pytest.raises(ValueError, match="do not follow"):
        chain.commit(plan, 6, hash_of)
    chain.commit(plan, 5, hash_of)
    with pytest.raises(ValueError, match="do not follow"):
        chain.commit(plan, 5, hash_of)
    with pytest.raises(ValueError, match="at least one"):
        Engine(poa(20), SnapshotState((), 0))


def slow_sets(first_set: ValidatorSet, epoch_size: int, last: int, votes: dict[int, Vote]) -> list[ValidatorSet]:
    """The sets for block 1 to last + 1, block by block in the words of the fact sheet (§3.7)."""
    current, sets = list(first_set), [first_set]
    ballots: list[tuple[bytes, bytes]] = []
    for number in range(1, last + 1):
        cast = votes.get(number)
        if number % epoch_size == 0:
            ballots = []
        elif cast is not None:
            add = cast.nonce == ADD_NONCE
            if (cast.miner in current) != add:
                if (cast.proposer, cast.miner) not in ballots:
                    ballots.append((cast.proposer, cast.miner))
                if len([1 for _, candidate in ballots if candidate == cast.miner]) > len(current) // 2:
                    if add:
                        current.append(cast.miner)
                    else:
                        current.remove(cast.miner)
                        ballots = [pair for pair in ballots if pair[0] != cast.miner]
                    ballots = [pair for pair in ballots if pair[1] != cast.miner]
        sets.append(tuple(current))
    return sets


votes_by_block = st.dictionaries(
    st.integers(min_value=1, max_value=60),
    st.tuples(st.integers(0, 6), st.integers(0, 6), st.booleans()),
    max_size=40,
)


@given(votes_by_block, st.integers(1, 12), st.lists(st.integers(1, 60), max_size=6, unique=True))
def test_runs_of_any_length_give_the_sets_of_a_slow_twin(
    chosen: dict[int, tuple[int, int, bool]], epoch_size: int, cuts: list[int]
) -> None:
    people = [A, B, C, D, E, F, address(7)]
    votes = {
        number: vote(number, people[voter], people[candidate], add)
        for number, (voter, candidate, add) in sorted(chosen.items())
    }
    first_set = (A, B, C)
    expected = slow_sets(first_set, epoch_size, 60, votes)
    whole = snapshots(*first_set, epoch_size=epoch_size)
    run(whole, 60, *votes.values())
    chain = snapshots(*first_set, epoch_size=epoch_size)
    for cut in sorted({*cuts, 60}):
        first = chain.last_block + 1
        plan = run(chain, cut, *(cast for cast in votes.values() if first <= cast.number <= cut))
        for number in range(first, cut + 1):
            segment = [segment for segment in plan.segments if segment.first <= number][-1]
            assert segment.validators == expected[number - 1]
            assert snapshot_at(state_of(chain).snapshots, cut).validators == expected[cut]
    assert chain.state == whole.state


def test_thirty_thousand_blocks_cost_microseconds_each_at_most() -> None:
    chain = snapshots(A, B, C, D, epoch_size=10)
    started = time.perf_counter()
    run(chain, 30_000, vote(1001, A, E), vote(20_001, B, E))
    assert time.perf_counter() - started < 0.3


# --- snapshots kept


def kept(*numbers: int) -> list[Snapshot]:
    return [Snapshot(number, hash_of(number), (), (A,)) for number in numbers]


@pytest.mark.parametrize(
    ("before", "epoch_end", "after"),
    [
        ([0, 5, 15], 20, [0, 5, 15]),  # the second epoch's end: nothing is old enough
        ([0, 5, 15, 25], 30, [15, 25]),  # 5 and 15 are as near to 10: the older goes
        ([0, 10, 15], 30, [10, 15]),
        ([0, 4, 15], 30, [4, 15]),  # 15 is the nearer, so Go keeps the older as well
        ([0, 8, 15], 30, [15]),  # 8 is the nearer, so Go drops it although it covers block 10
        ([0, 3, 5], 30, [5]),
        ([12, 15], 30, [12, 15]),
        ([0], 300, [0]),
    ],
)
def test_old_snapshots_go_as_in_go(before: list[int], epoch_end: int, after: list[int]) -> None:
    snapshots_kept = kept(*before)
    prune(snapshots_kept, epoch_end, 10)
    assert [snapshot.number for snapshot in snapshots_kept] == after


def test_a_height_below_what_is_kept_has_the_oldest_set() -> None:
    both = kept(10, 20)
    assert snapshot_at(both, 3).number == 10
    assert snapshot_at(both, 10).number == 10
    assert snapshot_at(both, 19).number == 10
    assert snapshot_at(both, 20).number == snapshot_at(both, 99).number == 20


# --- resume


def headers_of(last: int, votes: dict[int, Vote], validators: ValidatorSet) -> dict[int, SealedHeader]:
    sets = slow_sets(validators, 5, last, votes)
    return {
        number: SealedHeader(
            number,
            hash_of(number),
            votes[number].proposer if number in votes else A,
            votes[number].miner if number in votes else NO_VOTE,
            votes[number].nonce if number in votes else REMOVE_NONCE,
            sets[max(number - 1, 0)],
        )
        for number in range(last + 1)
    }


VOTES = {3: vote(3, A, E), 4: vote(4, B, E), 11: vote(11, C, F), 12: vote(12, A, F), 13: vote(13, B, F)}


@pytest.mark.parametrize("head", [0, 2, 4, 5, 9, 10, 12, 13, 14, 15])
def test_missing_files_are_rebuilt_from_the_current_epoch(head: int) -> None:
    headers = headers_of(15, VOTES, (A, B, C))
    asked: list[int] = []

    def header_of(number: int) -> SealedHeader:
        asked.append(number)
        return headers[number]

    chain = snapshots(A, B, C, epoch_size=5)
    if head:
        run(chain, head, *(cast for number, cast in VOTES.items() if number <= head))
    rebuilt = resume(poa(5), None, head, header_of)
    assert rebuilt.last_block == head
    assert rebuilt.validators(head + 1) == chain.validators(head + 1)
    assert state_of(rebuilt).snapshots[-1].ballots in (state_of(chain).snapshots[-1].ballots, ())
    assert min(asked) >= head - head % 5


def state_at(head: int) -> SnapshotState:
    chain = snapshots(A, B, C, epoch_size=5)
    run(chain, head, *(cast for number, cast in VOTES.items() if number <= head))
    return state_of(chain)


def test_loaded_snapshots_are_carried_on() -> None:
    headers = headers_of(14, VOTES, (A, B, C))
    assert resume(poa(5), state_at(12), 14, headers.__getitem__).state == state_at(14)
    assert resume(poa(5), state_at(14), 14, headers.__getitem__).state == state_at(14)


def test_snapshots_beyond_the_head_are_forgotten() -> None:
    headers = headers_of(14, VOTES, (A, B, C))
    resumed = resume(poa(5), state_at(14), 12, headers.__getitem__)
    assert resumed.state == state_at(12)


def test_snapshots_newer_than_their_metadata_are_counted_once() -> None:
    headers = headers_of(14, VOTES, (A, B, C))
    loaded = SnapshotState(state_at(14).snapshots, 11)
    assert resume(poa(5), loaded, 14, headers.__getitem__).state == state_at(14)


@pytest.mark.parametrize(
    "loaded",
    [
        SnapshotState((Snapshot(0, hash_of(99), (), (D,)),), 14),  # of another chain
        SnapshotState((Snapshot(0, hash_of(0), (), (D,)),), 9),  # of an earlier epoch
        SnapshotState((Snapshot(10, hash_of(10), (), (A, D)),), 14),  # of our chain, with a validator that rotted
        SnapshotState((Snapshot(14, hash_of(14), (), (D,)),), 13),  # only a snapshot beyond its own metadata
    ],
)
def test_snapshots_that_cannot_be_trusted_are_rebuilt(loaded: SnapshotState) -> None:
    headers = headers_of(14, VOTES, (A, B, C))
    assert resume(poa(5), loaded, 14, headers.__getitem__).validators(15) == state_at(14).snapshots[-1].validators


def test_a_stored_vote_that_is_none_is_named() -> None:
    headers = headers_of(14, VOTES, (A, B, C))
    headers[13] = headers[13]._replace(nonce=b"\x05" * 8)
    with pytest.raises(BlockRuleError) as raised:
        resume(poa(5), None, 14, headers.__getitem__)
    assert raised.value.number == 13


# --- recorded chains


@pytest.mark.parametrize(("network", "sizes"), [("v0.6.3/poa-ecdsa", [4, 5, 4]), ("v0.6.3/single", [1])])
def test_recorded_chains_list_in_every_header_whom_we_expect(
    network: str, sizes: list[int], shared: Path, headers: Callable[[str], list[SealedHeader]]
) -> None:
    genesis = load_genesis(shared / "golden" / network / "genesis.json")
    chain_headers = headers(network)
    chain = Engine(rules_of(genesis).schedule, start_state(chain_headers[0].hash, initial_validators(genesis)))
    votes = [Vote(*header[:5]) for header in chain_headers[1:] if header.miner != NO_VOTE]
    plan = chain.plan(1, len(chain_headers) - 1, votes, lambda number: chain_headers[number].hash)
    assert [len(segment.validators) for segment in plan.segments] == sizes
    for header in chain_headers[1:]:
        segment = [segment for segment in plan.segments if segment.first <= header.number][-1]
        assert header.validators == segment.validators
        assert header.proposer in segment.validators
