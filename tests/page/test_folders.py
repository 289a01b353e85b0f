"""The folders of a data directory, as the page describes them (lines 3 to 6 and 8 of its checklist)."""

from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING

import plyvel
import pytest
from eth_keys.datatypes import PrivateKey
from tests.node.chain import fresh_chain
from tests.node.running import RunningNode, run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.page.conftest import Grown

FOLDERS = {"blockchain", "trie", "keystore", "consensus", "libp2p"}


def test_page_03_an_independent_leveldb_reader_opens_both_databases(grown: Grown, tmp_path: Path) -> None:
    data_dir = grown.copy(tmp_path / "node")
    for name in ("blockchain", "trie"):
        folder = data_dir / name
        assert {"CURRENT", "LOCK"} <= {file.name for file in folder.iterdir()}
        assert list(folder.glob("MANIFEST-*"))
        with plyvel.DB(str(folder), create_if_missing=False) as database:
            assert sum(1 for _ in database) > grown.height
    with plyvel.DB(str(data_dir / "blockchain"), create_if_missing=False) as database:
        number, head_hash = database.get(b"onumber"), database.get(b"ohash")
    assert int.from_bytes(number, "big") >= grown.height
    assert f"hash=0x{head_hash.hex()}" in grown.log


def test_page_04_all_folders_are_there_before_the_first_block(tmp_path: Path) -> None:
    chain = fresh_chain(tmp_path)
    data_dir = tmp_path / "not" / "there" / "yet"
    with RunningNode(data_dir, chain.genesis, log=tmp_path / "log") as node:
        assert node.height == 0
        assert {entry.name for entry in data_dir.iterdir()} == FOLDERS
        assert node.stop() == 0


def test_page_05_block_data_live_in_blockchain(grown: Grown, tmp_path: Path) -> None:
    with plyvel.DB(str(grown.copy(tmp_path / "read") / "blockchain"), create_if_missing=False) as database:
        keys = [key for key, _ in database]
    for prefix in (b"h", b"b", b"r"):
        assert sum(key[:1] == prefix and len(key) == 33 for key in keys) >= grown.height
    data_dir = grown.copy(tmp_path / "node", sealing=False)
    shutil.rmtree(data_dir / "blockchain")
    with RunningNode(data_dir, grown.chain.genesis) as node:
        assert node.height == 0
        assert node.block_hash(0) == grown.blocks[0]["hash"]
        assert "[WARNING]" in node.messages
        assert node.stop() == 0


def test_page_06_the_world_state_of_every_height_lives_in_trie(
    grown: Grown, tmp_path: Path, check_same_chain: Callable[[RunningNode], None]
) -> None:
    data_dir = grown.copy(tmp_path / "node", sealing=False)
    with RunningNode(data_dir, grown.chain.genesis) as node:
        check_same_chain(node)
        sender = grown.load.hashes[0]
        spent = [
            node.rpc("eth_getBalance", node.rpc("eth_getTransactionByHash", sender)["from"], hex(number))
            for number in range(grown.height + 1)
        ]
        assert len(set(spent)) > 1
        assert node.stop() == 0
    shutil.rmtree(data_dir / "trie")
    with RunningNode(data_dir, grown.chain.genesis, wait=False) as node:
        assert node.process.wait(30) == 1
        assert re.search(r"node/trie.*there is one in blockchain", node.messages)
        assert not (data_dir / "trie" / "CURRENT").exists()


def test_page_08_consensus_holds_the_validator_key_and_after_a_stop_the_snapshots(grown: Grown, tmp_path: Path) -> None:
    fresh = tmp_path / "fresh"
    assert run(["secrets", "init", "--data-dir", fresh]).returncode == 0
    assert {file.name for file in (fresh / "consensus").iterdir()} == {"validator.key", "validator-bls.key"}
    consensus = grown.chain.data_dir / "consensus"
    key = (consensus / "validator.key").read_text()
    assert re.fullmatch(r"[0-9a-f]{64}", key)
    last = json.loads((consensus / "metadata").read_text())["LastBlock"]
    assert last >= grown.height
    snapshots = json.loads((consensus / "snapshots").read_text())
    address = PrivateKey(bytes.fromhex(key)).public_key.to_checksum_address()
    assert snapshots[-1]["Set"] == [{"Address": address}]
    shown = run(["secrets", "output", "--validator", "--data-dir", grown.chain.data_dir])
    assert shown.stdout.strip() == address


@pytest.mark.parametrize("name", ["keystore", "libp2p", "consensus"])
def test_a_folder_that_is_a_file_is_named(tmp_path: Path, name: str) -> None:
    chain = fresh_chain(tmp_path)
    data_dir = tmp_path / "other"
    data_dir.mkdir()
    (data_dir / name).touch()
    with RunningNode(data_dir, chain.genesis, wait=False) as node:
        assert node.process.wait(30) == 1
        assert f"{name}: cannot be used: expected a folder, found a file" in node.messages
