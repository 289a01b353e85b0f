"""The files `consensus/metadata` and `consensus/snapshots`: read in every form Go wrote, written in its last (§3.7)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from polygon_edge.chain.document import Value, fixed_bytes
from polygon_edge.chain.engine import read_validator
from polygon_edge.chain.validator import address_of, are_distinct, bls_public_key_of, type_of
from polygon_edge.consensus.validators import Ballot, Snapshot, SnapshotState
from polygon_edge.errors import ConsensusFileError
from polygon_edge.store.durable import write_durably

if TYPE_CHECKING:
    from pathlib import Path

    from polygon_edge.chain.validator import ValidatorSet, ValidatorType

METADATA_NAME = "metadata"
SNAPSHOTS_NAME = "snapshots"
_TYPES = ("", "ecdsa", "bls")

Keccak256: TypeAlias = Callable[[bytes], bytes]
"""Handed in, so that this layer needs neither the Rust core nor a hash library."""


def load_state(folder: Path) -> SnapshotState | None:
    """Read both files from the folder `consensus`; None when one is missing or no snapshot is in them.

    Raises ConsensusFileError for a file that cannot be read; the caller may rebuild (`engine.resume`).
    """
    try:
        metadata = (folder / METADATA_NAME).read_bytes()
        snapshots = (folder / SNAPSHOTS_NAME).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConsensusFileError(str(folder), f"cannot be read: {error.strerror}") from error
    last_block = decode_metadata(metadata, str(folder / METADATA_NAME))
    decoded = decode_snapshots(snapshots, str(folder / SNAPSHOTS_NAME))
    return SnapshotState(decoded, last_block) if decoded else None


def save_state(folder: Path, state: SnapshotState, keccak256: Keccak256) -> None:
    """Write both files as Go does on a clean shutdown; raises DiskFullError and OSError."""
    # Snapshots first: with old metadata beside them the blocks between are counted again; the other way round they
    # would be missed.
    write_durably(folder / SNAPSHOTS_NAME, encode_snapshots(state.snapshots, keccak256))
    write_durably(folder / METADATA_NAME, encode_metadata(state.last_block))


def encode_metadata(last_block: int) -> bytes:
    """Return the content of `consensus/metadata`."""
    return b'{"LastBlock":%d}' % last_block


def decode_metadata(content: bytes, file: str = METADATA_NAME) -> int:
    """Return the last block in a `consensus/metadata`; raises ConsensusFileError."""
    last_block = _parse(content, file).field("LastBlock")
    return last_block.unsigned() if last_block else 0


def encode_snapshots(snapshots: tuple[Snapshot, ...], keccak256: Keccak256) -> bytes:
    """Return the content of `consensus/snapshots`, byte for byte as Go writes it."""

    def validator(member: bytes) -> dict[str, Any]:
        address = {"Address": checksum_address(address_of(member), keccak256)}
        key = bls_public_key_of(member)
        return address if key is None else address | {"BLSPublicKey": "0x" + key.hex()}

    def ballot(cast: Ballot) -> dict[str, Any]:
        return {
            "Validator": checksum_address(cast.voter, keccak256),
            "Candidate": validator(cast.candidate),
            "Authorize": cast.authorize,
        }

    content = [
        {
            "Number": snapshot.number,
            "Hash": "0x" + snapshot.hash.hex(),
            "Votes": None if snapshot.ballots is None else list(map(ballot, snapshot.ballots)),
            "Type": type_of(snapshot.validators),
            "Set": list(map(validator, snapshot.validators)),
        }
        for snapshot in snapshots
    ]
    return json.dumps(content, separators=(",", ":")).encode()


def decode_snapshots(content: bytes, file: str = SNAPSHOTS_NAME) -> tuple[Snapshot, ...]:
    """Return the snapshots in a `consensus/snapshots`, ascending; raises ConsensusFileError.

    Old forms: no `Type`, a set of bare addresses, votes that name the candidate `Address`.
    """
    document = _parse(content, file)
    if document.is_null:
        return ()
    return tuple(sorted(map(_snapshot, document.items()), key=lambda snapshot: snapshot.number))


def _snapshot(value: Value) -> Snapshot:
    number = value.field("Number")
    block_hash = value.field("Hash")
    kind = value.field("Type")
    votes = value.field("Votes")
    kind_name = kind.text() if kind else ""
    if kind and kind_name not in _TYPES:
        raise kind.refuse("ecdsa or bls")
    validator_type: ValidatorType = "bls" if kind_name == "bls" else "ecdsa"
    return Snapshot(
        number=number.unsigned() if number else 0,
        hash=fixed_bytes(block_hash.text() if block_hash else "", 32),
        ballots=tuple(_ballot(vote, validator_type) for vote in votes.items()) if votes else (),
        validators=_validator_set(value, validator_type, is_old_form=not kind_name),
    )


def _validator_set(value: Value, validator_type: ValidatorType, *, is_old_form: bool) -> ValidatorSet:
    members = value.field("Set")
    if members is None:
        raise value.refuse("a set of validators", "none")
    validators = tuple(
        item.address() if is_old_form else read_validator(item, validator_type) for item in members.items()
    )
    if not validators or not are_distinct(validators):
        raise members.refuse("distinct validators, at least one", f"{len(validators)} validators")
    return validators


def _ballot(value: Value, validator_type: ValidatorType) -> Ballot:
    voter = value.field("Validator")
    candidate = value.field("Candidate")
    authorize = value.field("Authorize")
    if voter is None:
        raise value.refuse("key Validator", "nothing")
    return Ballot(
        voter=voter.address(),
        candidate=read_validator(candidate or value, validator_type),
        authorize=authorize.boolean() if authorize else False,
    )


def _parse(content: bytes, file: str) -> Value:
    def error(path: str, expected: str, found: str) -> ConsensusFileError:
        return ConsensusFileError(file, path or "the whole file", expected=expected, found=found)

    return Value.parse(content, error)


def checksum_address(address: bytes, keccak256: Keccak256) -> str:
    """Write an address with the mixed case of EIP-55."""
    digits = address.hex()
    digest = keccak256(digits.encode()).hex()
    return "0x" + "".join(
        digit.upper() if nibble >= "8" else digit for digit, nibble in zip(digits, digest, strict=False)
    )
