"""A slow, plain twin of the Rust core: hashes, signatures, roots and tries with other people's libraries.

Written from the fact sheet alone (section numbers in the docstrings), with `rlp`, `trie`, `eth-hash` and `eth-keys`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import rlp
from eth_hash.auto import keccak
from eth_keys.datatypes import PrivateKey
from trie import HexaryTrie

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ORDER = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141
"""Order of the secp256k1 group."""

EMPTY_ROOT = keccak(rlp.encode(b""))
EMPTY_UNCLES_HASH = keccak(rlp.encode([]))
EMPTY_CODE_HASH = keccak(b"")
ISTANBUL_DIGEST = bytes.fromhex("63746963616c2062797a616e74696e65206661756c7420746f6c6572616e6365")


def encode(item: Any) -> bytes:
    """RLP by the `rlp` package."""
    # Nothing but bytes and lists is ever encoded here; to look for other types takes as long as the rest.
    encoded: bytes = rlp.encode(item, infer_serializer=False)
    return encoded


def integer(value: int) -> bytes:
    """Minimal big-endian bytes, none for 0 (§2.1)."""
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def address_of(key: PrivateKey) -> bytes:
    address: bytes = key.public_key.to_canonical_address()
    return address


def signature(key: PrivateKey, digest: bytes) -> tuple[int, int, int]:
    """r, s and parity."""
    signed = key.sign_msg_hash(digest)
    return signed.r, signed.s, signed.v


def seal(key: PrivateKey, digest: bytes) -> bytes:
    """65 bytes r || s || parity (§3.2)."""
    r, s, parity = signature(key, digest)
    return r.to_bytes(32, "big") + s.to_bytes(32, "big") + bytes((parity,))


def ordered_root(items: Sequence[bytes]) -> bytes:
    """Root of the trie rlp(index) -> item (§2.8)."""
    trie = HexaryTrie({})
    for index, item in enumerate(items):
        trie[encode(integer(index))] = item
    root: bytes = trie.root_hash
    return root


# Transactions (§2.4, §2.5)


@dataclass(frozen=True)
class Transaction:
    """An unsigned legacy transaction; `to` is empty for a creation."""

    nonce: int = 0
    gas_price: int = 0
    gas: int = 21_000
    to: bytes = b"\x77" * 20
    value: int = 0
    input: bytes = b""

    @property
    def unsigned(self) -> list[bytes]:
        numbers = integer(self.nonce), integer(self.gas_price), integer(self.gas)
        return [*numbers, self.to, integer(self.value), self.input]

    def digest(self, chain_id: int | None) -> bytes:
        """The signing hash: for a protected transaction with the chain's id, which 0 leaves out."""
        tail = [integer(chain_id), b"", b""] if chain_id else []
        return keccak(encode([*self.unsigned, *tail]))

    def signed(self, v: int, r: int, s: int) -> bytes:
        return encode([*self.unsigned, integer(v), integer(r), integer(s)])


# Blocks (§2.2, §3)


@dataclass(frozen=True)
class Block:
    """A block before it is encoded, its header's items by name; `difficulty` is the number unless given."""

    number: int
    parent_hash: bytes
    state_root: bytes
    gas_limit: int
    validators: tuple[bytes, ...]
    transactions: tuple[bytes, ...] = ()
    transactions_root: bytes | None = None
    receipts_root: bytes = EMPTY_ROOT
    gas_used: int = 0
    difficulty: int | None = None
    timestamp: int = 0
    miner: bytes = bytes(20)
    nonce: bytes = bytes(8)
    mix_hash: bytes = ISTANBUL_DIGEST
    vanity: bytes = bytes(32)
    proposer_seal: bytes = b""
    committed_seals: tuple[bytes, ...] = ()
    parent_seals: tuple[bytes, ...] = ()

    def _extra(self, proposer_seal: bytes, committed_seals: tuple[bytes, ...]) -> bytes:
        items: list[Any] = [list(self.validators), proposer_seal, list(committed_seals)]
        if self.parent_seals:
            items.append(list(self.parent_seals))
        return self.vanity + encode(items)

    def _header(self, extra: bytes) -> list[bytes]:
        root = ordered_root(self.transactions) if self.transactions_root is None else self.transactions_root
        difficulty = self.number if self.difficulty is None else self.difficulty
        return [
            self.parent_hash,
            EMPTY_UNCLES_HASH,
            self.miner,
            self.state_root,
            root,
            self.receipts_root,
            bytes(256),
            *map(integer, (difficulty, self.number, self.gas_limit, self.gas_used, self.timestamp)),
            extra,
        ]

    @property
    def hash(self) -> bytes:
        """K of thirteen items, without the seals of this block (§3.1, §3.4)."""
        return keccak(encode(self._header(self._extra(b"", ()))))

    @property
    def raw(self) -> bytes:
        """Network RLP (§2.3); the transactions stand as they were given."""
        header = [*self._header(self._extra(self.proposer_seal, self.committed_seals)), self.mix_hash, self.nonce]
        return encode([header, [rlp.decode(raw, strict=False) for raw in self.transactions], []])

    def sealed(self, proposer: PrivateKey, committers: Sequence[PrivateKey]) -> Block:
        """The block with the seals of `proposer` and `committers` (§3.5)."""
        proposed, committed = keccak(self.hash), committed_digest(self.hash)
        seals = tuple(seal(key, committed) for key in committers)
        return replace(self, proposer_seal=seal(proposer, proposed), committed_seals=seals)


def committed_digest(block_hash: bytes) -> bytes:
    """What a committed seal signs in G1 (§3.5)."""
    return keccak(keccak(block_hash + b"\x02"))


# Receipts (§2.6)


@dataclass(frozen=True)
class Log:
    address: bytes
    topics: tuple[bytes, ...]
    data: bytes


def bloom(logs: Sequence[Log]) -> bytes:
    bits = 0
    for log in logs:
        for item in (log.address, *log.topics):
            digest = keccak(item)
            for start in (0, 2, 4):
                bits |= 1 << (int.from_bytes(digest[start : start + 2], "big") & 2047)
    return bits.to_bytes(256, "big")


def receipt(succeeded: bool, cumulative_gas: int, logs: Sequence[Log]) -> bytes:
    encoded = [[log.address, list(log.topics), log.data] for log in logs]
    return encode([b"\x01" if succeeded else b"", integer(cumulative_gas), bloom(logs), encoded])


# State (§4.5, §5.5)


@dataclass(frozen=True)
class Account:
    balance: int = 0
    nonce: int = 0
    code: bytes = b""
    storage: Mapping[bytes, bytes] = field(default_factory=dict)

    @property
    def storage_root(self) -> bytes:
        trie = HexaryTrie({})
        for slot, value in self.storage.items():
            if any(value):
                trie[keccak(slot)] = encode(value.lstrip(b"\0"))
        root: bytes = trie.root_hash
        return root

    @property
    def encoded(self) -> bytes:
        return encode([integer(self.nonce), integer(self.balance), self.storage_root, keccak(self.code)])


def state_root(accounts: Mapping[bytes, Account]) -> bytes:
    """Root of the secure trie over `accounts` by address."""
    trie = HexaryTrie({})
    for address, account in accounts.items():
        trie[keccak(address)] = account.encoded
    root: bytes = trie.root_hash
    return root
