"""The section `params.engine` of a genesis file: the consensus engine and the fork list of IBFT (§5.4).

Reads and checks it; which entry rules at which height is `schedule`'s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

from polygon_edge.chain.validator import BLS_PUBLIC_KEY_SIZE, ValidatorSet, ValidatorType, are_distinct

if TYPE_CHECKING:
    from polygon_edge.chain.document import Value

DEFAULT_EPOCH_SIZE = 100_000
SHORTEST_BLOCK_TIME = 1_000_000_000
_KINDS = ("PoA", "PoS")
_VALIDATOR_TYPES = ("ecdsa", "bls")

Kind: TypeAlias = Literal["PoA", "PoS"]


@dataclass(frozen=True, slots=True)
class ForkEntry:
    """One entry of the fork list: from block `first` to block `last` (None: for good), both included.

    `validators` replace the set of a PoA entry when it begins, and stake from the start in the contract of a PoS entry;
    none where the key is absent. `deployment` is the block that puts the staking contract into the state.
    """

    kind: Kind
    validator_type: ValidatorType
    first: int = 0
    last: int | None = None
    deployment: int | None = None
    validators: ValidatorSet | None = None
    least_validators: int | None = None
    most_validators: int | None = None

    def covers(self, number: int) -> bool:
        """Whether the entry speaks of block `number`."""
        return self.first <= number and (self.last is None or number <= self.last)


@dataclass(frozen=True, slots=True)
class Engine:
    """The one consensus engine. The IBFT values are empty or defaults for other engines.

    `entries` are in the order of the file, a chain without a fork list has one; `path` is the JSON path of what
    declares them. `block_time` is in nanoseconds, None where the file leaves it to the node (§5.4); `interval` is that
    of the engine `dev`, in seconds, None where the file names none.
    """

    name: str
    path: str
    entries: tuple[ForkEntry, ...]
    epoch_size: int = DEFAULT_EPOCH_SIZE
    quorum_size_block: int = 0
    block_time: int | None = None
    interval: int | None = None


def engine_value(params: Value) -> Value:
    """Return the value of the only key of `params.engine`; raises where there is another number of keys."""
    engine = params.field("engine")
    if engine is None:
        raise params.refuse("key engine", "nothing")
    entries = engine.entries()
    if len(entries) != 1:
        raise engine.refuse("exactly one consensus engine", ", ".join(entries) or "none")
    return next(iter(entries.values()))


def parse_engine(value: Value) -> Engine:
    """Read the engine's configuration; raises for one that names no rules for some block before its end."""
    name = value.path.rsplit(".", 1)[-1]
    # Go takes anything but an object for an empty configuration.
    entries = value.entries() if value.is_object else {}
    if name != "ibft":
        interval = value.entry("interval") if name == "dev" and value.is_object else None
        # The Go client cannot start on a file with this key: it asks for a type that no JSON number has.
        return Engine(name, value.path, (), interval=None if interval is None else interval.unsigned())
    epoch_size, quorum_size_block = entries.get("epochSize"), entries.get("quorumSizeBlockNum")
    block_time = entries.get("blockTime")
    path, forks = _fork_entries(value, entries)
    engine = Engine(
        name=name,
        path=path,
        entries=forks,
        epoch_size=epoch_size.truncated_number() if epoch_size else DEFAULT_EPOCH_SIZE,
        quorum_size_block=quorum_size_block.truncated_number() if quorum_size_block else 0,
        block_time=block_time.duration() if block_time and not block_time.is_null else None,
    )
    if epoch_size and engine.epoch_size == 0:
        raise epoch_size.refuse("at least one block")
    if block_time and engine.block_time is not None and engine.block_time < SHORTEST_BLOCK_TIME:
        raise block_time.refuse("at least one second")
    return engine


def _fork_entries(value: Value, entries: dict[str, Value]) -> tuple[str, tuple[ForkEntry, ...]]:
    kind, types = entries.get("type"), entries.get("types")
    if kind is not None and not kind.is_null:
        # The list is ignored then.
        validator_type = entries.get("validator_type")
        return kind.path, (ForkEntry(_kind(kind), _validator_type(validator_type)),)
    if types is None or types.is_null:
        raise value.refuse("key type or key types", "neither")
    found = tuple(map(_fork_entry, types.items()))
    if not any(entry.covers(0) for entry in found):
        raise types.refuse("an entry that covers block 0", f"{len(found)} entries, none of which does")
    return types.path, found


def _fork_entry(value: Value) -> ForkEntry:
    kind = value.field("type")
    if kind is None:
        raise value.refuse("key type", "nothing")
    last = value.field("to")
    validator_type = _validator_type(value.field("validator_type"))
    entry = ForkEntry(
        kind=_kind(kind),
        validator_type=validator_type,
        first=_number(value, "from") or 0,
        last=_number(value, "to"),
        deployment=_number(value, "deployment"),
        validators=_validators(value.field("validators"), validator_type),
        least_validators=_number(value, "minValidatorCount"),
        most_validators=_number(value, "maxValidatorCount"),
    )
    if last and entry.last is not None and entry.last < entry.first:
        raise last.refuse(f"a block from {entry.first} on")
    if entry.kind == "PoA" and entry.validators == ():
        raise value.refuse("validators, at least one", "an empty list")
    return entry


def _kind(value: Value) -> Kind:
    if value.text() not in _KINDS:
        raise value.refuse("PoA or PoS")
    return cast("Kind", value.text())


def _validator_type(value: Value | None) -> ValidatorType:
    if value is None or value.is_null:
        return "ecdsa"
    if value.text() not in _VALIDATOR_TYPES:
        raise value.refuse("ecdsa or bls")
    return cast("ValidatorType", value.text())


def _number(value: Value, name: str) -> int | None:
    found = value.field(name)
    return None if found is None else found.loose_number()


def _validators(value: Value | None, validator_type: ValidatorType) -> ValidatorSet | None:
    if value is None:
        return None
    validators = tuple(read_validator(item, validator_type) for item in value.items())
    if not are_distinct(validators):
        raise value.refuse("validators of different addresses", "an address a second time")
    return validators


def read_validator(value: Value, validator_type: ValidatorType) -> bytes:
    """Read a validator as Go writes one: `Address`, and for BLS `BLSPublicKey` beside it."""
    address = value.field("Address")
    if address is None:
        raise value.refuse("key Address", "nothing")
    if validator_type == "ecdsa":
        return address.address()
    key = value.field("BLSPublicKey")
    if key is None:
        raise value.refuse("key BLSPublicKey", "nothing")
    if len(key.hex_bytes()) != BLS_PUBLIC_KEY_SIZE:
        raise key.refuse(f"a BLS public key of {BLS_PUBLIC_KEY_SIZE} bytes")
    return address.address() + key.hex_bytes()
