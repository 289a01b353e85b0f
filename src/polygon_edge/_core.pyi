"""The Rust core: codecs, signatures, header rules, execution and databases, crossed once per run of blocks.

Every function that works on a run releases the interpreter lock. Hashes are 32 bytes, addresses 20. Errors of the
databases and of the state raise `polygon_edge.errors.DataDirectoryError`; wrong lengths raise ValueError.
"""

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import final

@final
class Rules:
    """What a rule of the core depends on: generation ("G1"), chain id, first blocks of forks, legacy quorum's end.

    `engine` is "ibft", or "plain" for dev and dummy, whose blocks nobody seals and whose hash covers the whole header
    (§3.1). `validator_types` are (first height, "ecdsa" or "bls") and `stake` (first height, whether PoS), ascending;
    below the first entry validators are ECDSA and voted for.

    `deployments` are contracts that a block puts into the state after its transactions (§6.11): height, address, code,
    (slot, value) pairs, balance. `burn_contracts` are the receivers of the base fee by first block (§5.4).
    `access_lists` names those that the chain has: "deployer-allow", "deployer-block", "transactions-allow",
    "transactions-block", "bridge-allow", "bridge-block" (§6.9). Numbers in bytes are big-endian.

    Raises ValueError for an unknown name and for heights that do not ascend.
    """

    def __new__(
        cls,
        generation: str,
        chain_id: int,
        forks: Mapping[str, int],
        quorum_size_block: int,
        *,
        engine: str = "ibft",
        validator_types: Sequence[tuple[int, str]] = (),
        stake: Sequence[tuple[int, bool]] = (),
        deployments: Sequence[tuple[int, bytes, bytes, Sequence[tuple[bytes, bytes]], bytes]] = (),
        burn_contracts: Sequence[tuple[int, bytes]] = (),
        access_lists: Sequence[str] = (),
    ) -> Rules: ...

@final
class Genesis:
    """The genesis block, computed from the genesis file's fields without a database (fact sheet §5.5).

    `alloc` entries: address, balance (big-endian, none when the key is absent), nonce, code, (slot, value) pairs.
    Raises ValueError on extra data that is not IBFT's, or of another type of validators than block 0 has.
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
class Doubt:
    """What is odd about block `index` of a run; `rule` is a value of `polygon_edge.errors.Rule`."""

    @property
    def index(self) -> int: ...
    @property
    def rule(self) -> str: ...
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

        Each as number, hash, proposer (empty where the seal does not recover), miner and nonce as they stand; none
        where nobody seals. A candidate is an address, or at a height of BLS validators the RLP of address and key.
        """

    def verify(
        self,
        rules: Rules,
        start: int,
        parent: tuple[int, bytes, int],
        sets: Sequence[tuple[int, Sequence[bytes]]],
        parent_round: int | None = None,
        stop: int | None = None,
    ) -> tuple[int, Violation | None]:
        """Check the blocks from `start` on against `parent` (number, hash, gas limit) and each height's validators.

        `sets` are (first height, validators in set order) and cover the parent's height; a validator is its address, or
        address and BLS key (20 or 68 bytes). `parent_round` is that of `Chain.tip_round`. Returns where the walk ended,
        which is `stop` (by default the length of the run) when all hold, and the violation that ended it.
        """

    def doubts(
        self, start: int, stop: int, parent_timestamp: int, epoch_size: int, empty_ends: Sequence[tuple[int, bool]]
    ) -> list[Doubt]:
        """What no rule forbids and no honest proposer does, in the blocks `start` to `stop` (excluded), in their order.

        `parent_timestamp` is that of the block before; `empty_ends` are (first height, whether the last block of an
        epoch holds no transactions from there on).
        """

    def timestamp(self, index: int) -> int | None:
        """Timestamp of block `index`, none where its record is not a block."""

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
    records: Sequence[bytes],
    hash_rule: str,
    generation: str,
    validator_type: str = "ecdsa",
    parent_type: str | None = None,
) -> list[HeaderSummary | str]:
    """Summarise block records of any generation by the hash rule "plain" or "ibft", the latter for "ecdsa" or "bls".

    A record that is no block gives a text that says why, in its place; a hash that cannot be computed is none.
    `parent_type` is the validator type one height below where it is another one: seals change a block later (§3.3).
    """

def is_bls_public_key(key: bytes) -> bool:
    """Whether `key` is a compressed point of the group that BLS public keys are from, other than zero (§6.11)."""

def keccak256(data: bytes) -> bytes:
    """Keccak-256 of `data`."""

@final
class Executed:
    """Executed blocks, ready to be committed: how many, and the rule that the block after them broke, if one did."""

    @property
    def blocks(self) -> int: ...
    @property
    def violation(self) -> Violation | None: ...

@final
class Chain:
    """An open data directory, both databases under both locks, and the chain in it.

    One thread at a time executes; another may commit and any may query meanwhile. Raises DataDirectoryError for a
    database that cannot be opened, is held by another process or is damaged, DiskFullError when it cannot grow.
    """

    @staticmethod
    def open(path: str | PathLike[str], create: bool = True) -> Chain:
        """Open the databases below `path`, and make them where they are missing, if `create`."""

    def start(self, rules: Rules, genesis: Genesis) -> None:
        """Make the chain ready to be extended: write block 0 into empty databases, else compare the stored one."""

    @property
    def tip(self) -> tuple[int, bytes, int]:
        """Number, hash and gas limit of the last executed block, committed or not."""

    @property
    def tip_round(self) -> int | None:
        """Round in which the last executed block was agreed; none in G1 and where nobody seals."""

    @property
    def state_root(self) -> bytes:
        """Root of the state after the last executed block."""

    @property
    def head(self) -> tuple[int, bytes] | None:
        """Number and hash of the last committed block, none in empty databases."""

    def execute(self, run: Run, start: int, stop: int) -> Executed:
        """Execute the verified blocks `start` to `stop` (excluded) on top of the tip, up to one that breaks a rule."""

    def commit(self, executed: Executed) -> None:
        """Write the state, synced, then the blocks with the head last, atomically and synced; in order of execution."""

    def close(self) -> None:
        """Close both databases and release their locks; nothing happens the second time.

        Calls that begin from now on raise DataDirectoryError, those that are reading in other threads are waited for,
        and open snapshots end.
        """

    def __enter__(self) -> Chain: ...
    def __exit__(self, *exception: object) -> None: ...
    def canonical_hash(self, number: int) -> bytes | None: ...
    def plain_hash(self, number: int) -> bytes | None:
        """K(rlp(header)) of block `number`: what archives made with `--to` carry as metadata hash (§1.3)."""

    def state_root_at(self, number: int) -> bytes | None: ...
    def header(self, number: int) -> bytes | None:
        """Header RLP of block `number`."""

    def body(self, number: int) -> bytes | None:
        """Stored body of block `number`, senders included (§2.7); none for block 0."""

    def receipts(self, number: int) -> bytes | None:
        """Stored receipts of block `number` (§2.7); none for block 0."""

    def block(self, number: int) -> bytes | None:
        """Network RLP of block `number`, as archives and peers carry it (§2.3)."""

    def sealed_header(self, number: int) -> tuple[int, bytes, bytes, bytes, bytes, tuple[bytes, ...]]:
        """Number, hash, proposer, miner, nonce and listed validators; the proposer only where the block votes.

        A validator is its address, or address and BLS key (20 or 68 bytes). Where nobody seals nobody is listed.
        """

    def account(self, root: bytes, address: bytes) -> tuple[int, int, bytes, bytes] | None:
        """Nonce, balance, storage root and code hash of `address` in the state `root`."""

    def storage(self, root: bytes, address: bytes, slot: bytes) -> bytes:
        """The 32-byte value of the 32-byte `slot`, zero when unset."""

    def count_accounts(self, root: bytes) -> int: ...
    def count_slots(self, root: bytes, address: bytes) -> int: ...
    def code(self, code_hash: bytes) -> bytes | None: ...
    def number_of(self, block_hash: bytes) -> int | None:
        """Number of the canonical block with this hash."""

    def find_transaction(self, transaction_hash: bytes) -> tuple[int, int] | None:
        """Number of the canonical block that holds the transaction with this hash, and its place in it."""

    def block_size(self, number: int) -> int | None:
        """Bytes of the network RLP of block `number`."""

    def snapshot(self) -> Snapshot:
        """The blocks as they are now, to be closed after use; raises DataDirectoryError in empty databases."""

    def call(
        self,
        number: int,
        *,
        sender: bytes,
        to: bytes | None,
        value: int,
        input: bytes,
        gas: int,
        gas_price: int,
        overrides: Sequence[
            tuple[bytes, int | None, int | None, bytes | None, Sequence[tuple[bytes, bytes]], bool]
        ] = (),
    ) -> CallOutcome:
        """Execute a message on the state of block `number`, in the context of that block; keep nothing.

        `overrides` replace parts of accounts in that state: address, nonce, balance, code (none: as it is), (slot,
        value) pairs, and whether the account has these slots only.

        The checks of a transaction apply, except those of nonce and signature. Any number of threads may call at once,
        also while another one executes or commits. Raises CallRefusedError, LookupError where there is no such block.
        """

    def view(self, number: int, *, to: bytes, input: bytes, gas: int) -> CallOutcome:
        """Call `to` from the zero address on the state after block `number`, executed last or committed (§6.11).

        In the context of that block, but with the zero address as its coinbase. Raises as `call` does.
        """

    def repair_head(self) -> tuple[int, str, int | None] | None:
        """Go back to the last whole block, before `start`, where the head is not one (§4.4); none where it is.

        Returns the highest block named by a head pointer, what is missing of it, and the head's number now, none where
        the genesis block has to be written anew. Raises DataDirectoryError where too many blocks would be lost.
        """

    def propose(
        self,
        *,
        coinbase: bytes,
        timestamp: int,
        gas_limit: int,
        validators: Sequence[bytes],
        candidates: Sequence[Transaction],
        miner: bytes = ...,
        nonce: bytes = ...,
        base_fee: int = 0,
        seconds: float | None = None,
    ) -> Proposal:
        """Build the block after the committed head from `candidates` in their order, for up to `seconds` (§4.8).

        `validators` are of the type of the block's height: addresses, or addresses with BLS keys (20 or 68 bytes).
        `miner` and `nonce` are a vote (§3.7), by default zero bytes. Where nobody seals there are no validators, the
        coinbase is zero and the miner empty, as by default. `base_fee` in wei is zero for IBFT. A candidate that is
        refused leaves no trace. Nothing is written. Raises ValueError for a validator or a candidate of another type,
        and for anybody who seals or votes where nobody does.
        """

@final
class Snapshot:
    """The blocks of a chain as they were when it was taken, whatever is committed later. Any thread may read from it.

    It ends with `close` or with its chain; then every method raises DataDirectoryError.
    """

    @property
    def head(self) -> tuple[int, bytes]:
        """Number and hash of its last block, also after it has ended."""

    def canonical_hash(self, number: int) -> bytes | None: ...
    def block(self, number: int) -> bytes | None:
        """Network RLP of block `number` (§2.3)."""

    def chunk(self, first: int, last: int, limit: int = 524288) -> tuple[int, bytes] | None:
        """Height of the last block of a chunk, and the network RLP of its blocks from `first` on, one after the other.

        A chunk ends at `last`, or where 24 bytes, its blocks and the next would reach `limit` bytes; it holds one block
        at least (§1.2). None where block `first` is missing; one that is missing or damaged later ends the chunk before
        it. The interpreter lock is released.
        """

    def close(self) -> None:
        """Give it back to the database; nothing happens the second time."""

    def __enter__(self) -> Snapshot: ...
    def __exit__(self, *exception: object) -> None: ...

@final
class EcdsaKey:
    """A secp256k1 key, from its 32-byte big-endian scalar; its `repr` shows the address only.

    Raises ValueError for a scalar that is zero or not below the group's order.
    """

    def __new__(cls, secret: bytes) -> EcdsaKey: ...
    @staticmethod
    def generate() -> EcdsaKey:
        """A new key from the randomness of the operating system."""

    @property
    def secret(self) -> bytes: ...
    @property
    def address(self) -> bytes: ...
    @property
    def public_key(self) -> bytes:
        """33 bytes, compressed."""

    def sign(self, digest: bytes) -> bytes:
        """Sign a 32-byte digest: r || s || parity, 65 bytes, deterministic (RFC 6979), low s, parity 0 or 1."""

@final
class BlsKey:
    """A BLS12-381 key of a validator, from its 32-byte big-endian scalar (§8); its `repr` shows the public key only.

    Raises ValueError for a scalar that is zero or not below the group's order.
    """

    def __new__(cls, secret: bytes) -> BlsKey: ...
    @staticmethod
    def generate() -> BlsKey:
        """A new key from the randomness of the operating system."""

    @property
    def secret(self) -> bytes: ...
    @property
    def public_key(self) -> bytes:
        """48 bytes, a compressed point of G1."""

    def sign(self, digest: bytes) -> bytes:
        """Sign a 32-byte digest by the proof-of-possession suite: 96 bytes, a compressed point of G2 (§3.5)."""

def proposer_digest(block_hash: bytes) -> bytes:
    """What the proposer seal of a block signs (§3.5)."""

def committed_digest(block_hash: bytes, round_number: int | None = None) -> bytes:
    """What the committed seals of a block sign that was agreed in `round_number`, none in G1 (§3.5)."""

@final
class Header:
    """A block header as stored (§2.2); `miner` may be of any length, `nonce` is of 8 bytes, `logs_bloom` of 256.

    `base_fee` is 0 before G3.
    """

    @property
    def number(self) -> int: ...
    @property
    def parent_hash(self) -> bytes: ...
    @property
    def sha3_uncles(self) -> bytes: ...
    @property
    def miner(self) -> bytes: ...
    @property
    def state_root(self) -> bytes: ...
    @property
    def transactions_root(self) -> bytes: ...
    @property
    def receipts_root(self) -> bytes: ...
    @property
    def logs_bloom(self) -> bytes: ...
    @property
    def difficulty(self) -> int: ...
    @property
    def gas_limit(self) -> int: ...
    @property
    def gas_used(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def extra_data(self) -> bytes: ...
    @property
    def mix_hash(self) -> bytes: ...
    @property
    def nonce(self) -> bytes: ...
    @property
    def base_fee(self) -> int:
        """Wei per gas, 0 before G3 and where the header has none (§2.2)."""

def decode_header(raw: bytes) -> Header:
    """Decode the RLP of a header; raises ValueError that names the field and its byte."""

@final
class Transaction:
    """A transaction (§2.4). `to` is none where it creates a contract; `raw` is its canonical form, a type byte first.

    Prices, caps, `value`, `r` and `s` beyond 256 bits read as 2^256-1; `v` is of any size. `raw` keeps all as they are.
    """

    @property
    def hash(self) -> bytes:
        """K(raw), except that before `txHashWithType` a typed one is hashed without type and chain id (§2.5)."""

    @property
    def type(self) -> int:
        """0 (legacy), 2 (dynamic fee) or 0x7f (state)."""

    @property
    def chain_id(self) -> int | None:
        """Of a dynamic fee, as are the caps: none elsewhere. `gas_price` is 0 there."""

    @property
    def gas_tip_cap(self) -> int | None: ...
    @property
    def gas_fee_cap(self) -> int | None: ...
    @property
    def sender(self) -> bytes | None: ...
    @property
    def nonce(self) -> int: ...
    @property
    def gas_price(self) -> int: ...
    @property
    def gas(self) -> int: ...
    @property
    def to(self) -> bytes | None: ...
    @property
    def value(self) -> int: ...
    @property
    def input(self) -> bytes: ...
    @property
    def v(self) -> int: ...
    @property
    def r(self) -> int: ...
    @property
    def s(self) -> int: ...
    @property
    def raw(self) -> bytes: ...

def decode_transaction(rules: Rules, number: int, raw: bytes) -> Transaction:
    """Decode a transaction as a wallet hands it in; bytes after it are ignored, as the Go client does.

    Its sender is recovered by the rules in force at height `number` (§2.5), none where they refuse the signature.
    Raises ValueError that names the field and its byte. The interpreter lock is released.
    """

def decode_body(raw: bytes, rules: Rules | None = None, number: int = 0) -> list[Transaction]:
    """Decode the stored body of block `number` (§2.7); senders are as stored, none where 20 zero bytes stand.

    Without rules it is read as of G1, where no transaction has a type. Raises ValueError.
    """

@final
class Log:
    """What a contract logged (§2.6)."""

    @property
    def address(self) -> bytes: ...
    @property
    def topics(self) -> list[bytes]: ...
    @property
    def data(self) -> bytes: ...

@final
class Receipt:
    """The outcome of one transaction, as stored (§2.7); `contract_address` is that of a creation, successful or not."""

    @property
    def transaction_hash(self) -> bytes: ...
    @property
    def success(self) -> bool: ...
    @property
    def gas_used(self) -> int: ...
    @property
    def cumulative_gas_used(self) -> int: ...
    @property
    def contract_address(self) -> bytes | None: ...
    @property
    def logs_bloom(self) -> bytes: ...
    @property
    def logs(self) -> list[Log]: ...

def decode_receipts(raw: bytes) -> list[Receipt]:
    """Decode the stored receipts of a block (§2.7); raises ValueError that names the field and its byte."""

def bloom_of(items: Sequence[bytes]) -> bytes:
    """The 256-byte bloom of addresses and topics (§2.6)."""

@final
class CallOutcome:
    """What a message came to: "success", "revert", or why it failed in the Go client's words, as "out of gas".

    `output` is the data of the return or of the revert; `gas_used` is after refund.
    """

    @property
    def status(self) -> str: ...
    @property
    def output(self) -> bytes: ...
    @property
    def gas_used(self) -> int: ...

class CallRefusedError(ValueError):
    """A message that cannot be executed at all, as for lack of funds; in the Go client's words where it has any."""

@final
class Construction:
    """What a constructor left behind: `status` as that of a call, `output` the code it returned or the revert's data.

    `storage` is every slot of its address that was written, zeros included, in order: slot and value, 32 bytes each.
    `nonce` and `balance`, in wei, are those of the address afterwards.
    """

    @property
    def status(self) -> str: ...
    @property
    def output(self) -> bytes: ...
    @property
    def nonce(self) -> int: ...
    @property
    def balance(self) -> int: ...
    @property
    def storage(self) -> list[tuple[bytes, bytes]]: ...

def construct(rules: Rules, address: bytes, code: bytes) -> Construction:
    """Run `code` as the constructor of `address` by the rules of block 0, on an empty state, in a block of zeros.

    Sent by the address zero with 2^63-1 gas. Raises CallRefusedError where that needs more memory than there is.
    """

@final
class Proposal:
    """A block built on the head, not sealed yet; seals do not change its hash."""

    @property
    def number(self) -> int: ...
    @property
    def hash(self) -> bytes: ...
    @property
    def parent_hash(self) -> bytes: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def gas_used(self) -> int: ...
    @property
    def transactions(self) -> int:
        """How many candidates are included."""

    @property
    def outcomes(self) -> list[str]:
        """What became of each candidate.

        "included", "too large" (gas above the block's limit), "nonce too low", "nonce too high", "failed: " and why in
        the Go client's words, or "skipped": its sender had failed before it, or the block's gas or time was used up.
        """

    def committed_digest(self, round_number: int = 0) -> bytes:
        """What a committed seal signs when the block is agreed in `round_number`; G1 leaves that out (§3.5)."""

    def aggregate(self, seals: Mapping[bytes, bytes]) -> list[bytes]:
        """Add the committed seals of BLS validators, by address, up to what `record` takes: bitmap and aggregate.

        Raises ValueError for no seals, one of a stranger, and one that is no signature of 96 bytes.
        """

    def record(
        self, proposer_seal: bytes | None = None, committed_seals: Sequence[bytes] = (), round_number: int = 0
    ) -> bytes:
        """Network RLP of the block, agreed in `round_number`, under these seals.

        A proposer seal and the committed seals of ECDSA validators are of 65 bytes each; for BLS validators
        `committed_seals` is what `aggregate` gives; where nobody seals there are none. Raises ValueError for another
        length or number.
        """
