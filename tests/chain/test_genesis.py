from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pytest

from polygon_edge.chain.engine import ForkEntry
from polygon_edge.chain.generation import Generation
from polygon_edge.chain.genesis import Genesis, load_genesis, parse_genesis
from polygon_edge.errors import GenesisError

if TYPE_CHECKING:
    from pathlib import Path

ADDRESS = "0x" + "12" * 20
MINIMAL: dict[str, Any] = {
    "name": "test",
    "genesis": {"gasLimit": "0x500000"},
    "params": {"forks": {"homestead": 0, "EIP155": 7}, "chainID": 100, "engine": {"ibft": {"type": "PoA"}}},
}


def changed(path: str, value: object) -> Genesis:
    document = copy.deepcopy(MINIMAL)
    *parents, last = path.split(".")
    place = document
    for name in parents:
        place = place.setdefault(name, {})
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return parse_genesis(json.dumps(document).encode())


def test_absent_keys_have_the_defaults_of_the_fact_sheet() -> None:
    genesis = parse_genesis(json.dumps(MINIMAL).encode())
    assert genesis.generation is Generation.G1
    assert (genesis.nonce, genesis.mix_hash, genesis.coinbase) == (bytes(8), bytes(32), bytes(20))
    assert (genesis.difficulty, genesis.gas_limit, genesis.gas_used, genesis.number) == (131072, 0x500000, 0, 0)
    assert (genesis.timestamp, genesis.extra_data, genesis.alloc, genesis.base_fee) == (0, b"", (), 0)
    engine = genesis.params.engine
    assert (engine.name, engine.entries) == ("ibft", (ForkEntry("PoA", "ecdsa"),))
    assert (engine.epoch_size, engine.quorum_size_block) == (100_000, 0)
    assert genesis.params.forks == {"homestead": 0, "EIP155": 7}
    assert (genesis.params.chain_id, genesis.params.block_gas_target) == (100, 0)
    assert changed("genesis.gasLimit", "0").gas_limit == 4712388


def test_every_key_arrives() -> None:
    document = copy.deepcopy(MINIMAL)
    document["genesis"] = {
        "nonce": "0x0102",
        "timestamp": "5",
        "extraData": "0xaabb",
        "gasLimit": "9",
        "difficulty": "0x3",
        "mixHash": "0x04",
        "coinbase": ADDRESS,
        "number": "1",
        "gasUsed": "458752",
        "parentHash": "0x06",
        "alloc": {ADDRESS: {"balance": "0x10", "nonce": "2", "code": "0x6001", "storage": {"0x1": "0x2"}}, "0x01": {}},
    }
    document["params"]["whitelists"] = {"deployment": [ADDRESS]}
    document["params"]["blockGasTarget"] = 12
    document["params"]["engine"]["ibft"] |= {"epochSize": 20, "quorumSizeBlockNum": 30, "validator_type": "ecdsa"}
    genesis = parse_genesis(json.dumps(document).encode(), "g.json")
    assert (genesis.name, genesis.file) == ("test", "g.json")
    assert genesis.nonce == bytes(6) + b"\x01\x02"
    assert (genesis.timestamp, genesis.extra_data, genesis.gas_limit) == (5, b"\xaa\xbb", 9)
    assert (genesis.difficulty, genesis.number, genesis.gas_used) == (3, 1, 458752)
    assert (genesis.mix_hash[-1], genesis.parent_hash[-1], genesis.coinbase) == (4, 6, b"\x12" * 20)
    account, empty = genesis.alloc
    assert (account.address, account.balance, account.nonce, account.code) == (b"\x12" * 20, 16, 2, b"\x60\x01")
    assert account.storage == {bytes(31) + b"\x01": bytes(31) + b"\x02"}
    assert (empty.address, empty.balance, empty.nonce, empty.storage) == (bytes(19) + b"\x01", None, 0, {})
    assert genesis.params.deployment_whitelist == (b"\x12" * 20,)
    assert genesis.params.block_gas_target == 12
    assert (genesis.params.engine.epoch_size, genesis.params.engine.quorum_size_block) == (20, 30)


def test_a_zero_balance_is_not_an_absent_one() -> None:
    assert changed("genesis.alloc", {ADDRESS: {"balance": "0"}}).alloc[0].balance == 0


def test_go_struct_keys_match_whatever_their_case_and_fork_names_too() -> None:
    text = json.dumps(MINIMAL).replace("gasLimit", "GASLIMIT").replace("chainID", "chainid").replace("EIP155", "eip155")
    genesis = parse_genesis(text.encode())
    assert (genesis.gas_limit, genesis.params.chain_id) == (0x500000, 100)
    assert genesis.params.forks == {"homestead": 0, "EIP155": 7}


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        ("genesis.gasLimit", ..., "genesis.gasLimit"),
        ("genesis.gasLimit", 5, "genesis.gasLimit"),
        ("genesis.timestamp", "soon", "genesis.timestamp"),
        ("genesis.extraData", "0xzz", "genesis.extraData"),
        ("genesis.coinbase", "0x12", "genesis.coinbase"),
        ("genesis.mixHash", 5, "genesis.mixHash"),
        ("genesis.alloc", [], "genesis.alloc"),
        ("genesis.alloc", {ADDRESS: None}, f"genesis.alloc.{ADDRESS}"),
        ("genesis.alloc", {ADDRESS: {"balance": 5}}, f"genesis.alloc.{ADDRESS}.balance"),
        ("genesis.alloc", {ADDRESS: {"balance": hex(1 << 256)}}, f"genesis.alloc.{ADDRESS}.balance"),
        ("genesis.alloc", {ADDRESS: {"storage": {"0x1": 2}}}, f"genesis.alloc.{ADDRESS}.storage.0x1"),
        ("genesis.alloc", {"0x1": {}, "0x01": {}}, "genesis.alloc.0x01"),
        ("genesis", ..., ""),
        ("params", ..., ""),
        ("params.engine", ..., "params"),
        ("params.forks", ..., "params"),
        ("params.engine", {}, "params.engine"),
        ("params.engine", {"ibft": {}, "dev": {}}, "params.engine"),
        ("params.engine", "ibft", "params.engine"),
        ("params.engine.ibft", {}, "params.engine.ibft"),
        ("params.engine.ibft.type", "PoW", "params.engine.ibft.type"),
        ("params.engine.ibft.type", 1, "params.engine.ibft.type"),
        ("params.engine.ibft.validator_type", "rsa", "params.engine.ibft.validator_type"),
        ("params.engine.ibft.epochSize", 0, "params.engine.ibft.epochSize"),
        ("params.engine.ibft.epochSize", "20", "params.engine.ibft.epochSize"),
        ("params.chainID", "100", "params.chainID"),
        ("params.chainID", -1, "params.chainID"),
        ("params.forks", {"shanghai": 0}, "params.forks.shanghai"),
        ("params.forks", {"homestead": "0"}, "params.forks.homestead"),
        ("params.forks", {"shanghai": {"block": 0}}, "params.forks.shanghai"),
        ("params.forks", {"london": {"block": "0"}}, "params.forks.london.block"),
        ("params.forks", {"Homestead": {"block": 0}}, "params.forks.Homestead"),
    ],
)
def test_an_error_names_file_and_path(path: str, value: object, named: str) -> None:
    with pytest.raises(GenesisError) as raised:
        changed(path, value)
    assert raised.value.path == named
    assert raised.value.file == "genesis.json"
    assert str(raised.value).startswith("genesis.json: ")


def test_the_shape_of_forks_and_the_block_time_tell_the_generation() -> None:
    forks: dict[str, Any] = {"homestead": {"block": 3}, "london": {}, "istanbul": None, "EIP150": 4}
    genesis = changed("params.forks", forks)
    assert genesis.generation is Generation.G3
    assert genesis.params.forks == {"homestead": 3, "london": 0, "EIP150": 4}
    assert changed("params.engine.ibft.blockTime", "2s").generation is Generation.G3
    assert changed("params.forks", {}).generation is Generation.G1
    assert changed("params.engine", {"dev": None}).generation is Generation.G1


def test_a_fork_that_is_null_never_starts() -> None:
    assert changed("params.forks", {"homestead": None}).params.forks == {}


def test_a_fork_list_stands_in_for_the_type_only_where_that_is_absent() -> None:
    types = [{"type": "PoS", "from": "0x0"}]
    assert changed("params.engine", {"ibft": {"types": types}}).params.engine.entries == (ForkEntry("PoS", "ecdsa"),)
    assert changed("params.engine.ibft.types", types).params.engine.entries == (ForkEntry("PoA", "ecdsa"),)


def test_a_file_that_is_not_there_is_a_genesis_error(tmp_path: Path) -> None:
    with pytest.raises(GenesisError, match="No such file"):
        load_genesis(tmp_path / "genesis.json")


def test_every_recorded_genesis_file_is_read(shared: Path) -> None:
    files = sorted(shared.glob("**/genesis.json"))
    assert len(files) > 40
    for file in files:
        genesis = load_genesis(file)
        parents = "/".join(file.parts)
        assert genesis.generation is (Generation.G3 if "v1.3.2" in parents else Generation.G1), file
        assert genesis.params.chain_id > 0
        assert genesis.alloc or "polybft" in parents
