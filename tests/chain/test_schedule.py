from __future__ import annotations

import json
from typing import Any

import pytest

from polygon_edge.chain.genesis import parse_genesis
from polygon_edge.chain.schedule import Schedule, schedule_of, stake_heights, validator_types
from polygon_edge.errors import GenesisError

ONE, TWO = "0x" + "01" * 20, "0x" + "02" * 20
KEY = "0x" + "aa" * 48


def schedule(*types: dict[str, Any], epoch_size: int = 10) -> Schedule:
    document = {
        "genesis": {"gasLimit": "1"},
        "params": {"forks": {}, "engine": {"ibft": {"types": list(types), "epochSize": epoch_size}}},
    }
    return schedule_of(parse_genesis(json.dumps(document).encode()).params.engine)


def test_the_last_entry_that_covers_a_height_wins() -> None:
    found = schedule({"type": "PoA"}, {"type": "PoS", "from": "0x1e", "to": "0x3b"}, {"type": "PoA", "from": 50})
    assert [(regime.first, regime.entry and regime.entry.kind) for regime in found.regimes] == [
        (0, "PoA"),
        (30, "PoS"),
        (50, "PoA"),
        (60, "PoA"),
    ]
    # The first entry never ends: its hooks stay, whoever validates. Those of the second go on to its own end.
    assert [regime.counts_votes for regime in found.regimes] == [True, True, True, True]
    assert [regime.ends_epochs_empty for regime in found.regimes] == [False, True, True, False]
    assert stake_heights(found) == ((0, False),)


def test_a_list_as_ibft_switch_writes_it() -> None:
    found = schedule(
        {"type": "PoA", "to": "0x1d"},
        {"type": "PoS", "from": "0x1e", "to": "0x3b", "deployment": "0xc"},
        {"type": "PoS", "validator_type": "bls", "from": "0x3c"},
    )
    assert validator_types(found) == ((0, "ecdsa"), (60, "bls"))
    assert stake_heights(found) == ((0, False), (30, True))
    assert found.has_votes
    assert found.has_bls


def test_a_height_that_no_entry_covers_has_none() -> None:
    found = schedule({"type": "PoA", "to": 9}, {"type": "PoA", "from": 20})
    assert [found.at(number).entry is None for number in (9, 10, 19, 20)] == [False, True, True, False]


def test_validators_of_an_entry_replace_from_its_second_block_on() -> None:
    member = {"Address": ONE, "BLSPublicKey": KEY}
    found = schedule(
        {"type": "PoA", "to": 0, "validators": [{"Address": TWO}]},
        {"type": "PoA", "from": 1, "to": 24, "validators": [{"Address": TWO}]},
        {"type": "PoA", "from": 25, "validator_type": "bls", "validators": [member]},
    )
    assert found.replacements == {25: (bytes.fromhex("01" * 20 + "aa" * 48),)}


@pytest.mark.parametrize(
    ("number", "expected"), [(1, 0), (9, 0), (10, 9), (19, 9), (20, 19), (29, 19), (30, 29), (35, 29), (40, 39)]
)
def test_the_contract_tells_an_epoch_from_the_state_before_it(number: int, expected: int) -> None:
    found = schedule({"type": "PoS"})
    entry = found.at(number).entry
    assert entry is not None
    assert found.contract_height(number, entry) == expected


@pytest.mark.parametrize(("number", "expected"), [(35, 34), (39, 34), (40, 39), (49, 39)])
def test_an_entry_begins_with_the_state_before_its_first_block(number: int, expected: int) -> None:
    found = schedule({"type": "PoA", "to": 34}, {"type": "PoS", "from": 35})
    entry = found.at(number).entry
    assert entry is not None
    assert found.contract_height(number, entry) == expected


@pytest.mark.parametrize(("head", "expected"), [(0, 0), (9, 0), (10, 10), (23, 20), (24, 24), (29, 24), (30, 30)])
def test_votes_before_an_epochs_end_or_a_replacement_do_not_matter(head: int, expected: int) -> None:
    found = schedule({"type": "PoA", "to": 24}, {"type": "PoA", "from": 25, "validators": [{"Address": ONE}]})
    assert found.rebuild_height(head) == expected


def test_heights_of_stake_are_passed_over_on_the_way_back() -> None:
    found = schedule({"type": "PoA", "to": 29}, {"type": "PoS", "from": 30})
    assert found.rebuild_height(96) == 20


@pytest.mark.parametrize(
    ("entry", "path"),
    [
        ({}, "[0]"),
        ({"type": "PoW"}, "[0].type"),
        ({"type": "PoA", "validator_type": "rsa"}, "[0].validator_type"),
        ({"type": "PoA", "from": 1}, ""),
        ({"type": "PoA", "from": -1}, "[0].from"),
        ({"type": "PoA", "from": "first"}, "[0].from"),
        ({"type": "PoA", "from": 5, "to": 4}, "[0].to"),
        ({"type": "PoA", "validators": []}, "[0]"),
        ({"type": "PoA", "validators": [{"Address": ONE}, {"Address": ONE}]}, "[0].validators"),
        ({"type": "PoA", "validators": [{}]}, "[0].validators[0]"),
        ({"type": "PoA", "validators": [{"Address": "0x01"}]}, "[0].validators[0].Address"),
        ({"type": "PoA", "validator_type": "bls", "validators": [{"Address": ONE}]}, "[0].validators[0]"),
        (
            {"type": "PoA", "validator_type": "bls", "validators": [{"Address": ONE, "BLSPublicKey": "0x01"}]},
            "[0].validators[0].BLSPublicKey",
        ),
        ({"type": "PoS", "deployment": True}, "[0].deployment"),
    ],
)
def test_an_entry_that_makes_no_sense_is_refused_by_key(entry: dict[str, Any], path: str) -> None:
    with pytest.raises(GenesisError) as raised:
        schedule(entry)
    assert raised.value.path == f"params.engine.ibft.types{path}"


def test_numbers_come_as_numbers_or_texts() -> None:
    for last in (24, 24.4, "24", "0x18"):
        assert schedule({"type": "PoA", "to": last}, {"type": "PoS", "from": 25}).regimes[1].first == 25
