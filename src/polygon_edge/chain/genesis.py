"""The genesis file: what a chain starts from (§5), as frozen values.

Reads and checks the file; does not compute the genesis state or hash (Rust does), nor decide what this version supports
(`rules` does).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from polygon_edge.chain.document import Value, fixed_bytes
from polygon_edge.errors import GenesisError

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

DEFAULT_GAS_LIMIT = 4712388
DEFAULT_DIFFICULTY = 131072
DEFAULT_EPOCH_SIZE = 100_000
G1_FORK_NAMES = ("homestead", "byzantium", "constantinople", "petersburg", "istanbul", "EIP150", "EIP158", "EIP155")
G3_FORK_NAMES = (*G1_FORK_NAMES, "london", "londonfix", "quorumcalcalignment", "txHashWithType")
_ZERO_HASH = bytes(32)


class Generation(Enum):
    """The two readings of blocks and genesis files (§0) that a genesis file can ask for."""

    G1 = "G1"
    G3 = "G3"


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
class Engine:
    """The one consensus engine. The IBFT values are None or defaults for other engines.

    `kind` is `PoA` or `PoS`; `has_fork_list` says that `types` rules instead of `kind` (§5.4).
    """

    name: str
    kind: str | None
    validator_type: str
    has_fork_list: bool
    epoch_size: int
    quorum_size_block: int
    has_block_time: bool


@dataclass(frozen=True, slots=True)
class Params:
    """Chain parameters. `forks` maps a fork's name to its first block; a fork that is absent never starts."""

    chain_id: int
    forks: Mapping[str, int]
    engine: Engine
    block_gas_target: int
    deployment_whitelist: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Genesis:
    """A genesis file.

    Header fields as they enter the header (defaults applied, §5.3): nonce 8 bytes, coinbase 20, hashes 32.
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
    alloc: tuple[GenesisAccount, ...]
    params: Params


def load_genesis(file: str | os.PathLike[str]) -> Genesis:
    """Read the genesis file at `file`.

    Raises GenesisError (also when it cannot be opened), naming file and JSON path.
    """
    try:
        text = Path(file).read_bytes()
    except OSError as error:
        raise GenesisError(str(file), "", "a genesis file", error.strerror or str(error)) from error
    return parse_genesis(text, str(file))


def parse_genesis(text: bytes, file: str = "genesis.json") -> Genesis:
    """Parse the content of a genesis file; `file` is only for messages; raises GenesisError."""
    document = Value.parse(text, lambda path, expected, found: GenesisError(file, path, expected, found))
    params_value = _required(document, "params")
    header = _required(document, "genesis")
    generation = _generation(params_value)
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


def _engine_entry(params: Value) -> Value:
    engine = _required(params, "engine")
    entries = engine.entries()
    if len(entries) != 1:
        raise engine.refuse("exactly one consensus engine", ", ".join(entries) or "none")
    return next(iter(entries.values()))


def _generation(params: Value) -> Generation:
    forks = _required(params, "forks")
    if any(fork.is_object for fork in forks.entries().values()):
        return Generation.G3
    engine = _engine_entry(params)
    if engine.is_object and engine.entry("blockTime") is not None:
        return Generation.G3
    return Generation.G1


def _params(value: Value, generation: Generation) -> Params:
    chain_id = value.field("chainID")
    target = value.field("blockGasTarget")
    whitelists = value.field("whitelists")
    deployment = whitelists.field("deployment") if whitelists else None
    return Params(
        # A Go int: 63 bits and a sign; a negative chain has no meaning.
        chain_id=chain_id.unsigned(63) if chain_id else 0,
        forks=_forks(_required(value, "forks"), generation),
        engine=_engine(_engine_entry(value)),
        block_gas_target=target.unsigned() if target else 0,
        deployment_whitelist=tuple(address.address() for address in deployment.items()) if deployment else (),
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
    for name in G1_FORK_NAMES:
        block = value.field(name)
        if block is not None:
            forks[name] = block.unsigned()
    known = {name.lower() for name in G1_FORK_NAMES}
    for name, entry in value.entries().items():
        # Go's v0.6.x ignores such a key, and the chain runs without the rules its author asked for.
        if name.lower() not in known:
            raise entry.refuse(f"a fork among {', '.join(G1_FORK_NAMES)}", name)
    return forks


def _engine(value: Value) -> Engine:
    name = value.path.rsplit(".", 1)[-1]
    # Go takes anything but an object for an empty configuration.
    entries = value.entries() if value.is_object else {}
    kind = entries.get("type")
    validator_type = entries.get("validator_type")
    epoch_size = entries.get("epochSize")
    quorum_size_block = entries.get("quorumSizeBlockNum")
    engine = Engine(
        name=name,
        kind=kind.text() if kind and not kind.is_null else None,
        validator_type=validator_type.text() if validator_type and not validator_type.is_null else "ecdsa",
        has_fork_list="types" in entries and (kind is None or kind.is_null),
        epoch_size=epoch_size.truncated_number() if epoch_size else DEFAULT_EPOCH_SIZE,
        quorum_size_block=quorum_size_block.truncated_number() if quorum_size_block else 0,
        has_block_time="blockTime" in entries,
    )
    if name == "ibft":
        if engine.epoch_size == 0 and epoch_size:
            raise epoch_size.refuse("at least one block")
        if engine.kind is None and not engine.has_fork_list:
            raise value.refuse("key type or key types", "neither")
        if kind and engine.kind not in (None, "PoA", "PoS"):
            raise kind.refuse("PoA or PoS")
        if validator_type and engine.validator_type not in ("ecdsa", "bls"):
            raise validator_type.refuse("ecdsa or bls")
    return engine
