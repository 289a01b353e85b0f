from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from polygon_edge.chain import rlp
from polygon_edge.chain.genesis import Generation, Genesis, load_genesis, parse_genesis
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


@pytest.mark.parametrize(
    ("engine", "forks", "path"),
    [
        ({"dev": {}}, None, "params.engine"),
        ({"dummy": None}, None, "params.engine"),
        ({"polybft": {}}, None, "params.engine"),
        ({"ibft": {"type": "PoS"}}, None, "params.engine.ibft.type"),
        ({"ibft": {"type": "PoA", "validator_type": "bls"}}, None, "params.engine.ibft.validator_type"),
        ({"ibft": {"types": [{"type": "PoA"}]}}, None, "params.engine.ibft.types"),
        ({"ibft": {"type": "PoA", "blockTime": "2s"}}, None, "params.engine.ibft.blockTime"),
        ({"ibft": {"type": "PoA"}}, {"homestead": {"block": 0}}, "params.forks"),
    ],
)
def test_what_this_version_cannot_run_is_refused_by_key(
    engine: dict[str, Any], forks: dict[str, Any] | None, path: str
) -> None:
    chain = genesis(engine, forks)
    with pytest.raises(UnsupportedGenesisError) as raised:
        refuse_unsupported(chain)
    assert raised.value.path == path
    with pytest.raises(UnsupportedGenesisError):
        rules_of(chain)


def test_the_first_validators_stand_in_the_extra_data() -> None:
    assert initial_validators(genesis(extra=extra_of([TWO, ONE]))) == (TWO, ONE)


@pytest.mark.parametrize("extra", [b"", bytes(32), extra_of([]), extra_of([ONE, ONE]), extra_of([b"\x01"])])
def test_extra_data_without_validators_is_refused(extra: bytes) -> None:
    with pytest.raises(GenesisError) as raised:
        initial_validators(genesis(extra=extra))
    assert raised.value.path == "genesis.extraData"
    assert not isinstance(raised.value, UnsupportedGenesisError)


def test_bls_validators_are_refused_as_not_supported() -> None:
    with pytest.raises(UnsupportedGenesisError):
        initial_validators(genesis(extra=extra_of([[ONE, bytes(48)]])))


def test_recorded_networks_are_run_or_refused(shared: Path) -> None:
    golden = shared / "golden/v0.6.3"
    accepted = []
    for file in sorted(golden.glob("*/genesis.json")):
        chain = load_genesis(file)
        try:
            rules_of(chain)
        except UnsupportedGenesisError:
            continue
        about = json.loads((file.parent / "about.json").read_text())
        validators = [bytes.fromhex(node["address"][2:]) for node in about["validators"]]
        assert initial_validators(chain) == tuple(validators[: len(initial_validators(chain))])
        accepted.append(file.parent.name)
    assert accepted == ["poa-ecdsa", "single"]
