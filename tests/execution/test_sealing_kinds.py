"""A lone validator goes on where a Go node of its chain stopped, whatever kind of seals and generation that has."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from tests.conftest import shared_folder
from tests.golden.recorded import Network

from polygon_edge import _core
from polygon_edge.chain.genesis import Genesis, load_genesis, parse_genesis
from polygon_edge.chain.genesis_block import core_rules
from polygon_edge.chain.genesis_file import Ibft, NewChain, Validator, genesis_text
from polygon_edge.chain.rules import Rules, rules_of
from polygon_edge.consensus.head_validators import validators_at_head
from polygon_edge.execution.append import Appender
from polygon_edge.execution.sealing import Sealer, SealingRules
from polygon_edge.keys.local import LocalKeys
from polygon_edge.store.start import start_chain

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from polygon_edge.consensus.engine import Engine

KEY, BLS_KEY = _core.EcdsaKey(b"\x11" * 32), _core.BlsKey(b"\x12" * 32)


class Hours:
    """A clock that is an hour later at every look, so that nothing has to be waited for."""

    def __init__(self) -> None:
        self.now = 2_000_000_000.0

    def __call__(self) -> float:
        self.now += 3600
        return self.now


class Nothing:
    """An offer of no transactions."""

    def candidates(self) -> list[_core.Transaction]:
        return []

    def settle(self, candidates: Sequence[_core.Transaction], outcomes: Sequence[str]) -> None:
        assert (list(candidates), list(outcomes)) == ([], [])


def seal(
    chain: _core.Chain,
    genesis: Genesis,
    folder: Path,
    count: int,
    *,
    key: _core.EcdsaKey = KEY,
    bls_key: _core.BlsKey | None = None,
) -> Engine:
    """Seal `count` blocks after the head, each through all checks, and return the validators after them."""
    rules: Rules = rules_of(genesis)
    engine = validators_at_head(chain, folder / "consensus", genesis, rules)
    stop = threading.Event()
    appender = Appender(
        chain, core_rules(rules), engine, stop=stop, source_name="own", on_imported=lambda _imported: None
    )
    sealer = Sealer(
        chain,
        engine,
        appender,
        key,
        Nothing(),
        bls_key=bls_key,
        rules=SealingRules(1, 0),
        stop=stop,
        clock=Hours(),
    )
    assert sealer._may_seal()
    for _ in range(count):
        sealer.seal_next()
    return engine


@pytest.mark.parametrize("counts", [None, (1, 5)])
@pytest.mark.parametrize("validator_type", ["ecdsa", "bls"])
def test_a_lone_validator_of_every_kind_seals(
    validator_type: str, counts: tuple[int, int] | None, tmp_path: Path
) -> None:
    bls_key = BLS_KEY if validator_type == "bls" else None
    member = Validator(KEY.address, None if bls_key is None else bls_key.public_key)
    engine = Ibft(validator_type, (member,), 3, counts)
    genesis = parse_genesis(genesis_text(NewChain("kinds", 7, engine, 10**7, {}, ("/ip4/127.0.0.1",))))
    with _core.Chain.open(tmp_path) as chain:
        start_chain(chain, rules_of(genesis), genesis)
        known = seal(chain, genesis, tmp_path, 7, bls_key=bls_key)
        assert chain.tip[0] == 7
        assert known.validators(8) == chain.sealed_header(7)[5]


@pytest.mark.shared
@pytest.mark.parametrize("name", ["v0.6.3/single", "v1.3.2/forks-late", "v1.3.2/access-lists", "v1.3.2/big-blocks"])
def test_the_directory_of_a_go_node_is_sealed_on(name: str, tmp_path: Path) -> None:
    network = Network(shared_folder() / "golden" / name)
    network.data_directory("data-dir", tmp_path)
    folder = tmp_path if (tmp_path / "blockchain").is_dir() else next(tmp_path.iterdir())
    genesis = load_genesis(network.genesis)
    with _core.Chain.open(folder, create=False) as chain:
        start_chain(chain, rules_of(genesis), genesis)
        before = chain.tip[0]
        seal(chain, genesis, folder, 3, key=LocalKeys(folder).validator_key(create=False))
        assert chain.head is not None
        assert chain.head[0] == before + 3
