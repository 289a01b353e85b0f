"""web3.py, as it is released, against a node that seals: its own middleware, local signing, an explicit gas price."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from eth_account import Account
from tests.node import counter
from tests.node.chain import fresh_chain
from tests.node.running import RunningNode
from web3 import HTTPProvider, Web3
from web3.exceptions import TransactionNotFound, Web3RPCError
from web3.middleware import ExtraDataToPOAMiddleware, SignAndSendRawMiddlewareBuilder

if TYPE_CHECKING:
    from collections.abc import Iterator

GAS_PRICE = 10**9
COINS = 10**21
PATIENCE_SECONDS = 60
SENDER = Account.from_key("0x" + "e5" * 32)
RECEIVER = Web3.to_checksum_address("0x" + "77" * 20)


@pytest.fixture(scope="module")
def web3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    chain = fresh_chain(tmp_path_factory.mktemp("chain"), "--premine", f"{SENDER.address}:{COINS}")
    with RunningNode(chain.data_dir, chain.genesis, "--block-time", "1") as node:
        provider = HTTPProvider(node.rpc_url)
        client = Web3(provider)
        client.middleware_onion.inject(ExtraDataToPOAMiddleware, layer=0)
        client.eth.default_account = SENDER.address
        yield client
        provider._request_session_manager.session_cache.clear()
        assert node.stop() == 0


def send(web3: Any, **transaction: Any) -> Any:
    """Sign here, send, and wait for the receipt."""
    filled = {
        "chainId": web3.eth.chain_id,
        "nonce": web3.eth.get_transaction_count(SENDER.address, "pending"),
        "gasPrice": GAS_PRICE,
        "value": 0,
    } | transaction
    if "gas" not in filled:
        filled["gas"] = web3.eth.estimate_gas({"from": SENDER.address} | transaction)
    signed = SENDER.sign_transaction(filled)
    transaction_hash = web3.eth.send_raw_transaction(signed.raw_transaction)
    assert transaction_hash == signed.hash
    return web3.eth.wait_for_transaction_receipt(transaction_hash, timeout=PATIENCE_SECONDS, poll_latency=0.05)


@pytest.fixture(scope="module")
def deployed(web3: Any) -> Any:
    """The receipt of the contract's creation."""
    return send(web3, data=counter.creation())


@pytest.fixture(scope="module")
def contract(web3: Any, deployed: Any) -> Any:
    return web3.eth.contract(address=deployed["contractAddress"], abi=counter.ABI)


def test_a_contract_is_deployed(web3: Any, deployed: Any, contract: Any) -> None:
    assert deployed["status"] == 1
    assert web3.eth.get_code(contract.address) == counter.runtime()
    assert contract.functions.get().call() == counter.FIRST_VALUE
    assert int(web3.eth.get_storage_at(contract.address, 0).hex(), 16) == counter.FIRST_VALUE


def test_a_transfer_costs_what_the_receipt_says(web3: Any) -> None:
    before = {address: web3.eth.get_balance(address) for address in (SENDER.address, RECEIVER)}
    receipt = send(web3, to=RECEIVER, value=5)
    assert (receipt["status"], receipt["gasUsed"], receipt["to"]) == (1, 21_000, RECEIVER)
    block = web3.eth.get_block(receipt["blockNumber"], full_transactions=True)
    assert web3.eth.get_transaction(receipt["transactionHash"]) == block["transactions"][receipt["transactionIndex"]]
    assert web3.eth.get_balance(RECEIVER) == before[RECEIVER] + 5
    assert web3.eth.get_balance(SENDER.address) == before[SENDER.address] - 5 - 21_000 * GAS_PRICE
    assert web3.eth.gas_price == GAS_PRICE


def test_a_contract_is_called_logged_and_read_at_every_height(web3: Any, contract: Any, deployed: Any) -> None:
    news = contract.events.Changed.create_filter(from_block="latest")
    blocks = web3.eth.filter("latest")
    heights = {deployed["blockNumber"]: counter.FIRST_VALUE}
    for value in (7, 8):
        filled = contract.functions.set(value).build_transaction({"gasPrice": GAS_PRICE, "nonce": 0})
        receipt = send(web3, to=contract.address, data=filled["data"])
        event = contract.events.Changed().process_receipt(receipt)[0]
        assert (event["args"]["by"], event["args"]["value"], event["logIndex"]) == (SENDER.address, value, 0)
        heights[receipt["blockNumber"]] = value
    for height, value in heights.items():
        assert contract.functions.get().call({"from": SENDER.address}, block_identifier=height) == value
        assert int(web3.eth.get_storage_at(contract.address, 0, height).hex(), 16) == value
    assert web3.eth.get_code(contract.address, deployed["blockNumber"] - 1) == b""
    assert [event["args"]["value"] for event in contract.events.Changed().get_logs(from_block=0)] == [7, 8]
    assert [event["args"]["value"] for event in news.get_new_entries()] == [7, 8]
    assert web3.eth.get_block(max(heights))["hash"] in blocks.get_new_entries()


def test_what_the_contract_refuses_fails_before_it_is_sent_and_in_the_block(web3: Any, contract: Any) -> None:
    refused = contract.functions.set(counter.REFUSED_VALUE)
    with pytest.raises(Web3RPCError, match="execution was reverted"):
        refused.estimate_gas()
    with pytest.raises(Web3RPCError, match="execution was reverted"):
        refused.call()
    filled = refused.build_transaction({"gasPrice": GAS_PRICE, "gas": 100_000, "nonce": 0})
    receipt = send(web3, to=contract.address, data=filled["data"], gas=100_000)
    assert (receipt["status"], receipt["logs"]) == (0, [])


def test_a_transaction_is_known_while_it_waits_and_refused_twice(web3: Any) -> None:
    nonce = web3.eth.get_transaction_count(SENDER.address, "pending")
    head = web3.eth.get_transaction_count(SENDER.address, "latest")
    filled = {"chainId": web3.eth.chain_id, "gasPrice": GAS_PRICE, "gas": 21_000, "to": RECEIVER, "value": 1}
    later = SENDER.sign_transaction(filled | {"nonce": nonce + 1})
    web3.eth.send_raw_transaction(later.raw_transaction)
    waiting = web3.eth.get_transaction(later.hash)
    assert (waiting["blockNumber"], waiting["from"], waiting["nonce"]) == (None, SENDER.address, nonce + 1)
    assert web3.geth.txpool.status() == {"pending": 0, "queued": 1}
    assert list(web3.geth.txpool.content()["queued"][SENDER.address]) == [str(nonce + 1)]
    assert "1 wei + 21000 gas" in web3.geth.txpool.inspect()["queued"][SENDER.address][str(nonce + 1)]
    with pytest.raises(TransactionNotFound):
        web3.eth.get_transaction_receipt(later.hash)
    with pytest.raises(Web3RPCError, match="already known"):
        web3.eth.send_raw_transaction(later.raw_transaction)
    assert web3.eth.get_transaction_count(SENDER.address, "pending") == nonce == head
    send(web3, **filled, nonce=nonce)
    web3.eth.wait_for_transaction_receipt(later.hash, timeout=PATIENCE_SECONDS, poll_latency=0.05)
    assert web3.eth.get_transaction_count(SENDER.address) == nonce + 2
    with pytest.raises(Web3RPCError, match="nonce too low"):
        web3.eth.send_raw_transaction(later.raw_transaction)


def test_its_signing_middleware_deploys_and_transacts(web3: Any) -> None:
    signer = SignAndSendRawMiddlewareBuilder.build(SENDER)
    web3.middleware_onion.inject(signer, layer=0, name="signer")
    try:
        price = {"from": SENDER.address, "gasPrice": GAS_PRICE}
        factory = web3.eth.contract(abi=counter.ABI, bytecode=counter.creation())
        created = web3.eth.wait_for_transaction_receipt(factory.constructor().transact(price), PATIENCE_SECONDS, 0.05)
        contract = web3.eth.contract(address=created["contractAddress"], abi=counter.ABI)
        changed = contract.functions.set(9).transact(price)
        assert web3.eth.wait_for_transaction_receipt(changed, PATIENCE_SECONDS, 0.05)["status"] == 1
        assert contract.functions.get().call() == 9
    finally:
        web3.middleware_onion.remove("signer")
