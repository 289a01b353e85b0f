"""web3.py, as it is released, reads a chain that a Go node has sealed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.jsonrpc.recorded_node import open_door
from web3 import HTTPProvider, Web3
from web3.exceptions import BlockNotFound, ContractCustomError, ContractPanicError, TransactionNotFound, Web3RPCError
from web3.middleware import ExtraDataToPOAMiddleware

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.golden.recorded import Network

TRANSFER = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
BALANCE_OF = [
    {
        "type": "function",
        "name": "balanceOf",
        "stateMutability": "view",
        "inputs": [{"name": "owner", "type": "address"}],
        "outputs": [{"name": "", "type": "uint256"}],
    },
    {
        "type": "function",
        "name": "transfer",
        "stateMutability": "nonpayable",
        "inputs": [{"name": "to", "type": "address"}, {"name": "amount", "type": "uint256"}],
        "outputs": [{"name": "", "type": "bool"}],
    },
    {
        "type": "event",
        "name": "Transfer",
        "anonymous": False,
        "inputs": [
            {"name": "from", "type": "address", "indexed": True},
            {"name": "to", "type": "address", "indexed": True},
            {"name": "value", "type": "uint256", "indexed": False},
        ],
    },
]
COIN = Web3.to_checksum_address("0x9A8b88ecA5511470e92c824c6B67EF53E0E875c4")
QUIRK = Web3.to_checksum_address("0x5F9Df7992516d55F96031d93e08F481a161c5d3A")
FAIL_ASSERT, FAIL_ODD = "0x0abe88b6", "0x55564cb9" + "3".rjust(64, "0")
FAIL_ODD_OUTPUT = "0x03a30345"
OWNER = Web3.to_checksum_address("0x647565fAfcD653801B53c7B58fACec3A638B5F18")


@pytest.fixture(scope="module")
def web3(poa: Network, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with open_door(poa, tmp_path_factory.mktemp("node")) as door:
        provider = HTTPProvider(door.url)
        client = Web3(provider)
        client.middleware_onion.inject(ExtraDataToPOAMiddleware, layer=0)
        yield client
        provider._request_session_manager.session_cache.clear()


@pytest.fixture(scope="module")
def coin(web3: Any) -> Any:
    return web3.eth.contract(address=COIN, abi=BALANCE_OF)


def test_it_knows_the_node(web3: Any) -> None:
    assert web3.is_connected()
    assert web3.client_version.startswith("polygon-edge [chain-id: 10631]")
    assert (web3.eth.chain_id, web3.net.version, web3.net.peer_count, web3.net.listening) == (10631, "10631", 0, True)
    assert (web3.eth.syncing, web3.eth.accounts, web3.eth.gas_price) == (False, [], 0)


def test_it_reads_blocks_by_every_name(web3: Any, poa: Network) -> None:
    head = web3.eth.get_block("latest")
    assert head["number"] == web3.eth.block_number == poa.about["dataDir"]["head"]
    assert web3.eth.get_block(head["hash"]) == web3.eth.get_block(head["number"]) == head
    assert head["parentHash"] == web3.eth.get_block(head["number"] - 1)["hash"]
    assert len(head["proofOfAuthorityData"]) > 32
    assert web3.eth.get_block("earliest")["number"] == 0
    assert web3.eth.get_block_transaction_count(7) == 6
    with pytest.raises(BlockNotFound):
        web3.eth.get_block(10_000)


def test_it_reads_transactions_and_receipts(web3: Any) -> None:
    block = web3.eth.get_block(7, full_transactions=True)
    for index, transaction in enumerate(block["transactions"]):
        assert web3.eth.get_transaction(transaction["hash"]) == transaction
        receipt = web3.eth.get_transaction_receipt(transaction["hash"])
        assert web3.eth.wait_for_transaction_receipt(transaction["hash"], timeout=1) == receipt
        assert (receipt["transactionIndex"], receipt["blockHash"]) == (index, block["hash"])
        assert receipt["from"] == transaction["from"]
    with pytest.raises(TransactionNotFound):
        web3.eth.get_transaction("0x" + "33" * 32)
    with pytest.raises(TransactionNotFound):
        web3.eth.get_transaction_receipt("0x" + "33" * 32)


def test_it_reads_logs_and_decodes_events(web3: Any, coin: Any) -> None:
    found = web3.eth.get_logs({"fromBlock": 0, "toBlock": "latest", "address": COIN, "topics": [TRANSFER]})
    events = coin.events.Transfer().get_logs(from_block=0)
    assert [event["logIndex"] for event in events] == [log["logIndex"] for log in found]
    assert len(events) > 1
    receipt = web3.eth.get_transaction_receipt(events[0]["transactionHash"])
    assert coin.events.Transfer().process_receipt(receipt)[0] == events[0]


def test_it_polls_filters(web3: Any, coin: Any) -> None:
    blocks = web3.eth.filter("latest")
    transfers = coin.events.Transfer.create_filter(from_block=0)
    assert blocks.get_new_entries() == []
    assert transfers.get_new_entries() == []
    assert len(transfers.get_all_entries()) > 1
    assert web3.eth.uninstall_filter(blocks.filter_id)
    assert not web3.eth.uninstall_filter(blocks.filter_id)


def test_it_reads_the_state_of_every_height(web3: Any, coin: Any) -> None:
    head = web3.eth.block_number
    assert web3.eth.get_code(COIN, 6) == b""
    assert len(web3.eth.get_code(COIN)) > 100
    assert [web3.eth.get_transaction_count(OWNER, height) for height in (0, 7)] == [0, 6]
    assert web3.eth.get_transaction_count(OWNER, "latest") > 6
    assert web3.eth.get_balance(OWNER, 0) > web3.eth.get_balance(OWNER, head)
    assert len(web3.eth.get_storage_at(COIN, 0)) == 32
    before, after = (coin.functions.balanceOf(OWNER).call(block_identifier=height) for height in (7, head))
    assert before == 10**24
    assert 0 < after < before
    assert coin.functions.balanceOf(OWNER).call({"from": OWNER}, block_identifier=75) > 0


def test_it_estimates_gas(coin: Any) -> None:
    assert coin.functions.transfer(COIN, 1).estimate_gas({"from": OWNER}) > 21_000


def test_it_tells_why_a_call_reverts(web3: Any, coin: Any) -> None:
    # Its own class for a reason wants the words of other nodes; ours are the Go client's, which other tools know (D-8).
    too_much = coin.functions.transfer(COIN, 10**40)
    for attempt in (too_much.call, too_much.estimate_gas):
        with pytest.raises(Web3RPCError, match="execution was reverted: coin: balance too low"):
            attempt({"from": OWNER})
    with pytest.raises(ContractPanicError):
        web3.eth.call({"to": QUIRK, "data": FAIL_ASSERT})
    with pytest.raises(ContractCustomError, match=FAIL_ODD_OUTPUT):
        web3.eth.call({"to": QUIRK, "data": FAIL_ODD})


def test_it_hashes_like_the_node(web3: Any) -> None:
    answer = web3.provider.make_request("web3_sha3", ["0x68656c6c6f"])
    assert answer["result"] == Web3.keccak(text="hello").to_0x_hex()
