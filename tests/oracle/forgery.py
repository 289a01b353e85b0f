"""Recorded chains that forged blocks would go on top of, and what becomes of such blocks."""

from __future__ import annotations

import io
import json
import shutil
import tempfile
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rlp
from eth_keys.datatypes import PrivateKey
from tests.golden.recorded import Network
from tests.oracle.parts import Form, Kind, Parts, thawed
from tests.oracle.verdict import Outcome

from polygon_edge import _core
from polygon_edge.archive.flat import FlatArchive, Metadata, encode_metadata
from polygon_edge.chain.genesis import Genesis, load_genesis
from polygon_edge.chain.rules import rules_of
from polygon_edge.consensus.head_validators import validators_at_head
from polygon_edge.errors import PolygonEdgeError
from polygon_edge.restore import Restore
from polygon_edge.store.data_dir import RESTORE_FOLDERS, DataDirectory
from polygon_edge.store.start import start_chain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CARRIED = (
    "v0.6.3/poa-ecdsa",
    "v0.6.3/poa-bls",
    "v0.6.3/pos-ecdsa",
    "v0.6.3/switch",
    "v0.6.3/switch-type",
    "v0.6.3/dev",
    "v1.3.2/switch",
    "v1.3.2/forks-late",
)
"""The networks that travel with the source: of every kind of seals, of both generations."""


def _height(value: Any) -> int:
    return int(value, 0) if isinstance(value, str) else int(value)


@dataclass(frozen=True)
class ForgedNetwork:
    """A recorded chain by the name of its folder, and how its blocks are read; nothing of it comes from the program."""

    name: str
    folder: Path

    @cached_property
    def genesis(self) -> Genesis:
        return load_genesis(self.folder / "genesis.json")

    @cached_property
    def _params(self) -> dict[str, Any]:
        params: dict[str, Any] = json.loads((self.folder / "genesis.json").read_bytes())["params"]
        return params

    @cached_property
    def blocks(self) -> list[bytes]:
        """Its records, that of block 0 included."""
        network = Network(self.folder)
        with (
            tempfile.TemporaryDirectory() as scratch,
            FlatArchive.open(network.archive("full.dat", Path(scratch))) as archive,
        ):
            return [record.raw for record in archive.records()]

    @property
    def generation(self) -> str:
        return "G3" if "v1.3.2" in self.name else "G1"

    @property
    def epoch_size(self) -> int:
        return int(self._params["engine"].get("ibft", {}).get("epochSize", 0))

    def fork_entry(self, number: int) -> dict[str, Any]:
        """The entry of the fork list that covers block `number`; a chain without seals has none."""
        ibft = self._params["engine"].get("ibft")
        if ibft is None:
            return {}
        entries: list[dict[str, Any]] = [ibft] if "type" in ibft else ibft["types"]
        return next(entry for entry in reversed(entries) if _height(entry.get("from", 0)) <= number)

    def kind(self, number: int) -> Kind:
        """What validators and seals block `number` has."""
        return "bls" if self.fork_entry(number).get("validator_type") == "bls" else "ecdsa"

    def is_staked(self, number: int) -> bool:
        return self.fork_entry(number).get("type") == "PoS"

    def form(self, number: int) -> Form:
        fork = self._params["forks"].get("txHashWithType")
        return Form(
            generation=self.generation,
            is_sealed="ibft" in self._params["engine"],
            kind=self.kind(number),
            parent_kind=self.kind(number - 1) if number > 1 else self.kind(number),
            is_hashed_with_type=fork is not None and number >= fork["block"],
        )

    def parts(self, number: int) -> Parts:
        return Parts.of(self.blocks[number], self.form(number))

    @cached_property
    def insider(self) -> PrivateKey | None:
        """The worthless key of one real validator, out of its recorded data directory; none where that is not there.

        Nor where it is the only validator: such a one may seal what it likes.
        """
        is_alone = len(next(iter(self.parts(1).extra), ())) < 2
        if is_alone or not (self.folder / "data-dir.tar.zst").exists():
            return None
        with tempfile.TemporaryDirectory() as scratch:
            Network(self.folder).data_directory("data-dir", Path(scratch))
            (file,) = Path(scratch).glob("**/consensus/validator.key")
            return PrivateKey(bytes.fromhex(file.read_text()))


class Silent:
    """A progress that nobody watches."""

    def update(self, *, blocks: int, transactions: int, gas: int, head: int) -> None:
        pass


@contextmanager
def opened(folder: Path) -> Iterator[_core.Chain]:
    DataDirectory(folder).create(RESTORE_FOLDERS)
    with _core.Chain.open(folder) as chain:
        yield chain


def restore(
    network: ForgedNetwork,
    folder: Path,
    chain: _core.Chain,
    raws: Sequence[bytes],
    *,
    promised: int,
    to: int | None = None,
    strict: bool = False,
) -> None:
    """Restore an archive of these blocks into an open chain; raises what the restore raises.

    The archive promises height `promised` and the hash of the real block there.
    """
    metadata = Metadata(promised, network.parts(promised).hash)
    with io.BytesIO(encode_metadata(metadata) + b"".join(raws)) as stream:
        archive, directory = FlatArchive(stream, "forged.dat"), DataDirectory(folder)
        Restore(archive, directory, chain, network.genesis, threading.Event(), Silent(), to=to, strict=strict).run()


def outcome_of(network: ForgedNetwork, folder: Path, chain: _core.Chain, number: int) -> Outcome:
    """What an open chain with head `number` holds of that block."""
    block_hash, stored, root = chain.canonical_hash(number), chain.block(number), chain.state_root_at(number)
    receipts = chain.receipts(number)
    assert block_hash is not None
    assert stored is not None
    assert root is not None
    engine = validators_at_head(chain, folder / "consensus", network.genesis, rules_of(network.genesis))
    rows = [] if receipts is None else thawed(rlp.decode(receipts))
    return Outcome(
        block_hash=block_hash,
        state_root=root,
        receipts=tuple(rlp.encode(row[:-1]) for row in rows),
        transaction_hashes=tuple(row[-1] for row in rows),
        validators=engine.validators(number + 1),
        stored=stored,
    )


class Target:
    """A restored chain with head `number` - 1, and what happens to blocks `number` on it; each try starts afresh."""

    def __init__(self, network: ForgedNetwork, number: int, folder: Path) -> None:
        self.network, self.number = network, number
        self._template = folder / f"at-{number - 1}"
        self._scratch = folder / "scratch"
        self.genesis = network.genesis
        self.blocks = network.blocks
        self.real = network.parts(number)
        with opened(self._template) as chain:
            restore(network, self._template, chain, self.blocks, promised=len(self.blocks) - 1, to=number - 1)
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
        failure: PolygonEdgeError | None = None
        with opened(self._scratch) as chain:
            try:
                restore(self.network, self._scratch, chain, raws, promised=last)
            except PolygonEdgeError as error:
                failure = error
        with opened(self._scratch) as chain:
            return failure, chain.head

    def refusal(self, raw: bytes) -> PolygonEdgeError:
        """The error of a block that is refused; raises LookupError where it is not.

        For many blocks: nothing is copied and the chain is opened once.
        """
        with opened(self._template) as chain:
            try:
                restore(self.network, self._template, chain, [raw], promised=self.number)
            except PolygonEdgeError as error:
                assert chain.head == self.head
                return error
        raise LookupError("the block is accepted")

    @cached_property
    def real_outcome(self) -> Outcome:
        """What the chain holds of the real block `number`."""
        assert self.attempt(self.real.raw) == (None, (self.number, self.real.hash))
        return self.outcome()

    @contextmanager
    def left(self) -> Iterator[_core.Chain]:
        """The chain that the last attempt left, opened."""
        with opened(self._scratch) as chain:
            yield chain

    def outcome(self) -> Outcome:
        """What the chain holds of block `number` after the last attempt."""
        with self.left() as chain:
            start_chain(chain, rules_of(self.genesis), self.genesis)
            return outcome_of(self.network, self._scratch, chain, self.number)

    def receipts(self) -> list[Any]:
        """The stored receipts of block `number` after the last attempt (§2.7)."""
        with self.left() as chain:
            stored = chain.receipts(self.number)
        assert stored is not None
        return thawed(rlp.decode(stored))
