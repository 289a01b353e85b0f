"""Real blocks of `poa-ecdsa`, taken apart so that a forger can change them, and the chain they would go on top of."""

from __future__ import annotations

import io
import shutil
import tarfile
import threading
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import rlp
import zstandard
from eth_hash.auto import keccak
from eth_keys.datatypes import PrivateKey
from tests.oracle.twin import ORDER, committed_digest, encode, ordered_root, seal

from polygon_edge import _core
from polygon_edge.archive.flat import FlatArchive, Metadata, encode_metadata
from polygon_edge.chain.genesis import load_genesis
from polygon_edge.errors import PolygonEdgeError
from polygon_edge.restore import Restore
from polygon_edge.store.data_dir import RESTORE_FOLDERS, DataDirectory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

NETWORK = Path(__file__).parent.parent / "data/v0.6.3/poa-ecdsa"

TRANSACTIONS_ROOT, DIFFICULTY, NUMBER, TIMESTAMP, EXTRA_DATA, MIX_HASH, NONCE = 4, 7, 8, 11, 12, 13, 14
VALIDATORS, PROPOSER_SEAL, COMMITTED_SEALS, PARENT_SEALS = range(4)


@dataclass
class Parts:
    """One block as nested lists, its extra data decoded beside it."""

    header: list[Any]
    transactions: list[Any]
    uncles: list[Any]
    vanity: bytes
    extra: list[Any]
    surplus: list[Any]
    after_extra: bytes = b""

    @classmethod
    def of(cls, raw: bytes) -> Self:
        header, transactions, uncles = rlp.decode(raw)
        header, extra = list(header), header[EXTRA_DATA]
        return cls(header, _thawed(transactions), _thawed(uncles), extra[:32], _thawed(rlp.decode(extra[32:])), [])

    @property
    def raw(self) -> bytes:
        header = list(self.header)
        header[EXTRA_DATA] = self.vanity + encode(self.extra) + self.after_extra
        return encode([header, self.transactions, self.uncles, *self.surplus])

    @property
    def hash(self) -> bytes:
        """The block hash (§3.1, §3.4), whatever was changed."""
        header = list(self.header[:13])
        filtered = [self.extra[VALIDATORS], b"", []]
        if len(self.extra) > PARENT_SEALS and self.extra[PARENT_SEALS]:
            filtered.append(self.extra[PARENT_SEALS])
        header[EXTRA_DATA] = self.vanity + encode(filtered)
        return keccak(encode(header))

    def changed(self, change: Callable[[Parts], object]) -> Parts:
        parts = deepcopy(self)
        change(parts)
        return parts

    def repair_transactions_root(self) -> None:
        self.header[TRANSACTIONS_ROOT] = ordered_root([encode(transaction) for transaction in self.transactions])

    def seal_as(self, proposer: PrivateKey | None, committers: list[PrivateKey]) -> None:
        """Seal anew, as somebody who has these keys can; without a proposer its seal stays."""
        if proposer is not None:
            self.extra[PROPOSER_SEAL] = seal(proposer, keccak(self.hash))
        self.extra[COMMITTED_SEALS] = [seal(key, committed_digest(self.hash)) for key in committers]


def _thawed(items: Iterable[Any]) -> list[Any]:
    """The nested sequences as lists, to be changed."""
    return [item if isinstance(item, bytes) else _thawed(item) for item in items]


def other_form(old: bytes) -> bytes:
    """The second signature of the same signer that follows from the first: (r, n - s, the other parity)."""
    s = ORDER - int.from_bytes(old[32:64], "big")
    return old[:32] + s.to_bytes(32, "big") + bytes((1 - old[64],))


def insider_key() -> PrivateKey:
    """The worthless key of one real validator, out of its recorded data directory."""
    packed = (NETWORK / "data-dir.tar.zst").read_bytes()
    content = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(packed)).read()
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        for member in archive:
            file = archive.extractfile(member)
            if Path(member.name).name == "validator.key" and file is not None:
                return PrivateKey(bytes.fromhex(file.read().decode()))
    raise LookupError("no validator.key in the recorded data directory")


class Silent:
    """A progress that nobody watches."""

    def update(self, *, blocks: int, transactions: int, gas: int, head: int) -> None:
        pass


class Target:
    """A restored chain with head `number` - 1, and what happens to blocks `number` on it; each try starts afresh."""

    def __init__(self, number: int, folder: Path) -> None:
        self.number = number
        self._template = folder / f"at-{number - 1}"
        self._scratch = folder / "scratch"
        self.genesis = load_genesis(NETWORK / "genesis.json")
        with FlatArchive.open(NETWORK / "full.dat") as archive:
            self.blocks = [record.raw for record in archive.records()]
        self.real = Parts.of(self.blocks[number])
        with FlatArchive.open(NETWORK / "full.dat") as archive, opened(self._template) as chain:
            self._restore(archive, self._template, chain, number - 1)
            self.head = chain.head

    def attempt(
        self, *raws: bytes, first: int | None = None, afresh: bool = True
    ) -> tuple[PolygonEdgeError | None, tuple[int, bytes] | None]:
        """Restore an archive of these blocks; returns the error, and the head after everything was closed again.

        The blocks begin with `first`, `number` by default; unless `afresh`, what the last attempt left is the target.
        """
        if afresh:
            shutil.rmtree(self._scratch, ignore_errors=True)
            shutil.copytree(self._template, self._scratch)
        last = (self.number if first is None else first) + len(raws) - 1
        content = encode_metadata(Metadata(last, bytes(32))) + b"".join(raws)
        failure: PolygonEdgeError | None = None
        with opened(self._scratch) as chain, io.BytesIO(content) as stream:
            try:
                self._restore(FlatArchive(stream, "forged.dat"), self._scratch, chain, None)
            except PolygonEdgeError as error:
                failure = error
        with opened(self._scratch) as chain:
            return failure, chain.head

    def receipts(self) -> list[Any]:
        """The stored receipts of block `number` after the last attempt (§2.7)."""
        with opened(self._scratch) as chain:
            stored = chain.receipts(self.number)
        assert stored is not None
        return _thawed(rlp.decode(stored))

    def _restore(self, archive: FlatArchive, folder: Path, chain: _core.Chain, to: int | None) -> None:
        Restore(archive, DataDirectory(folder), chain, self.genesis, threading.Event(), Silent(), to=to).run()


@contextmanager
def opened(folder: Path) -> Iterator[_core.Chain]:
    DataDirectory(folder).create(RESTORE_FOLDERS)
    with _core.Chain.open(folder) as chain:
        yield chain
