"""`polygon-edge genesis`: the file a Go client would write, and what is refused instead."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from tests.conftest import recorded_folder
from tests.golden.recorded import Network

from polygon_edge import _core
from polygon_edge.chain.genesis import load_genesis
from polygon_edge.chain.genesis_block import genesis_block
from polygon_edge.chain.rules import initial_validators, rules_of
from polygon_edge.consensus.staked_validators import StakedValidators
from polygon_edge.keys.local import LocalKeys
from polygon_edge.store.start import start_chain

if TYPE_CHECKING:
    from pathlib import Path

    from tests.program import Command

ADDRESS = "0x768242Da3d073A42e20925D3152D353C168b0d83"
OTHER_ADDRESS = "0x1bf59f4c53e00640DcaD463E9078B86297Ee689F"
BLS_KEY = "0x95fd835eba141c7ea21ab8bcfc129c890daa3d1339bd720216e22e383d92e1116300b009d8ae9b118ba6ed9f3bb08379"
BOOTNODE = "/ip4/127.0.0.1/tcp/1478/p2p/16Uiu2HAmSfA5qrgBaDCpW96bCQpBW8txXRAADqK3w1rLf2UMR4xz"
ECDSA = ("--ibft-validator-type", "ecdsa", "--bootnode", BOOTNODE)
SIMPLEST = ("genesis", *ECDSA, "--ibft-validator", ADDRESS)


@pytest.fixture(autouse=True)
def working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def recorded_command(network: Network) -> dict[str, Any]:
    """How the Go client wrote the recorded genesis file."""
    return next(row for row in network.rows("cli.jsonl") if row["argv"][0] == "genesis" and row["exit"] == 0)


def written(folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder / "genesis.json").read_bytes())
    return document


@pytest.mark.parametrize("name", ["poa-ecdsa", "single", "poa-bls", "dev"])
def test_the_file_is_the_go_clients_byte_for_byte(name: str, command: Command, tmp_path: Path) -> None:
    network = Network(recorded_folder(f"v0.6.3/{name}", "cli.jsonl"))
    recorded = recorded_command(network)
    ended = command(*recorded["argv"])
    assert (ended.exit_code, ended.output, ended.errors) == (0, recorded["stdout"], "")
    assert (tmp_path / "genesis.json").read_bytes() == network.genesis.read_bytes()
    assert names(tmp_path) == ["genesis.json"]


@pytest.mark.parametrize("name", ["poa-ecdsa", "single"])
def test_block_0_of_the_file_has_the_hash_of_the_go_node(name: str, command: Command) -> None:
    network = Network(recorded_folder(f"v0.6.3/{name}", "cli.jsonl"))
    assert command(*recorded_command(network)["argv"]).exit_code == 0
    genesis = load_genesis("genesis.json")
    assert "0x" + genesis_block(rules_of(genesis), genesis).hash.hex() == network.about["genesisHash"]


def test_the_message_is_the_document(command: Command, tmp_path: Path) -> None:
    ended = command(*SIMPLEST, "--dir", "other.json", "--json")
    assert (ended.exit_code, ended.output) == (0, '{"message":"Genesis written to other.json\\n"}\n')
    assert names(tmp_path) == ["other.json"]


def test_without_flags_the_go_client_complains_about_the_same(poa: Network, command: Command, tmp_path: Path) -> None:
    recorded = next(row for row in poa.rows("cli.jsonl") if row["argv"] == ["genesis"])
    ended = command("genesis")
    assert ended.exit_code == recorded["exit"] == 1
    first, *_, last = ended.errors.splitlines()
    assert [first, last] == [recorded["stderr"].splitlines()[0], recorded["stderr"].splitlines()[-1]]
    assert names(tmp_path) == []


def test_numbers_are_go_literals_and_balances_decimal_or_hex(command: Command, tmp_path: Path) -> None:
    flags = ("--chain-id", "1", "--chainid", "0x10", "--block-gas-limit", "1_000", "--epoch-size", "020")
    premine = ("--premine", f"{ADDRESS.lower()}:0x10", "--premine", f"{OTHER_ADDRESS[2:]}:17")
    assert command(*SIMPLEST, *flags, *premine).exit_code == 0
    document = written(tmp_path)
    assert document["params"]["chainID"] == 16
    assert document["params"]["engine"]["ibft"]["epochSize"] == 16
    assert document["genesis"]["gasLimit"] == "0x3e8"
    assert document["genesis"]["alloc"] == {OTHER_ADDRESS: {"balance": "0x11"}, ADDRESS: {"balance": "0x10"}}


def test_a_name_of_any_script_is_written_as_go_writes_it(command: Command, tmp_path: Path) -> None:
    assert command(*SIMPLEST, "--name", "チェーン <é&>").exit_code == 0
    assert 'チェーン \\u003cé\\u0026\\u003e"' in (tmp_path / "genesis.json").read_text("utf-8")
    assert load_genesis("genesis.json").name == "チェーン <é&>"


def test_validators_come_from_the_directories_in_the_order_of_their_names(command: Command, tmp_path: Path) -> None:
    for name in ("node-2", "node-10", "other"):
        LocalKeys(tmp_path / name).validator_key(create=True)
    (tmp_path / "node-1").write_text("not a directory")
    before = sorted(tmp_path.rglob("*"))
    assert command("genesis", *ECDSA, "--ibft-validators-prefix-path", "node-").exit_code == 0
    expected = tuple(LocalKeys(tmp_path / name).validator_key(create=False).address for name in ("node-10", "node-2"))
    assert initial_validators(load_genesis("genesis.json")) == expected
    (tmp_path / "genesis.json").unlink()
    assert sorted(tmp_path.rglob("*")) == before
    ended = command("genesis", "--bootnode", BOOTNODE, "--ibft-validators-prefix-path", "node-")
    assert ended.exit_code == 1
    assert "failed to read from prefix: BLS key not found in given path: node-10/consensus/" in ended.errors
    for name in ("node-2", "node-10"):
        LocalKeys(tmp_path / name).bls_key(create=True)
    assert command("genesis", "--bootnode", BOOTNODE, "--ibft-validators-prefix-path", "node-").exit_code == 0
    extra = written(tmp_path)["genesis"]["extraData"]
    for name in ("node-2", "node-10"):
        assert LocalKeys(tmp_path / name).bls_key(create=False).public_key.hex() in extra


@pytest.mark.parametrize("prefix", ["nothing-", "./node-", "empty-"])
def test_a_prefix_that_gives_no_validators_is_refused(prefix: str, command: Command, tmp_path: Path) -> None:
    (tmp_path / "empty-1").mkdir()
    LocalKeys(tmp_path / "node-1").validator_key(create=True)
    ended = command("genesis", *ECDSA, "--ibft-validators-prefix-path", prefix)
    assert ended.exit_code == 1
    assert "failed to read from prefix: " in ended.errors
    assert not (tmp_path / "genesis.json").exists()
    assert names(tmp_path / "empty-1") == []


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--consensus", "pow"], "consensus 'pow' not supported"),
        (["--consensus", "polybft"], "consensus 'polybft' not supported"),
        (["--epoch-size", "1"], "epoch size must be greater than 1"),
        (["--epoch-size", "-1"], "expected a whole number from 0"),
        (["--chain-id", "0x8000000000000000"], "expected a whole number from 0 to 9223372036854775807"),
        (["--min-validator-count", "0"], "minimum number of validators must be greater than 0"),
        (["--min-validator-count", "5", "--max-validator-count", "3"], "can not be greater than the maximum number"),
        (["--max-validator-count", "9007199254740991"], "MaxSafeJSInt (2^53 - 2)"),
        (["--ibft-validator", OTHER_ADDRESS, "--max-validator-count", "1"], "exceeds max validator number"),
        (["--ibft-validator-type", "foo"], "invalid validator type"),
        (["--ibft-validator", ADDRESS.lower()], "validator already exists in validators: 0x7682"),
        (["--ibft-validator", "0x12"], "--ibft-validator: expected an address of 20 bytes in hex, found '0x12'"),
        (["--ibft-validator", f"{OTHER_ADDRESS}:{BLS_KEY}"], "invalid validator format, expected [Validator Address]"),
        (["--ibft-validators-prefix-path", "node-"], "--ibft-validators-prefix-path, --ibft-validator"),
        (["--premine", "0x12:5"], "--premine: expected an address of 20 bytes in hex, found '0x12'"),
        (["--premine", f"{ADDRESS}:zz"], "failed to parse amount zz: expected a decimal number"),
        (["--premine", f"{ADDRESS}:5:6"], "failed to parse amount 5:6"),
        (["--premine", f"{ADDRESS}:{1 << 256}"], "expected a number below 2^256"),
        (["--premine", ADDRESS, "--premine", f"{ADDRESS}:1"], "this account has a balance already"),
        (["--bootnode", ""], "--bootnode: expected the address of a node"),
        (["--name", "a\x1bb"], "--name: expected UTF-8 text"),
        (["--name", "a\udcffb"], "--name: expected UTF-8 text"),
        (["--dir", "none/genesis.json"], "failed to write genesis: none/genesis.json: No such file or directory"),
        (["--pos", "--consensus", "dev"], "--pos needs the consensus engine ibft, found dev"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_what_cannot_be_built_is_refused_and_nothing_is_written(
    flags: list[str], message: str, command: Command, tmp_path: Path
) -> None:
    if "node-" in flags:
        LocalKeys(tmp_path / "node-1").validator_key(create=True)
    before = names(tmp_path)
    ended = command(*SIMPLEST, *flags)
    assert (ended.exit_code, ended.output) == (1, "")
    assert message in ended.errors.splitlines()[-1]
    in_json = command(*SIMPLEST, *flags, "--json")
    assert (in_json.exit_code, list(in_json.error)) == (1, ["error"])
    assert names(tmp_path) == before


@pytest.mark.parametrize(
    ("validator", "message"),
    [
        (ADDRESS, "invalid validator format, expected [Validator Address]:[BLS Public Key]"),
        (f"{ADDRESS}:{BLS_KEY}:x", "invalid validator format"),
        (f"{ADDRESS}:0x12", "failed to parse BLS Public Key: expected 48 bytes in hex, found '0x12'"),
        (f"{ADDRESS}:zz", "failed to parse BLS Public Key"),
    ],
)
def test_a_bls_validator_has_an_address_and_a_key(validator: str, message: str, command: Command) -> None:
    ended = command("genesis", "--bootnode", BOOTNODE, "--ibft-validator", validator)
    assert ended.exit_code == 1
    assert message in ended.errors


def test_a_bls_key_may_go_without_0x_and_counts_once(command: Command, tmp_path: Path) -> None:
    words = ("genesis", "--bootnode", BOOTNODE, "--ibft-validator", f"{ADDRESS}:{BLS_KEY[2:]}")
    twice = command(*words, "--ibft-validator", f"{OTHER_ADDRESS}:{BLS_KEY}")
    assert "validator already exists in validators: 0x95fd" in twice.errors
    assert command(*words).exit_code == 0
    assert written(tmp_path)["params"]["engine"]["ibft"]["validator_type"] == "bls"


def test_the_bootnode_is_asked_for_last(command: Command) -> None:
    words = ("genesis", "--ibft-validator-type", "ecdsa", "--ibft-validator", ADDRESS)
    assert command(*words, "--json").error == {"error": 'required flag(s) "bootnode" not set'}
    assert "epoch size" in command(*words, "--epoch-size", "0").errors


@pytest.mark.parametrize("there", ["file", "folder", "link to nothing"])
def test_a_file_that_is_there_is_never_touched(there: str, command: Command, tmp_path: Path) -> None:
    file = tmp_path / "genesis.json"
    if there == "file":
        file.write_text("mine")
    elif there == "folder":
        file.mkdir()
    else:
        file.symlink_to("nothing")
    ended = command(*SIMPLEST)
    assert ended.exit_code == 1
    assert ended.errors.splitlines()[-1] == "genesis file at path (./genesis.json) already exists"
    assert names(tmp_path) == ["genesis.json"]
    assert there != "file" or file.read_text() == "mine"


def test_a_file_that_appears_meanwhile_is_not_replaced(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "genesis.json").write_text("mine")
    monkeypatch.setattr(os.path, "lexists", lambda _path: False)
    ended = command(*SIMPLEST)
    assert ended.exit_code == 1
    assert "already exists" in ended.errors
    assert (tmp_path / "genesis.json").read_text() == "mine"
    assert names(tmp_path) == ["genesis.json"]


def test_the_engines_without_validators_need_none(command: Command, tmp_path: Path) -> None:
    assert command("genesis", "--consensus", "dummy", "--bootnode", BOOTNODE).exit_code == 0
    document = written(tmp_path)
    assert (document["genesis"]["extraData"], document["params"]["engine"]) == ("0x", {"dummy": {}})


@pytest.mark.shared
def test_a_chain_of_stake_is_that_of_the_go_client_byte_for_byte(
    shared: Path, command: Command, tmp_path: Path
) -> None:
    network = Network(shared / "golden/v0.6.3/pos-ecdsa")
    argv = next(row["argv"] for row in network.rows("cli.jsonl") if row["argv"][0] == "genesis")
    assert "--pos" in argv
    assert command(*argv).exit_code == 0
    assert (tmp_path / "genesis.json").read_bytes() == network.genesis.read_bytes()


@pytest.mark.parametrize("validator_type", ["ecdsa", "bls"])
def test_the_staking_contract_names_those_who_staked_from_the_start(
    validator_type: str, command: Command, tmp_path: Path
) -> None:
    members = [(bytes([index]) * 20, _core.BlsKey(bytes([index]) * 32).public_key) for index in (1, 2)]
    texts = [address.hex() + (":" + key.hex() if validator_type == "bls" else "") for address, key in members]
    flags = [word for text in texts for word in ("--ibft-validator", text)]
    command("genesis", "--pos", "--ibft-validator-type", validator_type, "--bootnode", BOOTNODE, *flags)
    genesis = load_genesis("genesis.json")
    with _core.Chain.open(tmp_path / "node") as chain:
        start_chain(chain, rules_of(genesis), genesis)
        found = StakedValidators(chain).after(0, "bls" if validator_type == "bls" else "ecdsa")
    assert found == initial_validators(genesis)
    assert len(found) == 2
