"""A genesis file with one thing changed: another fork of IBFT, another start of the quorum, one more contract.

Written as the Go client writes it (§1.3, §1.7), so that a file of its comes out byte for byte as from its own commands.
What it would drop, such as keys that it does not know, stays.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from polygon_edge.chain.address import checksum_address
from polygon_edge.chain.document import duration_text, fixed_bytes, same_key
from polygon_edge.chain.generation import Generation
from polygon_edge.chain.genesis import parse_genesis
from polygon_edge.chain.genesis_file import INDENT
from polygon_edge.chain.json_text import json_text
from polygon_edge.chain.validator import address_of, bls_public_key_of

if TYPE_CHECKING:
    from polygon_edge.chain.engine import ForkEntry
    from polygon_edge.chain.generation import Generation
    from polygon_edge.chain.genesis import Genesis, GenesisAccount
    from polygon_edge.chain.validator import ValidatorSet

_BLOCK_TIME = "blockTime"


class GenesisDocument:
    """The content of a genesis file, to be changed once: the change returns the content of the new file.

    `genesis` is what the file says. Raises GenesisError for content that is no genesis file, before a change and after.
    """

    def __init__(self, content: bytes, file: str, generation: Generation | None = None) -> None:
        self.genesis: Genesis = parse_genesis(content, file, generation)
        self._file = file
        self._asked = generation
        self._document: dict[str, Any] = json.loads(content.decode("utf-8", "replace"), parse_float=_number)

    def with_fork(self, fork: ForkEntry) -> bytes:
        """Let the fork list end with `fork`, and the entry before it one block earlier; a single type becomes a list.

        The engine must be IBFT.
        """
        ibft = self._ibft()
        entries = self.genesis.params.engine.entries
        if ibft.pop("type", None) is None:
            given = list(ibft["types"])
            times = [_field(entry, _BLOCK_TIME) for entry in given]
        else:
            given, times = [{}], [ibft.get(_BLOCK_TIME)]
        ends = [*(entry.last for entry in entries[:-1]), fork.first - 1]
        listed = [_entry(*parts) for parts in zip(entries, ends, times, given, strict=True)]
        # Its place among the keys; what stands there is put in last, because it has an order of its own.
        ibft["types"] = None
        return self._written([*listed, _entry(fork, fork.last, times[-1], {})])

    def with_quorum_start(self, number: int) -> bytes:
        """Have the quorum of later releases count from block `number` on (§5.4); the engine must be IBFT."""
        self._ibft()["quorumSizeBlockNum"] = number
        return self._written()

    def with_account(self, account: GenesisAccount) -> bytes:
        """Add `account` to the alloc, which must not have its address yet."""
        header = _field(self._document, "genesis")
        alloc: dict[str, Any] = _field(header, "alloc") or {}
        alloc = {checksum_address(fixed_bytes(key, 20)): value for key, value in alloc.items()}
        alloc[checksum_address(account.address)] = _account(account, is_later=self.genesis.generation is Generation.G3)
        name = next((key for key in header if same_key(key, "alloc")), "alloc")
        if name not in header:
            # In the place that Go gives it.
            after = [key for key in header if any(same_key(key, late) for late in ("number", "gasUsed", "parentHash"))]
            moved = {key: header.pop(key) for key in after}
            header[name] = {}
            header.update(moved)
        header[name] = dict(sorted(alloc.items()))
        return self._written()

    def _ibft(self) -> dict[str, Any]:
        found: dict[str, Any] = _field(_field(self._document, "params"), "engine")["ibft"]
        return found

    def _written(self, fork_list: list[dict[str, Any]] | None = None) -> bytes:
        engine = _field(_field(self._document, "params"), "engine")
        for name, settings in engine.items():
            engine[name] = _sorted(settings)
        if fork_list is not None:
            engine["ibft"]["types"] = fork_list
        content = json_text(self._document, INDENT).encode()
        # Nothing is handed out that could not be read again.
        parse_genesis(content, self._file, self._asked)
        return content


def _number(text: str) -> int | float:
    """Read a JSON number with a fraction or an exponent; Go writes a whole one without."""
    number = float(text)
    return int(number) if number.is_integer() else number


def _sorted(value: object) -> object:
    """A value that Go reads into maps, whose keys it sorts."""
    match value:
        case dict():
            return {key: _sorted(value[key]) for key in sorted(value)}
        case list():
            return [_sorted(item) for item in value]
    return value


def _field(document: dict[str, Any], name: str) -> Any:  # noqa: ANN401 - any JSON value
    """Return the value of a Go struct's field, None where it is absent."""
    found = None
    for key, value in document.items():
        if same_key(key, name):
            found = value
    return found


_ENTRY_FIELDS = (
    "type",
    "validator_type",
    "deployment",
    "from",
    "to",
    _BLOCK_TIME,
    "validators",
    "maxValidatorCount",
    "minValidatorCount",
)


def _entry(entry: ForkEntry, last: int | None, block_time: object, raw: dict[str, Any]) -> dict[str, Any]:
    """An entry of the fork list in Go's order and form, and after that what only the file knows."""
    values = (
        entry.kind,
        entry.validator_type,
        _hex(entry.deployment),
        _hex(entry.first),
        _hex(last),
        duration_text(block_time) if isinstance(block_time, int) else block_time,
        None if entry.validators is None else _validators(entry.validators),
        _hex(entry.most_validators),
        _hex(entry.least_validators),
    )
    known = {name: value for name, value in zip(_ENTRY_FIELDS, values, strict=True) if value is not None}
    others = {key: value for key, value in raw.items() if not any(same_key(key, name) for name in _ENTRY_FIELDS)}
    return known | others


def _hex(number: int | None) -> str | None:
    return None if number is None else hex(number)


def _validators(validators: ValidatorSet) -> list[dict[str, str]]:
    found = []
    for validator in validators:
        document = {"Address": checksum_address(address_of(validator))}
        key = bls_public_key_of(validator)
        if key is not None:
            document["BLSPublicKey"] = "0x" + key.hex()
        found.append(document)
    return found


def _account(account: GenesisAccount, *, is_later: bool) -> dict[str, Any]:
    """An account of the alloc in Go's order and form; later releases leave out code of no bytes."""
    storage = {"0x" + slot.hex(): "0x" + account.storage[slot].hex() for slot in sorted(account.storage)}
    document: dict[str, Any] = {} if is_later and not account.code else {"code": "0x" + account.code.hex()}
    if storage:
        document["storage"] = storage
    if account.balance is not None:
        document["balance"] = hex(account.balance)
    if account.nonce:
        document["nonce"] = hex(account.nonce)
    return document
