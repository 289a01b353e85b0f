"""A sealing node of a later chain: wallets send it dynamic fees and read back what became of them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from eth_account import Account
from tests.node.chain import FreshChain, receipt
from tests.node.running import RunningNode, run
from web3 import HTTPProvider, Web3
from web3.middleware import ExtraDataToPOAMiddleware

from polygon_edge import _core
from polygon_edge.archive.flat import FlatArchive

from demonstration.load import CHAIN_ID, accounts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FORKS = (
    *("homestead", "EIP150", "EIP155", "EIP158", "byzantium", "constantinople", "petersburg", "istanbul"),
    *("london", "londonfix", "txHashWithType"),
)
SECOND = 1_000_000_000
GWEI = 10**9
BURNT = "0x" + "b0" * 20
RECEIVER = "0x" + "11" * 20


def later_chain(chain: FreshChain, folder: Path) -> FreshChain:
    """The same chain under the genesis file of a later generation, with dynamic fees from the first block on."""
    document = json.loads(chain.genesis.read_bytes())
    params = document["params"]
    params["forks"] = {name: {"block": 0} for name in FORKS}
    params["engine"]["ibft"]["blockTime"] = SECOND
    params["burnContract"] = {"0": BURNT}
    document["genesis"] |= {"baseFee": hex(GWEI), "baseFeeEM": "0x2", "baseFeeChangeDenom": "0x8"}
    genesis = folder / "later.json"
    genesis.write_text(json.dumps(document))
    return replace(chain, genesis=genesis)


@pytest.fixture(scope="module")
def node(unborn: FreshChain, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    folder = tmp_path_factory.mktemp("typed")
    chain = later_chain(replace(unborn, data_dir=folder / "node"), folder)
    copied = run(["secrets", "init", "--data-dir", chain.data_dir])
    assert copied.returncode == 0
    key = unborn.data_dir / "consensus" / "validator.key"
    (chain.data_dir / "consensus" / "validator.key").write_bytes(key.read_bytes())
    with RunningNode(chain.data_dir, chain.genesis) as running:
        running.wait_for_height(1)
        yield running
        assert running.stop() == 0


def signed(**fields: Any) -> Any:
    """A transaction of the first account of the load."""
    usual: dict[str, Any] = {"chainId": CHAIN_ID, "gas": 21_000, "to": RECEIVER, "value": 5}
    return Account.sign_transaction(usual | fields, accounts()[0].key)


def send(node: RunningNode, raw: bytes) -> Any:
    return node.rpc_answer(
        {"jsonrpc": "2.0", "id": 1, "method": "eth_sendRawTransaction", "params": ["0x" + raw.hex()]}
    )


def test_a_dynamic_fee_is_taken_sealed_and_told(node: RunningNode, tmp_path: Path) -> None:
    sender = accounts()[0].address
    nonce = int(node.rpc("eth_getTransactionCount", sender, "pending"), 16)
    fees = {"maxFeePerGas": 3 * GWEI, "maxPriorityFeePerGas": 2 * GWEI, "type": 2}
    transaction = signed(nonce=nonce, **fees)
    # The pool asks for the base fee of the genesis file, although blocks of IBFT carry none.
    assert int(node.rpc("eth_maxPriorityFeePerGas"), 16) >= GWEI
    assert int(node.rpc("eth_gasPrice"), 16) >= 2 * GWEI
    answer = send(node, bytes(transaction.raw_transaction))
    assert answer["result"] == "0x" + bytes(transaction.hash).hex(), answer
    node.wait_for("the receipt", lambda: receipt(node, answer["result"]) is not None)
    told = receipt(node, answer["result"])
    assert isinstance(told, dict)
    assert told["status"] == "0x1"
    found = node.rpc("eth_getTransactionByHash", answer["result"])
    assert (found["type"], int(found["chainId"], 16)) == ("0x2", CHAIN_ID)
    assert (int(found["maxFeePerGas"], 16), int(found["maxPriorityFeePerGas"], 16)) == (3 * GWEI, 2 * GWEI)
    assert (found["gasPrice"], found["from"], found["v"]) == ("0x0", sender, hex(transaction.v))
    block = node.rpc("eth_getBlockByNumber", told["blockNumber"], True)
    assert block["transactions"] == [found]
    history = node.rpc("eth_feeHistory", "0x1", told["blockNumber"], [50])
    assert history["reward"] == [[hex(2 * GWEI)]]
    # What was sealed leaves as an archive, typed transaction, round and all, and restores elsewhere.
    out = tmp_path / "out.dat"
    done = run(["backup", "--grpc-address", node.grpc, "--out", out])
    assert done.returncode == 0, done.stderr
    restored = run(["restore", out, "--data-dir", tmp_path / "copy", "--chain", node.genesis, "--json"])
    assert restored.returncode == 0, restored.stderr
    with FlatArchive.open(out) as archive, _core.Chain.open(tmp_path / "copy", create=False) as chain:
        height = archive.metadata.height
        assert height >= int(told["blockNumber"], 16)
        assert [chain.block(number) for number in range(height + 1)] == [record.raw for record in archive.records()]


@pytest.fixture(scope="module")
def web3(node: RunningNode) -> Iterator[Any]:
    provider = HTTPProvider(node.rpc_url)
    client = Web3(provider)
    client.middleware_onion.inject(ExtraDataToPOAMiddleware, layer=0)
    yield client
    provider._request_session_manager.session_cache.clear()


def test_web3_sends_a_dynamic_fee_and_reads_it_back(web3: Any) -> None:
    sender = accounts()[1]
    fields = {
        "chainId": web3.eth.chain_id,
        "nonce": web3.eth.get_transaction_count(sender.address, "pending"),
        "to": Web3.to_checksum_address(RECEIVER),
        "value": 1,
        "gas": 21_000,
        "maxPriorityFeePerGas": web3.eth.max_priority_fee,
        "maxFeePerGas": web3.eth.gas_price,
        "type": 2,
    }
    sent = web3.eth.send_raw_transaction(Account.sign_transaction(fields, sender.key).raw_transaction)
    told = web3.eth.wait_for_transaction_receipt(sent, timeout=60, poll_latency=0.05)
    assert told.status == 1
    found = web3.eth.get_transaction(sent)
    assert (found.type, found.maxFeePerGas, found["from"]) == (2, fields["maxFeePerGas"], sender.address)
    history = web3.eth.fee_history(1, told.blockNumber, [50])
    assert (history.oldestBlock, len(history.baseFeePerGas), len(history.reward)) == (told.blockNumber, 2, 1)


def test_web3_calls_on_a_state_of_its_own_making(web3: Any) -> None:
    returns_its_height = "0x4360005260206000f3"
    message = {"to": Web3.to_checksum_address(RECEIVER)}
    height = web3.eth.block_number
    given = {message["to"]: {"code": returns_its_height, "balance": 10**30, "nonce": 7}}
    assert int.from_bytes(web3.eth.call(message, height, given), "big") == height
    assert web3.eth.call(message, height) == b""


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"maxFeePerGas": GWEI - 1, "maxPriorityFeePerGas": 1, "type": 2}, "transaction underpriced"),
        ({"gasPrice": GWEI - 1}, "transaction underpriced"),
        (
            {"maxFeePerGas": 10**30, "maxPriorityFeePerGas": GWEI, "type": 2},
            "insufficient funds for gas * price + value",
        ),
    ],
    ids=["cap", "price", "funds"],
)
def test_a_price_below_the_base_fee_or_above_the_balance_is_refused(
    fields: dict[str, int], text: str, node: RunningNode
) -> None:
    answer = send(node, bytes(signed(nonce=1000, **fields).raw_transaction))
    assert answer["error"] == {"code": -32600, "message": text}


def test_a_tip_above_the_cap_is_refused(node: RunningNode) -> None:
    unchecked = signed(nonce=1000, maxFeePerGas=3 * GWEI, maxPriorityFeePerGas=4 * GWEI, type=2)
    answer = send(node, bytes(unchecked.raw_transaction))
    assert answer["error"]["message"] == "max priority fee per gas higher than max fee per gas"
