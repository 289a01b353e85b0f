"""`polygon-edge restore`: its flags, what it prints, and how it fails."""

from __future__ import annotations

import os
import pty
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import click
import plyvel
import pytest
from tests.conftest import recorded_folder
from tests.program import COMMAND, run_process

from polygon_edge import _core
from polygon_edge.cli.flags import Height

if TYPE_CHECKING:
    from pathlib import Path

    from tests.golden.recorded import Network
    from tests.program import Command

KEYS = ["from", "to", "head", "head_hash", "state_root", "genesis_hash", "blocks", "transactions", "gas", "seconds"]
HEAD = 24


@pytest.fixture(scope="session")
def good() -> Path:
    """An archive of the blocks 0 to 24."""
    return recorded_folder("malformed") / "good.dat"


def test_the_document_is_the_only_line_of_standard_output(
    good: Path, poa: Network, command: Command, tmp_path: Path
) -> None:
    ended = command("restore", good, "--data-dir", tmp_path / "node", "--chain", poa.genesis, "--json")
    assert ended.exit_code == 0
    assert ended.output.count("\n") == 1
    assert list(ended.document) == KEYS
    again = command("restore", good, "--data-dir", tmp_path / "node", "--chain", poa.genesis, "--json")
    assert (again.document["from"], again.document["to"], again.document["blocks"]) == (None, None, 0)
    assert all(again.document[key] == ended.document[key] for key in ("head", "head_hash", "state_root"))


def test_a_directory_that_lost_its_blocks_is_restored_with_a_warning(
    good: Path, poa: Network, command: Command, tmp_path: Path
) -> None:
    words = ("restore", good, "--data-dir", tmp_path / "node", "--chain", poa.genesis)
    assert "but no blocks" not in command(*words).errors
    shutil.rmtree(tmp_path / "node" / "blockchain")
    ended = command(*words)
    assert ended.exit_code == 0
    assert f"{tmp_path / 'node'} has a world state but no blocks" in ended.errors
    assert ended.output.startswith(f"restored blocks 1 to {HEAD}: ")


@pytest.mark.parametrize("pointer", ["ohash", "onumber"])
def test_a_head_that_a_kill_left_half_written_is_repaired_before_anything_asks_for_it(
    pointer: str, good: Path, poa: Network, command: Command, tmp_path: Path
) -> None:
    words = ("restore", good, "--data-dir", tmp_path / "node", "--chain", poa.genesis)
    assert command(*words, "--to", HEAD - 1).exit_code == 0
    with plyvel.DB(str(tmp_path / "node" / "blockchain")) as blocks:
        # One pointer names the block before, or is not there.
        if pointer == "ohash":
            blocks.put(b"onumber", (HEAD - 2).to_bytes(8, "big"))
        else:
            blocks.delete(b"ohash")
    ended = command(*words)
    assert ended.exit_code == 0, ended.errors
    assert "the head was left half-written" in ended.errors
    assert f"head       {HEAD} " in ended.output


def test_the_text_says_what_was_done(good: Path, poa: Network, command: Command, tmp_path: Path) -> None:
    words = ("restore", good, "--data-dir", tmp_path / "node", "--chain", poa.genesis)
    first = command(*words)
    assert first.output.startswith(f"restored blocks 1 to {HEAD}: ")
    assert "restore finished: head 24" in first.errors
    second = command(*words)
    assert second.output.startswith("nothing to restore: ")
    assert first.output.splitlines()[1:] == second.output.splitlines()[1:]
    with _core.Chain.open(tmp_path / "node") as chain:
        assert chain.head is not None
        assert f"head       {HEAD} 0x{chain.head[1].hex()}" in second.output


def test_only_errors_are_shown_when_asked_for(good: Path, poa: Network, command: Command, tmp_path: Path) -> None:
    ended = command("restore", good, "--data-dir", tmp_path, "--chain", poa.genesis, "--log-level", "ERROR")
    assert (ended.exit_code, ended.errors) == (0, "")


@pytest.mark.parametrize(("text", "height"), [("0", 0), ("17", 17), ("0x11", 17), ("0X11", 17), ("0x0", 0)])
def test_heights_are_decimal_or_hexadecimal(text: str, height: int) -> None:
    assert Height().convert(text, None, None) == height
    assert Height().convert(height, None, None) == height


@pytest.mark.parametrize("text", ["-1", "", "x", "0x", "1.5", str(1 << 64), "0x-1"])
def test_what_is_no_height_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="expected a block height"):
        Height().convert(text, None, None)


def test_a_height_ends_it_there(good: Path, poa: Network, command: Command, tmp_path: Path) -> None:
    ended = command("restore", good, "--data-dir", tmp_path, "--chain", poa.genesis, "--to", "0x0a", "--json")
    assert (ended.exit_code, ended.document["to"], ended.document["head"]) == (0, 10, 10)
    beyond = command("restore", good, "--data-dir", tmp_path, "--chain", poa.genesis, "--to", 99, "--json")
    assert beyond.exit_code == 10
    assert beyond.error["kind"] == "ArchiveIncompleteError"


@pytest.mark.parametrize("run_blocks", ["0", "-1", "x"])
def test_a_run_has_at_least_one_block(run_blocks: str, poa: Network, command: Command, tmp_path: Path) -> None:
    words = ("restore", "a.dat", "--data-dir", tmp_path / "node", "--chain", poa.genesis, "--run-blocks", run_blocks)
    assert command(*words).exit_code == 2
    assert not (tmp_path / "node").exists()


def test_the_archive_may_come_through_a_pipe(good: Path, poa: Network, tmp_path: Path) -> None:
    words = ("restore", "-", "--data-dir", tmp_path / "node", "--chain", poa.genesis, "--json")
    ended, _peak = run_process(*words, measured_in=tmp_path, stdin=good.read_bytes())
    assert (ended.exit_code, ended.document["head"]) == (0, HEAD)


def test_standard_input_is_read_in_this_process_as_well(
    good: Path, poa: Network, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, write = os.pipe()
    # Fits into the pipe whole.
    os.write(write, good.read_bytes()[:20000])
    os.close(write)
    with os.fdopen(read) as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        ended = command("restore", "-", "--data-dir", tmp_path / "node", "--chain", poa.genesis)
    assert ended.exit_code == 10
    assert re.search(r"Error: standard input: byte \d+: block \d+: record length beyond the end", ended.errors)


def test_an_archive_that_is_not_there_leaves_no_directory(poa: Network, command: Command, tmp_path: Path) -> None:
    missing, data = tmp_path / "missing.dat", tmp_path / "node"
    ended = command("restore", missing, "--data-dir", data, "--chain", poa.genesis)
    assert ended.exit_code == 10
    assert ended.errors.startswith(f"Error: {missing}: ")
    assert ended.errors.endswith("cannot be read: No such file or directory\n")
    assert not data.exists()


def test_a_genesis_file_that_is_not_there_is_named(good: Path, command: Command, tmp_path: Path) -> None:
    ended = command("restore", good, "--data-dir", tmp_path / "node", "--chain", tmp_path / "none.json", "--json")
    assert (ended.exit_code, ended.error["kind"]) == (12, "GenesisError")
    assert str(tmp_path / "none.json") in ended.error["error"]
    assert not (tmp_path / "node").exists()


def test_a_file_in_place_of_the_directory_is_named(good: Path, poa: Network, command: Command, tmp_path: Path) -> None:
    (tmp_path / "node").touch()
    for data in (tmp_path / "node", tmp_path / "node" / "below"):
        ended = command("restore", good, "--data-dir", data, "--chain", poa.genesis)
        assert ended.exit_code == 13
        assert f"Error: {tmp_path / 'node'}" in ended.errors


def test_a_directory_in_use_is_named(good: Path, poa: Network, command: Command, tmp_path: Path) -> None:
    for folder in ("blockchain", "trie"):
        (tmp_path / folder).mkdir()
    with _core.Chain.open(tmp_path):
        ended = command("restore", good, "--data-dir", tmp_path, "--chain", poa.genesis)
    assert ended.exit_code == 13
    assert str(tmp_path) in ended.errors


def test_a_terminal_gets_a_bar(good: Path, poa: Network, tmp_path: Path) -> None:
    main_end, terminal = pty.openpty()
    child = subprocess.Popen(
        [*COMMAND, "restore", good, "--data-dir", tmp_path / "node", "--chain", poa.genesis],
        stdout=subprocess.PIPE,
        stderr=terminal,
        env=os.environ | {"TERM": "xterm-256color", "COLUMNS": "120"},
    )
    os.close(terminal)
    shown = b""
    # The terminal ends with an error of its own once nobody holds the other end.
    while True:
        try:
            shown += os.read(main_end, 1 << 16)
        except OSError:
            break
    os.close(main_end)
    output, _ = child.communicate(timeout=60)
    assert child.returncode == 0
    assert "24/24" in shown.decode()
    assert b"[INFO]" not in shown
    assert output.startswith(b"restored blocks 1 to 24")
