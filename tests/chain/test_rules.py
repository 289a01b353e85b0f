from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from polygon_edge.chain import rlp
from polygon_edge.chain.generation import Generation
from polygon_edge.chain.genesis import Genesis, load_genesis, parse_genesis
from polygon_edge.chain.genesis_block import genesis_block
from polygon_edge.chain.rlp import Item
from polygon_edge.chain.rules import initial_validators, refuse_unsupported, rules_of
from polygon_edge.errors import GenesisError, UnsupportedGenesisError

if TYPE_CHECKING:
    from pathlib import Path

ONE, TWO = b"\x01" * 20, b"\x02" * 20


def genesis(engine: dict[str, Any] | None = None, forks: dict[str, Any] | None = None, extra: bytes = b"") -> Genesis:
    document = {
        "genesis": {"gasLimit": "1", "extraData": "0x" + extra.hex()},
        "params": {
            "forks": {"homestead": 0, "istanbul": 10} if forks is None else forks,
            "chainID": 7,
            "engine": engine or {"ibft": {"type": "PoA", "epochSize": 20, "quorumSizeBlockNum": 5}},
        },
    }
    return parse_genesis(json.dumps(document).encode())


def extra_of(validators: Item) -> bytes:
    return bytes(32) + rlp.encode([validators, b"", []])


def test_the_rules_come_from_the_genesis_file() -> None:
    rules = rules_of(genesis())
    assert (rules.generation, rules.chain_id, rules.engine) == (Generation.G1, 7, "ibft")
    assert (rules.epoch_size, rules.quorum_size_block) == (20, 5)


def test_an_engine_that_this_program_does_not_have_is_refused_by_key() -> None:
    chain = genesis({"polybft": {}})
    with pytest.raises(UnsupportedGenesisError) as raised:
        refuse_unsupported(chain)
    assert raised.value.path == "params.engine"
    with pytest.raises(UnsupportedGenesisError):
        rules_of(chain)


@pytest.mark.parametrize("name", ["dev", "dummy"])
def test_an_engine_without_validators_has_no_schedule(name: str) -> None:
    rules = rules_of(genesis({name: {}}))
    assert (rules.engine, rules.has_validators, rules.schedule.regimes) == (name, False, ())


def test_the_first_validators_stand_in_the_extra_data() -> None:
    assert initial_validators(genesis(extra=extra_of([TWO, ONE]))) == (TWO, ONE)


@pytest.mark.parametrize("extra", [b"", bytes(32), extra_of([]), extra_of([ONE, ONE]), extra_of([b"\x01"])])
def test_extra_data_without_validators_is_refused(extra: bytes) -> None:
    with pytest.raises(GenesisError) as raised:
        initial_validators(genesis(extra=extra))
    assert raised.value.path == "genesis.extraData"
    assert not isinstance(raised.value, UnsupportedGenesisError)


def test_the_first_validators_are_of_the_type_that_the_engine_asks_for() -> None:
    bls = {"ibft": {"type": "PoA", "validator_type": "bls"}}
    listed: Item = [[ONE, bytes(48)]]
    assert initial_validators(genesis(bls, extra=extra_of(listed))) == (ONE + bytes(48),)
    for chain in (genesis(bls, extra=extra_of([ONE])), genesis(extra=extra_of(listed))):
        with pytest.raises(GenesisError) as raised:
            initial_validators(chain)
        assert raised.value.path == "genesis.extraData"


def test_every_recorded_genesis_file_gives_the_recorded_genesis_block(shared: Path) -> None:
    compared = 0
    for file in sorted((shared / "golden").glob("**/genesis.json")):
        about = json.loads((file.parent / "about.json").read_text())
        if "polybft" in file.parts:
            continue
        chain = load_genesis(file)
        block = genesis_block(rules_of(chain), chain)
        assert block.hash.hex() == about["genesisHash"][2:], file
        if "genesisStateRoot" in about:
            assert block.state_root.hex() == about["genesisStateRoot"][2:], file
        compared += 1
    assert compared > 40


# --- generations


def test_the_second_generation_is_asked_for() -> None:
    text = json.dumps(
        {"genesis": {"gasLimit": "1"}, "params": {"forks": {"london": 5}, "engine": {"dev": {}}}}
    ).encode()
    assert rules_of(parse_genesis(text, generation=Generation.G2)).forks == {"london": 5}
    with pytest.raises(GenesisError) as raised:
        parse_genesis(text)
    assert raised.value.path == "params.forks.london"


@pytest.mark.parametrize(
    ("forks", "engine", "asked", "path"),
    [
        ({"homestead": {"block": 0}}, {}, Generation.G1, "params.forks.homestead"),
        ({"homestead": {"block": 0}}, {}, Generation.G2, "params.forks.homestead"),
        ({"homestead": 0}, {"blockTime": "2s"}, Generation.G2, "params.engine.ibft.blockTime"),
        ({"homestead": 0}, {}, Generation.G3, "params.forks"),
    ],
)
def test_a_generation_that_the_file_rules_out_is_refused_by_key(
    forks: dict[str, Any], engine: dict[str, Any], asked: Generation, path: str
) -> None:
    document = {"genesis": {"gasLimit": "1"}, "params": {"forks": forks, "engine": {"ibft": {"type": "PoA"} | engine}}}
    with pytest.raises(GenesisError) as raised:
        parse_genesis(json.dumps(document).encode(), generation=asked)
    assert raised.value.path == path
