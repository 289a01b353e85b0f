"""Every error this program raises on purpose, its fields and its exit code.

    PolygonEdgeError                         1
    ├── UsageError                           2   flags and arguments
    ├── ArchiveError                        10   bytes of an archive: file, offset, expected height
    │   ├── ArchiveMetadataError                 no metadata, or metadata that is not one
    │   ├── ArchiveRecordError                   a record that is not a block
    │   ├── ArchiveTruncatedError                cut inside a record, or a length beyond the end
    │   ├── ArchiveReadError                     the medium failed
    │   ├── ArchiveWriteError                    the archive cannot be made, written or named
    │   ├── ArchiveIncompleteError               ends at a record boundary, but not where it promised
    │   └── ArchiveExistsError                   the output is already there
    ├── SourceError                         10   a source of blocks gave other blocks than asked for
    │   └── SourceEndedError                     it ended before the last block that was asked for
    ├── NodeError                            1   a node that does not answer, or whose answer is an error
    ├── BlockRuleError                      11   a block that breaks a rule of its chain
    ├── StakingContractError                11   the staking contract does not tell who validates
    ├── GenesisError                        12   a genesis file that cannot be read
    │   └── UnsupportedGenesisError              readable, but asks for what this version does not do
    ├── ArtifactError                       12   a compiled contract, or the arguments for its constructor
    ├── UncoveredBlockError                 12   a block for which the fork list has no entry
    ├── DataDirectoryError                  13   data directory, database, lock
    │   ├── ConsensusFileError                   `consensus/metadata` or `consensus/snapshots` unreadable
    │   └── KeyFileError                         a key file that does not hold what it should
    │       ├── KeyMissingError                      there is none
    │       └── KeyExistsError                       there is one where one was to be created
    ├── DiskFullError                       14
    ├── ListenError                          1   an address that cannot be listened on
    ├── PoolError                            1   a transaction that the pool does not take
    └── StoppedBySignalError               130   a signal; what was finished stays

Commands of the Go client exit with 1 on any failure and 130 on a signal, whatever the family; the codes above are those
of our own verbs.
"""

from __future__ import annotations

import errno
import os
from enum import Enum, unique
from typing import ClassVar


def _where(*parts: str | None) -> str:
    """Join what is known, from the file to the value.

    A message may quote a hostile file: what a terminal could take for a command is escaped.
    """
    text = ": ".join(part for part in parts if part)
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def _shown(value: object) -> str:
    if isinstance(value, bytes | bytearray | memoryview):
        return "0x" + bytes(value).hex()
    return str(value)


def _plain(value: object) -> object:
    """Turn a field into what JSON can say."""
    if isinstance(value, Enum):
        return value.value
    return value if isinstance(value, bool | int | str) else _shown(value)


def _comparison(expected: object, found: object) -> str:
    return f"expected {_shown(expected)}, found {_shown(found)}"


class PolygonEdgeError(Exception):
    """Root of the tree; raised only through its families."""

    exit_code: ClassVar[int] = 1

    def document(self) -> dict[str, object]:
        """Return the error as a JSON document: text, class, exit code, and every field that is known, bytes as hex."""
        fields = {name: _plain(value) for name, value in vars(self).items() if value is not None}
        return {"error": str(self), "kind": type(self).__name__, "exit_code": self.exit_code, **fields}


class UsageError(PolygonEdgeError):
    """A flag or argument that cannot be used as given."""

    exit_code: ClassVar[int] = 2


class ArchiveError(PolygonEdgeError):
    """The bytes of an archive are not what they should be.

    `offset` is the byte at which the broken record starts (or the file ends), `height` the block expected there, None
    when not known.
    """

    exit_code: ClassVar[int] = 10
    _names_first_byte: ClassVar[bool] = True

    def __init__(
        self,
        file: str,
        offset: int,
        problem: str,
        *,
        height: int | None = None,
        expected: object = None,
        found: object = None,
    ) -> None:
        self.file = file
        self.offset = offset
        self.problem = problem
        self.height = height
        self.expected = expected
        self.found = found
        comparison = None if expected is None and found is None else _comparison(expected, found)
        block = None if height is None else f"block {height}"
        place = f"byte {offset}" if offset or self._names_first_byte else None
        super().__init__(_where(file, place, block, problem, comparison))


class ArchiveMetadataError(ArchiveError):
    """The first record is missing, is not metadata, or contradicts the blocks."""


class ArchiveRecordError(ArchiveError):
    """A record that is not a block, at `offset`."""


class ArchiveTruncatedError(ArchiveError):
    """A record needs `expected` bytes from `offset` on and the file has only `found`."""


class ArchiveReadError(ArchiveError):
    """The medium failed at `offset`, whatever the bytes there would be; at 0 nothing could be read at all."""

    _names_first_byte = False

    def __init__(self, file: str, offset: int, failure: OSError) -> None:
        super().__init__(file, offset, f"cannot be read: {failure.strerror or failure}")


class ArchiveWriteError(ArchiveError):
    """The file cannot be made, written or given its name, for another reason than a full disk."""

    _names_first_byte = False

    def __init__(self, file: str, offset: int, failure: OSError) -> None:
        super().__init__(file, offset, f"cannot be written: {failure.strerror or failure}")


class ArchiveIncompleteError(ArchiveError):
    """The archive ends cleanly at height `found` although its metadata promises `expected`."""


class ArchiveExistsError(ArchiveError):
    """The file to be written exists already; nothing was changed. `remedy` says what can be done instead.

    The text begins as the Go client's does (§1.2).
    """

    _names_first_byte = False

    def __init__(self, file: str, remedy: str | None = None) -> None:
        super().__init__(file, 0, "file exists")
        self.remedy = remedy
        self.args = (_where(f"open {file}", "file exists", remedy),)


class SourceError(PolygonEdgeError):
    """A source of blocks delivered `found` where `expected` was due."""

    exit_code: ClassVar[int] = 10

    def __init__(self, source: str, problem: str, expected: object, found: object) -> None:
        self.source = source
        self.problem = problem
        self.expected = expected
        self.found = found
        super().__init__(_where(source, problem, _comparison(expected, found)))


class SourceEndedError(SourceError):
    """A source ended although the blocks `first_missing` to `last_missing` had not come."""

    def __init__(self, source: str, first_missing: int, last_missing: int, *, after: int | None) -> None:
        self.first_missing = first_missing
        self.last_missing = last_missing
        missing = (
            f"block {first_missing}" if first_missing == last_missing else f"blocks {first_missing} to {last_missing}"
        )
        found = "no blocks" if after is None else f"end after block {after}"
        super().__init__(source, f"ended early, {missing} missing", f"blocks up to {last_missing}", found)


class NodeError(PolygonEdgeError):
    """The node at `address` did not answer a request, or answered with an error.

    `status` is the status of gRPC in the Go client's spelling ("Unavailable", "Unknown"), `problem` its text. The
    message is worded as that client words it (§1.0).
    """

    def __init__(self, address: str, status: str, problem: str) -> None:
        self.address = address
        self.status = status
        self.problem = problem
        super().__init__(_where(f"rpc error: code = {status} desc = {problem}"))


@unique
class Rule(Enum):
    """The rules a block must keep, in the order in which they are checked (§7.1).

    Timestamp order, logs bloom and epoch end are rules on request only: the Go client does not check them.
    """

    RECORD = "record"
    STRUCTURE = "structure"
    NUMBER = "number"
    PARENT_LINK = "parent link"
    CONSTANTS_AND_VOTE = "constants and vote"
    TRANSACTIONS_ROOT = "transactions root"
    EXTRA_DATA = "extra data"
    VALIDATOR_LIST = "validator list"
    PARENT_SEALS = "parent seals"
    PROPOSER_SEAL = "proposer seal"
    COMMITTED_SEALS = "committed seals"
    TIMESTAMP_ORDER = "timestamp order"
    LOGS_BLOOM = "logs bloom"
    EPOCH_END = "epoch end"
    EXECUTION = "execution"

    @property
    def position(self) -> int:
        """Place in the order of checks, 0 first: the block's error is the broken rule with the lowest position."""
        return _RULE_POSITIONS[self]


_RULE_POSITIONS = {rule: position for position, rule in enumerate(Rule)}


class BlockRuleError(PolygonEdgeError):
    """A block breaks `rule`.

    `what` is the field or value that breaks it; the text leaves it out where the rule's name says it already. `hash` is
    the block's hash as 32 bytes, None where it could not be computed; `offset` and `file` are set when the block came
    from an archive.
    """

    exit_code: ClassVar[int] = 11

    def __init__(
        self,
        rule: Rule,
        number: int,
        *,
        hash: bytes | None = None,
        what: str | None = None,
        offset: int | None = None,
        expected: object = None,
        found: object = None,
        file: str | None = None,
    ) -> None:
        self.rule = rule
        self.what = what
        self.number = number
        self.hash = hash
        self.offset = offset
        self.expected = expected
        self.found = found
        self.file = file
        place = None if offset is None else f"byte {offset}"
        said = None if what is None or what in rule.value else what.removeprefix(rule.value).lstrip()
        super().__init__(_where(file, place, f"block {number}", rule.value, said, _comparison(expected, found)))


class StakingContractError(PolygonEdgeError):
    """The staking contract does not tell the validators in the state after block `number`, so nobody can seal later
    blocks.
    """

    exit_code: ClassVar[int] = 11

    def __init__(self, number: int, expected: object, found: object) -> None:
        self.number = number
        self.expected = expected
        self.found = found
        super().__init__(
            _where(f"validators of the staking contract after block {number}", _comparison(expected, found))
        )


class GenesisError(PolygonEdgeError):
    """The genesis file is not one: `path` is the JSON path of the value, such as `params.engine`."""

    exit_code: ClassVar[int] = 12

    def __init__(self, file: str, path: str, expected: object, found: object) -> None:
        self.file = file
        self.path = path
        self.expected = expected
        self.found = found
        super().__init__(_where(file, path, _comparison(expected, found)))


class UnsupportedGenesisError(GenesisError):
    """A valid genesis file of a kind that this version refuses instead of guessing."""


class ArtifactError(PolygonEdgeError):
    """A compiled contract that cannot be put into a genesis file: `place` is its file and the key, or an argument."""

    exit_code: ClassVar[int] = 12

    def __init__(self, place: str, expected: str, found: str) -> None:
        self.place = place
        self.expected = expected
        self.found = found
        super().__init__(_where(place, _comparison(expected, found)))


class UncoveredBlockError(PolygonEdgeError):
    """No entry of the fork list in the genesis file covers block `number`, so nobody can say who seals it."""

    exit_code: ClassVar[int] = 12

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(f"params.engine.ibft.types: expected an entry that covers block {number}, found none")


class DataDirectoryError(PolygonEdgeError):
    """A data directory, database or lock that cannot be used."""

    exit_code: ClassVar[int] = 13

    def __init__(self, path: str, problem: str, *, expected: object = None, found: object = None) -> None:
        self.path = path
        self.problem = problem
        self.expected = expected
        self.found = found
        comparison = None if expected is None and found is None else _comparison(expected, found)
        # What the databases say begins with the path already.
        super().__init__(_where(None if path in problem else path, problem, comparison))


class ConsensusFileError(DataDirectoryError):
    """`consensus/metadata` or `consensus/snapshots` is unreadable; both can be rebuilt from headers."""


class KeyFileError(DataDirectoryError):
    """A key file cannot be used; neither text nor fields ever hold anything of its content."""


class KeyMissingError(KeyFileError):
    """The secret `name` is not there, at `path`."""

    def __init__(self, path: str, name: str) -> None:
        self.name = name
        super().__init__(path, f'secret "{name}" not found')


class KeyExistsError(KeyFileError):
    """The secret `name` that was to be created is there already, at `path`; it was not touched."""

    def __init__(self, path: str, name: str) -> None:
        self.name = name
        # The Go client's words first, for programs that look for them.
        super().__init__(path, f'secrets "{name}" has been already initialized: {path}')


class DiskFullError(PolygonEdgeError):
    """The file system of `path` has `free` bytes where `needed` are needed (None: not known beforehand)."""

    exit_code: ClassVar[int] = 14

    def __init__(self, path: str, needed: int | None = None, free: int | None = None) -> None:
        self.path = path
        self.needed = needed
        self.free = free
        need = "more space is needed" if needed is None else f"needs {needed} bytes"
        has = "" if free is None else f", has {free} bytes"
        super().__init__(f"{path}: disk full: {need}{has}")


class ListenError(PolygonEdgeError):
    """The TCP `address` (host and port) cannot be listened on; the text is the Go client's."""

    def __init__(self, address: str, failure: Exception) -> None:
        self.address = address
        code = failure.errno if isinstance(failure, OSError) else None
        # The standard library's own text repeats the address; the failures of a name server have other numbers.
        self.problem = str(failure) if code is None or code not in errno.errorcode else os.strerror(code)
        super().__init__(_where(f"listen tcp {address}", "bind", self.problem.lower()))


@unique
class Refusal(Enum):
    """Why the pool does not take a transaction, in the order of checks; tools match on these texts (§5.6)."""

    MALFORMED = "malformed transaction"
    STATE_TRANSACTION = (
        "invalid tx type: type 127 rejected, state transactions are not expected to be added to the pool"
    )
    OVERSIZED = "oversized data"
    SIGNATURE = "cannot extract signature"
    SENDER = "invalid sender"
    DEPLOYMENT = "smart contract deployment restricted"
    INIT_CODE = "max code size exceeded"
    TYPE = "transaction type not supported: type 2 rejected, london hardfork is not enabled"
    DYNAMIC_FEE = "dynamic tx not allowed currently"
    FEE_CAP_WIDTH = "max fee per gas higher than 2^256-1"
    TIP_CAP_WIDTH = "max priority fee per gas higher than 2^256-1"
    TIP_CAP = "max priority fee per gas higher than max fee per gas"
    UNDERPRICED = "transaction underpriced"
    NONCE_TOO_LOW = "nonce too low"
    FUNDS = "insufficient funds for gas * price + value"
    INTRINSIC_GAS = "intrinsic gas too low"
    BLOCK_GAS_LIMIT = "exceeds block gas limit"
    FUTURE = "rejected future tx due to low slots"
    ALREADY_KNOWN = "already known"
    REPLACEMENT_UNDERPRICED = "replacement tx underpriced"
    ENQUEUED_LIMIT = "maximum number of enqueued transactions reached"
    FULL = "txpool is full"


class PoolError(PolygonEdgeError):
    """The pool does not take a transaction.

    The text is the refusal's own and nothing else, since tools compare it; where a transaction cannot be decoded, it is
    what the decoder says (`problem`). `hash` is the transaction's, 32 bytes, None where there is none yet.
    """

    def __init__(
        self,
        refusal: Refusal,
        *,
        hash: bytes | None = None,
        problem: str | None = None,
        expected: object = None,
        found: object = None,
    ) -> None:
        self.refusal = refusal
        self.hash = hash
        self.problem = problem
        self.expected = expected
        self.found = found
        super().__init__(_where(problem or refusal.value))


class StoppedBySignalError(PolygonEdgeError):
    """A signal stopped the work at a block boundary; `height` is the last finished block, None if there is none."""

    exit_code: ClassVar[int] = 130

    def __init__(self, height: int | None) -> None:
        self.height = height
        super().__init__("stopped by a signal" if height is None else f"stopped by a signal after block {height}")
