"""What somebody without keys, or with one, can change in a real block so that it is still accepted.

Everything that the hash covers: nothing. What it does not cover is listed here, each with its use to an attacker in
docs/threat-model.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from eth_hash.auto import keccak
from eth_keys.datatypes import PrivateKey
from tests.conftest import recorded_folder
from tests.oracle.forgery import ForgedNetwork, Target
from tests.oracle.parts import (
    COMMITTED_SEALS,
    DIFFICULTY,
    MIX_HASH,
    NONCE,
    NUMBER,
    PARENT_SEALS,
    PROPOSER_SEAL,
    TIMESTAMP,
    VALIDATORS,
    Parts,
    other_form,
)
from tests.oracle.twin import EMPTY_UNCLES_HASH, address_of, encode, integer, seal

from polygon_edge.errors import BlockRuleError, Rule

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

COMMITTED = Rule.COMMITTED_SEALS
NETWORK = ForgedNetwork("v0.6.3/poa-ecdsa", recorded_folder("v0.6.3/poa-ecdsa"))
STRANGERS = [PrivateKey(bytes((index,)) * 32) for index in range(1, 6)]
FIRST_RULES = {
    "parentHash": Rule.PARENT_LINK,
    "sha3Uncles": Rule.CONSTANTS_AND_VOTE,
    "miner": Rule.PROPOSER_SEAL,
    "stateRoot": Rule.PROPOSER_SEAL,
    "txRoot": Rule.TRANSACTIONS_ROOT,
    "receiptsRoot": Rule.PROPOSER_SEAL,
    "logsBloom": Rule.PROPOSER_SEAL,
    "difficulty": Rule.CONSTANTS_AND_VOTE,
    "number": Rule.NUMBER,
    "gasLimit": Rule.PROPOSER_SEAL,
    "gasUsed": Rule.PROPOSER_SEAL,
    "timestamp": Rule.PROPOSER_SEAL,
}
"""The first twelve header fields, and the rule that a changed one breaks first.

Where no rule is about the field itself, the hash is another, so the proposer seal recovers to nobody.
"""


class Forgery(NamedTuple):
    name: str
    change: Callable[[Parts], object]
    rule: Rule | None = None


@pytest.fixture(scope="module", params=[25, 28], ids=["empty and voting", "with transactions"])
def target(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Target:
    return Target(NETWORK, request.param, tmp_path_factory.mktemp("forgery"))


def header_forgeries(real: Parts) -> list[Forgery]:
    """Every byte string changed in its first bit, its last bit, to zeros; every number up, down, to the largest."""
    forgeries = []
    for position, (field, rule) in enumerate(FIRST_RULES.items()):
        old = real.header[position]
        if DIFFICULTY <= position <= TIMESTAMP:
            value = int.from_bytes(old, "big")
            new = {integer(other) for other in (value + 1, max(value - 1, 0), (1 << 64) - 1)} - {old}
        else:
            new = {bytes((old[0] ^ 0x80,)) + old[1:], old[:-1] + bytes((old[-1] ^ 1,)), bytes(len(old))} - {old}

        for index, content in enumerate(sorted(new)):

            def change(parts: Parts, position: int = position, content: bytes = content) -> None:
                parts.header[position] = content

            forgeries.append(Forgery(f"{field} {index}", change, rule))
    return forgeries


ALSO = {
    # A value beyond its bounds is found before the seals are looked at.
    "gasLimit": {Rule.CONSTANTS_AND_VOTE},
    "gasUsed": {Rule.CONSTANTS_AND_VOTE},
    # Below the head it is a second block of a height that the chain has.
    "number": {Rule.PARENT_LINK},
}


def test_no_header_field_can_be_changed(target: Target) -> None:
    for forgery in header_forgeries(target.real):
        error, head = target.attempt(target.real.changed(forgery.change).raw)
        assert isinstance(error, BlockRuleError), forgery.name
        assert error.rule in {forgery.rule} | ALSO.get(forgery.name.split()[0], set()), forgery.name
        assert head == target.head, forgery.name


def _renumber(parts: Parts) -> None:
    following = integer(int.from_bytes(parts.header[NUMBER], "big") + 1)
    parts.header[NUMBER] = parts.header[DIFFICULTY] = following


def _add_uncle(parts: Parts) -> None:
    parts.uncles = [list(parts.header)]
    parts.header[1] = keccak(encode(parts.uncles))


def _edit(item: int, new: Callable[[Any], object]) -> Callable[[Parts], None]:
    """Change item `item` of the extra data's list to what `new` makes of it."""

    def change(parts: Parts) -> None:
        parts.extra[item] = new(parts.extra[item])

    return change


def _take(item: int, new: Callable[[list[Any]], object]) -> Callable[[Parts], None]:
    """Change item `item` of the extra data's list to what `new` takes out of the whole list."""

    def change(parts: Parts) -> None:
        parts.extra[item] = new(parts.extra)

    return change


def _field(position: int, new: Callable[[bytes], bytes]) -> Callable[[Parts], None]:
    """Change a header field to what `new` makes of it."""

    def change(parts: Parts) -> None:
        parts.header[position] = new(parts.header[position])

    return change


def _first(change: Callable[[bytes], bytes]) -> Callable[[list[bytes]], list[bytes]]:
    return lambda seals: [change(seals[0]), *seals[1:]]


def _flip(content: bytes) -> bytes:
    return bytes((content[0] ^ 1,)) + content[1:]


def _turn_parity(content: bytes) -> bytes:
    return content[:-1] + bytes((1 - content[-1],))


def _own_chain(parts: Parts) -> None:
    parts.extra[VALIDATORS] = [address_of(key) for key in STRANGERS[: len(parts.extra[VALIDATORS])]]
    parts.seal_as(STRANGERS[0], STRANGERS[: len(parts.extra[VALIDATORS])])


def _later(parts: Parts) -> None:
    parts.header[TIMESTAMP] = integer(int.from_bytes(parts.header[TIMESTAMP], "big") + 1)


REFUSED = [
    Forgery("mixHash", _field(MIX_HASH, _flip), Rule.CONSTANTS_AND_VOTE),
    Forgery("height and difficulty", _renumber, Rule.NUMBER),
    Forgery("an uncle, with its hash", _add_uncle, Rule.STRUCTURE),
    Forgery("a vote of no direction", _field(NONCE, lambda _: b"\xff" * 7 + b"\xfe"), Rule.CONSTANTS_AND_VOTE),
    Forgery("vanity", lambda parts: setattr(parts, "vanity", b"\x01" * 32), Rule.PROPOSER_SEAL),
    Forgery("no extra data", lambda parts: parts.extra.clear(), Rule.EXTRA_DATA),
    Forgery("another validator", _edit(VALIDATORS, _first(_flip)), Rule.VALIDATOR_LIST),
    Forgery("validators turned round", _edit(VALIDATORS, lambda old: old[::-1]), Rule.VALIDATOR_LIST),
    Forgery("a validator less", _edit(VALIDATORS, lambda old: old[:-1]), Rule.VALIDATOR_LIST),
    Forgery("nobody validates", _edit(VALIDATORS, lambda _: []), Rule.VALIDATOR_LIST),
    Forgery("a chain of strangers", _own_chain, Rule.VALIDATOR_LIST),
    Forgery("sealed by strangers", lambda parts: parts.seal_as(STRANGERS[0], STRANGERS), Rule.PROPOSER_SEAL),
    Forgery("committed by strangers", lambda parts: parts.seal_as(None, STRANGERS), Rule.COMMITTED_SEALS),
    Forgery("no proposer seal", _edit(PROPOSER_SEAL, lambda _: b""), Rule.PROPOSER_SEAL),
    Forgery("a proposer seal of zeros", _edit(PROPOSER_SEAL, lambda _: bytes(65)), Rule.PROPOSER_SEAL),
    Forgery("a proposer seal a byte short", _edit(PROPOSER_SEAL, lambda old: old[:-1]), Rule.PROPOSER_SEAL),
    Forgery("the proposer seal's other parity", _edit(PROPOSER_SEAL, _turn_parity), Rule.PROPOSER_SEAL),
    Forgery("a committed seal proposes", _take(PROPOSER_SEAL, lambda all_: all_[2][0]), Rule.PROPOSER_SEAL),
    Forgery("the proposer seal commits", _take(COMMITTED_SEALS, lambda all_: [all_[1], *all_[2][1:]]), COMMITTED),
    Forgery("the parent's committed seals", _take(COMMITTED_SEALS, lambda all_: all_[PARENT_SEALS]), COMMITTED),
    Forgery("no committed seals", _edit(COMMITTED_SEALS, lambda _: []), COMMITTED),
    Forgery("a committed seal less than the quorum", _edit(COMMITTED_SEALS, lambda old: old[1:]), COMMITTED),
    Forgery("a committed seal twice", _edit(COMMITTED_SEALS, lambda old: [*old, old[0]]), COMMITTED),
    Forgery("one in both forms", _edit(COMMITTED_SEALS, lambda old: [*old[1:], other_form(old[1])]), COMMITTED),
    Forgery("a surplus seal of nobody", _edit(COMMITTED_SEALS, lambda old: [*old, bytes(65)]), COMMITTED),
    Forgery("no parent seals", lambda parts: parts.extra.pop(PARENT_SEALS), Rule.PROPOSER_SEAL),
    Forgery("parent seals turned round", _edit(PARENT_SEALS, lambda old: old[::-1]), Rule.PROPOSER_SEAL),
    Forgery("a parent seal in its other form", _edit(PARENT_SEALS, _first(other_form)), Rule.PROPOSER_SEAL),
    Forgery("a damaged parent seal", _edit(PARENT_SEALS, _first(_flip)), Rule.PARENT_SEALS),
    Forgery("a parent seal less than the quorum", _edit(PARENT_SEALS, lambda old: old[:-1]), Rule.PARENT_SEALS),
]


def test_no_seal_and_no_validator_can_be_changed(target: Target) -> None:
    for forgery in REFUSED:
        error, head = target.attempt(target.real.changed(forgery.change).raw)
        assert isinstance(error, BlockRuleError), forgery.name
        assert error.rule is forgery.rule, (forgery.name, str(error))
        assert head == target.head, forgery.name


def test_no_transaction_can_be_changed(target: Target) -> None:
    real = target.real
    foreign = Parts.of(target.blocks[5]).transactions[0]
    changes: dict[str, Callable[[Parts], object]] = {"one more": lambda parts: parts.transactions.append(foreign)}
    if len(real.transactions) > 1:
        changes |= {
            "one less": lambda parts: parts.transactions.pop(),
            "turned round": lambda parts: parts.transactions.reverse(),
            "none": lambda parts: parts.transactions.clear(),
        }
        for item in range(9):
            changes[f"item {item}"] = (
                lambda parts, item=item: parts.transactions[0].__setitem__(  # type: ignore[misc]
                    item, b"\x01" + parts.transactions[0][item][1:]
                )
            )
    for name, change in changes.items():
        forged = real.changed(change)
        if forged.raw == real.raw:
            continue
        error, head = target.attempt(forged.raw)
        assert isinstance(error, BlockRuleError), name
        assert error.rule is Rule.TRANSACTIONS_ROOT, name
        assert head == target.head, name
        forged.repair_transactions_root()
        error, head = target.attempt(forged.raw)
        assert isinstance(error, BlockRuleError), name
        assert error.rule is Rule.PROPOSER_SEAL, name
        assert head == target.head, name


def _even_parity(parts: Parts) -> None:
    """Any last byte but 1 is the even parity (§2.5)."""
    seals = parts.extra[COMMITTED_SEALS]
    index = next(index for index, old in enumerate(seals) if old[64] == 0)
    seals[index] = seals[index][:64] + b"\x1b"


MALLEABLE = [
    Forgery("vote turned round", _field(NONCE, lambda old: bytes(0xFF - byte for byte in old))),
    Forgery("committed seals in another order", _edit(COMMITTED_SEALS, lambda old: old[::-1])),
    Forgery("a committed seal in its other form", _edit(COMMITTED_SEALS, _first(other_form))),
    Forgery("the proposer's seal in its other form", _edit(PROPOSER_SEAL, other_form)),
    Forgery("another byte for the even parity", _even_parity),
    Forgery("a surplus item in the header", lambda parts: parts.header.append(b"anything")),
    Forgery("a surplus item in the block", lambda parts: parts.surplus.append(b"anything")),
    Forgery("surplus items in the extra data", lambda parts: parts.extra.extend([b"round", [b"and more"]])),
    Forgery("bytes after the extra data's list", lambda parts: setattr(parts, "after_extra", b"anything")),
    Forgery("a height with a leading zero", _field(NUMBER, lambda old: b"\0" + old)),
    Forgery("a timestamp with leading zeros", _field(TIMESTAMP, lambda old: bytes(4) + old)),
    Forgery("a nonce without its zeros", _field(NONCE, lambda old: old.lstrip(b"\0"))),
]


def test_what_the_hash_does_not_cover_can_be_changed(target: Target) -> None:
    """The protocol's own weakness, kept because the Go client accepts it too; the block stays the same block."""
    for forgery in MALLEABLE:
        forged = target.real.changed(forgery.change)
        assert forged.hash == target.real.hash or forgery.name.startswith(("a height", "a timestamp")), forgery.name
        error, head = target.attempt(forged.raw)
        assert error is None, (forgery.name, str(error))
        assert head == (target.number, target.real.hash), forgery.name


def test_a_transaction_with_a_surplus_item_is_stored_under_another_hash(tmp_path: Path) -> None:
    """v0.6.3 hashes the bytes that it received, but the root is over what it understood (§2.5, §2.8)."""
    target = Target(NETWORK, 28, tmp_path)
    forged = target.real.changed(lambda parts: parts.transactions[0].append(b"anything"))
    assert target.attempt(forged.raw) == (None, (28, target.real.hash))
    first = target.receipts()[0]
    assert first[3] == keccak(encode(forged.transactions[0])) != keccak(encode(target.real.transactions[0]))
    assert target.attempt(target.real.raw) == (None, (28, target.real.hash))
    assert target.receipts()[0] == [*first[:3], keccak(encode(target.real.transactions[0]))]


def test_one_validator_cannot_change_a_block_but_can_claim_an_empty_one(target: Target) -> None:
    insider = NETWORK.insider
    assert insider is not None
    own = address_of(insider)
    assert own in target.real.extra[VALIDATORS]

    def rewritten(parts: Parts) -> None:
        _later(parts)
        seals = parts.extra[COMMITTED_SEALS]
        parts.seal_as(insider, [insider])
        parts.extra[COMMITTED_SEALS] += seals

    error, head = target.attempt(target.real.changed(rewritten).raw)
    assert isinstance(error, BlockRuleError)
    assert error.rule is Rule.COMMITTED_SEALS
    assert head == target.head

    def claimed(parts: Parts) -> None:
        parts.extra[PROPOSER_SEAL] = seal(insider, keccak(parts.hash))

    # The committed seals do not say who proposed: the fees would, if there were any.
    error, head = target.attempt(target.real.changed(claimed).raw)
    if target.real.transactions:
        assert isinstance(error, BlockRuleError)
        assert (error.rule, error.what) == (Rule.EXECUTION, "state root")
        assert head == target.head
    else:
        assert error is None
        assert head == (target.number, target.real.hash)


def test_a_vote_that_was_turned_round_shows_at_the_next_change_of_the_validators(tmp_path: Path) -> None:
    """Blocks 24, 25 and 26 vote a fifth validator in; block 27 is the first to list it."""
    target = Target(NETWORK, 26, tmp_path)
    assert target.attempt(*target.blocks[26:30])[0] is None
    forged = target.real.changed(MALLEABLE[0].change)
    assert forged.hash == target.real.hash
    error, head = target.attempt(forged.raw, *target.blocks[27:30])
    assert isinstance(error, BlockRuleError)
    assert (error.number, error.rule) == (27, Rule.VALIDATOR_LIST)
    assert head == (26, target.real.hash)
    # The block is there, so the right one is skipped, and the wrong vote stays: only a new directory helps.
    error, head = target.attempt(*target.blocks[24:30], first=24, afresh=False)
    assert isinstance(error, BlockRuleError)
    assert (error.number, error.rule) == (27, Rule.VALIDATOR_LIST)
    assert head == (26, target.real.hash)


def test_a_vote_that_a_validator_claimed_for_itself_is_lost(tmp_path: Path) -> None:
    """The insider voted in block 24 already, so as the proposer of block 25 it says nothing new."""
    target = Target(NETWORK, 25, tmp_path)
    insider = NETWORK.insider
    assert insider is not None
    forged = target.real.changed(_edit(PROPOSER_SEAL, lambda _: seal(insider, keccak(target.real.hash))))
    error, head = target.attempt(forged.raw, *target.blocks[26:30])
    assert isinstance(error, BlockRuleError)
    assert (error.number, error.rule) == (27, Rule.VALIDATOR_LIST)
    assert head is not None
    assert head[0] == 26


def test_the_uncles_hash_of_a_real_block_is_that_of_no_uncles(target: Target) -> None:
    assert target.real.header[1] == EMPTY_UNCLES_HASH
    assert target.real.raw == target.blocks[target.number]
