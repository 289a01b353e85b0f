"""`polygon-edge server` on chains of the engines `dev` and `dummy`, with `--dev`, and with `--strict`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from tests.node.chain import fresh_chain, grow
from tests.node.running import RunningNode

from polygon_edge import _core
from polygon_edge.chain import rlp
from polygon_edge.chain.genesis import load_genesis
from polygon_edge.chain.genesis_block import core_rules, genesis_block
from polygon_edge.chain.rules import rules_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.node.chain import FreshChain
    from tests.program import Command


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> FreshChain:
    """A chain of the engine dev; each test has a data directory of its own."""
    return fresh_chain(tmp_path_factory.mktemp("dev"), "--consensus", "dev")


def blocks_made(node: RunningNode) -> list[tuple[int, str]]:
    return [(int(number), hash) for number, hash in re.findall(r"block made: number=(\d+) hash=(\S+)", node.messages)]


def test_a_dev_node_makes_blocks_of_what_it_is_sent_and_goes_on_after_a_stop(dev: FreshChain, tmp_path: Path) -> None:
    with RunningNode(tmp_path / "data", dev.genesis) as node:
        load = grow(node, rounds=1)
        height = node.height
        block = node.rpc("eth_getBlockByNumber", hex(height), False)
        assert (block["difficulty"], block["extraData"], block["miner"]) == ("0x0", "0x", "0x")
        assert node.rpc("eth_getTransactionReceipt", load.hashes[0])["status"] == "0x1"
        assert node.stop() == 0
    assert "making a block every 1 s: engine dev" in node.messages
    made = blocks_made(node)
    assert [number for number, _ in made] == list(range(1, len(made) + 1))
    with RunningNode(tmp_path / "data", dev.genesis) as again:
        assert again.block_hash(len(made)) == made[-1][1]
        again.wait_for_height(len(made) + 1)
        assert again.stop() == 0


def test_dev_mode_asks_for_its_own_interval(dev: FreshChain, tmp_path: Path) -> None:
    text = dev.genesis.read_text().replace('"dev": {}', '"dev": {"interval": 70}')
    genesis = tmp_path / "genesis.json"
    genesis.write_text(text)
    with RunningNode(tmp_path / "data", genesis) as node:
        node.wait_for_line("making a block every 70 s")
        assert node.stop() == 0
    with RunningNode(tmp_path / "data", genesis, "--dev", "--dev-interval", "60") as node:
        node.wait_for_line("making a block every 60 s")
        assert node.stop() == 0
    with RunningNode(tmp_path / "data", genesis, "--dev") as node:
        node.wait_for_line("making a block every 1 s")
        assert node.stop() == 0


def test_a_dummy_node_makes_no_blocks(tmp_path: Path) -> None:
    chain = fresh_chain(tmp_path, "--consensus", "dummy")
    with RunningNode(tmp_path / "data", chain.genesis) as node:
        node.wait_for_line("not sealing: the engine dummy makes no blocks")
        assert node.height == 0
        assert node.stop() == 0


def test_dev_mode_needs_a_receiver_of_burnt_fees(dev: FreshChain, command: Command, tmp_path: Path) -> None:
    genesis = tmp_path / "genesis.json"
    genesis.write_text(dev.genesis.read_text().replace('"homestead": 0', '"homestead": {"block": 0}'))
    ended = command("server", "--dev", "--chain", genesis, "--data-dir", tmp_path / "data")
    assert (ended.exit_code, ended.output) == (1, "")
    assert "params.burnContract: expected a contract: --dev turns the fork london on" in ended.errors.splitlines()[-1]
    assert not (tmp_path / "data").exists()


def doubtful_archive(chain: FreshChain, folder: Path) -> Path:
    """Two blocks of which the second is not later than the first: valid, and nothing that a clock makes."""
    genesis = load_genesis(chain.genesis)
    rules = rules_of(genesis)
    records = []
    with _core.Chain.open(folder / "made") as made:
        block = genesis_block(rules, genesis)
        made.start(core_rules(rules), block)
        for _ in range(2):
            proposal = made.propose(
                coinbase=bytes(20), timestamp=5, gas_limit=genesis.gas_limit, validators=(), candidates=()
            )
            records.append(proposal.record())
            made.commit(made.execute(_core.prepare(core_rules(rules), records[-1:]), 0, 1))
        archive = folder / "archive.dat"
        archive.write_bytes(rlp.encode([b"\2", made.tip[1]]) + b"".join(records))
    return archive


def test_a_doubtful_block_is_warned_of_or_refused_where_the_operator_is_strict(dev: FreshChain, tmp_path: Path) -> None:
    archive = doubtful_archive(dev, tmp_path)
    flags = ("--restore", str(archive), "--dev", "--dev-interval", "1000")
    with RunningNode(tmp_path / "strict", dev.genesis, *flags, "--strict", wait=False) as node:
        assert node.process.wait(60) == 1
    assert "block 2: timestamp" in node.messages.splitlines()[-1]
    with RunningNode(tmp_path / "lenient", dev.genesis, *flags) as node:
        node.wait_for_line("making a block")
        assert node.height == 2
        assert node.stop() == 0
    assert "block 2: timestamp" in node.messages
    with RunningNode(tmp_path / "strict", dev.genesis, "--dev", "--dev-interval", "1000") as node:
        # What was whole before the doubt is kept.
        assert node.height == 1
        assert node.stop() == 0
