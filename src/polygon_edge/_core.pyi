"""The Rust core: codecs, signatures, header rules, execution and databases, crossed once per run of blocks.

Every function that works on a run releases the interpreter lock. Hashes are 32 bytes, addresses 20. Errors of the
databases and of the state raise `polygon_edge.errors.DataDirectoryError`; wrong lengths raise ValueError.
"""

from collections.abc import Mapping, Sequence
from typing import final

@final
class Rules:
    """What a rule of the core depends on: generation ("G1"), chain id, first block of each fork, legacy quorum's end."""

    def __new__(
        cls, generation: str, chain_id: int, forks: Mapping[str, int], quorum_size_block: int
    ) -> Rules: ...

@final
class Genesis:
    """The genesis block, computed from the genesis file's fields without a database (fact sheet §5.5).

    `alloc` entries: address, balance (big-endian, none when the key is absent), nonce, code, (slot, value) pairs.
    Raises ValueError on extra data that is not IBFT's.
    """

    def __new__(
        cls,
        rules: Rules,
        alloc: Sequence[tuple[bytes, bytes | None, int, bytes, Sequence[tuple[bytes, bytes]]]],
        *,
        nonce: int,
        timestamp: int,
        extra_data: bytes,
        gas_limit: int,
        difficulty: int,
        mix_hash: bytes,
        coinbase: bytes,
        number: int,
        gas_used: int,
        parent_hash: bytes,
        base_fee: int = 0,
    ) -> Genesis: ...
    @property
    def hash(self) -> bytes: ...
    @property
    def state_root(self) -> bytes: ...

@final
class Violation:
    """The rule that block `index` of a run breaks; `rule` is a value of `polygon_edge.errors.Rule`."""

    @property
    def index(self) -> int: ...
    @property
    def rule(self) -> str: ...
    @property
    def what(self) -> str: ...
    @property
    def expected(self) -> str: ...
    @property
    def found(self) -> str: ...

@final
class Run:
    """A run of consecutive block records, decoded, hashed, with every signature recovered."""

    def __len__(self) -> int: ...
    def identity(self, index: int) -> tuple[int, bytes] | None:
        """Height and hash of block `index`, none where its record is not a block."""

    def weight(self, start: int, stop: int) -> tuple[int, int]:
        """Transactions and gas of the blocks `start` to `stop` (excluded)."""

    def cut(self, start: int, gas: int) -> int:
        """Where to end the part that starts at `start` so that it holds at most `gas` (one block at least)."""

    def consecutive(self, start: int, number: int) -> int:
        """Where the blocks numbered `number`, `number` + 1, ... from `start` on end."""

    def votes(self, start: int, stop: int) -> list[tuple[int, bytes, bytes, bytes, bytes]]:
        """The blocks `start` to `stop` (excluded) whose miner field is not 20 zero bytes, in order (§3.7).

        Each as number, hash, proposer (empty where the seal does not recover), miner and nonce as they stand.
        """

    def verify(
        self, rules: Rules, start: int, parent: tuple[int, bytes, int], sets: Sequence[tuple[int, Sequence[bytes]]]
    ) -> tuple[int, Violation | None]:
        """Check the blocks from `start` on against `parent` (number, hash, gas limit) and the validators of each height.

        `sets` are (first height, addresses in set order) and cover the parent's height. Returns where the walk ended,
        the length of the run when all hold, and the violation that ended it.
        """

def prepare(rules: Rules, records: Sequence[bytes], previous: Run | None = None) -> Run:
    """Decode `records` and recover their signers on all cores; a record that is no block is found by `verify`."""

@final
class HeaderSummary:
    """What one block record says of itself."""

    @property
    def number(self) -> int: ...
    @property
    def hash(self) -> bytes | None: ...
    @property
    def parent_hash(self) -> bytes: ...
    @property
    def transactions(self) -> int: ...
    @property
    def gas_used(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def state_root(self) -> bytes: ...

def summarise(
    records: Sequence[bytes], hash_rule: str, generation: str, validator_type: str = "ecdsa"
) -> list[HeaderSummary | str]:
    """Summarise block records of any generation; the hash rule is "plain" or "ibft", the validator type "ecdsa" or "bls".

    A record that is no block gives a text that says why, in its place; a hash that cannot be computed is none.
    """
