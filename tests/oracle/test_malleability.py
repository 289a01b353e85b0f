"""What the protocol leaves open, on chains of every kind: each row of the threat model's table, and where it ends.

A case that is accepted is explained by `verdict`, and by nothing else than the row it stands for. What looks like it
and is refused stands beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from tests.conftest import recorded_folder
from tests.oracle.chain import ALL_FORKS, GAS_LIMIT, genesis_of
from tests.oracle.forgery import CARRIED, ForgedNetwork, Target, opened, restore
from tests.oracle.material import STRANGERS
from tests.oracle.parts import (
    AGGREGATE,
    BASE_FEE,
    BITMAP,
    COMMITTED_SEALS,
    GAS_USED,
    MIX_HASH,
    NONCE,
    PARENT_SEALS,
    PROPOSER_SEAL,
    RECEIPTS_ROOT,
    ROUND,
    STATE_ROOT,
    TIMESTAMP,
    VALIDATORS,
    Parts,
    other_form,
)
from tests.oracle.twin import address_of, encode, integer, seal
from tests.oracle.verdict import Weakness, explain

from polygon_edge import _core
from polygon_edge.errors import ArchiveMetadataError, BlockRuleError, Rule

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.oracle.material import Change

NETWORKS = {name: ForgedNetwork(name, recorded_folder(name)) for name in CARRIED}
BLS, STAKE, DEV = "v0.6.3/poa-bls", "v0.6.3/pos-ecdsa", "v0.6.3/dev"
LATER, LATE_FORKS = "v1.3.2/switch", "v1.3.2/forks-late"
TYPE_SWITCH, STAKE_SWITCH = "v0.6.3/switch-type", "v0.6.3/switch"


class Case(NamedTuple):
    """A change of one block, and the weaknesses that it uses or the rule that it breaks."""

    network: str
    number: int
    name: str
    change: Change
    expected: Any


def case_id(case: Case) -> str:
    first = case.expected if isinstance(case.expected, Rule) else next(iter(case.expected))
    return f"{first.value}: {case.network} {case.number}: {case.name}"


@pytest.fixture(scope="module")
def target_at(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, int], Target]:
    """The target at a block of a network, made once."""
    made: dict[tuple[str, int], Target] = {}

    def find(name: str, number: int) -> Target:
        if (name, number) not in made:
            made[name, number] = Target(NETWORKS[name], number, tmp_path_factory.mktemp("target"))
        return made[name, number]

    return find


def _header(position: int, content: bytes) -> Change:
    return lambda parts: parts.header.__setitem__(position, content)


def _extra(item: int, new: Callable[[Any], object]) -> Change:
    """Change item `item` of the extra data's list to what `new` makes of it."""
    return lambda parts: parts.extra.__setitem__(item, new(parts.extra[item]))


def _within(item: int, change: Callable[[list[Any]], object]) -> Change:
    """Change a list of the extra data in its place."""
    return lambda parts: change(parts.extra[item])


def _bits(item: int, new: Callable[[int], int]) -> Change:
    def change(parts: Parts) -> None:
        seals = parts.extra[item]
        seals[BITMAP] = integer(new(int.from_bytes(seals[BITMAP], "big")))

    return change


def _aggregate(new: Callable[[bytes], bytes]) -> Change:
    return _within(COMMITTED_SEALS, lambda seals: seals.__setitem__(AGGREGATE, new(seals[AGGREGATE])))


def _first(new: Callable[[bytes], bytes]) -> Callable[[list[bytes]], list[bytes]]:
    return lambda seals: [new(seals[0]), *seals[1:]]


def _turned(content: bytes) -> bytes:
    return bytes(0xFF - byte for byte in content)


def _flip(content: bytes) -> bytes:
    return content[:-1] + bytes((content[-1] ^ 1,))


def _seals_in_the_next_block(network: str, number: int) -> Change:
    """The seals of the block as another node saw them: those that the next block carries of its parent."""
    return _extra(COMMITTED_SEALS, lambda _: NETWORKS[network].parts(number + 1).extra[PARENT_SEALS])


def _claimed_by(network: str) -> Change:
    """Put the proposer seal of the one validator whose key is known in the place of the real one."""

    def change(parts: Parts) -> None:
        insider = NETWORKS[network].insider
        assert insider is not None
        assert address_of(insider) in [entry if isinstance(entry, bytes) else entry[0] for entry in parts.extra[0]]
        parts.extra[PROPOSER_SEAL] = seal(insider, parts.proposer_digest)

    return change


def _transaction(change: Callable[[list[Any]], object], *, is_typed: bool = False) -> Change:
    """Change the first transaction, or the first that has a type: [payload], or [type, payload]."""

    def changed(parts: Parts) -> None:
        units = parts.units
        change(next(unit for unit in units if len(unit) > 1 or not is_typed))
        parts.units = units

    return changed


def _after_extra(parts: Parts) -> None:
    parts.after_extra = b"anything"


OPEN = [
    Case(BLS, 18, "nonce turned", _header(NONCE, bytes(8)), {Weakness.VOTE}),
    Case(BLS, 2, "nonce turned", _header(NONCE, b"\xff" * 8), {Weakness.NONCE}),
    Case(STAKE, 21, "any nonce", _header(NONCE, b"anything"), {Weakness.NONCE}),
    Case(LATER, 45, "any nonce", _header(NONCE, b"anything"), {Weakness.NONCE}),
    Case(LATE_FORKS, 21, "a base fee", _header(BASE_FEE, integer(10**9)), {Weakness.BASE_FEE}),
    Case(LATER, 20, "a base fee", _header(BASE_FEE, integer(10**9)), {Weakness.BASE_FEE}),
    Case(BLS, 3, "claimed by another validator", _claimed_by(BLS), {Weakness.PROPOSER}),
    Case(LATER, 23, "claimed by another validator", _claimed_by(LATER), {Weakness.PROPOSER}),
    Case(BLS, 6, "seals that another node saw", _seals_in_the_next_block(BLS, 6), {Weakness.COMMITTERS}),
    Case(LATER, 38, "seals that another node saw", _seals_in_the_next_block(LATER, 38), {Weakness.COMMITTERS}),
    Case(STAKE, 2, "seals that another node saw", _seals_in_the_next_block(STAKE, 2), {Weakness.COMMITTERS}),
    Case(STAKE, 3, "turned round", _extra(COMMITTED_SEALS, lambda old: old[::-1]), {Weakness.COMMITTERS}),
    Case(LATER, 2, "turned round", _extra(COMMITTED_SEALS, lambda old: old[::-1]), {Weakness.COMMITTERS}),
    Case(BLS, 3, "the proposer's", _extra(PROPOSER_SEAL, other_form), {Weakness.FORM}),
    Case(LATER, 3, "the proposer's", _extra(PROPOSER_SEAL, other_form), {Weakness.FORM}),
    Case(STAKE, 3, "a committed one", _extra(COMMITTED_SEALS, _first(other_form)), {Weakness.FORM}),
    Case(LATER, 3, "a committed one", _extra(COMMITTED_SEALS, _first(other_form)), {Weakness.FORM}),
    Case(BLS, 3, "two of them", _bits(COMMITTED_SEALS, lambda old: old | 1 << 4 | 1 << 90), {Weakness.BITS}),
    Case(LATER, 23, "one of them", _bits(COMMITTED_SEALS, lambda old: old | 1 << 4), {Weakness.BITS}),
    Case(
        BLS,
        3,
        "a longer bitmap",
        _within(COMMITTED_SEALS, lambda seals: seals.__setitem__(0, b"\0" + seals[0])),
        {Weakness.SURPLUS},
    ),
    Case(
        BLS,
        3,
        "a longer bitmap of the parent",
        _within(PARENT_SEALS, lambda seals: seals.__setitem__(0, b"\0" + seals[0])),
        {Weakness.SURPLUS},
    ),
    Case(
        BLS,
        3,
        "an item after the aggregate",
        _within(COMMITTED_SEALS, lambda seals: seals.append(b"x")),
        {Weakness.SURPLUS},
    ),
    Case(
        BLS,
        3,
        "an item after the parent's aggregate",
        _within(PARENT_SEALS, lambda seals: seals.append(b"x")),
        {Weakness.SURPLUS},
    ),
    Case(
        BLS,
        3,
        "an item after a key",
        _within(VALIDATORS, lambda validators: validators[0].append(b"x")),
        {Weakness.SURPLUS},
    ),
    Case(BLS, 1, "parent seals of block 1", lambda parts: parts.extra.append([b"anything"]), {Weakness.SURPLUS}),
    Case(LATER, 3, "a sixth item", lambda parts: parts.extra.append([b"anything"]), {Weakness.SURPLUS}),
    Case(LATER, 3, "bytes after the list", _after_extra, {Weakness.SURPLUS}),
    Case(STAKE, 3, "a fifth item", lambda parts: parts.extra.append(bytes(8)), {Weakness.SURPLUS}),
    Case(LATER, 3, "an item after the base fee", lambda parts: parts.header.append(b"x"), {Weakness.ENCODING}),
    Case(LATER, 3, "an item after the uncles", lambda parts: parts.surplus.append(b"x"), {Weakness.ENCODING}),
    Case(
        LATER,
        3,
        "a timestamp with a zero",
        lambda parts: parts.header.__setitem__(TIMESTAMP, b"\0" + parts.header[TIMESTAMP]),
        {Weakness.ENCODING},
    ),
    Case(
        LATE_FORKS,
        3,
        "a type for a legacy transaction",
        _transaction(lambda unit: unit.insert(0, b"\0")),
        {Weakness.ENCODING},
    ),
    Case(
        LATE_FORKS,
        62,
        "an access list",
        _transaction(lambda unit: unit[1].__setitem__(8, [[b"\x11" * 20, []]]), is_typed=True),
        {Weakness.ENCODING},
    ),
    Case(
        BLS,
        5,
        "an item after the signature",
        _transaction(lambda unit: unit[0].append(b"x")),
        {Weakness.TRANSACTION_HASH, Weakness.ENCODING},
    ),
    Case(
        LATE_FORKS,
        22,
        "another chain's",
        _transaction(lambda unit: unit[1].__setitem__(0, b"\x05"), is_typed=True),
        {Weakness.CHAIN_ID},
    ),
]


@pytest.mark.parametrize("case", OPEN, ids=case_id)
def test_what_the_protocol_leaves_open(case: Case, target_at: Callable[[str, int], Target]) -> None:
    target = target_at(case.network, case.number)
    real = target.real_outcome
    forged = target.real.changed(case.change)
    assert forged.raw != target.real.raw
    error, head = target.attempt(forged.raw)
    assert error is None, str(error)
    assert head == (case.number, target.real.hash)
    assert explain(target.network, case.number, real, target.outcome(), forged.raw) == case.expected


def test_every_weakness_has_a_case() -> None:
    assert {weakness for case in OPEN for weakness in case.expected} == {*Weakness}


def _keys_exchanged(validators: list[Any]) -> None:
    validators[0][1], validators[1][1] = validators[1][1], validators[0][1]


def _of_another_block(network: str, number: int, item: int) -> Change:
    return _extra(item, lambda _: NETWORKS[network].parts(number).extra[item])


CLOSED = [
    Case(BLS, 4, "a bit more", _bits(COMMITTED_SEALS, lambda _: 0b1111), Rule.COMMITTED_SEALS),
    Case(BLS, 3, "a bit less", _bits(COMMITTED_SEALS, lambda old: old & old - 1), Rule.COMMITTED_SEALS),
    Case(BLS, 3, "no bits", _bits(COMMITTED_SEALS, lambda _: 0), Rule.COMMITTED_SEALS),
    Case(BLS, 3, "its negative", _aggregate(lambda old: bytes((old[0] ^ 0x20,)) + old[1:]), Rule.COMMITTED_SEALS),
    Case(BLS, 3, "infinity", _aggregate(lambda _: b"\xc0" + bytes(95)), Rule.COMMITTED_SEALS),
    Case(BLS, 3, "damaged", _aggregate(_flip), Rule.COMMITTED_SEALS),
    Case(BLS, 3, "none", _aggregate(lambda _: b""), Rule.COMMITTED_SEALS),
    Case(BLS, 3, "of another block", _of_another_block(BLS, 5, COMMITTED_SEALS), Rule.COMMITTED_SEALS),
    Case(
        BLS,
        3,
        "its parent's seals",
        _extra(COMMITTED_SEALS, lambda _: NETWORKS[BLS].parts(2).extra[2]),
        Rule.COMMITTED_SEALS,
    ),
    Case(BLS, 3, "keys exchanged", _within(VALIDATORS, _keys_exchanged), Rule.VALIDATOR_LIST),
    Case(BLS, 3, "turned round", _within(VALIDATORS, lambda validators: validators.reverse()), Rule.VALIDATOR_LIST),
    Case(BLS, 3, "no parent seals", lambda parts: parts.extra.pop(), Rule.EXTRA_DATA),
    Case(BLS, 3, "an empty list of parent seals", _extra(PARENT_SEALS, lambda _: []), Rule.EXTRA_DATA),
    Case(BLS, 3, "parent seals of nobody", _extra(PARENT_SEALS, lambda _: [b"", b""]), Rule.PROPOSER_SEAL),
    Case(BLS, 3, "a parent's bit more", _bits(PARENT_SEALS, lambda _: 0b1111), Rule.PARENT_SEALS),
    Case(BLS, 3, "a parent's bit beyond the list", _bits(PARENT_SEALS, lambda old: old | 1 << 4), Rule.PROPOSER_SEAL),
    # The seals of this parent that others saw are good seals, but this block was hashed with those of its proposer.
    Case(
        BLS,
        7,
        "parent seals that another saw",
        _extra(PARENT_SEALS, lambda _: NETWORKS[BLS].parts(6).extra[2]),
        Rule.PROPOSER_SEAL,
    ),
    Case(
        STAKE,
        22,
        "seals that another saw of the parent",
        _extra(PARENT_SEALS, lambda _: NETWORKS[STAKE].parts(21).extra[2]),
        Rule.PROPOSER_SEAL,
    ),
    Case(STAKE, 21, "validators of the epoch before", _of_another_block(STAKE, 19, VALIDATORS), Rule.VALIDATOR_LIST),
    Case(
        STAKE,
        41,
        "a stranger",
        _within(VALIDATORS, lambda all_: all_.__setitem__(0, address_of(STRANGERS[0]))),
        Rule.VALIDATOR_LIST,
    ),
    Case(LATER, 3, "another round", _extra(ROUND, lambda _: bytes(7) + b"\1"), Rule.COMMITTED_SEALS),
    Case(LATER, 3, "no round", _extra(ROUND, lambda _: b""), Rule.COMMITTED_SEALS),
    Case(LATER, 3, "no round item", lambda parts: parts.extra.pop(), Rule.COMMITTED_SEALS),
    Case(LATER, 3, "a round of seven bytes", _extra(ROUND, lambda _: bytes(7)), Rule.EXTRA_DATA),
    Case(LATER, 50, "round 1 taken for round 0", _extra(ROUND, lambda _: bytes(8)), Rule.COMMITTED_SEALS),
    Case(LATER, 20, "ECDSA validators at the change to BLS", _of_another_block(LATER, 19, VALIDATORS), Rule.EXTRA_DATA),
    Case(
        LATER,
        20,
        "ECDSA seals at the change to BLS",
        _of_another_block(LATER, 19, COMMITTED_SEALS),
        Rule.COMMITTED_SEALS,
    ),
    Case(
        LATER, 20, "BLS parent seals a block too early", _of_another_block(LATER, 21, PARENT_SEALS), Rule.PARENT_SEALS
    ),
    Case(
        LATER, 21, "ECDSA parent seals a block too late", _of_another_block(LATER, 20, PARENT_SEALS), Rule.PARENT_SEALS
    ),
    Case(
        TYPE_SWITCH,
        25,
        "ECDSA validators at the change to BLS",
        _of_another_block(TYPE_SWITCH, 24, VALIDATORS),
        Rule.EXTRA_DATA,
    ),
    Case(
        STAKE_SWITCH,
        30,
        "voted validators where stake begins",
        _of_another_block(STAKE_SWITCH, 29, VALIDATORS),
        Rule.VALIDATOR_LIST,
    ),
    Case(
        STAKE_SWITCH,
        60,
        "BLS validators in another order",
        _within(VALIDATORS, lambda all_: all_.reverse()),
        Rule.VALIDATOR_LIST,
    ),
    Case(LATE_FORKS, 22, "a base fee that is felt", _header(BASE_FEE, integer(10**9)), Rule.EXECUTION),
    Case(
        LATE_FORKS,
        62,
        "another chain's transaction, hashed with its type",
        _transaction(lambda unit: unit[1].__setitem__(0, b"\x05"), is_typed=True),
        Rule.TRANSACTIONS_ROOT,
    ),
    Case(
        LATE_FORKS,
        62,
        "another tip",
        _transaction(lambda unit: unit[1].__setitem__(2, b"\x05"), is_typed=True),
        Rule.TRANSACTIONS_ROOT,
    ),
    Case(LATE_FORKS, 62, "a type less", _transaction(lambda unit: unit.pop(0), is_typed=True), Rule.STRUCTURE),
    Case(LATE_FORKS, 22, "a type less", _transaction(lambda unit: unit.pop(0), is_typed=True), Rule.STRUCTURE),
    Case(
        LATE_FORKS,
        62,
        "a state transaction",
        _transaction(lambda unit: unit.__setitem__(0, b"\x7f"), is_typed=True),
        Rule.STRUCTURE,
    ),
    Case(LATE_FORKS, 3, "a dynamic fee", _transaction(lambda unit: unit.insert(0, b"\2")), Rule.STRUCTURE),
    Case(LATE_FORKS, 3, "an item after the signature", _transaction(lambda unit: unit[0].append(b"x")), Rule.STRUCTURE),
    Case(BLS, 5, "claimed by another validator", _claimed_by(BLS), Rule.EXECUTION),
]


@pytest.mark.parametrize("case", CLOSED, ids=case_id)
def test_what_looks_like_it_is_refused(case: Case, target_at: Callable[[str, int], Target]) -> None:
    target = target_at(case.network, case.number)
    forged = target.real.changed(case.change)
    assert forged.raw != target.real.raw
    error = target.refusal(forged.raw)
    assert isinstance(error, BlockRuleError), str(error)
    assert error.rule is case.expected, str(error)


def test_a_turned_vote_for_a_bls_validator_shows_at_the_next_change_of_the_validators(tmp_path: Path) -> None:
    """Blocks 18, 20 and 21 vote a fifth validator in; block 22 is the first to list it."""
    network = NETWORKS[BLS]
    target = Target(network, 21, tmp_path)
    assert target.attempt(*network.blocks[21:24])[0] is None
    forged = target.real.changed(lambda parts: parts.header.__setitem__(NONCE, _turned(parts.header[NONCE])))
    assert forged.hash == target.real.hash
    error, head = target.attempt(forged.raw, *network.blocks[22:24])
    assert isinstance(error, BlockRuleError)
    assert (error.number, error.rule) == (22, Rule.VALIDATOR_LIST)
    assert head == (21, target.real.hash)


def _other_body(parts: Parts) -> None:
    parts.transactions.append([b"anything"])


RECORDS: dict[str, tuple[Change, bool]] = {
    "another nonce": (_header(NONCE, b"\xff" * 8), True),
    "transactions": (_other_body, True),
    "seals": (lambda parts: parts.extra.__setitem__(PROPOSER_SEAL, b"\1" * 65), True),
    "another state": (_header(STATE_ROOT, b"\1" * 32), False),
    "validators turned round": (_within(VALIDATORS, lambda validators: validators.reverse()), False),
}


@pytest.mark.parametrize(("change", "is_passed_over"), RECORDS.values(), ids=list(RECORDS))
@pytest.mark.parametrize("name", [BLS, LATER])
def test_a_record_of_a_block_that_is_there_is_told_by_its_hash(
    name: str, change: Change, is_passed_over: bool, tmp_path: Path
) -> None:
    network = NETWORKS[name]
    target = Target(network, 3, tmp_path)
    for number in (0, 2):
        raws = [*network.blocks[:number], network.parts(number).changed(change).raw, *network.blocks[number + 1 : 4]]
        error, head = target.attempt(*raws, first=0)
        with target.left() as chain:
            assert chain.block(number) == network.blocks[number]
        if is_passed_over:
            assert (error, head) == (None, (3, target.real.hash))
        else:
            assert isinstance(error, BlockRuleError)
            assert (error.rule, error.number, head) == (Rule.PARENT_LINK, number, target.head)


def _proposed(chain: _core.Chain, rules: _core.Rules, validators: list[bytes]) -> _core.Proposal:
    """Block 1 of a chain of these validators, to be sealed."""
    listed = [entry if len(entry) == 20 else [entry[:20], entry[20:]] for entry in validators]
    no_seals = [] if len(validators[0]) == 20 else [b"", b""]
    chain.start(rules, genesis_of(rules, [], bytes(32) + encode([listed, b"", no_seals])))
    return chain.propose(
        coinbase=validators[-1][:20], timestamp=1, gas_limit=GAS_LIMIT, validators=validators, candidates=[]
    )


def test_a_quorum_can_seal_a_block_of_another_round_under_the_same_hash(tmp_path: Path) -> None:
    rules = _core.Rules("G3", 100, ALL_FORKS, 0)
    validators = [address_of(key) for key in STRANGERS[:4]]
    with _core.Chain.open(tmp_path) as chain:
        proposal = _proposed(chain, rules, validators)
        proposer_seal = seal(STRANGERS[3], _core.proposer_digest(proposal.hash))
        found = set()
        for round_ in (0, 5):
            committed = [seal(key, proposal.committed_digest(round_)) for key in STRANGERS[:4]]
            run = _core.prepare(rules, [proposal.record(proposer_seal, committed, round_)])
            assert run.verify(rules, 0, chain.tip, [(0, validators)]) == (1, None)
            found.add(run.identity(0))
            other = _core.prepare(rules, [proposal.record(proposer_seal, committed, round_ + 1)])
            violation = other.verify(rules, 0, chain.tip, [(0, validators)])[1]
            assert violation is not None
            assert violation.rule == "committed seals"
        assert found == {(1, proposal.hash)}


def test_a_key_made_of_the_keys_of_the_others_seals_for_all_of_them(tmp_path: Path) -> None:
    """Nobody proves possession of a BLS key: the key of the fourth is its own, less the keys of the other three."""
    from eth_typing import BLSPubkey  # noqa: PLC0415 - comes with the next
    from py_ecc.bls.g2_primitives import G1_to_pubkey, pubkey_to_G1  # noqa: PLC0415 - slow to import
    from py_ecc.optimized_bls12_381.optimized_curve import add, neg  # noqa: PLC0415

    rules = _core.Rules("G3", 100, ALL_FORKS, 0, validator_types=[(0, "bls")])
    own = _core.BlsKey(b"\x07" * 32)
    others = [_core.BlsKey(bytes((index,)) * 32).public_key for index in (1, 2, 3)]
    point = pubkey_to_G1(BLSPubkey(own.public_key))
    for other in others:
        point = add(point, neg(pubkey_to_G1(BLSPubkey(other))))
    keys = [*others, bytes(G1_to_pubkey(point))]
    validators = [address_of(owner) + key for owner, key in zip(STRANGERS, keys, strict=False)]
    with _core.Chain.open(tmp_path) as chain:
        proposal = _proposed(chain, rules, validators)
        proposer_seal = seal(STRANGERS[3], _core.proposer_digest(proposal.hash))
        aggregate = own.sign(proposal.committed_digest(0))
        for bitmap, rule in ((b"\x0f", None), (b"\x08", "committed seals"), (b"\x0e", "committed seals")):
            run = _core.prepare(rules, [proposal.record(proposer_seal, [bitmap, aggregate], 0)])
            violation = run.verify(rules, 0, chain.tip, [(0, validators)])[1]
            assert (violation.rule if violation else None) == rule, bitmap


def test_an_aggregate_outside_the_group_is_refused(tmp_path: Path) -> None:
    """A good aggregate and a point of the curve whose order divides the cofactor: what a pairing alone may not tell."""
    from py_ecc.bls.point_compression import compress_G2, decompress_G2  # noqa: PLC0415 - slow to import
    from py_ecc.bls.typing import G2Compressed  # noqa: PLC0415
    from py_ecc.fields import optimized_bls12_381_FQ2 as FQ2  # noqa: PLC0415
    from py_ecc.optimized_bls12_381.optimized_curve import (  # noqa: PLC0415
        add,
        b2,
        curve_order,
        is_inf,
        is_on_curve,
        multiply,
    )
    from py_ecc.optimized_bls12_381.optimized_swu import sqrt_division_FQ2  # noqa: PLC0415

    def small_point() -> Any:
        for x in range(1, 50):
            square = FQ2([x, 0]) ** 3 + b2
            is_square, y = sqrt_division_FQ2(square, FQ2.one())
            if not is_square:
                continue
            point = multiply((FQ2([x, 0]), y, FQ2.one()), curve_order)
            if is_on_curve(point, b2) and not is_inf(point):
                return point
        raise LookupError("no point of the curve outside the group")

    target = Target(NETWORKS[BLS], 3, tmp_path)

    def moved(old: bytes) -> bytes:
        halves = int.from_bytes(old[:48], "big"), int.from_bytes(old[48:], "big")
        point = add(decompress_G2(G2Compressed(halves)), small_point())
        return b"".join(half.to_bytes(48, "big") for half in compress_G2(point))

    error, head = target.attempt(target.real.changed(_aggregate(moved)).raw)
    assert isinstance(error, BlockRuleError)
    assert (error.rule, error.what) == (Rule.COMMITTED_SEALS, "aggregate")
    assert (error.expected, error.found) == ("a point of the group G2", "96 bytes that are none")
    assert head == target.head


DEV_CHANGES: dict[str, Change] = {
    "another time": lambda parts: parts.header.__setitem__(TIMESTAMP, integer(1)),
    "a vote": lambda parts: parts.header.__setitem__(NONCE, b"\xff" * 8),
    "another mixHash": lambda parts: parts.header.__setitem__(MIX_HASH, b"\1" * 32),
    "anything as extra data": lambda parts: setattr(parts, "vanity", b"anything"),
}


@pytest.mark.parametrize("change", DEV_CHANGES.values(), ids=list(DEV_CHANGES))
def test_anybody_can_write_a_chain_that_nobody_seals_but_it_is_another_chain(change: Change, tmp_path: Path) -> None:
    network = NETWORKS[DEV]
    target = Target(network, 5, tmp_path)
    forged = target.real.changed(change)
    assert target.attempt(forged.raw) == (None, (5, forged.hash))
    assert forged.hash != target.real.hash
    error, head = target.attempt(forged.raw, network.blocks[6])
    assert isinstance(error, BlockRuleError)
    assert (error.number, error.rule) == (6, Rule.PARENT_LINK)
    assert head == (5, forged.hash)
    # Linked anew, the whole rest of the chain goes on top.
    raws, parent = [forged.raw], forged
    for number in range(6, len(network.blocks)):
        parent = network.parts(number).changed(_header(0, parent.hash))
        raws.append(parent.raw)
    assert target.attempt(*raws) == (None, (len(network.blocks) - 1, parent.hash))


def test_a_chain_that_nobody_seals_has_its_hashes_and_its_senders_all_the_same(tmp_path: Path) -> None:
    network = NETWORKS[DEV]
    target = Target(network, 4, tmp_path)

    def signed_by_nobody(parts: Parts) -> None:
        parts.transactions[0][4] = b"\1"
        parts.repair_transactions_root()

    refused: list[tuple[Change, Rule]] = [
        (_header(STATE_ROOT, b"\1" * 32), Rule.EXECUTION),
        (_header(GAS_USED, b"\1"), Rule.EXECUTION),
        (_header(RECEIPTS_ROOT, b"\1" * 32), Rule.EXECUTION),
        (lambda parts: parts.transactions.pop(), Rule.TRANSACTIONS_ROOT),
        (signed_by_nobody, Rule.EXECUTION),
    ]
    for change, rule in refused:
        error, head = target.attempt(target.real.changed(change).raw)
        assert isinstance(error, BlockRuleError)
        assert error.rule is rule
        assert head == target.head


def test_the_promise_of_an_archive_tells_another_chain_from_the_real_one(tmp_path: Path) -> None:
    network = NETWORKS[DEV]
    forged = network.parts(5).changed(DEV_CHANGES["anything as extra data"])
    with opened(tmp_path) as chain, pytest.raises(ArchiveMetadataError, match="metadata hash is not the last block's"):
        restore(network, tmp_path, chain, [*network.blocks[:5], forged.raw], promised=5, strict=True)
