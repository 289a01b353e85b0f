"""`polygon-edge ibft switch` and `ibft quorum`: the file that the Go client would write, and what is refused."""

from __future__ import annotations

import json
import os
import stat
from typing import TYPE_CHECKING, Any

import pytest
from tests.golden.recorded import Network

from polygon_edge.chain.genesis import load_genesis

if TYPE_CHECKING:
    from pathlib import Path

    from tests.program import Command

ADDRESS = "0x768242Da3d073A42e20925D3152D353C168b0d83"
OTHER_ADDRESS = "0x1bf59f4c53e00640DcaD463E9078B86297Ee689F"
BLS_KEY = "0x95fd835eba141c7ea21ab8bcfc129c890daa3d1339bd720216e22e383d92e1116300b009d8ae9b118ba6ed9f3bb08379"


@pytest.fixture(autouse=True)
def working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def genesis(poa: Network, tmp_path: Path) -> Path:
    """The file of a chain of proof of authority with ECDSA seals."""
    file = tmp_path / "genesis.json"
    file.write_bytes(poa.genesis.read_bytes())
    return file


def ibft(file: Path) -> dict[str, Any]:
    engine: dict[str, Any] = json.loads(file.read_bytes())["params"]["engine"]["ibft"]
    return engine


def edit(file: Path, change: Any) -> None:
    """Change the document of the file in place, in the form of the Go client."""
    document = json.loads(file.read_bytes())
    change(document)
    file.write_text(json.dumps(document, indent=4))


# ---- as recorded -----------------------------------------------------------------------------------------------------


@pytest.mark.shared
@pytest.mark.parametrize("name", ["switch", "switch-type"])
def test_the_recorded_commands_give_the_recorded_file_and_answers(
    name: str, shared: Path, command: Command, tmp_path: Path
) -> None:
    network = Network(shared / f"golden/v0.6.3/{name}")
    rows = network.rows("cli.jsonl")
    first = next(row for row in rows if row["argv"][0] == "genesis")
    assert command(*first["argv"]).exit_code == 0
    repeated = 0
    for row in rows:
        if row["argv"][:2] == ["ibft", "switch"] and "--help" not in row["argv"]:
            ended = command(*row["argv"])
            failed = bool(row["stderr"])
            # The Go client ends with 0 after this kind of failure.
            assert (ended.exit_code, ended.output, ended.errors) == (int(failed), row["stdout"], row["stderr"])
            repeated += 1
    assert repeated
    assert (tmp_path / "genesis.json").read_bytes() == network.genesis.read_bytes()


@pytest.mark.shared
def test_a_later_release_would_write_the_same_with_its_block_times(
    shared: Path, command: Command, tmp_path: Path
) -> None:
    recorded = (shared / "golden/v1.3.2/switch/genesis.json").read_bytes()
    file = tmp_path / "genesis.json"
    entries = json.loads(recorded)["params"]["engine"]["ibft"]["types"]
    document = json.loads(recorded)
    engine = document["params"]["engine"]["ibft"]
    del engine["types"]
    engine["type"] = "PoA"
    file.write_text(json.dumps(document, indent=4))
    members = [f"{member['Address']}:{member['BLSPublicKey']}" for member in entries[1]["validators"]]
    flags = [word for member in members for word in ("--ibft-validator", member)]
    assert command("ibft", "switch", "--type", "PoA", "--from", "20", *flags).exit_code == 0
    counts = ("--min-validator-count", "1", "--max-validator-count", "6")
    ended = command("ibft", "switch", "--type", "PoS", "--from", "40", "--deployment", "30", *counts)
    assert ended.exit_code == 0
    assert file.read_bytes() == recorded


@pytest.mark.shared
def test_a_chain_of_another_engine_has_neither(shared: Path, command: Command, tmp_path: Path) -> None:
    network = Network(shared / "golden/v0.6.3/dev")
    (tmp_path / "copy.json").write_bytes(network.genesis.read_bytes())
    for row in network.rows("cli.jsonl"):
        if row["argv"][:2] == ["ibft", "quorum"]:
            ended = command(*row["argv"])
            assert (ended.exit_code, ended.output, ended.errors) == (1, row["stdout"], row["stderr"])
    ended = command("ibft", "switch", "--chain", "copy.json", "--type", "PoS", "--from", "5")
    assert (ended.exit_code, ended.errors) == (1, '"ibft" config doesn\'t exist in "engine" of genesis.json\'\n')
    assert (tmp_path / "copy.json").read_bytes() == network.genesis.read_bytes()


# ---- what is written -------------------------------------------------------------------------------------------------


def test_a_switch_closes_the_last_entry_and_says_what_it_wrote(genesis: Path, command: Command) -> None:
    words = ("ibft", "switch", "--type", "PoS", "--ibft-validator-type", "ecdsa", "--from", "0x64")
    ended = command(*words, "--json")
    assert ended.exit_code == 0
    assert ended.output == (
        '{"chain":"./genesis.json","type":"PoS","validator_type":"ecdsa","from":"0x64",'
        '"maxValidatorCount":"0x1ffffffffffffe","minValidatorCount":"0x1"}\n'
    )
    assert ibft(genesis)["types"] == [
        {"type": "PoA", "validator_type": "ecdsa", "from": "0x0", "to": "0x63"},
        {"type": "PoS", "validator_type": "ecdsa", "from": "0x64"},
    ]
    assert "type" not in ibft(genesis)
    back = command("ibft", "switch", "--type", "PoA", "--from", "200", "--ibft-validator", f"{ADDRESS}:{BLS_KEY}")
    assert back.exit_code == 0
    assert back.output == (
        "\n[NEW IBFT FORK]\nChain         = ./genesis.json\nType          = PoA\nValidatorType = bls\n"
        "From          = 200\n\n"
    )
    entries = load_genesis(genesis).params.engine.entries
    assert [(entry.first, entry.last) for entry in entries] == [(0, 99), (100, 199), (200, None)]
    assert entries[2].validators == (bytes.fromhex(ADDRESS[2:] + BLS_KEY[2:]),)


def test_a_file_by_hand_keeps_what_the_go_client_would_drop(genesis: Path, command: Command) -> None:
    def change(document: dict[str, Any]) -> None:
        engine = document["params"]["engine"]["ibft"]
        del engine["type"]
        engine["types"] = [{"note": "begun <2022>", "FROM": 0, "type": "PoA", "to": 9}, {"from": 10.0, "type": "PoS"}]
        engine["epochSize"] = 1e2
        document["remark"] = {"by": "hand"}

    edit(genesis, change)
    words = ("ibft", "switch", "--type", "PoS", "--from", "20")
    assert command(*words).exit_code == 0
    document = json.loads(genesis.read_bytes())
    assert document["remark"] == {"by": "hand"}
    assert document["params"]["engine"]["ibft"]["types"] == [
        {"type": "PoA", "validator_type": "ecdsa", "from": "0x0", "to": "0x9", "note": "begun <2022>"},
        {"type": "PoS", "validator_type": "ecdsa", "from": "0xa", "to": "0x13"},
        {"type": "PoS", "validator_type": "bls", "from": "0x14"},
    ]
    text = genesis.read_text()
    assert '"epochSize": 100,' in text
    assert "begun \\u003c2022\\u003e" in text


def test_a_quorum_begins_at_a_height(genesis: Path, command: Command) -> None:
    ended = command("ibft", "quorum", "--from", "0x4d")
    assert (ended.exit_code, ended.output) == (
        0,
        "\n[NEW IBFT QUORUM START]\nChain = ./genesis.json\nFrom  = 77\n\n",
    )
    assert command("ibft", "quorum", "--from", "78", "--json").output == '{"chain":"./genesis.json","from":"0x4e"}\n'
    assert list(ibft(genesis)) == ["epochSize", "quorumSizeBlockNum", "type", "validator_type"]
    assert load_genesis(genesis).params.engine.quorum_size_block == 78


def test_a_link_stays_one_and_permissions_stay(genesis: Path, command: Command, tmp_path: Path) -> None:
    target = tmp_path / "elsewhere" / "shared.json"
    target.parent.mkdir()
    genesis.rename(target)
    target.chmod(0o640)
    genesis.symlink_to(target)
    assert command("ibft", "quorum", "--from", "5").exit_code == 0
    assert genesis.is_symlink()
    assert load_genesis(target).params.engine.quorum_size_block == 5
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert [entry.name for entry in target.parent.iterdir()] == ["shared.json"]


# ---- what is refused -------------------------------------------------------------------------------------------------

SWITCH = ("ibft", "switch", "--type", "PoS", "--from", "100")
MEMBER = ("--ibft-validator-type", "bls", "--ibft-validator", f"{ADDRESS}:{BLS_KEY}")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["ibft", "switch"], "unable to parse mechanism type: invalid IBFT type "),
        (["ibft", "switch", "--type", "PoW"], "unable to parse mechanism type: invalid IBFT type PoW"),
        ([*SWITCH, "--ibft-validator-type", "rsa"], "invalid validator type"),
        (["ibft", "switch", "--type", "PoA", "--deployment", "5"], "doesn't support contract deployment in PoA"),
        ([*SWITCH, "--deployment", "x"], "unable to parse deployment value"),
        (["ibft", "switch", "--type", "PoS"], "unable to parse from value"),
        ([*SWITCH, "--from", "0"], '"from" must be positive number'),
        ([*SWITCH, "--min-validator-count", "x"], "unable to parse min validator count value"),
        ([*SWITCH, "--max-validator-count", "x"], "unable to parse max validator count value"),
        ([*SWITCH, "--min-validator-count", "0"], "minimum number of validators must be greater than 0"),
        ([*SWITCH, "--min-validator-count", "5", "--max-validator-count", "4"], "can not be greater than the maximum"),
        ([*SWITCH, "--max-validator-count", "0x20000000000000"], "MaxSafeJSInt"),
        ([*SWITCH, "--type", "PoA", "--min-validator-count", "5"], "doesn't support min validator count in PoA"),
        ([*SWITCH, "--type", "PoA", *MEMBER, *MEMBER], "validator already exists in validators"),
        ([*SWITCH, "--type", "PoA", "--ibft-validator", ADDRESS], "invalid validator format"),
        ([*SWITCH, "--ibft-validators-prefix-path", "node-", *MEMBER], "only one of these flags can be given"),
        ([*SWITCH, "--chain", "none.json"], "failed to load chain config from none.json: open none.json: no such file"),
        (["ibft", "quorum"], 'required flag(s) "from" not set'),
        (["ibft", "quorum", "--from", "-1"], "expected a whole number from 0"),
        (["ibft", "quorum", "--from", "5", "--chain", "."], "open .: is a directory"),
    ],
    ids=lambda value: " ".join(value)[:60] if isinstance(value, list) else "",
)
def test_a_wrong_flag_is_told_with_the_usage_and_changes_nothing(
    words: list[str], message: str, genesis: Path, command: Command
) -> None:
    before = genesis.read_bytes()
    ended = command(*words)
    assert (ended.exit_code, ended.output) == (1, "")
    assert message in ended.errors.splitlines()[-1]
    assert "Usage: polygon-edge ibft" in ended.errors
    assert list(command(*words, "--json").error) == ["error"]
    assert genesis.read_bytes() == before


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            ["--type", "PoA", "--ibft-validator-type", "ecdsa", "--from", "9", "--ibft-validator", ADDRESS],
            "cannot specify same IBFT type and validator type as the last fork",
        ),
        (["--type", "PoA", "--from", "1", *MEMBER], "cannot specify a less height than 2 for validators update"),
        # The Go client writes an empty list here, and nobody can seal from that height on.
        (["--type", "PoA", "--from", "9"], "validator information not specified"),
    ],
    ids=lambda value: " ".join(value)[:60] if isinstance(value, list) else "",
)
def test_a_fork_that_cannot_follow_is_told_and_changes_nothing(
    flags: list[str], message: str, genesis: Path, command: Command
) -> None:
    before = genesis.read_bytes()
    ended = command("ibft", "switch", *flags)
    assert (ended.exit_code, ended.output, ended.errors) == (1, "", message + "\n")
    assert genesis.read_bytes() == before


def test_a_fork_must_begin_after_the_one_before(genesis: Path, command: Command) -> None:
    assert command(*SWITCH).exit_code == 0
    before = genesis.read_bytes()
    ended = command(*SWITCH, "--ibft-validator-type", "ecdsa")
    assert (ended.exit_code, ended.errors) == (1, '"from" must be greater than the beginning height of last fork\n')
    assert genesis.read_bytes() == before


def test_a_file_that_is_none_stays_as_it_is(genesis: Path, command: Command) -> None:
    genesis.write_text('{"params": {}}')
    ended = command(*SWITCH)
    assert ended.exit_code == 1
    assert "failed to load chain config from ./genesis.json: ./genesis.json: " in ended.errors.splitlines()[-1]
    assert genesis.read_text() == '{"params": {}}'


def test_a_change_that_cannot_be_read_again_is_not_written(genesis: Path, command: Command) -> None:
    before = genesis.read_bytes()
    # Go reads it as a double, which has no such number.
    ended = command("ibft", "quorum", "--from", str((1 << 64) - 1))
    assert ended.exit_code == 1
    assert "params.engine.ibft.quorumSizeBlockNum: expected a number below 2^64" in ended.errors
    assert genesis.read_bytes() == before


def test_a_failed_write_leaves_the_old_file(genesis: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    before = genesis.read_bytes()

    def refuse(_descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", refuse)
    ended = command("ibft", "quorum", "--from", "5")
    assert (ended.exit_code, ended.output) == (1, "")
    assert genesis.read_bytes() == before
    assert [entry.name for entry in genesis.parent.iterdir()] == ["genesis.json"]


def test_the_bare_command_shows_its_help(command: Command) -> None:
    ended = command("ibft")
    assert ended.exit_code == 0
    assert "switch" in ended.output
    assert "quorum" in ended.output
