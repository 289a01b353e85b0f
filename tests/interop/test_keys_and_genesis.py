"""A Go client of version 0.6.3 and this program with the same keys and flags: the same output, the same genesis file.

Needs its binary, named by the environment.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

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
