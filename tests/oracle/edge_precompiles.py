"""The precompiles of an Edge chain: py-evm's, with the gas of their flags, and Edge's own (§6.7.10, §6.8)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from eth import precompiles
from eth._utils.bn128 import validate_point
from eth.exceptions import VMError
from eth_utils.exceptions import ValidationError
from py_ecc import optimized_bn128 as bn128

if TYPE_CHECKING:
    from tests.oracle.edge_machine import EdgeComputation
    from tests.oracle.edge_rules import EdgeRules

NATIVE_TRANSFER = (0x2020).to_bytes(20, "big")
NATIVE_TOKEN = (0x1010).to_bytes(20, "big")


def _modexp(computation: EdgeComputation) -> EdgeComputation:
    """py-evm's, except that a base without length is 0, whose power 0 is 1 (EIP-198): there it is always 0."""
    precompiles.modexp(computation)
    data = computation.msg.data_as_bytes
    data += bytes(max(0, 96 - len(data)))
    base, exponent, modulus = (int.from_bytes(data[start : start + 32], "big") for start in (0, 32, 64))
    if base == 0 < modulus and not any(data[96 : 96 + exponent]):
        value = int.from_bytes(data[96 + exponent :][:modulus].ljust(modulus, b"\0"), "big")
        computation.output = int(value > 1).to_bytes(modulus, "big")
    return computation


def _pairing(base: int, each: int, computation: EdgeComputation) -> EdgeComputation:
    """py-evm's pairing without its look at the subgroup of the second point (§6.7.10)."""
    data = computation.msg.data_as_bytes
    if len(data) % 192:
        raise VMError("length")
    computation.consume_gas(base + each * (len(data) // 192), reason="pairing")
    product = bn128.FQ12.one()
    for start in range(0, len(data), 192):
        x1, y1, x2i, x2r, y2i, y2r = (
            int.from_bytes(data[start + 32 * index : start + 32 * index + 32], "big") for index in range(6)
        )
        try:
            first = validate_point(x1, y1)
        except ValidationError as error:
            raise VMError("first point") from error
        if max(x2i, x2r, y2i, y2r) >= bn128.field_modulus:
            raise VMError("second point")
        second = bn128.Z2
        if x2i or x2r or y2i or y2r:
            second = (bn128.FQ2([x2r, x2i]), bn128.FQ2([y2r, y2i]), bn128.FQ2.one())
            if not bn128.is_on_curve(second, bn128.b2):
                raise VMError("second point")
        product = product * bn128.pairing(second, first, final_exponentiate=False)
    is_one = bn128.final_exponentiate(product) == bn128.FQ12.one()
    computation.output = int(is_one).to_bytes(32, "big")
    return computation


def _native_transfer(computation: EdgeComputation) -> EdgeComputation:
    """Moves coins between any two accounts for 0x1010, in a static frame as well."""
    computation.consume_gas(21_000, reason="native transfer")
    data = computation.msg.data_as_bytes
    if len(data) < 96 or computation.msg.sender != NATIVE_TOKEN:
        raise VMError("refused")
    source, target, amount = data[12:32], data[44:64], int.from_bytes(data[64:96], "big")
    if not computation.state.subtract_balance(source, amount):
        raise VMError("balance")
    computation.state.add_balance(target, amount)
    computation.output = (1).to_bytes(32, "big")
    return computation


def _aggregate_check(_: EdgeComputation) -> EdgeComputation:
    """Input that is no ABI encoding fails; no other is ever made here, the core's own tests have the rest."""
    raise VMError("malformed")


def precompiled(rules: EdgeRules) -> dict[bytes, Any]:
    """The precompiles that exist under `rules`, by address."""
    istanbul = "istanbul" in rules
    table: dict[int, Any] = {
        1: precompiles.ecrecover,
        2: precompiles.sha256,
        3: precompiles.ripemd160,
        4: precompiles.identity,
    }
    if "byzantium" in rules:
        table |= {
            5: _modexp,
            6: precompiles.ecadd(gas_cost=150 if istanbul else 500),
            7: precompiles.ecmul(gas_cost=6_000 if istanbul else 40_000),
            8: partial(_pairing, *((45_000, 34_000) if istanbul else (100_000, 80_000))),
        }
    if istanbul:
        table[9] = precompiles.blake2b_fcompress
    if rules.generation != "G1":
        table |= {0x2020: _native_transfer, 0x2030: _aggregate_check}
    return {number.to_bytes(20, "big"): precompile for number, precompile in table.items()}
