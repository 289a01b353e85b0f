"""Inputs for precompiles that are right, nearly right, or of the kind that only Edge accepts (§6.7.10, §6.8)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eth_hash.auto import keccak
from eth_keys.datatypes import PrivateKey
from py_ecc import optimized_bn128 as bn128

if TYPE_CHECKING:
    import random
    from collections.abc import Callable


def words(*values: int) -> bytes:
    return b"".join(value.to_bytes(32, "big") for value in values)


def _signed() -> bytes:
    digest = keccak(b"recovered")
    signature = PrivateKey(b"\x44" * 32).sign_msg_hash(digest)
    return digest + words(27 + signature.v, signature.r, signature.s)


def _point(factor: int) -> bytes:
    x, y = bn128.normalize(bn128.multiply(bn128.G1, factor))
    return words(int(x), int(y))


def _second_group() -> bytes:
    x, y = bn128.normalize(bn128.G2)
    return words(x.coeffs[1], x.coeffs[0], y.coeffs[1], y.coeffs[0])


SIGNED = _signed()
POINTS = (words(0, 0), *map(_point, (1, 2, 3, 77)), _point(bn128.curve_order - 1))
SECOND_GROUP = _second_group()
NOT_ON_THE_CURVE = words(1, 3)
# x = 1 on the twisted curve, and its y: a point that is not of the second group (§6.7.10).
OUTSIDE_THE_SECOND_GROUP = words(
    *(0, 1),
    5912654199736721486680175016176231956195085055698687135131307249486702594212,
    18278151005453108793778860132295291098363647455926340152056652516292830556603,
)


def _modexp(chance: random.Random) -> bytes:
    lengths = [chance.choice((0, 1, 2, 31, 32, 33, 40)) for _ in range(3)]
    numbers = b"".join(
        chance.choice((bytes(size), chance.randbytes(size), (b"\0" * size + b"\x03")[-size:] if size else b""))
        for size in lengths
    )
    if chance.random() < 0.05:
        lengths[chance.randrange(3)] = chance.choice((1 << 32, 1 << 64, (1 << 64) + 1, 1 << 255))
    return words(*lengths) + numbers


def _pairs(chance: random.Random) -> bytes:
    # A pairing takes the twin half a second, points that are zero or wrong nothing.
    dice = chance.random()
    if dice < 0.01:
        return POINTS[1] + SECOND_GROUP + POINTS[-1] + SECOND_GROUP
    if dice < 0.3:
        return b""
    if dice < 0.5:
        return words(0, 0) + words(0, 0, 0, 0)
    if dice < 0.8:
        return words(0, 0) + OUTSIDE_THE_SECOND_GROUP
    return NOT_ON_THE_CURVE + SECOND_GROUP


def _compression(chance: random.Random) -> bytes:
    rounds = chance.choice((0, 1, 12)).to_bytes(4, "big")
    return rounds + chance.randbytes(64 + 128 + 16) + bytes((chance.choice((0, 1, 2)),))


def _sum(chance: random.Random) -> bytes:
    return chance.choice(POINTS) + chance.choice((*POINTS, NOT_ON_THE_CURVE))


def _product(chance: random.Random) -> bytes:
    return chance.choice((*POINTS, NOT_ON_THE_CURVE)) + words(chance.choice((0, 1, 2, 9, chance.getrandbits(256))))


_INPUTS: dict[int, Callable[[random.Random], bytes]] = {
    1: lambda _: SIGNED,
    5: _modexp,
    6: _sum,
    7: _product,
    8: _pairs,
    9: _compression,
}


def precompile_input(number: int, chance: random.Random) -> bytes:
    """An input for precompile `number`."""
    if number in _INPUTS:
        return _INPUTS[number](chance)
    return chance.randbytes(chance.choice((0, 1, 31, 32, 33, 55, 56, 64, 100)))
