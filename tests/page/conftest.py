"""What the page's promises are held against: a validator that sealed a short chain and was stopped by SIGINT."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from tests.node.chain import FreshChain, fresh_chain, grow
from tests.node.running import RunningNode, run

from demonstration.load import Load, accounts

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

OTHER_KEY = "0b" * 32


@dataclass(frozen=True, slots=True)
class Grown:
    """A stopped node: where it lies, its head, what it said of its chain, what it logged and printed."""

    chain: FreshChain
    height: int
    blocks: list[dict[str, Any]]
    samples: dict[str, Any]
    load: Load
    log: str
    output: str
    exit_code: int

    def copy(self, target: Path, *, sealing: bool = True) -> Path:
        """A cold copy of the data directory; with another validator key unless it should seal on."""
        copied = shutil.copytree(self.chain.data_dir, target)
        if not sealing:
            (copied / "consensus" / "validator.key").write_text(OTHER_KEY)
        return copied


def all_blocks(node: RunningNode, last: int) -> list[dict[str, Any]]:
    """Every block with its transactions: hash, state root and receipts root are in it."""
    return [node.rpc("eth_getBlockByNumber", hex(number), True) for number in range(last + 1)]


def samples_of(node: RunningNode, load: Load, last: int) -> dict[str, Any]:
    """Balances, code and storage at two heights, receipts and transactions."""
    found: dict[str, Any] = {}
    for height in (hex(last // 2), hex(last)):
        for account in accounts():
            found[f"balance {account.address} {height}"] = node.rpc("eth_getBalance", account.address, height)
        for contract in load.contracts:
            found[f"code {contract} {height}"] = node.rpc("eth_getCode", contract, height)
            for slot in range(20):
                key = f"slot {contract} {slot} {height}"
                found[key] = node.rpc("eth_getStorageAt", contract, hex(slot), height)
    for transaction_hash in load.hashes:
        found[f"receipt {transaction_hash}"] = node.rpc("eth_getTransactionReceipt", transaction_hash)
        found[f"transaction {transaction_hash}"] = node.rpc("eth_getTransactionByHash", transaction_hash)
    return found


@pytest.fixture(scope="session")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Grown:
    """A validator that sealed transfers, contracts, storage and empty blocks, stopped by SIGINT."""
    chain = fresh_chain(tmp_path_factory.mktemp("grown"))
    with RunningNode(chain.data_dir, chain.genesis, "--block-time", "1") as node:
        load = grow(node)
        # An empty block after the last transaction.
        node.wait_for_height(node.height + 2)
        height = node.height
        blocks, samples = all_blocks(node, height), samples_of(node, load, height)
        exit_code = node.stop()
        last, _ = node.sealed[-1]
        log, output = node.messages, node.output
    assert last >= height
    return Grown(chain, height, blocks, samples, load, log, output, exit_code)


@pytest.fixture(scope="session")
def archive(grown: Grown, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup of the whole chain, taken from a node that does not seal."""
    folder = tmp_path_factory.mktemp("archive")
    with RunningNode(grown.copy(folder / "node", sealing=False), grown.chain.genesis) as node:
        done = run(["backup", "--grpc-address", node.grpc, "--out", folder / "backup.dat"])
        assert done.returncode == 0, done.stderr
        node.stop()
    return folder / "backup.dat"


@pytest.fixture(scope="session")
def check_same_chain(grown: Grown) -> Callable[[RunningNode], None]:
    """Compares a node with what the grown one said: every block, and samples of its state."""

    def check(node: RunningNode) -> None:
        assert node.height >= grown.height
        assert all_blocks(node, grown.height) == grown.blocks
        assert samples_of(node, grown.load, grown.height) == grown.samples

    return check
