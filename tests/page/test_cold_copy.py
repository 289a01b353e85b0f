"""Stop, copy, start elsewhere, as the page describes it (lines 17 to 19, 21 to 24, 27 and 29 to 33)."""

from __future__ import annotations

import fcntl
import re
import shutil
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import plyvel
import pytest
from tests.node.chain import fresh_chain
from tests.node.running import RunningNode, run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.page.conftest import Grown


def identity(data_dir: Path) -> str:
    shown = run(["secrets", "output", "--data-dir", data_dir, "--json"])
    assert shown.returncode == 0, shown.stderr
    return shown.stdout


def test_page_17_a_copy_carries_state_and_keys(
    grown: Grown, archive: Path, tmp_path: Path, check_same_chain: Callable[[RunningNode], None]
) -> None:
    data_dir = grown.copy(tmp_path / "elsewhere")
    assert identity(data_dir) == identity(grown.chain.data_dir)
    with RunningNode(data_dir, grown.chain.genesis, "--block-time", "1") as node:
        check_same_chain(node)
        # No block was executed again.
        assert "restore" not in node.messages
        node.wait_for_height(grown.height + 2)
        assert f"validator address: {grown.chain.validator}" in node.messages
        assert f"node id: {grown.chain.node_id}" in node.messages
        assert node.stop() == 0
    assert archive.exists()


def test_page_18_a_second_server_on_a_live_directory_is_refused(grown: Grown, tmp_path: Path) -> None:
    data_dir = grown.copy(tmp_path / "node")
    with RunningNode(data_dir, grown.chain.genesis, "--block-time", "1") as first:
        with RunningNode(data_dir, grown.chain.genesis, log=tmp_path / "second.log", wait=False) as second:
            assert second.process.wait(30) == 1
            assert str(data_dir) in second.messages
            assert re.search("in use|lock", second.messages)
            assert "Traceback" not in second.messages
        first.wait_for_height(first.height + 2)
        assert first.stop() == 0


def test_page_19_every_stop_flushes_the_last_logged_block(grown: Grown, tmp_path: Path) -> None:
    data_dir = grown.copy(tmp_path / "node")
    for delay in (0.3, 1.1):
        with RunningNode(data_dir, grown.chain.genesis, "--block-time", "1") as node:
            node.wait_for("a block", lambda: bool(node.sealed))
            time.sleep(delay)
            assert node.stop() == 0
            number, block_hash = node.sealed[-1]
        with plyvel.DB(str(data_dir / "blockchain"), create_if_missing=False) as database:
            assert int.from_bytes(database.get(b"onumber"), "big") == number
            assert database.get(b"ohash").hex() == block_hash[2:]
        assert f'"LastBlock":{number}' in (data_dir / "consensus" / "metadata").read_text()


def test_page_21_the_log_shows_both_effects_in_order(grown: Grown) -> None:
    assert grown.exit_code == 0
    assert "\n[SIGNAL] Caught signal: interrupt\nGracefully shutting down client...\n" in grown.output
    stopped, flushed = (
        grown.log.find("consensus stopped"),
        grown.log.find("databases flushed and closed, locks released"),
    )
    assert 0 < stopped < flushed
    assert grown.log.rstrip().endswith("databases flushed and closed, locks released")


def test_page_22_a_kill_leaves_a_consistent_chain_without_snapshots(grown: Grown, tmp_path: Path) -> None:
    data_dir = grown.copy(tmp_path / "node")
    for name in ("metadata", "snapshots"):
        (data_dir / "consensus" / name).unlink()
    with RunningNode(data_dir, grown.chain.genesis, "--block-time", "1") as node:
        node.wait_for("a block", lambda: bool(node.sealed))
        node.kill()
        number, block_hash = node.sealed[-1]
    assert not (data_dir / "consensus" / "snapshots").exists()
    with RunningNode(data_dir, grown.chain.genesis, "--block-time", "1") as node:
        assert node.block_hash(number) == block_hash
        node.wait_for_height(number + 2)
        assert node.stop() == 0
    assert (data_dir / "consensus" / "snapshots").exists()


def test_page_23_both_kinds_of_lock_are_free_after_the_exit(grown: Grown) -> None:
    for name in ("blockchain", "trie"):
        for take in (fcntl.flock, fcntl.lockf):
            with (grown.chain.data_dir / name / "LOCK").open("r+b") as lock:
                take(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.mark.parametrize("way", ["cp -a", "tar", "without permissions"])
def test_page_24_any_way_to_copy_gives_a_working_node(
    way: str, grown: Grown, tmp_path: Path, check_same_chain: Callable[[RunningNode], None]
) -> None:
    source, target = grown.chain.data_dir, tmp_path / "node"
    if way == "cp -a":
        subprocess.run(["cp", "-a", source, target], check=True)
    elif way == "tar":
        subprocess.run(["tar", "-C", source.parent, "-cf", tmp_path / "node.tar", source.name], check=True)
        subprocess.run(["tar", "-C", tmp_path, "-xf", tmp_path / "node.tar"], check=True)
    else:
        shutil.copytree(source, target, copy_function=shutil.copyfile)
        for file in target.rglob("*"):
            file.chmod(0o777)
    with RunningNode(target, grown.chain.genesis, "--block-time", "1") as node:
        check_same_chain(node)
        node.wait_for_height(grown.height + 2)
        assert node.stop() == 0


def test_page_27_the_genesis_file_must_be_copied_too(grown: Grown, tmp_path: Path) -> None:
    data_dir = grown.copy(tmp_path / "node")
    missing = tmp_path / "missing.json"
    with RunningNode(data_dir, missing, wait=False) as node:
        assert node.process.wait(30) == 1
        assert str(missing) in node.messages
    (tmp_path / "other").mkdir()
    other = fresh_chain(tmp_path / "other")
    with RunningNode(data_dir, other.genesis, wait=False) as node:
        assert node.process.wait(30) == 1
        assert "genesis file does not match current genesis" in node.messages
    with RunningNode(data_dir, grown.chain.genesis) as node:
        assert node.height >= grown.height
        assert node.stop() == 0


def test_page_29_stop_first_then_copying_over_it_works(
    grown: Grown, tmp_path: Path, check_same_chain: Callable[[RunningNode], None]
) -> None:
    data_dir = grown.copy(tmp_path / "node")
    with RunningNode(data_dir, grown.chain.genesis, "--block-time", "1") as live:
        refused = run(["server", "--data-dir", data_dir, "--chain", grown.chain.genesis, "--jsonrpc", "127.0.0.1:0"])
        assert refused.returncode == 1
        assert live.stop() == 0
    shutil.rmtree(data_dir)
    grown.copy(data_dir)
    with RunningNode(data_dir, grown.chain.genesis) as node:
        check_same_chain(node)
        assert node.stop() == 0


def test_page_30_no_file_remembers_where_it_was(grown: Grown) -> None:
    places = [str(grown.chain.data_dir).encode(), str(grown.chain.data_dir.parent).encode()]
    files = [file for file in grown.chain.data_dir.rglob("*") if file.is_file()]
    # LevelDB's own text log of its work is no data.
    kept = [file for file in files if not re.fullmatch(r"LOG(\.old)?", file.name)]
    assert len(kept) > 10
    assert not [file for file in kept if any(place in file.read_bytes() for place in places)]


def test_page_31_the_genesis_file_may_lie_anywhere(
    grown: Grown, tmp_path: Path, check_same_chain: Callable[[RunningNode], None]
) -> None:
    genesis = tmp_path / "some" / "where" / "chain.json"
    genesis.parent.mkdir(parents=True)
    shutil.copy2(grown.chain.genesis, genesis)
    with RunningNode(grown.copy(tmp_path / "node"), genesis) as node:
        check_same_chain(node)
        assert node.stop() == 0


def test_page_32_the_right_directory_gives_the_old_head_a_wrong_one_visibly_another(
    grown: Grown, tmp_path: Path, check_same_chain: Callable[[RunningNode], None]
) -> None:
    right, wrong = grown.copy(tmp_path / "right"), tmp_path / "wrong"
    with RunningNode(right, grown.chain.genesis) as node:
        check_same_chain(node)
        assert f"data directory: {right}" in node.messages
        assert f"head: number={int(grown.blocks[-1]['number'], 16)}" in node.messages or node.height > grown.height
        assert node.stop(signal.SIGHUP) == 0
        assert "[SIGNAL] Caught signal: hangup" in node.output
    with RunningNode(wrong, grown.chain.genesis) as node:
        assert node.height == 0
        assert "head: number=0" in node.messages
        assert grown.chain.node_id not in node.messages
        assert f"data directory: {wrong}" in node.messages
        assert node.stop() == 0


def test_page_33_an_empty_data_directory_is_an_error_that_says_so(grown: Grown) -> None:
    refused = run(["server", "--data-dir", "", "--chain", grown.chain.genesis])
    assert refused.returncode == 1
    assert "data directory not defined" in refused.stderr
