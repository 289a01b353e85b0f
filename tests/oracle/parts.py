"""Real blocks of every kind of chain taken apart, so that a forger can change them and put them together again.

Owns the shapes (§2.2, §2.3, §3.3) and the hash of what was changed (§3.1, §3.4); what to change is `forger`'s.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias

import rlp
from eth_hash.auto import keccak
from tests.oracle.twin import ORDER, committed_digest, ordered_root, seal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from eth_keys.datatypes import PrivateKey

MINER, STATE_ROOT, TRANSACTIONS_ROOT, RECEIPTS_ROOT, BLOOM = 2, 3, 4, 5, 6
DIFFICULTY, NUMBER, GAS_LIMIT, GAS_USED, TIMESTAMP, EXTRA_DATA = 7, 8, 9, 10, 11, 12
MIX_HASH, NONCE, BASE_FEE = 13, 14, 15
VALIDATORS, PROPOSER_SEAL, COMMITTED_SEALS, PARENT_SEALS, ROUND = range(5)
BITMAP, AGGREGATE = range(2)

DYNAMIC_FEE = b"\x02"

Kind: TypeAlias = Literal["ecdsa", "bls"]


def encode(item: Any) -> bytes:
    """RLP of bytes and lists, and of the numbers that a change leaves where it took bytes apart."""
    encoded: bytes = rlp.encode(item)
    return encoded


@dataclass(frozen=True)
class Form:
    """What the bytes of a block depend on, beside the block: generation, engine, kinds of validators, typed hashes."""

    generation: str = "G1"
    is_sealed: bool = True
    kind: Kind = "ecdsa"
    parent_kind: Kind = "ecdsa"
    is_hashed_with_type: bool = False

    @property
    def no_seals(self) -> list[bytes]:
        """The empty form of committed seals (§3.3)."""
        return [b"", b""] if self.kind == "bls" else []


G1_ECDSA = Form()


@dataclass
class Parts:
    """One block as nested lists, its extra data decoded beside it; without seals `vanity` is the whole extra data."""

    form: Form
    header: list[Any]
    transactions: list[Any]
    uncles: list[Any]
    vanity: bytes
    extra: list[Any]
    surplus: list[Any]
    after_extra: bytes = b""

    @classmethod
    def of(cls, raw: bytes, form: Form = G1_ECDSA) -> Self:
        header, transactions, uncles = rlp.decode(raw)
        header, extra = list(header), header[EXTRA_DATA]
        vanity, items = (extra[:32], thawed(rlp.decode(extra[32:]))) if form.is_sealed else (extra, [])
        return cls(form, header, thawed(transactions), thawed(uncles), vanity, items, [])

    @property
    def raw(self) -> bytes:
        header = list(self.header)
        header[EXTRA_DATA] = self.vanity + (encode(self.extra) if self.form.is_sealed else b"") + self.after_extra
        return encode([header, self.transactions, self.uncles, *self.surplus])

    @property
    def hash(self) -> bytes:
        """The block hash (§3.1, §3.4), whatever was changed."""
        if not self.form.is_sealed:
            return keccak(encode([*self.header[:EXTRA_DATA], self.vanity + self.after_extra, *self.header[13:]]))
        header = list(self.header[:13])
        filtered = [self.extra[VALIDATORS], b"", self.form.no_seals]
        parents = self.parent_seals
        if self.form.generation != "G1":
            filtered += [parents or [], b""]
        elif parents:
            filtered.append(parents)
        header[EXTRA_DATA] = self.vanity + encode(filtered)
        return keccak(encode(header))

    @property
    def parent_seals(self) -> list[Any]:
        """The parent seals that the hash covers, an empty list where there are none."""
        seals = self.extra[PARENT_SEALS] if len(self.extra) > PARENT_SEALS else []
        is_read = int.from_bytes(self.header[NUMBER], "big") > 1
        if not is_read or not seals:
            return []
        if self.form.parent_kind == "bls":
            bitmap = seals[BITMAP].lstrip(b"\0")
            return [bitmap, seals[AGGREGATE]] if bitmap else []
        return list(seals)

    @property
    def round(self) -> int | None:
        """The round in which the block was agreed (§3.3)."""
        if self.form.generation == "G1" or len(self.extra) <= ROUND or len(self.extra[ROUND]) != 8:
            return None
        return int.from_bytes(self.extra[ROUND], "big")

    @property
    def proposer_digest(self) -> bytes:
        """What the proposer seals (§3.5)."""
        digest: bytes = keccak(self.hash)
        return digest

    @property
    def committed_digest(self) -> bytes:
        """What the validators seal (§3.5)."""
        if self.round is None:
            return committed_digest(self.hash)
        return committed_digest(keccak(self.hash + self.round.to_bytes(8, "big")))

    @property
    def units(self) -> list[list[Any]]:
        """The transactions, each as [payload] or [type, payload] (§2.3)."""
        found: list[list[Any]] = []
        for item in self.transactions:
            if found and isinstance(found[-1][-1], bytes):
                found[-1].append(item)
            else:
                found.append([item])
        return found

    @units.setter
    def units(self, units: list[list[Any]]) -> None:
        self.transactions = [item for unit in units for item in unit]

    def changed(self, change: Callable[[Parts], object]) -> Parts:
        parts = deepcopy(self)
        change(parts)
        return parts

    def repair_transactions_root(self) -> None:
        """Compute the root anew over the transactions as they stand (§2.8)."""
        self.header[TRANSACTIONS_ROOT] = ordered_root([self._hashed(*unit) for unit in self.units])

    def _hashed(self, *unit: Any) -> bytes:
        *kind, payload = unit
        if self.form.generation == "G1" or not kind:
            return encode(payload)
        if self.form.is_hashed_with_type:
            return bytes(kind[0]) + encode(payload)
        return encode([b"", *payload[1:]] if kind[0] == DYNAMIC_FEE else payload)

    def seal_as(self, proposer: PrivateKey | None, committers: list[PrivateKey]) -> None:
        """Seal anew, as somebody who has these keys can; without a proposer its seal stays."""
        if proposer is not None:
            self.extra[PROPOSER_SEAL] = seal(proposer, self.proposer_digest)
        self.extra[COMMITTED_SEALS] = [seal(key, self.committed_digest) for key in committers]


def thawed(items: Iterable[Any]) -> list[Any]:
    """The nested sequences as lists, to be changed."""
    return [item if isinstance(item, bytes) else thawed(item) for item in items]


def other_form(old: bytes) -> bytes:
    """The second signature of the same signer that follows from the first: (r, n - s, the other parity)."""
    s = ORDER - int.from_bytes(old[32:64], "big")
    return old[:32] + (s % (1 << 256)).to_bytes(32, "big") + bytes((1 - old[64] % 2,))
