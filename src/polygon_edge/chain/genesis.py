"""The genesis file: what a chain starts from (§5), as frozen values.

Reads and checks the file; does not compute the genesis state or hash (Rust does), nor decide what this version supports
(`rules` does).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from polygon_edge.chain.access_lists import G2_KIND, KINDS, parse_access_lists
from polygon_edge.chain.document import Value, fixed_bytes
from polygon_edge.chain.engine import engine_value, parse_engine
from polygon_edge.chain.generation import Generation
from polygon_edge.errors import GenesisError

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from polygon_edge.chain.access_lists import AccessList
    from polygon_edge.chain.engine import Engine

DEFAULT_GAS_LIMIT = 4712388
DEFAULT_DIFFICULTY = 131072
G1_FORK_NAMES = ("homestead", "byzantium", "constantinople", "petersburg", "istanbul", "EIP150", "EIP158", "EIP155")
G2_FORK_NAMES = (*G1_FORK_NAMES, "london")
G3_FORK_NAMES = (*G1_FORK_NAMES, "london", "londonfix", "quorumcalcalignment", "txHashWithType")
_ZERO_HASH = bytes(32)
_ACCESS_LISTS = {Generation.G2: (G2_KIND,), Generation.G3: KINDS}


@dataclass(frozen=True, slots=True)
class GenesisAccount:
    """One account of the alloc.

    `balance` in wei, None when its key is absent (then none is set); `storage` slot and value, 32 bytes each.
    """

    address: bytes
    balance: int | None
    nonce: int
    code: bytes
    storage: Mapping[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Params:
    """Chain parameters. `forks` maps a fork's name to its first block; a fork that is absent never starts.

    `burn_contracts` are (first block, 20-byte address), ascending. The whitelist is the pool's, the access lists are
    the chain's.
    """

    chain_id: int
    forks: Mapping[str, int]
    engine: Engine
    block_gas_target: int
    deployment_whitelist: tuple[bytes, ...]
    burn_contracts: tuple[tuple[int, bytes], ...] = ()
    access_lists: tuple[AccessList, ...] = ()


@dataclass(frozen=True, slots=True)
class Genesis:
    """A genesis file.

    Header fields as they enter the header (defaults applied, §5.3): nonce 8 bytes, coinbase 20, hashes 32. The base fee
    and its two parameters are those of G3, else 0.
    """

    name: str
    file: str
    generation: Generation
    nonce: bytes
    timestamp: int
    extra_data: bytes
    gas_limit: int
    difficulty: int
    mix_hash: bytes
    coinbase: bytes
    number: int
    gas_used: int
    parent_hash: bytes
    base_fee: int
    base_fee_elasticity: int
    base_fee_change_denominator: int
    alloc: tuple[GenesisAccount, ...]
    params: Params


def load_genesis(file: str | os.PathLike[str], generation: Generation | None = None) -> Genesis:
    """Read the genesis file at `file`, as one of `generation` where that is given.

    Raises GenesisError (also when it cannot be opened), naming file and JSON path.
    """
    try:
        text = Path(file).read_bytes()
    except OSError as error:
        raise GenesisError(str(file), "", "a genesis file", error.strerror or str(error)) from error
    return parse_genesis(text, str(file), generation)


def parse_genesis(text: bytes, file: str = "genesis.json", generation: Generation | None = None) -> Genesis:
    """Parse the content of a genesis file; `file` is only for messages.

    Without `generation` the file's shape tells it: forks as objects or a block time mean G3, else it is G1. Raises
    GenesisError, also for a generation that the shape rules out.
    """
    document = Value.parse(text, lambda path, expected, found: GenesisError(file, path, expected, found))
    params_value = _required(document, "params")
    header = _required(document, "genesis")
    generation = _generation(params_value, generation)
    if header.field("gasLimit") is None:
        raise GenesisError(file, f"{header.path}.gasLimit", "a quantity", "nothing")
    extra_data = header.field("extraData")
    coinbase = header.field("coinbase")
    name = document.field("name")
    return Genesis(
        name=name.text() if name else "",
        file=file,
        generation=generation,
        nonce=_quantity(header, "nonce").to_bytes(8, "big"),
        timestamp=_quantity(header, "timestamp"),
        extra_data=extra_data.hex_bytes() if extra_data else b"",
        gas_limit=_quantity(header, "gasLimit") or DEFAULT_GAS_LIMIT,
        difficulty=_quantity(header, "difficulty") or DEFAULT_DIFFICULTY,
        mix_hash=_hash(header, "mixHash"),
        coinbase=coinbase.address() if coinbase else bytes(20),
        number=_quantity(header, "number"),
        gas_used=_quantity(header, "gasUsed"),
        parent_hash=_hash(header, "parentHash"),
        base_fee=_quantity(header, "baseFee") if generation is Generation.G3 else 0,
        base_fee_elasticity=_quantity(header, "baseFeeEM") if generation is Generation.G3 else 0,
        base_fee_change_denominator=_quantity(header, "baseFeeChangeDenom") if generation is Generation.G3 else 0,
        alloc=_alloc(header.field("alloc")),
        params=_params(params_value, generation),
    )


def _required(value: Value, name: str) -> Value:
    found = value.field(name)
    if found is None:
        raise value.refuse(f"key {name}", "nothing")
    return found


def _quantity(value: Value, name: str) -> int:
    found = value.field(name)
    return 0 if found is None else found.quantity()


def _hash(value: Value, name: str) -> bytes:
    found = value.field(name)
    return _ZERO_HASH if found is None else found.hash()


def _alloc(value: Value | None) -> tuple[GenesisAccount, ...]:
    accounts: dict[bytes, GenesisAccount] = {}
    for key, entry in value.entries().items() if value else ():
        address = fixed_bytes(key, 20)
        if address in accounts:
            # Go walks its map in random order here: the chain it would start is not determined.
            raise entry.refuse("one account for each address", f"0x{address.hex()} a second time, spelled differently")
        balance = entry.field("balance")
        code = entry.field("code")
        storage = entry.field("storage")
        accounts[address] = GenesisAccount(
            address=address,
            balance=None if balance is None else balance.quantity(256),
            nonce=_quantity(entry, "nonce"),
            code=code.hex_bytes() if code else b"",
            storage={fixed_bytes(slot, 32): word.hash() for slot, word in storage.entries().items()} if storage else {},
        )
    return tuple(accounts.values())


def _generation(params: Value, asked: Generation | None) -> Generation:
    forks = _required(params, "forks")
    engine = engine_value(params)
    decisive: Value | None = next((fork for fork in forks.entries().values() if fork.is_object), None)
    if decisive is None and engine.is_object:
        decisive = engine.entry("blockTime")
    if decisive is None:
        if asked is Generation.G3:
            raise forks.refuse("forks as objects, or a block time: --generation G3 was given", "neither")
        return asked or Generation.G1
    if asked is not None and asked is not Generation.G3:
        raise decisive.refuse(f"no such value before G3: --generation {asked.value} was given")
    return Generation.G3


def _params(value: Value, generation: Generation) -> Params:
    chain_id = value.field("chainID")
    target = value.field("blockGasTarget")
    whitelists = value.field("whitelists")
    deployment = whitelists.field("deployment") if whitelists else None
    return Params(
        # A Go int: 63 bits and a sign; a negative chain has no meaning.
        chain_id=chain_id.unsigned(63) if chain_id else 0,
        forks=_forks(_required(value, "forks"), generation),
        engine=parse_engine(engine_value(value)),
        block_gas_target=target.unsigned() if target else 0,
        deployment_whitelist=tuple(address.address() for address in deployment.items()) if deployment else (),
        burn_contracts=_burn_contracts(value.field("burnContract")) if generation is Generation.G3 else (),
        access_lists=() if generation is Generation.G1 else parse_access_lists(value, _ACCESS_LISTS[generation]),
    )


def _forks(value: Value, generation: Generation) -> Mapping[str, int]:
    forks: dict[str, int] = {}
    if generation is Generation.G3:
        for name, entry in value.entries().items():
            if name not in G3_FORK_NAMES:
                raise entry.refuse(f"a fork among {', '.join(G3_FORK_NAMES)}", name)
            if entry.is_null:
                continue
            block = entry.field("block") if entry.is_object else entry
            forks[name] = block.unsigned() if block else 0
        return forks
    names = G1_FORK_NAMES if generation is Generation.G1 else G2_FORK_NAMES
    for name in names:
        block = value.field(name)
        if block is not None:
            forks[name] = block.unsigned()
    known = {name.lower() for name in names}
    for name, entry in value.entries().items():
        # The Go client ignores such a key, and the chain runs without the rules its author asked for.
        if name.lower() not in known:
            raise entry.refuse(f"a fork among {', '.join(names)}", name)
    return forks


def _burn_contracts(value: Value | None) -> tuple[tuple[int, bytes], ...]:
    found: dict[int, bytes] = {}
    for key, address in value.entries().items() if value else ():
        if not (key.isascii() and key.isdigit()) or int(key) >= 1 << 64:
            raise address.refuse("the number of a block as key", key)
        if int(key) in found:
            raise address.refuse("one contract for each block", f"block {int(key)} a second time, spelled differently")
        found[int(key)] = address.address()
    return tuple(sorted(found.items()))
