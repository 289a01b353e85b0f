"""Forged blocks by the thousand against recorded chains of every kind: accepted is only what the threat model lists.

A slice runs with the tests; POLYGON_EDGE_FORGERIES says how many there are by hand, of all chains together.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.conftest import recorded_folder
from tests.oracle.forger import Forger
from tests.oracle.forgery import CARRIED, ForgedNetwork
from tests.oracle.sweep import Sweep, Tally, heights
from tests.oracle.verdict import Weakness

from polygon_edge.errors import Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

FORGERIES = int(os.environ.get("POLYGON_EDGE_FORGERIES", "0"))
SEED = int(os.environ.get("POLYGON_EDGE_SEED", "0"))
OTHERS = ("v1.3.2/poa-ecdsa-london", "v1.3.2/poa-bls", "v1.3.2/pos-ecdsa", "v1.3.2/forks-early", "v1.3.2/access-lists")
SLICE = 24
"""Forgeries of one chain that run with the tests."""


@pytest.fixture(scope="module")
def tally() -> Iterator[Tally]:
    """What became of all forgeries; told where somebody asked for many."""
    whole = Tally()
    yield whole
    if FORGERIES:
        print(f"\n{whole.total} forgeries in all, of which {whole.accepted['in all']} were accepted and explained")


@pytest.mark.parametrize("name", [*CARRIED, *(pytest.param(name, marks=pytest.mark.shared) for name in OTHERS)])
def test_no_forgery_is_accepted_that_the_threat_model_does_not_list(name: str, tmp_path: Path, tally: Tally) -> None:
    network = ForgedNetwork(name, recorded_folder(name))
    wanted = -(-FORGERIES // len(CARRIED + OTHERS)) or SLICE
    numbers = heights(network, max(3, min(len(network.blocks), wanted // 40)))
    found = Sweep(network, tmp_path).run(numbers, -(-wanted // len(numbers)), SEED)
    assert found.total >= wanted
    assert found.refused.keys() & {Rule.PROPOSER_SEAL.value, Rule.COMMITTED_SEALS.value, Rule.TRANSACTIONS_ROOT.value}
    tally.add(found)
    if FORGERIES:
        print(f"\n{name}: {found.total} forgeries of {len(numbers)} blocks")
        for kind, counts in (("refused by", found.refused), ("accepted:", found.accepted)):
            for what, count in sorted(counts.items(), key=lambda entry: -entry[1]):
                print(f"  {count:6d} {kind} {what}")


def test_the_same_seed_forges_the_same_blocks() -> None:
    network = ForgedNetwork("v0.6.3/poa-bls", recorded_folder("v0.6.3/poa-bls"))
    first, second, other = (Forger(network, 18, seed) for seed in (1, 1, 2))
    forged = [[forger.variant().raw for _ in range(20)] for forger in (first, second, other)]
    assert forged[0] == forged[1] != forged[2]


def test_the_threat_model_names_every_weakness() -> None:
    model = (Path(__file__).parents[2] / "docs/threat-model.md").read_text(encoding="utf-8")
    for weakness in Weakness:
        assert f"| {weakness.value}" in model, weakness
