"""The only place of a proof of stake chain changes hands at an epoch's end, from our node to the Go client's and back.

Stakes come as transactions through the JSON-RPC of whichever seals. Needs the binaries of both versions.
"""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from eth_abi.abi import encode
from eth_account import Account
from eth_hash.auto import keccak
from tests.interop.conftest import named_binary
from tests.interop.go_node import GoNode
from tests.interop.kinds import EPOCH_BLOCKS, KINDS, Kind, new_chain
from tests.node.chain import fresh_keys, receipt
from tests.node.running import RunningNode, run
from tests.store.independent_reader import stored

from demonstration.load import ACCOUNTS, CHAIN_ID, GAS_PRICE, Load, accounts

if TYPE_CHECKING:
    from pathlib import Path

    from eth_account.signers.local import LocalAccount
    from tests.node.chain import GrowingNode

pytestmark = pytest.mark.interop

STAKING = "0x" + "1001".rjust(40, "0")
COIN = 10**18
STAKE, UNSTAKE = keccak(b"stake()")[:4], keccak(b"unstake()")[:4]


def call(node: GrowingNode, account: LocalAccount, data: bytes, *, value: int = 0, price: int = GAS_PRICE) -> str:
    """Send a call of the staking contract; returns its hash."""
    transaction: dict[str, Any] = {
        "nonce": int(node.rpc("eth_getTransactionCount", account.address, "pending"), 16),
        "gasPrice": price,
        "gas": 500_000,
        "to": STAKING,
        "value": value,
        "data": data,
        "chainId": CHAIN_ID,
    }
    raw = bytes(account.sign_transaction(transaction).raw_transaction)
    return str(node.rpc("eth_sendRawTransaction", "0x" + raw.hex()))


def status(node: GrowingNode, transaction_hash: str) -> tuple[int, int]:
    """Whether a transaction succeeded, and the number of its block; waits for it."""
    node.wait_for("the receipt", lambda: receipt(node, transaction_hash) is not None)
    found = node.rpc("eth_getTransactionReceipt", transaction_hash)
    return int(found["status"], 16), int(found["blockNumber"], 16)


def height(node: GrowingNode) -> int:
    return int(node.rpc("eth_blockNumber"), 16)


def block(node: GrowingNode, number: int) -> dict[str, Any]:
    found: dict[str, Any] = node.rpc("eth_getBlockByNumber", hex(number), False)
    return found


class Validator:
    """A node that may become the only validator: its keys and its account."""

    def __init__(self, data_dir: Path, keys: dict[str, str]) -> None:
        self.data_dir = data_dir
        self.account = Account.from_key((data_dir / "consensus" / "validator.key").read_text().strip())
        self.bls_public_key = bytes.fromhex(keys["bls_pubkey"][2:])

    def put_keys(self, data_dir: Path) -> None:
        """Make `data_dir` a node of this validator."""
        for name in ("validator.key", "validator-bls.key"):
            shutil.copy2(self.data_dir / "consensus" / name, data_dir / "consensus" / name)


def hand_over(node: GrowingNode, leaves: Validator, comes: Validator) -> int:
    """Have one stake and the other unstake in the same epoch; returns the last block of the one who leaves.

    It is the block before the one that ends the epoch: the new set is read from the state after it (§5.6).
    """
    # A block that ends an epoch has no transactions, so they are sent when the next one has begun.
    node.wait_for("the beginning of an epoch", lambda: height(node) % EPOCH_BLOCKS == 1)
    stake = call(node, comes.account, STAKE, value=10 * COIN, price=2 * GAS_PRICE)
    unstake = call(node, leaves.account, UNSTAKE)
    found = [status(node, hash) for hash in (stake, unstake)]
    assert [success for success, _ in found] == [1, 1]
    epochs = {number // EPOCH_BLOCKS for _, number in found}
    assert len(epochs) == 1, f"not in one epoch: {found}"
    last = (epochs.pop() + 1) * EPOCH_BLOCKS - 1
    node.wait_for("the last block of the one who leaves", lambda: height(node) >= last)
    return last


def stakes_that_change_nothing(node: GrowingNode, validator: Validator) -> None:
    """More of a stake, too little of one, and what the contract refuses."""
    little = accounts()[0]
    assert status(node, call(node, validator.account, STAKE, value=COIN))[0] == 1
    assert status(node, call(node, little, STAKE, value=COIN // 2))[0] == 1
    assert status(node, call(node, little, UNSTAKE))[0] == 1
    assert status(node, call(node, little, UNSTAKE))[0] == 0
    assert status(node, call(node, validator.account, UNSTAKE))[0] == 0, "the least number of validators is one"


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.is_pos], ids=lambda kind: kind.name)
def test_the_only_place_goes_to_the_go_client_and_back(kind: Kind, tmp_path: Path) -> None:
    go_client = named_binary(kind.binary)
    chain = new_chain(kind, go_client, tmp_path)
    printed = json.loads(run(["secrets", "output", "--data-dir", chain.data_dir, "--json"]).stdout)
    first = Validator(shutil.copytree(chain.data_dir, tmp_path / "first"), {"bls_pubkey": printed["bls"]})
    second = Validator(tmp_path / "second", fresh_keys(tmp_path / "second"))
    with RunningNode(chain.data_dir, chain.genesis, *kind.flags) as node:
        load = Load(node)
        for validator in (first, second):
            load.send("transfer", ACCOUNTS - 1, validator.account.address, value=30 * COIN, gas=21_000)
        assert status(node, load.hashes[-1])[0] == 1
        stakes_that_change_nothing(node, first)
        if kind.validator_type == "bls":
            key = keccak(b"registerBLSPublicKey(bytes)")[:4] + encode(["bytes"], [second.bls_public_key])
            assert status(node, call(node, second.account, key))[0] == 1
        given = hand_over(node, first, second)
        node.wait_for_line(f"not sealing: {first.account.address} is not the validator of block {given + 1}")
        assert node.height == given
        assert node.stop() == 0
    second.put_keys(chain.data_dir)
    with GoNode(go_client, chain.data_dir, chain.genesis, tmp_path / "go.log", flags=kind.flags) as go_node:
        go_node.wait_for_height(given + EPOCH_BLOCKS + 1)
        taken = hand_over(go_node, second, first)
    first.put_keys(chain.data_dir)
    with RunningNode(chain.data_dir, chain.genesis, *kind.flags) as node:
        node.wait_for_height(taken + EPOCH_BLOCKS + 1)
        backup = run(["backup", "--grpc-address", node.grpc, "--out", tmp_path / "full.dat"])
        assert backup.returncode == 0, backup.stderr
        last = json.loads(run(["archive", "info", tmp_path / "full.dat", "--json"]).stdout)["last"]["number"]
        # The set of a block is in its extra data.
        extra = {number: block(node, number)["extraData"] for number in (given, given + 1, taken, taken + 1, last)}
        assert node.stop() == 0
    of_first = {number for number, data in extra.items() if first.account.address[2:].lower() in data}
    of_second = {number for number, data in extra.items() if second.account.address[2:].lower() in data}
    assert (of_first, of_second) == ({given, taken + 1, last}, {given + 1, taken})
    archive = tmp_path / "full.dat"
    log = tmp_path / "go-restore.log"
    with GoNode(go_client, tmp_path / "go", chain.genesis, log, archive, flags=kind.flags) as go_node:
        go_node.wait_for_height(last)
    restored = run(["restore", archive, "--data-dir", tmp_path / "ours", "--chain", chain.genesis])
    assert restored.returncode == 0, restored.stderr
    theirs, ours = stored(tmp_path / "go"), stored(tmp_path / "ours")
    assert ours.blockchain == theirs.blockchain
    assert ours.state(last) == theirs.state(last) == stored(chain.data_dir).state(last)
