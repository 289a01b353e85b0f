"""`polygon-edge secrets`: keys are made once, and only what may be shown is printed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from polygon_edge.chain.address import checksum_address
from polygon_edge.keys.identity import node_id
from polygon_edge.keys.local import LocalKeys, Secret

if TYPE_CHECKING:
    from tests.golden.recorded import Network
    from tests.program import Command

NO_ADDRESS = "0x" + "00" * 20
ECDSA_ONLY = ("--bls=false", "--network=false")


@pytest.fixture(autouse=True)
def working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def files() -> list[str]:
    return sorted(str(path) for path in Path().rglob("*") if path.is_file())


def shown(folder: str) -> tuple[str, str, str]:
    keys = LocalKeys(Path(folder))
    return (
        checksum_address(keys.validator_key(create=False).address),
        "0x" + keys.bls_key(create=False).public_key.hex(),
        node_id(keys.network_key(create=False)),
    )


def test_all_three_keys_are_made_and_shown(command: Command) -> None:
    ended = command("secrets", "init", "--data-dir", "node")
    assert files() == ["node/consensus/validator-bls.key", "node/consensus/validator.key", "node/libp2p/libp2p.key"]
    address, bls_public_key, identity = shown("node")
    assert (ended.exit_code, ended.errors) == (0, "")
    assert ended.output == (
        "\n[SECRETS INIT]\n"
        f"Public key (address) = {address}\n"
        f"BLS Public key       = {bls_public_key}\n"
        f"Node ID              = {identity}\n\n"
    )


def test_the_document_is_a_list_even_for_one_node(command: Command) -> None:
    ended = command("secrets", "init", "--data-dir", "node", "--json")
    address, bls_public_key, identity = shown("node")
    expected = [{"address": address, "bls_pubkey": bls_public_key, "node_id": identity}]
    assert ended.output == json.dumps(expected, separators=(",", ":")) + "\n"


def test_a_number_makes_as_many_directories(command: Command) -> None:
    ended = command("secrets", "init", "--data-dir", "node-", "--num", "3", "--bls=false", "--json")
    assert [entry["bls_pubkey"] for entry in json.loads(ended.output)] == ["", "", ""]
    assert sorted(path.name for path in Path().iterdir()) == ["node-1", "node-2", "node-3"]
    text = command("secrets", "init", "--data-dir", "other-", "--num", "2", *ECDSA_ONLY).output
    assert text.count("\n[SECRETS INIT]\nPublic key (address) = 0x") == 2
    assert text.count("\nNode ID              = <none>\n") == 2
    assert "BLS" not in text


def test_a_key_left_out_shows_as_the_go_client_shows_it(command: Command) -> None:
    ended = command("secrets", "init", "--data-dir", "node", "--ecdsa=false", "--network=false", "--json")
    assert [entry["address"] for entry in json.loads(ended.output)] == [NO_ADDRESS]
    assert files() == ["node/consensus/validator-bls.key"]
    later = command("secrets", "init", "--data-dir", "node", "--bls=false", "--json")
    address, bls_public_key, identity = shown("node")
    assert json.loads(later.output) == [{"address": address, "bls_pubkey": bls_public_key, "node_id": identity}]


def test_a_key_that_is_there_stops_all_before_any_is_made(poa: Network, command: Command) -> None:
    recorded = [row for row in poa.rows("cli.jsonl") if row["argv"] == ["secrets", "init", "--data-dir", "node-1"]]
    LocalKeys(Path("node-3")).create(Secret.NETWORK)
    before = files()
    ended = command("secrets", "init", "--data-dir", "node-", "--num", "3")
    assert (ended.exit_code, ended.output) == (1, "")
    assert ended.errors == 'secrets "network-key" has been already initialized: node-3/libp2p/libp2p.key\n'
    assert files() == before
    assert command("secrets", "init", "--data-dir", "node-1").exit_code == 0
    again = command("secrets", "init", "--data-dir", "node-1")
    assert again.exit_code == 1
    assert again.errors.startswith(recorded[-1]["stderr"].rstrip())
    in_json = command("secrets", "init", "--data-dir", "node-1", "--json")
    assert (in_json.exit_code, in_json.error) == (1, {"error": again.errors.rstrip()})


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["init"], "no config file or data directory passed in"),
        (["init", "--data-dir", ""], "no config file or data directory passed in"),
        (["output"], "no config file or data directory passed in"),
        (["init", "--data-dir", "node", "--config", "c"], "--data-dir, --config"),
        (["init", "--config", "c"], "secrets managers other than the local one are not supported yet"),
        (["output", "--config", "c"], "secrets managers other than the local one are not supported yet"),
        (["init", "--data-dir", "node", "--num", "0"], "num flag value should be between 1 and 30"),
        (["init", "--data-dir", "node", "--num", "31"], "num flag value should be between 1 and 30"),
        (["init", "--data-dir", "node", "--num", "-1"], "num flag value should be between 1 and 30"),
        (["output", "--data-dir", "node", "--bls", "--node-id"], "--bls, --node-id"),
        (["generate", "--name", "node"], "polygon-edge secrets generate is not in this version yet"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_done_is_said_and_nothing_is_made(words: list[str], message: str, command: Command) -> None:
    ended = command("secrets", *words)
    assert (ended.exit_code, ended.output) == (1, "")
    assert message in ended.errors.splitlines()[-1]
    assert list(Path().iterdir()) == []


def test_later_releases_flag_for_local_keys_is_accepted(command: Command) -> None:
    assert command("secrets", "init", "--data-dir", "node", "--insecure").exit_code == 0
    assert (
        command("secrets", "--grpc-address", "x:1", "output", "--data-dir", "node", "--grpc-address=y:1").errors == ""
    )


@pytest.fixture
def go_node(poa: Network) -> Network:
    """A recorded network, its first node's data directory unpacked as `node-1`."""
    poa.data_directory("data-dir", Path("node-1"))
    return poa


def test_what_a_go_node_shows_comes_out_byte_for_byte(go_node: Network, command: Command) -> None:
    compared = 0
    for row in go_node.rows("cli.jsonl"):
        words = row["argv"]
        if words[:2] == ["secrets", "output"] and row["exit"] == 0 and row["stdout"] and "--help" not in words:
            ended = command(*words)
            assert (ended.exit_code, ended.output, ended.errors) == (0, row["stdout"], row["stderr"])
            compared += 1
    assert compared >= 4


@pytest.mark.parametrize(("selector", "key"), [("--validator", "address"), ("--bls", "bls"), ("--node-id", "node_id")])
def test_one_value_alone(selector: str, key: str, go_node: Network, command: Command) -> None:
    assert go_node.genesis.exists()
    whole = command("secrets", "output", "--data-dir", "node-1", "--json").document
    assert command("secrets", "output", "--data-dir", "node-1", selector).output == whole[key] + "\n"
    assert command("secrets", "output", "--data-dir", "node-1", selector, "--json").document == {key: whole[key]}


def test_keys_that_are_missing_are_empty(command: Command) -> None:
    LocalKeys(Path("node")).create(Secret.NETWORK)
    ended = command("secrets", "output", "--data-dir", "node")
    *empty, node_line, _ = ended.output.splitlines()
    assert empty == ["", "[SECRETS OUTPUT]", "Public key (address) = <none>", "BLS Public key       = <none>"]
    assert node_line.startswith("Node ID              = 16Uiu2HA")
    assert command("secrets", "output", "--data-dir", "node", "--validator").output == "\n"
    assert command("secrets", "output", "--data-dir", "node", "--bls", "--json").document == {"bls": ""}


def test_a_place_without_keys_is_named_by_its_whole_path(command: Command, tmp_path: Path) -> None:
    ended = command("secrets", "output", "--data-dir", "nowhere")
    assert (ended.exit_code, ended.output) == (1, "")
    assert ended.errors == f"the data directory provided does not exist: {tmp_path}/nowhere\n"
    Path("empty").mkdir()
    errors = command("secrets", "output", "--data-dir", "empty").errors
    assert f"no validator keys found in the data directory provided: {tmp_path}/empty" in errors
    assert f"no network key found in the data directory provided: {tmp_path}/empty" in errors
    assert list(Path("empty").iterdir()) == []


def test_a_spoiled_key_is_an_error_that_shows_nothing_of_it(command: Command) -> None:
    keys = LocalKeys(Path("node"))
    keys.create(Secret.VALIDATOR)
    content = keys.file(Secret.VALIDATOR).read_text()
    keys.file(Secret.VALIDATOR).write_text(content + "\n")
    (Path("node") / "libp2p").mkdir(exist_ok=True)
    ended = command("secrets", "output", "--data-dir", "node")
    assert (ended.exit_code, ended.output) == (1, "")
    assert "node/consensus/validator.key: is not a key" in ended.errors
    assert content[:8] not in ended.errors
