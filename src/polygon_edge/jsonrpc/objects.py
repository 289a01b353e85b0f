"""Blocks, transactions, receipts and logs as JSON documents: names, order and formats of §5.3.

Where a chain may hold typed transactions they have a type and the fields of it, and blocks their base fee.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from polygon_edge.chain.address import checksum_address
from polygon_edge.chain.block import HASH_SIZE
from polygon_edge.chain.fees import effective_gas_price
from polygon_edge.jsonrpc.codec import data, quantity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from polygon_edge import _core
    from polygon_edge.jsonrpc.history import Block, History

_ZERO_HASH = data(bytes(HASH_SIZE))


def block_document(history: History, height: int, *, full: bool) -> dict[str, object]:
    """Describe a block that is there; its transactions by hash, or whole if `full`."""
    header = history.header(height)
    block_hash = history.hash(height)
    transactions = history.transactions(height)
    with_type = history.rules.has_transaction_types
    # A fee of zero is left out, so that a client does not take the chain for one that asks for dynamic fees.
    base_fee = {"baseFeePerGas": quantity(header.base_fee)} if header.base_fee else {}
    return {
        "parentHash": data(header.parent_hash),
        "sha3Uncles": data(header.sha3_uncles),
        "miner": data(header.miner),
        "stateRoot": data(header.state_root),
        "transactionsRoot": data(header.transactions_root),
        "receiptsRoot": data(header.receipts_root),
        "logsBloom": data(header.logs_bloom),
        "difficulty": quantity(header.difficulty),
        "totalDifficulty": quantity(header.difficulty),  # of this block alone: IBFT sums nothing up
        "size": quantity(history.size(height)),
        "number": quantity(header.number),
        "gasLimit": quantity(header.gas_limit),
        "gasUsed": quantity(header.gas_used),
        "timestamp": quantity(header.timestamp),
        "extraData": data(header.extra_data),
        "mixHash": data(header.mix_hash),
        "nonce": data(header.nonce),
        "hash": data(block_hash),
        "transactions": [
            transaction_document(transaction, Place(block_hash, height, index, header.base_fee), with_type=with_type)
            if full
            else data(transaction.hash)
            for index, transaction in enumerate(transactions)
        ],
        "uncles": [],
        **base_fee,
    }


class Place(NamedTuple):
    """Where a transaction stands: its block's hash and height, its position there, and the block's base fee."""

    block_hash: bytes
    height: int
    position: int
    base_fee: int


def transaction_document(
    transaction: _core.Transaction, place: Place | None = None, *, with_type: bool = False
) -> dict[str, object]:
    """Describe a transaction at its `place`, or one that waits in the pool, `with_type` where the chain has types."""
    block_hash, height, index, base_fee = (None, None, None, 0) if place is None else place
    prices: dict[str, object] = {}
    if place is not None or transaction.gas_fee_cap is None:
        # What one with a dynamic fee will cost is not known before it is in a block.
        prices["gasPrice"] = quantity(effective_gas_price(transaction, base_fee))
    if transaction.gas_tip_cap is not None and transaction.gas_fee_cap is not None:
        prices["maxPriorityFeePerGas"] = quantity(transaction.gas_tip_cap)
        prices["maxFeePerGas"] = quantity(transaction.gas_fee_cap)
    types: dict[str, object] = {"type": quantity(transaction.type)} if with_type else {}
    if transaction.chain_id is not None:
        types["chainId"] = quantity(transaction.chain_id)
    return {
        "nonce": quantity(transaction.nonce),
        **prices,
        "gas": quantity(transaction.gas),
        "to": None if transaction.to is None else checksum_address(transaction.to),
        "value": quantity(transaction.value),
        "input": data(transaction.input),
        "v": quantity(transaction.v),
        "r": quantity(transaction.r),
        "s": quantity(transaction.s),
        "hash": data(transaction.hash),
        "from": sender_text(transaction),
        "blockHash": None if block_hash is None else data(block_hash),
        "blockNumber": None if height is None else quantity(height),
        "transactionIndex": None if index is None else quantity(index),
        **types,
    }


def sender_text(transaction: _core.Transaction) -> str | None:
    """Write the sender's address, none where no key fits the signature."""
    return None if transaction.sender is None else checksum_address(transaction.sender)


def receipt_document(block: Block, index: int) -> dict[str, object]:
    """Describe receipt `index` of a block."""
    receipt, transaction = block.receipts[index], block.transactions[index]
    earlier_logs = sum(len(earlier.logs) for earlier in block.receipts[:index])
    contract, to = receipt.contract_address, transaction.to
    return {
        "root": _ZERO_HASH,
        "cumulativeGasUsed": quantity(receipt.cumulative_gas_used),
        "logsBloom": data(receipt.logs_bloom),
        "logs": [log_document(block, index, earlier_logs + position, log) for position, log in enumerate(receipt.logs)],
        "status": quantity(int(receipt.success)),
        "transactionHash": data(transaction.hash),
        "transactionIndex": quantity(index),
        "blockHash": data(block.hash),
        "blockNumber": quantity(block.number),
        "gasUsed": quantity(receipt.gas_used),
        "contractAddress": None if contract is None else checksum_address(contract),
        "from": sender_text(transaction),
        "to": None if to is None else checksum_address(to),
    }


def logs_of(block: Block) -> Iterator[tuple[int, int, _core.Log]]:
    """Yield every log of a block with the index of its transaction and its own index in the block (D-18)."""
    log_index = 0
    for transaction_index, receipt in enumerate(block.receipts):
        for log in receipt.logs:
            yield transaction_index, log_index, log
            log_index += 1


def log_document(block: Block, transaction_index: int, log_index: int, log: _core.Log) -> dict[str, object]:
    """Describe a log; `log_index` counts through the block."""
    return {
        "address": checksum_address(log.address),
        "topics": [data(topic) for topic in log.topics],
        "data": data(log.data),
        "blockNumber": quantity(block.number),
        "transactionHash": data(block.transactions[transaction_index].hash),
        "transactionIndex": quantity(transaction_index),
        "blockHash": data(block.hash),
        "logIndex": quantity(log_index),
        "removed": False,
    }
