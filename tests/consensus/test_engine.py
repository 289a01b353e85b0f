"""Validators of mixed chains: stake, forks, replacements; beside that, the recorded ones are in tests/golden."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from eth_abi.abi import encode

from polygon_edge import _core
from polygon_edge.chain.engine import Engine as EngineSection
from polygon_edge.chain.engine import ForkEntry
from polygon_edge.chain.schedule import Schedule, schedule_of
from polygon_edge.consensus.engine import Engine, resume
from polygon_edge.consensus.staked_validators import (
    BLS_PUBLIC_KEYS_SELECTOR,
    QUERY_GAS,
    VALIDATORS_SELECTOR,
    StakedValidators,
)
from polygon_edge.consensus.validators import (
    ADD_NONCE,
    NO_VOTE,
    REMOVE_NONCE,
    SealedHeader,
    Snapshot,
    SnapshotState,
    Vote,
    start_state,
)
from polygon_edge.errors import BlockRuleError, Rule, StakingContractError, UncoveredBlockError

A, B, C, D = (bytes([index]) * 20 for index in range(1, 5))
KEYS = [_core.BlsKey(bytes([index]) * 32).public_key for index in range(1, 5)]


class Outcome(NamedTuple):
    status: str
    output: bytes
    gas_used: int = 0


class States:
    """A contract whose answers are chosen by block; it is asked for executed blocks only."""

    def __init__(self, answers: dict[int, list[tuple[bytes, bytes]]]) -> None:
        self.answers = answers
        self.asked: list[int] = []

    def view(self, number: int, *, to: bytes, input: bytes, gas: int) -> Outcome:
        assert (to, gas) == (bytes(18) + b"\x10\x01", QUERY_GAS)
        self.asked.append(number)
        members = self.answers[number]
        if input == VALIDATORS_SELECTOR:
            return Outcome("success", encode(["address[]"], [["0x" + address.hex() for address, _ in members]]))
        assert input == BLS_PUBLIC_KEYS_SELECTOR
        return Outcome("success", encode(["bytes[]"], [[key for _, key in members]]))


def hash_of(number: int) -> bytes:
    return number.to_bytes(32, "big")


def scheduled(*entries: ForkEntry, epoch_size: int = 10) -> Schedule:
    return schedule_of(EngineSection("ibft", "params.engine.ibft.types", entries, epoch_size))


def staked(answers: dict[int, list[tuple[bytes, bytes]]]) -> tuple[StakedValidators, States]:
    states = States(answers)
    return StakedValidators(states), states  # type: ignore[arg-type] # a call's outcome cannot be made by hand


def plan_all(engine: Engine, last: int, votes: list[Vote]) -> list[tuple[int, int]]:
    """Plan and commit up to `last`, as the importer does; returns the parts."""
    parts = []
    while engine.last_block < last:
        first = engine.last_block + 1
        plan = engine.plan(first, last, [vote for vote in votes if vote.number >= first], hash_of)
        assert plan.last >= first
        assert plan.segments[0].first == first
        engine.commit(plan, plan.last, hash_of)
        parts.append((first, plan.last))
    return parts


def test_a_run_is_cut_where_the_next_set_is_not_known_yet() -> None:
    contract, states = staked({0: [(A, b"")], 9: [(A, b""), (B, b"")], 19: [(B, b"")]})
    engine = Engine(scheduled(ForkEntry("PoS", "ecdsa")), None, contract)
    assert plan_all(engine, 25, []) == [(1, 9), (10, 19), (20, 25)]
    assert states.asked == [0, 9, 19]
    assert engine.validators(26) == (B,)
    assert engine.state is None


def test_a_run_that_fails_in_its_middle_asks_for_nothing_again() -> None:
    contract, states = staked({0: [(A, b"")], 9: [(B, b"")]})
    engine = Engine(scheduled(ForkEntry("PoS", "ecdsa")), None, contract)
    plan = engine.plan(1, 9, [], hash_of)
    engine.commit(plan, 4, hash_of)
    assert engine.last_block == 4
    assert states.asked == [0]


def test_from_votes_to_stake_to_keys_and_back() -> None:
    entries = (
        ForkEntry("PoA", "ecdsa", 0, 24),
        ForkEntry("PoS", "ecdsa", 25, 34),
        ForkEntry("PoS", "bls", 35, 44),
        ForkEntry("PoA", "bls", 45, None, None, (D + KEYS[3],)),
    )
    answers = {24: [(B, b"")], 29: [(A, b""), (B, b"")], 34: [(A, KEYS[0]), (B, b""), (C, b"\x01" * 48)]}
    contract, states = staked({**answers, 39: [(C, KEYS[2])]})
    engine = Engine(scheduled(*entries), start_state(hash_of(0), (A,)), contract)
    votes = [Vote(3, hash_of(3), A, B, ADD_NONCE), Vote(28, hash_of(28), A, C, b"anything")]
    assert plan_all(engine, 50, votes) == [(1, 24), (25, 29), (30, 34), (35, 39), (40, 50)]
    assert states.asked == [24, 29, 34, 34, 39, 39]
    assert engine.validators(51) == (D + KEYS[3],)
    assert engine.state is not None
    assert [snapshot.number for snapshot in engine.state.snapshots] == [3, 44]
    # A member without a key, or with one that is no point, has no seal.
    assert contract.after(34, "bls") == (A + KEYS[0],)


def test_a_replacement_forgets_the_ballots() -> None:
    entries = (ForkEntry("PoA", "ecdsa", 0, 4), ForkEntry("PoA", "ecdsa", 5, None, None, (C, D)))
    engine = Engine(scheduled(*entries), start_state(hash_of(0), (A, B)))
    plan = engine.plan(1, 8, [Vote(2, hash_of(2), A, C, ADD_NONCE), Vote(6, hash_of(6), C, A, ADD_NONCE)], hash_of)
    assert plan.segments == ((1, (A, B)), (5, (C, D)))
    engine.commit(plan, 5, hash_of)
    assert engine.state is not None
    assert engine.state.snapshots[-1] == Snapshot(4, hash_of(4), (), (C, D))


def bls_vote(number: int, voter: bytes, candidate: bytes, key: bytes) -> Vote:
    miner = b"\xf8\x46\x94" + candidate + b"\xb0" + key
    return Vote(number, hash_of(number), voter, miner, ADD_NONCE)


def test_candidates_of_a_bls_chain_are_told_by_address_and_key() -> None:
    a, b, c = A + KEYS[0], B + KEYS[1], C + KEYS[2]
    engine = Engine(scheduled(ForkEntry("PoA", "bls")), start_state(hash_of(0), (a, b)))
    other = KEYS[3]
    votes = [bls_vote(1, A, C, KEYS[2]), bls_vote(2, B, C, other), bls_vote(3, B, C, KEYS[2])]
    assert engine.plan(1, 9, votes, hash_of).segments == ((1, (a, b)), (4, (a, b, c)))
    # Whoever is in the set is there by its address.
    assert len(engine.plan(1, 9, [bls_vote(1, A, B, other), bls_vote(2, B, B, other)], hash_of).segments) == 1


@pytest.mark.parametrize("miner", [b"", b"\x01" * 20, b"\xc0", b"\xc1\x80", b"\xc2\x80\x80", b"\xf8"])
def test_a_miner_that_names_no_validator_ends_the_plan_before_its_block(miner: bytes) -> None:
    engine = Engine(scheduled(ForkEntry("PoA", "bls")), start_state(hash_of(0), (A + KEYS[0],)))
    plan = engine.plan(1, 9, [Vote(4, hash_of(4), A, miner, REMOVE_NONCE)], hash_of)
    assert plan.last == 3
    assert isinstance(plan.refusal, BlockRuleError)
    assert (plan.refusal.rule, plan.refusal.number) == (Rule.CONSTANTS_AND_VOTE, 4)


def test_a_key_of_another_length_can_be_voted_for_and_not_become_a_validator() -> None:
    engine = Engine(scheduled(ForkEntry("PoA", "bls")), start_state(hash_of(0), (A + KEYS[0], B + KEYS[1])))
    short = [
        Vote(number, hash_of(number), voter, b"\xd7\x94" + C + b"\x81\x99", ADD_NONCE)
        for number, voter in ((1, A), (2, B))
    ]
    assert engine.plan(1, 9, short[:1], hash_of).refusal is None
    refused = engine.plan(1, 9, short, hash_of)
    assert refused.last == 1
    assert refused.refusal is not None


def test_a_block_that_no_entry_covers_ends_the_chain() -> None:
    engine = Engine(scheduled(ForkEntry("PoA", "ecdsa", 0, 4)), start_state(hash_of(0), (A,)))
    assert engine.plan(1, 9, [], hash_of).last == 4
    plan_all(engine, 4, [])
    with pytest.raises(UncoveredBlockError, match="block 5"):
        engine.plan(5, 9, [], hash_of)
    with pytest.raises(UncoveredBlockError):
        engine.validators(5)


def test_nobody_validates_where_nobody_seals() -> None:
    engine = Engine(Schedule(), None)
    assert plan_all(engine, 99, []) == [(1, 99)]
    assert engine.validators(100) == ()


class Answer:
    def __init__(self, output: bytes, status: str = "success") -> None:
        self.outcome = Outcome(status, output)

    def view(self, number: int, *, to: bytes, input: bytes, gas: int) -> Outcome:
        del number, to, input, gas
        return self.outcome


@pytest.mark.parametrize(
    "answer",
    [
        Answer(b""),
        Answer(bytes(31)),
        Answer((32).to_bytes(32, "big")),
        Answer((1 << 255).to_bytes(32, "big") * 2),
        Answer((32).to_bytes(32, "big") + (2).to_bytes(32, "big") + bytes(32)),
        Answer((32).to_bytes(32, "big") + (1 << 255).to_bytes(32, "big")),
        Answer(encode(["address[]"], [["0x" + A.hex()] * 2])),
        Answer(b"", "revert"),
        Answer(b"", "out of gas"),
    ],
)
def test_a_contract_that_does_not_answer_as_it_should_is_named(answer: Answer) -> None:
    for validator_type in ("ecdsa", "bls"):
        with pytest.raises(StakingContractError, match="after block 7"):
            StakedValidators(answer).after(7, validator_type)  # type: ignore[arg-type]


# --- resume


def headers(last: int, listed: tuple[bytes, ...]) -> dict[int, SealedHeader]:
    return {
        number: SealedHeader(number, hash_of(number), A, NO_VOTE, REMOVE_NONCE, listed) for number in range(last + 1)
    }


def test_a_chain_that_went_over_to_stake_keeps_its_snapshots_as_they_were() -> None:
    schedule = scheduled(ForkEntry("PoA", "ecdsa", 0, 29), ForkEntry("PoS", "ecdsa", 30))
    loaded = SnapshotState((Snapshot(0, hash_of(0), (), (A,)),), 29)
    contract, states = staked({89: [(B, b"")]})
    engine = resume(schedule, loaded, 96, headers(96, (A,)).__getitem__, contract)
    assert (engine.state, engine.last_block) == (loaded, 96)
    assert states.asked == []
    assert engine.validators(97) == (B,)
    rebuilt = resume(schedule, None, 96, headers(96, (A,)).__getitem__, contract)
    assert rebuilt.state == SnapshotState((Snapshot(20, hash_of(20), (), (A,)),), 29)


@pytest.mark.parametrize("head", [24, 25, 28, 33])
@pytest.mark.parametrize("loaded", [None, SnapshotState((Snapshot(0, hash_of(0), (), (A,)),), 24)])
def test_a_replacement_is_made_up_for(head: int, loaded: SnapshotState | None) -> None:
    """Also where a node was killed between the block and its hook, or restored by a client without it."""
    schedule = scheduled(ForkEntry("PoA", "ecdsa", 0, 24), ForkEntry("PoA", "ecdsa", 25, None, None, (B, C)))
    stored = headers(head, (A,)) | {number: headers(head, (B, C))[number] for number in range(25, head + 1)}
    engine = resume(schedule, loaded, head, stored.__getitem__)
    assert engine.validators(head + 1) == (B, C)
