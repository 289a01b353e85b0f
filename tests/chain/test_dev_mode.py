"""What `server --dev` makes of a genesis file."""

from __future__ import annotations

import json
from typing import Any

import pytest

from polygon_edge.chain.dev_mode import in_dev_mode
from polygon_edge.chain.generation import Generation
from polygon_edge.chain.genesis import FORK_NAMES, Genesis, parse_genesis
from polygon_edge.chain.genesis_block import genesis_block
from polygon_edge.chain.rules import rules_of
from polygon_edge.errors import GenesisError


def genesis(
    engine: dict[str, Any], generation: Generation | None = None, params: dict[str, Any] | None = None
) -> Genesis:
    document = {"genesis": {"gasLimit": "1"}, "params": {"forks": {"homestead": 9}, "engine": engine, **(params or {})}}
    return parse_genesis(json.dumps(document).encode(), generation=generation)


def test_every_fork_counts_from_the_start_and_block_0_stays_the_same() -> None:
    chain = genesis({"dev": {"interval": 7}})
    changed = in_dev_mode(chain, 3)
    assert rules_of(changed).forks == dict.fromkeys(FORK_NAMES[Generation.G1], 0)
    assert (rules_of(chain).interval, rules_of(changed).interval) == (7, 3)
    assert genesis_block(rules_of(changed), changed).hash == genesis_block(rules_of(chain), chain).hash


def test_another_engine_keeps_its_settings() -> None:
    engine = {"ibft": {"type": "PoA", "epochSize": 20}}
    assert in_dev_mode(genesis(engine), 3).params.engine == genesis(engine).params.engine


def test_london_needs_somebody_who_gets_the_fee_where_it_has_an_effect() -> None:
    later: dict[str, Any] = {"forks": {"homestead": {"block": 9}}}
    with pytest.raises(GenesisError, match="--dev turns the fork london on") as raised:
        in_dev_mode(genesis({"dev": {}}, params=later), 1)
    assert raised.value.path == "params.burnContract"
    burnt = {"burnContract": {"0": "0x" + "b0" * 20}}
    assert in_dev_mode(genesis({"dev": {}}, params=later | burnt), 1).params.forks["londonfix"] == 0
    assert in_dev_mode(genesis({"dev": {}}, Generation.G2), 1).params.forks["london"] == 0


@pytest.mark.parametrize("interval", ["1", -1, 1.5, True, 1 << 64])
def test_an_interval_is_a_whole_number_of_seconds(interval: object) -> None:
    with pytest.raises(GenesisError) as raised:
        genesis({"dev": {"interval": interval}})
    assert raised.value.path == "params.engine.dev.interval"


def test_an_interval_of_another_engine_means_nothing() -> None:
    assert genesis({"dummy": {"interval": "x"}}).params.engine.interval is None
    assert genesis({"dev": {}}).params.engine.interval is None
    assert genesis({"dev": {"interval": None}}).params.engine.interval is None
