"""`polygon-edge genesis predeploy`: a contract in the alloc, with what its constructor wrote, and what is refused."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.cli.artifact import DEPLOYED, artifact, parameters
from tests.program import COMMAND

from polygon_edge.chain.genesis import load_genesis
from polygon_edge.chain.genesis_block import genesis_block
from polygon_edge.chain.rules import rules_of

if TYPE_CHECKING:
    from tests.golden.recorded import Network
    from tests.program import Command

ADDRESS = "0x0000000000000000000000000000000000001100"
WORDS = ("genesis", "predeploy", "--predeploy-address", "0x1100", "--artifacts-path", "a.json")
PREMINED = "0x768242Da3d073A42e20925D3152D353C168b0d83"


@pytest.fixture(autouse=True)
def working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def genesis(poa: Network, tmp_path: Path) -> Path:
    (tmp_path / "a.json").write_bytes(artifact([]))
    file = tmp_path / "genesis.json"
    file.write_bytes(poa.genesis.read_bytes())
    return file


def alloc(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(file.read_bytes())["genesis"]["alloc"]
    return found


def slots(*values: int) -> dict[str, str]:
    return {f"0x{slot:064x}": f"0x{value:064x}" for slot, value in enumerate(values) if value}


def test_the_contract_stands_in_its_place_and_everything_else_stays(genesis: Path, command: Command) -> None:
    before = genesis.read_text()
    ended = command(*WORDS)
    assert (ended.exit_code, ended.output, ended.errors) == (
        0,
        f"\n[SMART CONTRACT PREDEPLOYMENT]\nAddress = {ADDRESS}\n\n",
        "",
    )
    fields = f'{" " * 16}"code": "0x{DEPLOYED}",\n{" " * 16}"balance": "0x0"\n'
    account = f'{" " * 12}"{ADDRESS}": {{\n{fields}{" " * 12}}},\n'
    assert genesis.read_text().replace(account, "") == before
    assert list(alloc(genesis)) == sorted(alloc(genesis))
    chain = load_genesis(genesis)
    assert genesis_block(rules_of(chain), chain).hash
    again = command(*WORDS, "--json")
    assert (again.exit_code, again.errors) == (1, '{"error":"the provided predeploy address is taken"}\n')


def test_the_constructor_gets_its_arguments(genesis: Path, command: Command, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(artifact(parameters("uint256", "string", "bool[]")))
    flags = ["--constructor-args=5", "--constructor-args", '"a, b"', "--constructor-args", "[true, false]"]
    ended = command(*WORDS, *flags, "--json")
    assert (ended.exit_code, ended.output) == (0, f'{{"address":"{ADDRESS}"}}\n')
    text = int.from_bytes(b"a, b".ljust(32, b"\0"), "big")
    assert alloc(genesis)[ADDRESS] == {
        "code": "0x" + DEPLOYED,
        "storage": slots(5, 96, 160, 4, text, 2, 1, 0),
        "balance": "0x0",
    }


def test_a_later_release_takes_the_code_that_the_constructor_returns(command: Command, tmp_path: Path) -> None:
    # CHAINID into slot 1, and two bytes of code returned.
    (tmp_path / "a.json").write_bytes(artifact([], bytecode="0x" + "46600155" + "61600160005260026" + "01ef3"))
    document = {
        "genesis": {"gasLimit": "1"},
        "params": {"forks": {"homestead": {"block": 0}}, "chainID": 77, "engine": {"dev": {}}},
    }
    file = tmp_path / "genesis.json"
    file.write_text(json.dumps(document))
    # It burns nothing, so it needs no contract for that.
    assert command(*WORDS).exit_code == 0
    assert alloc(file)[ADDRESS] == {"code": "0x6001", "storage": {f"0x{1:064x}": f"0x{77:064x}"}, "balance": "0x0"}
    assert list(json.loads(file.read_bytes())["genesis"]) == ["gasLimit", "alloc"]
    (tmp_path / "a.json").write_bytes(artifact([]))
    assert command(*WORDS, "--predeploy-address", "0x1101").exit_code == 0
    # No code, where the earlier release writes it as empty.
    assert alloc(file)["0x0000000000000000000000000000000000001101"] == {"balance": "0x0"}


@pytest.mark.parametrize(
    ("code", "account"),
    [
        # 5 and then 0 into slot 0, 0 into slot 1: what was written and undone is written down, as in Go.
        ("6005600055600060005560006001556000" + "6000f3", {"storage": {f"0x{0:064x}": f"0x{0:064x}"}}),
        # A contract is created: the nonce is that of one who has.
        ("600060006000f05060006000f3", {"nonce": "0x1"}),
        # A chain id, a height, a time and a gas limit of zero; a caller of zeros.
        ("46600055436001554260025545600355336004556000" + "6000f3", {}),
        ("6001600055" + "30ff", {"storage": slots(1)}),
    ],
    ids=["zeros", "nonce", "context", "self-destruct"],
)
def test_what_a_constructor_leaves_is_written_as_the_go_client_does(
    code: str, account: dict[str, Any], genesis: Path, command: Command, tmp_path: Path
) -> None:
    (tmp_path / "a.json").write_bytes(artifact([], bytecode=code))
    assert command(*WORDS).exit_code == 0
    assert alloc(genesis)[ADDRESS] == {"code": "0x" + DEPLOYED, "balance": "0x0"} | account


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--predeploy-address", ""], "invalid predeploy address provided"),
        (["--predeploy-address", "0x1001"], "the provided predeploy address is reserved"),
        (["--predeploy-address", "0x10ff"], f"the provided predeploy address must be >= {ADDRESS}"),
        (["--predeploy-address", "0x" + "1" * 41], "--predeploy-address: expected at most 40 hex digits"),
        (["--predeploy-address", "here"], "--predeploy-address: expected at most 40 hex digits, found 'here'"),
        (["--chain", "none.json"], "failed to load chain config from none.json: open none.json: no such file"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_a_wrong_flag_is_told_with_the_usage_and_changes_nothing(
    words: list[str], message: str, genesis: Path, command: Command
) -> None:
    before = genesis.read_bytes()
    ended = command(*WORDS, *words)
    assert (ended.exit_code, ended.output) == (1, "")
    assert message in ended.errors.splitlines()[-1]
    assert "Usage: polygon-edge genesis predeploy" in ended.errors
    assert genesis.read_bytes() == before


def test_both_flags_are_required(genesis: Path, command: Command) -> None:
    before = genesis.read_bytes()
    ended = command("genesis", "--json", "predeploy")
    assert ended.error == {"error": 'required flag(s) "predeploy-address", "artifacts-path" not set'}
    assert genesis.read_bytes() == before


@pytest.mark.parametrize(
    ("content", "flags", "message"),
    [
        (b"x", [], "a.json: expected JSON"),
        (b"{}", [], "a.json: expected key abi, found nothing"),
        (artifact([], abi="x"), [], 'a.json: abi: expected a list, found "x"'),
        (artifact([], abi=[{"type": "constructor"}] * 2), [], "a.json: abi: expected one constructor at most, found 2"),
        (artifact([], bytecode=None), [], "a.json: expected key bytecode, found nothing"),
        (artifact([], bytecode="0x60__$library$__"), [], "a.json: bytecode: expected hex bytes"),
        (artifact([], deployedBytecode=5), [], "a.json: deployedBytecode: expected a string"),
        (artifact([]), ["--artifacts-path", "none.json"], "open none.json: no such file or directory"),
        (artifact([]), ["--constructor-args", "[1"], "argument '[1': expected a value, found its end"),
        (artifact([]), ["--constructor-args", "1"], "--constructor-args: expected 0 arguments, found 1"),
        (artifact(None), ["--constructor-args", "1"], "--constructor-args: expected 0 arguments, found 1"),
        (artifact(parameters("uint8")), ["--constructor-args", "256"], "argument a0: expected uint8, found '256'"),
        (
            artifact([], bytecode="60006000fd"),
            [],
            "EVM predeployment failed: expected a constructor that succeeds, found revert",
        ),
        (
            artifact([], bytecode="fe"),
            [],
            "EVM predeployment failed: expected a constructor that succeeds, found opcode",
        ),
    ],
    ids=lambda value: value[:60] if isinstance(value, str) else "",
)
def test_a_contract_that_cannot_be_deployed_is_told_and_changes_nothing(
    content: bytes, flags: list[str], message: str, genesis: Path, command: Command
) -> None:
    genesis.with_name("a.json").write_bytes(content)
    before = genesis.read_bytes()
    ended = command(*WORDS, *flags)
    assert (ended.exit_code, ended.output) == (1, "")
    assert ended.errors.startswith(message)
    assert genesis.read_bytes() == before


def test_a_contract_without_a_constructor_needs_no_arguments(genesis: Path, command: Command, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(artifact(None))
    assert command(*WORDS).exit_code == 0
    assert alloc(genesis)[ADDRESS] == {"code": "0x" + DEPLOYED, "balance": "0x0"}


def catches(process: int, number: signal.Signals) -> bool:
    """Whether the process has a handler for the signal already."""
    status = Path(f"/proc/{process}/status").read_text()
    mask = next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(int(mask, 16) >> (number - 1) & 1)


def test_a_constructor_without_an_end_is_left_by_a_signal(genesis: Path, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(artifact([], bytecode="5b600056"))
    before = genesis.read_bytes()
    process = subprocess.Popen(
        [*COMMAND, *WORDS], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        # From then on a signal ends it the same way, whatever it is at.
        while not catches(process.pid, signal.SIGTERM):
            assert process.poll() is None
            time.sleep(0.02)
        process.terminate()
        output, errors = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert (process.returncode, output, errors) == (130, "", "stopped by a signal\n")
    assert genesis.read_bytes() == before


def test_the_help_of_genesis_names_the_verb_below(command: Command) -> None:
    ended = command("genesis", "--help")
    assert "predeploy  Put a contract into a genesis file." in ended.output
    below = command("genesis", "predeploy", "--help")
    assert below.output.startswith("Usage: polygon-edge genesis predeploy [OPTIONS]")


def test_another_word_after_genesis_is_ignored_as_by_the_go_client(command: Command, tmp_path: Path) -> None:
    ended = command("genesis", "redeploy", "--consensus", "dev", "--bootnode", "x")
    assert ended.exit_code == 0
    assert "ignored: 'redeploy'" in ended.errors
    assert (tmp_path / "genesis.json").exists()
