"""What `server` refuses before it starts: in the Go client's order and words (§1.1), with nothing written."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.golden.recorded import Network
    from tests.program import Command

# In the order in which they are found.
WRONG = [
    (("export",), "server export is not in this version yet"),
    (("--config", "x.yaml"), "--config is not supported yet: give flags"),
    (("--block-gas-target", "many"), "--block-gas-target: "),
    (("--secrets-config", "x.json"), "--secrets-config is not supported yet"),
    (("--chain", "nowhere.json"), "open nowhere.json: no such file or directory"),
    (("--data-dir", ""), "data directory not defined"),
    (("--block-time", "0"), "invalid block time specified"),
    (("--prometheus", "x"), "failed to parse addr 'x': address x: missing port in address"),
    (("--libp2p", "y:1:2"), "failed to parse addr 'y:1:2': address y:1:2: too many colons in address"),
    (("--nat", "somewhere"), "could not parse NAT IP address"),
    (("--dns", "somewhere"), "invalid DNS address"),
    (("--jsonrpc", "http://0.0.0.0:8545"), "too many colons in address"),
    (("--grpc-address", "127.0.0.1:99999"), "failed to parse addr '127.0.0.1:99999': address 99999: invalid port"),
    (("--max-peers", "3", "--max-inbound-peers", "4"), "only one of these flags can be given"),
    (("--restore", "x.dat", "--abandon-restore"), "exclude each other"),
]


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to run in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("first", range(len(WRONG)), ids=[flags[0][2:] for flags, _ in WRONG])
def test_of_several_wrong_flags_the_go_clients_first_is_named(
    first: int, poa: Network, command: Command, elsewhere: Path
) -> None:
    words = [word for flags, _ in reversed(WRONG[first:]) for word in flags]
    if "--chain" not in words:
        words += ["--chain", str(poa.genesis)]
    if "--data-dir" not in words:
        words += ["--data-dir", "data"]
    problem = WRONG[first][1]
    ended = command("server", *words)
    assert ended.exit_code == 1
    lines = ended.errors.rstrip("\n").split("\n")
    # First and last: programs look for it in either place.
    assert problem in lines[0]
    assert lines[0] == "Error: " + lines[-1]
    assert "Usage: polygon-edge server" in ended.errors
    assert ended.output == ""
    in_json = command("server", "--json", *words)
    assert (in_json.exit_code, in_json.output) == (1, "")
    assert json.loads(in_json.errors) == {"error": lines[-1]}
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"{", "genesis"), (b"[]", "expected"), (b"", "genesis"), (b"\xff\xfe", "genesis")],
    ids=["cut", "no object", "empty", "no text"],
)
def test_a_genesis_file_that_is_none_is_named(content: bytes, said: str, command: Command, elsewhere: Path) -> None:
    (elsewhere / "genesis.json").write_bytes(content)
    ended = command("server", "--data-dir", "data")
    assert ended.exit_code == 1
    assert ended.errors.startswith("Error: genesis.json: ")
    assert said in ended.errors
    assert not (elsewhere / "data").exists()


def test_a_genesis_file_that_is_a_folder_is_named(command: Command, elsewhere: Path) -> None:
    (elsewhere / "genesis.json").mkdir()
    ended = command("server", "--data-dir", "data")
    assert ended.exit_code == 1
    assert "open genesis.json: is a directory" in ended.errors


def test_a_chain_of_another_kind_is_refused_before_anything_is_made(
    poa: Network, command: Command, elsewhere: Path
) -> None:
    genesis = json.loads(poa.genesis.read_text())
    genesis["params"]["engine"] = {"polybft": {}}
    (elsewhere / "genesis.json").write_text(json.dumps(genesis))
    ended = command("server", "--data-dir", "data")
    assert ended.exit_code == 1
    assert "params.engine: expected one of ibft, dev, dummy" in ended.errors
    assert not (elsewhere / "data").exists()


def test_a_log_that_cannot_be_made_ends_the_start_in_the_go_clients_words(
    poa: Network, command: Command, elsewhere: Path
) -> None:
    ended = command("server", "--chain", poa.genesis, "--data-dir", "data", "--log-to", "nowhere/log")
    assert (ended.exit_code, ended.output) == (1, "")
    assert ended.errors == (
        "could not setup new logger instance, could not create log file, open nowhere/log: no such file or directory\n"
    )
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("flag", ["--block-time", "--max-slots", "--price-limit"])
def test_a_number_that_is_none_is_a_usage_error(flag: str, poa: Network, command: Command, elsewhere: Path) -> None:
    ended = command("server", "--chain", poa.genesis, "--data-dir", "data", f"{flag}=-1")
    assert ended.exit_code == 1
    assert flag in ended.errors
    assert list(elsewhere.iterdir()) == []
