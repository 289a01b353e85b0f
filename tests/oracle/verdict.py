"""Judges a block that was accepted in the place of a real one: which of the protocol's own weaknesses explains it.

The weaknesses are the rows of the table in docs/threat-model.md; what none of them explains is an error of ours.
Nothing here asks the program how it reads a block: the stored bytes are decoded once more, with other code.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

import rlp
from eth_keys.datatypes import Signature
from eth_keys.exceptions import BadSignature
from tests.oracle.parts import (
    AGGREGATE,
    BASE_FEE,
    BITMAP,
    COMMITTED_SEALS,
    EXTRA_DATA,
    MINER,
    MIX_HASH,
    NONCE,
    PARENT_SEALS,
    PROPOSER_SEAL,
    ROUND,
    VALIDATORS,
    Form,
    Parts,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.oracle.forgery import ForgedNetwork


class Weakness(Enum):
    """What the protocol lets others change in a block that keeps its hash; the rows of the threat model."""

    VOTE = "the direction of a vote"
    NONCE = "a nonce that is no vote"
    BASE_FEE = "the base fee of a block that does not feel it"
    PROPOSER = "the proposer of a block without fees"
    COMMITTERS = "which validators committed, and in which order"
    FORM = "the form of a seal"
    BITS = "bits of a bitmap beyond the validator list"
    SURPLUS = "surplus items and bytes"
    ENCODING = "an encoding that is not kept"
    TRANSACTION_HASH = "the encoding of a transaction"
    CHAIN_ID = "the chain id of a dynamic-fee transaction that is hashed without its type"


class UnexplainedError(AssertionError):
    """A block was accepted with a change that no weakness explains."""


@dataclass(frozen=True)
class Outcome:
    """What a chain holds after a block: the things that no forgery may change, and the bytes that it may."""

    block_hash: bytes
    state_root: bytes
    receipts: tuple[Any, ...]
    """Without the transaction hashes, see `transaction_hashes`."""
    transaction_hashes: tuple[bytes, ...]
    validators: tuple[bytes, ...]
    """Of the next block."""
    stored: bytes
    """The block as an archive of this chain would carry it."""


def lenient(encoded: bytes) -> Any:
    """Decode RLP as the Go client does: lengths need not be minimal, bytes after the item are ignored (§2.1)."""
    return _item(encoded)[0]


def _item(encoded: bytes) -> tuple[Any, bytes]:
    first = encoded[0]
    if first < 0x80:
        return encoded[:1], encoded[1:]
    is_list = first >= 0xC0
    short = first - (0xC0 if is_list else 0x80)
    header = 1
    if short > 55:
        header = 1 + short - 55
        short = int.from_bytes(encoded[1:header], "big")
    payload, rest = encoded[header : header + short], encoded[header + short :]
    if len(payload) < short:
        raise ValueError("an item ends early")
    if not is_list:
        return payload, rest
    items = []
    while payload:
        item, payload = _item(payload)
        items.append(item)
    return items, rest


def explain(network: ForgedNetwork, number: int, real: Outcome, found: Outcome, raw: bytes) -> set[Weakness]:
    """Return why the forged block `raw` could be accepted as block `number`; raises UnexplainedError."""
    weaknesses: set[Weakness] = set()
    for what in ("block_hash", "state_root", "receipts"):
        _same(what, getattr(real, what), getattr(found, what))
    form = network.form(number)
    if real.transaction_hashes != found.transaction_hashes:
        if form.generation != "G1":
            raise UnexplainedError("transaction hashes")
        weaknesses.add(Weakness.TRANSACTION_HASH)
    if raw != found.stored:
        weaknesses.add(Weakness.ENCODING)
    weaknesses |= _stored_differences(network, number, form, real.stored, found.stored)
    if real.validators != found.validators and not weaknesses & {Weakness.VOTE, Weakness.PROPOSER}:
        raise UnexplainedError("validators of the next block")
    if not weaknesses:
        raise UnexplainedError("nothing differs, and yet the bytes do")
    return weaknesses


def _same(what: str, expected: object, found: object) -> None:
    if expected != found:
        raise UnexplainedError(f"{what}: expected {expected!r}, found {found!r}")


def _stored_differences(
    network: ForgedNetwork, number: int, form: Form, real_stored: bytes, found_stored: bytes
) -> set[Weakness]:
    weaknesses: set[Weakness] = set()
    (real, real_body, real_uncles), (found, body, uncles) = rlp.decode(real_stored), rlp.decode(found_stored)
    _same("uncles", real_uncles, uncles)
    _same("header items", len(real), len(found))
    is_voting = not network.is_staked(number) and real[MINER] != bytes(20)
    for position, (expected, content) in enumerate(zip(real, found, strict=True)):
        if position in {EXTRA_DATA, NONCE, BASE_FEE} and form.is_sealed:
            continue
        _same(f"header item {position}", expected, content)
    if form.is_sealed:
        _same("mixHash", real[MIX_HASH], found[MIX_HASH])
        if real[NONCE] != found[NONCE]:
            if not network.is_staked(number) and found[NONCE] not in (bytes(8), b"\xff" * 8):
                raise UnexplainedError("nonce")
            weaknesses.add(Weakness.VOTE if is_voting else Weakness.NONCE)
        if len(real) > BASE_FEE and real[BASE_FEE] != found[BASE_FEE]:
            weaknesses.add(Weakness.BASE_FEE)
        weaknesses |= _extra_differences(network, number, form, real[EXTRA_DATA], found[EXTRA_DATA])
    if real_body != body:
        weaknesses |= _body_differences(form, real_body, body)
    return weaknesses


def _body_differences(form: Form, real: Sequence[Any], found: Sequence[Any]) -> set[Weakness]:
    _same("transactions", len(real), len(found))
    for position, (expected, payload) in enumerate(zip(real, found, strict=True)):
        if expected == payload:
            continue
        is_dynamic = position > 0 and real[position - 1] == b"\x02"
        if not is_dynamic or form.is_hashed_with_type or list(expected[1:]) != list(payload[1:]):
            raise UnexplainedError(f"transaction item {position}")
    return {Weakness.CHAIN_ID}


def _extra_differences(
    network: ForgedNetwork, number: int, form: Form, real_extra: bytes, found_extra: bytes
) -> set[Weakness]:
    if real_extra == found_extra:
        return set()
    _same("vanity", real_extra[:32], found_extra[:32])
    real, found = lenient(real_extra[32:]), lenient(found_extra[32:])
    weaknesses: set[Weakness] = set()
    if rlp.encode(found) != found_extra[32:]:
        # Bytes after the list, or lengths that are longer than they need be.
        weaknesses.add(Weakness.SURPLUS)
    known = PARENT_SEALS + 1 if form.generation == "G1" else ROUND + 1
    if len(found) > known or len(found) != len(real):
        weaknesses.add(Weakness.SURPLUS)
    members = [entry if isinstance(entry, bytes) else entry[0] for entry in real[VALIDATORS]]
    weaknesses |= _validator_differences(form, real[VALIDATORS], found[VALIDATORS])
    sealed = network.parts(number)
    if real[PROPOSER_SEAL] != found[PROPOSER_SEAL]:
        signers = [_signer(seal, sealed.proposer_digest) for seal in (real[PROPOSER_SEAL], found[PROPOSER_SEAL])]
        if signers[1] not in members:
            raise UnexplainedError("proposer seal")
        weaknesses.add(Weakness.FORM if signers[0] == signers[1] else Weakness.PROPOSER)
    if form.generation != "G1" and _round(real) != _round(found):
        # The committed seals sign the round, and nobody here has a quorum of keys.
        raise UnexplainedError("round")
    if real[COMMITTED_SEALS] != found[COMMITTED_SEALS]:
        weaknesses |= _committed_differences(form, sealed, members, real[COMMITTED_SEALS], found[COMMITTED_SEALS])
    return weaknesses | _parent_differences(form, number, real, found)


def _validator_differences(form: Form, real: Sequence[Any], found: Sequence[Any]) -> set[Weakness]:
    if list(real) == list(found):
        return set()
    # Items after the key are not read, so they are not hashed either.
    if form.kind != "bls" or [entry[:2] for entry in found] != list(real):
        raise UnexplainedError("validators")
    return {Weakness.SURPLUS}


def _round(extra: Sequence[Any]) -> int | None:
    item = extra[ROUND] if len(extra) > ROUND else b""
    return int.from_bytes(item, "big") if item else None


def _committed_differences(
    form: Form, sealed: Parts, members: Sequence[bytes], real: Sequence[Any], found: Sequence[Any]
) -> set[Weakness]:
    if form.kind == "bls":
        return _aggregate_differences(len(members), real, found)
    weaknesses: set[Weakness] = set()
    signers = [[_signer(seal, sealed.committed_digest) for seal in seals] for seals in (real, found)]
    if any(signer not in members for signer in signers[1]) or len(set(signers[1])) != len(found):
        raise UnexplainedError("committed seals")
    if signers[0] != signers[1]:
        weaknesses.add(Weakness.COMMITTERS)
    if any(seal not in real and signer in signers[0] for seal, signer in zip(found, signers[1], strict=True)):
        weaknesses.add(Weakness.FORM)
    return weaknesses


def _aggregate_differences(size: int, real: Sequence[Any], found: Sequence[Any]) -> set[Weakness]:
    weaknesses: set[Weakness] = set()
    if len(found) > len(real):
        weaknesses.add(Weakness.SURPLUS)
    real_bits, bits = (int.from_bytes(seals[BITMAP], "big") for seals in (real, found))
    members = (1 << size) - 1
    if real_bits & members != bits & members:
        weaknesses.add(Weakness.COMMITTERS)
    elif real[AGGREGATE] != found[AGGREGATE]:
        raise UnexplainedError("another aggregate of the same validators")
    if bits & ~members:
        weaknesses.add(Weakness.BITS)
    if found[BITMAP][:1] == b"\0":
        weaknesses.add(Weakness.SURPLUS)
    return weaknesses


def _parent_differences(form: Form, number: int, real: Sequence[Any], found: Sequence[Any]) -> set[Weakness]:
    expected, seals = (extra[PARENT_SEALS] if len(extra) > PARENT_SEALS else [] for extra in (real, found))
    if list(expected) == list(seals):
        return set()
    # Below block 2 they are not read; of an aggregate's, leading zeros and surplus items are not hashed.
    if number > 1:
        if form.parent_kind != "bls":
            raise UnexplainedError("parent seals")
        if (seals[BITMAP].lstrip(b"\0"), seals[AGGREGATE]) != (expected[BITMAP], expected[AGGREGATE]):
            raise UnexplainedError("parent seals")
    return {Weakness.SURPLUS}


def _signer(seal: bytes, digest: bytes) -> bytes | None:
    """Whose signature it is (§3.5); any last byte but 1 is the even parity (§2.5)."""
    if len(seal) != 65:
        return None
    try:
        signature = Signature(seal[:64] + bytes((seal[64] == 1,)))
        address: bytes = signature.recover_public_key_from_msg_hash(digest).to_canonical_address()
    except BadSignature:
        return None
    return address
