"""The judge of forgeries convicts: a block that differs in what is nobody's to change is unexplained."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from tests.conftest import recorded_folder
from tests.oracle.forgery import ForgedNetwork
from tests.oracle.material import STRANGERS
from tests.oracle.parts import (
    AGGREGATE,
    BITMAP,
    COMMITTED_SEALS,
    EXTRA_DATA,
    NONCE,
    PARENT_SEALS,
    PROPOSER_SEAL,
    ROUND,
    VALIDATORS,
    Parts,
)
from tests.oracle.sweep import Sweep
from tests.oracle.twin import address_of, encode, seal
from tests.oracle.verdict import Outcome, UnexplainedError, Weakness, explain, lenient

from polygon_edge import _core
from polygon_edge.execution import pipeline
from polygon_edge.execution.importer import Importer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.oracle.material import Change

NETWORKS = {
    name: ForgedNetwork(name, recorded_folder(name))
    for name in ("v0.6.3/poa-ecdsa", "v0.6.3/poa-bls", "v1.3.2/switch", "v1.3.2/forks-late")
}
ECDSA, BLS, LATER, LATE_FORKS = NETWORKS


def outcome(parts: Parts) -> Outcome:
    """What a chain would hold of a block that it took as it is."""
    return Outcome(
        parts.hash, parts.header[3], (b"receipt",), (b"hash",), tuple(map(encode, parts.extra[VALIDATORS])), parts.raw
    )


def judged(name: str, number: int, change: Change, **more: Any) -> set[Weakness]:
    """The judgement on a block changed so, had the chain kept everything but the bytes."""
    network = NETWORKS[name]
    real = outcome(network.parts(number))
    forged = network.parts(number).changed(change).raw
    return explain(network, number, real, replace(real, stored=forged, **more), forged)


def nothing(_parts: Parts) -> None:
    pass


@pytest.mark.parametrize("position", [position for position in range(16) if position not in (EXTRA_DATA, NONCE, 15)])
def test_a_header_field_that_differs_is_unexplained(position: int) -> None:
    def change(parts: Parts) -> None:
        old = parts.header[position]
        parts.header[position] = old[:-1] + bytes((old[-1] ^ 1,)) if old else b"\1"

    for name, network in NETWORKS.items():
        if position < len(network.parts(3).header):
            with pytest.raises(UnexplainedError, match=f"header item {position}"):
                judged(name, 3, change)


@pytest.mark.parametrize(
    ("what", "value"),
    [("block_hash", bytes(32)), ("state_root", bytes(32)), ("receipts", ()), ("validators", (b"another",))],
)
def test_another_outcome_is_unexplained(what: str, value: Any) -> None:
    with pytest.raises(UnexplainedError):
        judged(ECDSA, 3, lambda parts: parts.extra.append(b"surplus"), **{what: value})


def test_other_transaction_hashes_are_explained_where_they_are_over_what_was_received() -> None:
    assert judged(ECDSA, 28, nothing, transaction_hashes=(b"another",)) == {Weakness.TRANSACTION_HASH}
    with pytest.raises(UnexplainedError, match="transaction hashes"):
        judged(LATER, 3, nothing, transaction_hashes=(b"another",))


def test_no_difference_at_all_is_no_forgery() -> None:
    with pytest.raises(UnexplainedError, match="nothing differs"):
        judged(ECDSA, 3, nothing)


def _extra(item: int, new: Callable[[Any], object]) -> Change:
    return lambda parts: parts.extra.__setitem__(item, new(parts.extra[item]))


def _by_a_stranger(parts: Parts) -> None:
    parts.extra[PROPOSER_SEAL] = seal(STRANGERS[0], parts.proposer_digest)


def _committed_by_a_stranger(parts: Parts) -> None:
    parts.extra[COMMITTED_SEALS].append(seal(STRANGERS[0], parts.committed_digest))


def _set(item: int, position: int, content: bytes) -> Change:
    return lambda parts: parts.extra[item].__setitem__(position, content)


def _transactions(new: Callable[[list[Any]], object]) -> Change:
    def change(parts: Parts) -> None:
        units = parts.units
        new(units)
        parts.units = units

    return change


CONVICTED: dict[str, tuple[str, int, Change]] = {
    "vanity": (ECDSA, 3, lambda parts: setattr(parts, "vanity", b"\1" * 32)),
    "a stranger proposes": (ECDSA, 3, _by_a_stranger),
    "a stranger commits": (ECDSA, 3, _committed_by_a_stranger),
    "a seal twice": (ECDSA, 3, lambda parts: parts.extra[COMMITTED_SEALS].append(parts.extra[COMMITTED_SEALS][0])),
    "the parent's seals in another order": (ECDSA, 3, _extra(PARENT_SEALS, lambda old: old[::-1])),
    "no parent seals": (ECDSA, 3, lambda parts: parts.extra.pop()),
    "validators in another order": (ECDSA, 3, _extra(VALIDATORS, lambda old: old[::-1])),
    "a stranger validates": (ECDSA, 3, _set(VALIDATORS, 0, address_of(STRANGERS[0]))),
    "a nonce that is no vote": (ECDSA, 3, lambda parts: parts.header.__setitem__(NONCE, b"anything")),
    "another aggregate": (BLS, 3, _set(COMMITTED_SEALS, AGGREGATE, bytes(96))),
    "another bitmap of the parent": (BLS, 3, _set(PARENT_SEALS, BITMAP, b"\x0f")),
    "keys of BLS validators": (BLS, 3, lambda parts: parts.extra[VALIDATORS][0].__setitem__(1, bytes(48))),
    "another round": (LATER, 3, _extra(ROUND, lambda _: bytes(7) + b"\1")),
    "a transaction less": (ECDSA, 28, _transactions(lambda units: units.pop())),
    "transactions in another order": (ECDSA, 28, _transactions(lambda units: units.reverse())),
    "another value": (LATE_FORKS, 62, _transactions(lambda units: units[0][-1].__setitem__(6, b"\x63"))),
    "a chain id that is hashed": (LATE_FORKS, 62, _transactions(lambda units: units[0][-1].__setitem__(0, b"\x63"))),
}


@pytest.mark.parametrize(("name", "number", "change"), CONVICTED.values(), ids=list(CONVICTED))
def test_what_nobody_can_change_is_unexplained(name: str, number: int, change: Change) -> None:
    with pytest.raises(UnexplainedError):
        judged(name, number, change)


class Blind:
    """A prepared run of which every broken seal is taken for a good one."""

    def __init__(self, run: _core.Run) -> None:
        self.run = run

    def __getattr__(self, name: str) -> Any:
        return getattr(self.run, name)

    def __len__(self) -> int:
        return len(self.run)

    def verify(self, *arguments: Any) -> tuple[int, _core.Violation | None]:
        held, violation = self.run.verify(*arguments)
        is_seal = violation is not None and violation.rule in {"proposer seal", "committed seals", "parent seals"}
        return (len(self.run), None) if is_seal else (held, violation)


class Executing:
    """A chain that executes what a blind run says holds."""

    def __init__(self, chain: _core.Chain) -> None:
        self._chain = chain

    def __getattr__(self, name: str) -> Any:
        return getattr(self._chain, name)

    def execute(self, run: Blind, start: int, stop: int) -> _core.Executed:
        return self._chain.execute(run.run, start, stop)


@pytest.mark.parametrize("name", [ECDSA, BLS, LATER])
def test_a_node_that_looks_at_no_seal_is_found_out(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start = Importer.__init__

    def begin(self: Importer, chain: Any, *arguments: Any, **more: Any) -> None:
        start(self, Executing(chain), *arguments, **more)  # type: ignore[arg-type]

    def prepared(rules: _core.Rules, raws: list[bytes], previous: Blind | None = None) -> Blind:
        return Blind(_core.prepare(rules, raws, None if previous is None else previous.run))

    monkeypatch.setattr(Importer, "__init__", begin)
    monkeypatch.setattr(pipeline, "prepare", prepared)
    with pytest.raises(UnexplainedError, match=r", block 3, .*(proposer seal|seals|header item|block_hash)"):
        Sweep(NETWORKS[name], tmp_path).run([3], 200, 0)


def test_lenient_reads_what_the_strict_reader_reads() -> None:
    for value in (b"", b"\x05", b"\x80", b"x" * 55, b"x" * 56, [], [b"a", [b"b" * 300, []]], [b""] * 60):
        assert lenient(encode(value)) == value
        assert lenient(encode(value) + b"more") == value
    assert lenient(b"\xf8\x02\x01\x02") == [b"\x01", b"\x02"]
    assert lenient(b"\xb8\x01\x01") == b"\x01"
