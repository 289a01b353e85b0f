"""A validator as bytes: an address, or on a chain of BLS seals an address with the public key behind it.

In this form validators stand in sets and cross the border to the core: 20 bytes for ECDSA, 68 for BLS. Who validates
when is `consensus`'s.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from polygon_edge.chain.address import ADDRESS_SIZE

BLS_PUBLIC_KEY_SIZE = 48
BLS_VALIDATOR_SIZE = ADDRESS_SIZE + BLS_PUBLIC_KEY_SIZE

ValidatorType: TypeAlias = Literal["ecdsa", "bls"]
ValidatorSet: TypeAlias = tuple[bytes, ...]
"""Validators of one type, in the order that headers list them and proposers rotate."""


def address_of(validator: bytes) -> bytes:
    """Return the 20-byte address of a validator."""
    return validator[:ADDRESS_SIZE]


def bls_public_key_of(validator: bytes) -> bytes | None:
    """Return the BLS public key of a validator, none for ECDSA."""
    return validator[ADDRESS_SIZE:] or None


def type_of(validators: ValidatorSet) -> ValidatorType:
    """Return the type of a set: `bls` when its members carry keys; an empty set counts as `ecdsa`."""
    return "bls" if any(len(validator) > ADDRESS_SIZE for validator in validators) else "ecdsa"


def are_distinct(validators: ValidatorSet) -> bool:
    """Whether no two validators have one address."""
    return len(set(map(address_of, validators))) == len(validators)
