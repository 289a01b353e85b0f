"""A Go client of version 0.6.3 and this program with the same keys and flags: the same output, the same genesis file.

Needs its binary, named by the environment.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.cli.artifact import artifact, parameters

if TYPE_CHECKING:
    from tests.program import Command

pytestmark = pytest.mark.interop

ADDRESS = "0x768242Da3d073A42e20925D3152D353C168b0d83"
BOOTNODE = "/ip4/127.0.0.1/tcp/1478/p2p/16Uiu2HAmSfA5qrgBaDCpW96bCQpBW8txXRAADqK3w1rLf2UMR4xz"
SELECTORS: tuple[list[str], ...] = ([], ["--validator"], ["--bls"], ["--node-id"])


@pytest.fixture(autouse=True)
def working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def go(binary: str, *words: str) -> str:
    ended = subprocess.run([binary, *words], capture_output=True, text=True, check=False, timeout=60)
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout


@pytest.mark.parametrize("kept", ["all", "no validator", "no bls"])
@pytest.mark.parametrize("maker", ["this program", "the Go client"])
def test_each_shows_the_keys_that_the_other_made(maker: str, kept: str, go_client: str, command: Command) -> None:
    flags = {"all": [], "no validator": ["--ecdsa=false"], "no bls": ["--bls=false"]}[kept]
    words = ("secrets", "init", "--data-dir", "node", *flags)
    if maker == "this program":
        assert command(*words).exit_code == 0
    else:
        go(go_client, *words)
    for selector in SELECTORS:
        for in_json in ([], ["--json"]):
            shown = ("secrets", "output", "--data-dir", "node", *selector, *in_json)
            ended = command(*shown)
            assert (ended.exit_code, ended.output) == (0, go(go_client, *shown))


@pytest.mark.parametrize(
    "flags",
    [
        ["--ibft-validators-prefix-path", "node-"],
        ["--ibft-validators-prefix-path", "node-", "--ibft-validator-type", "ecdsa"],
        [
            "--ibft-validator",
            ADDRESS,
            "--ibft-validator-type",
            "ecdsa",
            "--epoch-size",
            "0x10",
            "--name",
            "チェーン <&>",
        ],
        ["--consensus", "dev", "--chain-id", "017", "--block-gas-limit", "0"],
        ["--consensus", "dummy", "--premine", ADDRESS, "--premine", f"{'0x' + '00' * 20}:0", "--bootnode", "x"],
    ],
    ids=" ".join,
)
def test_the_same_flags_give_the_same_genesis_file(flags: list[str], go_client: str, command: Command) -> None:
    if "node-" in flags:
        assert command("secrets", "init", "--data-dir", "node-", "--num", "11").exit_code == 0
    words = ("genesis", "--bootnode", BOOTNODE, *flags)
    printed = go(go_client, *words, "--json")
    theirs = Path("genesis.json").read_bytes()
    Path("genesis.json").unlink()
    ended = command(*words, "--json")
    assert (ended.exit_code, ended.output) == (0, printed)
    assert Path("genesis.json").read_bytes() == theirs


def _arguments(*texts: str) -> list[str]:
    return [word for text in texts for word in ("--constructor-args", text)]


BLS_KEY = "0x95fd835eba141c7ea21ab8bcfc129c890daa3d1339bd720216e22e383d92e1116300b009d8ae9b118ba6ed9f3bb08379"
TO_STAKE = ["ibft", "switch", "--type", "PoS", "--from", "0x20", "--deployment", "9", "--min-validator-count", "2"]
TO_KEYS = ["ibft", "switch", "--type", "PoA", "--from", "99", "--ibft-validator", f"{ADDRESS}:{BLS_KEY}"]
PREDEPLOY = ["genesis", "predeploy", "--artifacts-path", "a.json", "--predeploy-address"]
CREATES = "6000600060006000f0506001600055600060006000f06001556000600255600060006000f000"


@pytest.mark.parametrize(
    ("types", "code", "commands"),
    [
        ([], None, [TO_STAKE, TO_KEYS, ["ibft", "quorum", "--from", "7"], [*TO_STAKE, "--from", "200", "--json"]]),
        ([], None, [["ibft", "quorum", "--from", "7", "--json"], [*PREDEPLOY, "0x1100"], TO_KEYS]),
        (
            ["uint256", "string", "bool[]", "bytes4", "int8[][]"],
            None,
            [
                [
                    *PREDEPLOY,
                    "0x1234567890",
                    "--json",
                    *_arguments("7", '"a, b"', "[true,false]", "0x01020304", "[[-1],[]]"),
                ]
            ],
        ),
        # Contracts are created, slots are written and cleared.
        ([], CREATES, [[*PREDEPLOY, "1100"]]),
        (
            [],
            "5a6000554360015544600255456003554660045547600555326006553360075530600855600060006000f3",
            [[*PREDEPLOY, "9999"]],
        ),
    ],
)
def test_the_same_changes_give_the_same_genesis_file(
    types: list[str], code: str | None, commands: list[list[str]], go_client: str, command: Command
) -> None:
    words = ["genesis", "--bootnode", BOOTNODE, "--ibft-validator-type", "ecdsa", "--ibft-validator", ADDRESS]
    assert command(*words, "--premine", ADDRESS).exit_code == 0
    made = Path("genesis.json").read_bytes()
    other = {} if code is None else {"bytecode": code}
    Path("a.json").write_bytes(artifact(parameters(*types), **other))
    printed, files = [], []
    for change in commands:
        printed.append(go(go_client, *change))
        files.append(Path("genesis.json").read_bytes())
    Path("genesis.json").write_bytes(made)
    for change, output, file in zip(commands, printed, files, strict=True):
        ended = command(*change)
        assert (ended.exit_code, ended.output) == (0, output)
        assert Path("genesis.json").read_bytes() == file != made
