"""Validators as flags name them: one by one, or by the data directories that hold their keys (§1.3)."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from polygon_edge.chain.address import parse_address
from polygon_edge.chain.genesis_file import BLS_PUBLIC_KEY_SIZE, Validator
from polygon_edge.errors import KeyMissingError
from polygon_edge.keys.local import LocalKeys

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_VALIDATORS = 2**53 - 2
_BLS_PUBLIC_KEY = re.compile(r"(?:0x)?([0-9a-fA-F]*)")


def named_validators(prefix: str, texts: Sequence[str], *, is_bls: bool) -> list[Validator]:
    """Return the validators of the directories whose names start with `prefix`, or without it those that `texts` name.

    Raises click.UsageError for none that can be read, and for one that is named twice.
    """
    found = _validators_by_prefix(prefix, is_bls) if prefix else [_validator(text, is_bls) for text in texts]
    _check_distinct(found)
    return found


def check_validator_counts(least: int, most: int) -> None:
    """Raise click.UsageError for bounds that no staking contract can have."""
    if least < 1:
        raise click.UsageError("minimum number of validators must be greater than 0")
    if least > most:
        raise click.UsageError("minimum number of validators can not be greater than the maximum number of validators")
    if most > MOST_VALIDATORS:
        raise click.UsageError("maximum number of validators must be lower or equal than MaxSafeJSInt (2^53 - 2)")


def _validator(text: str, is_bls: bool) -> Validator:
    address, colon, key = text.partition(":")
    if bool(colon) != is_bls or ":" in key:
        shape = "[Validator Address]:[BLS Public Key]" if is_bls else "[Validator Address]"
        raise click.UsageError(f"invalid validator format, expected {shape}, found {text!r}")
    if not is_bls:
        return Validator(_address(address))
    digits = _BLS_PUBLIC_KEY.fullmatch(key)
    if digits is None or len(digits[1]) != 2 * BLS_PUBLIC_KEY_SIZE:
        raise click.UsageError(
            f"failed to parse BLS Public Key: expected {BLS_PUBLIC_KEY_SIZE} bytes in hex, found {key!r}"
        )
    return Validator(_address(address), bytes.fromhex(digits[1]))


def _validators_by_prefix(prefix: str, is_bls: bool) -> list[Validator]:
    """Read the validators' keys from the data directories in the working directory, in the order of their names."""
    problem = "failed to read from prefix"
    if "/" in prefix:
        # The Go client finds nothing then, and writes a chain without validators.
        raise click.UsageError(f"{problem}: {prefix}: expected the start of names in this directory, found a path")
    with os.scandir(b".") as entries:
        names = sorted(
            entry.name
            for entry in entries
            if entry.name.startswith(os.fsencode(prefix)) and entry.is_dir(follow_symlinks=False)
        )
    if not names:
        raise click.UsageError(f"{problem}: no directory here has a name that starts with {prefix}")
    found = []
    for name in names:
        keys = LocalKeys(Path(os.fsdecode(name)))
        try:
            address = keys.validator_key(create=False).address
        except KeyMissingError as error:
            raise click.UsageError(f"{problem}: ECDSA key not found in given path: {error.path}") from error
        try:
            bls_public_key = keys.bls_key(create=False).public_key if is_bls else None
        except KeyMissingError as error:
            raise click.UsageError(f"{problem}: BLS key not found in given path: {error.path}") from error
        found.append(Validator(address, bls_public_key))
    return found


def _check_distinct(validators: list[Validator]) -> None:
    for values in (
        [validator.address for validator in validators],
        [validator.bls_public_key for validator in validators if validator.bls_public_key is not None],
    ):
        for index, value in enumerate(values):
            if value in values[:index]:
                raise click.UsageError(f"validator already exists in validators: 0x{value.hex()}")


def _address(text: str) -> bytes:
    try:
        return parse_address(text)
    except ValueError as error:
        raise click.UsageError(f"--ibft-validator: {error}") from error
