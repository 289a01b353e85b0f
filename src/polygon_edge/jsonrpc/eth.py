"""The methods of the `eth` namespace (§5.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polygon_edge.chain.address import ADDRESS_SIZE
from polygon_edge.chain.block import HASH_SIZE
from polygon_edge.errors import PoolError
from polygon_edge.jsonrpc.codec import (
    Tag,
    data,
    decode_address,
    decode_block_number,
    decode_block_reference,
    decode_count,
    decode_data,
    decode_flag,
    decode_hash,
    decode_text,
    quantity,
)
from polygon_edge.jsonrpc.dispatch import Method, Parameter
from polygon_edge.jsonrpc.fee_history import FeeHistory, decode_percentiles
from polygon_edge.jsonrpc.filters import Filters
from polygon_edge.jsonrpc.gas_price import GasPrice
from polygon_edge.jsonrpc.history import BlockNotFoundError, History
from polygon_edge.jsonrpc.logs import LogQuery, LogSearch, decode_log_query
from polygon_edge.jsonrpc.message import Message, call, decode_message, decode_typed_message, estimate_gas, priced
from polygon_edge.jsonrpc.objects import Place, block_document, receipt_document, transaction_document
from polygon_edge.jsonrpc.priority_fee import PriorityFee
from polygon_edge.jsonrpc.rpc_error import RpcError
from polygon_edge.jsonrpc.state_override import decode_overrides

if TYPE_CHECKING:
    from collections.abc import Mapping

    from polygon_edge.jsonrpc.codec import BlockNumber, BlockReference
    from polygon_edge.jsonrpc.context import Backend
    from polygon_edge.jsonrpc.state_override import AccountOverride

_ADDRESS = Parameter(decode_address, bytes(ADDRESS_SIZE))
_HASH = Parameter(decode_hash, bytes(HASH_SIZE))
_HEIGHT = Parameter(decode_block_number, 0)  # the Go client's zero value, although the latest block would be kinder
_LATEST_HEIGHT = Parameter(decode_block_number, Tag.LATEST)
_REFERENCE = Parameter(decode_block_reference, Tag.LATEST)
_FLAG = Parameter(decode_flag, absent=False)
_TEXT = Parameter(decode_text, "")
_DATA = Parameter(decode_data, b"")
_COUNT = Parameter(decode_count, 0)
_PERCENTILES = Parameter(decode_percentiles, ())
_MESSAGE = Parameter(decode_message)
_TYPED_MESSAGE = Parameter(decode_typed_message)
_OVERRIDES = Parameter(decode_overrides, None)
_LOG_QUERY = Parameter(decode_log_query)


class Eth:
    """Answers from what the node hands over."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._history = History(backend.chain, backend.rules)
        self._search = LogSearch(self._history, backend.block_range_limit)
        self._filters = Filters(self._history, self._search)
        self._fee_history = FeeHistory(self._history)
        self._priority_fee = PriorityFee(self._history)
        self._gas_price = GasPrice(self._history, backend.price_limit, self._priority_fee)

    def methods(self) -> dict[str, Method]:
        """Return every method by its full name; those about fees only where the chain may have dynamic ones."""
        has_types = self._backend.rules.has_transaction_types
        message = _TYPED_MESSAGE if has_types else _MESSAGE
        overrides = (_OVERRIDES,) if has_types else ()
        about_fees = {
            "eth_feeHistory": Method(self._fee_history.tell, (_COUNT, _HEIGHT, _PERCENTILES)),
            "eth_maxPriorityFeePerGas": Method(self.max_priority_fee_per_gas),
        }
        return {
            "eth_accounts": Method(list),
            "eth_blockNumber": Method(self.block_number),
            "eth_call": Method(self.call, (message, _REFERENCE, *overrides)),
            "eth_chainId": Method(self.chain_id),
            "eth_estimateGas": Method(self.estimate_gas, (message, _LATEST_HEIGHT)),
            "eth_gasPrice": Method(self.gas_price),
            "eth_getBalance": Method(self.get_balance, (_ADDRESS, _REFERENCE)),
            "eth_getBlockByHash": Method(self.get_block_by_hash, (_HASH, _FLAG)),
            "eth_getBlockByNumber": Method(self.get_block_by_number, (_HEIGHT, _FLAG)),
            "eth_getBlockTransactionCountByNumber": Method(self.count_transactions, (_HEIGHT,)),
            "eth_getCode": Method(self.get_code, (_ADDRESS, _REFERENCE)),
            "eth_getFilterChanges": Method(self._filters.changes, (_TEXT,)),
            "eth_getFilterLogs": Method(self.get_filter_logs, (_TEXT,)),
            "eth_getLogs": Method(self.get_logs, (_LOG_QUERY,)),
            "eth_getStorageAt": Method(self.get_storage_at, (_ADDRESS, _HASH, _REFERENCE)),
            "eth_getTransactionByHash": Method(self.get_transaction_by_hash, (_HASH,)),
            "eth_getTransactionCount": Method(self.get_transaction_count, (_ADDRESS, _REFERENCE)),
            "eth_getTransactionReceipt": Method(self.get_transaction_receipt, (_HASH,)),
            "eth_newBlockFilter": Method(self.new_block_filter),
            "eth_newFilter": Method(self._filters.install, (_LOG_QUERY,)),
            "eth_sendRawTransaction": Method(self.send_raw_transaction, (_DATA,)),
            "eth_sendTransaction": Method(self.send_transaction),
            "eth_syncing": Method(self.syncing),
            "eth_uninstallFilter": Method(self._filters.uninstall, (_TEXT,)),
            "eth_unsubscribe": Method(self._filters.uninstall, (_TEXT,)),
            **(about_fees if has_types else {}),
        }

    def chain_id(self) -> str:
        """Return the chain id."""
        return quantity(self._backend.chain_id)

    def syncing(self) -> object:
        """Return how far a restore has come, false while there is none."""
        progress = self._backend.sync_progress()
        if progress is None:
            return False
        return {
            "type": progress.kind,
            "startingBlock": quantity(progress.starting),
            "currentBlock": quantity(progress.current),
            "highestBlock": quantity(progress.highest),
        }

    def block_number(self) -> str:
        """Return the height of the head."""
        return quantity(self._history.head_number())

    def gas_price(self) -> str:
        """Return a gas price that should do, in wei."""
        return quantity(self._gas_price.suggest())

    def max_priority_fee_per_gas(self) -> str:
        """Return a tip that should do, in wei."""
        return quantity(self._priority_fee.suggest())

    def get_block_by_number(self, number: BlockNumber, full: bool) -> object:
        """Return a block by height or tag, null if it is not there."""
        height = self._history.height(number)
        return block_document(self._history, height, full=full) if height <= self._history.head_number() else None

    def get_block_by_hash(self, hash: bytes, full: bool) -> object:
        """Return a block by hash, null if it is not there."""
        height = self._history.chain.number_of(hash)
        return None if height is None else block_document(self._history, height, full=full)

    def count_transactions(self, number: BlockNumber) -> object:
        """Return how many transactions a block has, null if it is not there."""
        height = self._history.height(number)
        return quantity(len(self._history.transactions(height))) if height <= self._history.head_number() else None

    def get_balance(self, address: bytes, reference: BlockReference) -> str:
        """Return a balance in wei."""
        account = self._history.account(self._history.existing_height(reference), address)
        return quantity(0 if account is None else account[1])

    def get_transaction_count(self, address: bytes, reference: BlockReference) -> str:
        """Return the nonce of the next transaction; `pending` counts those that wait in the pool (D-8)."""
        if reference is Tag.PENDING:
            return quantity(self._backend.pool.next_nonce(address))
        try:
            height = self._history.existing_height(reference)
        except BlockNotFoundError as error:
            by_hash = isinstance(reference, bytes)
            prefix = "failed to get header from block hash or block number: " if by_hash else ""
            raise RpcError(prefix + error.unframed) from error
        account = self._history.account(height, address)
        return quantity(0 if account is None else account[0])

    def get_code(self, address: bytes, reference: BlockReference) -> str:
        """Return a contract's code, nothing for other accounts."""
        account = self._history.account(self._history.existing_height(reference), address)
        return data(b"" if account is None else self._history.chain.code(account[3]) or b"")

    def get_storage_at(self, address: bytes, slot: bytes, reference: BlockReference) -> str:
        """Return the 32 bytes in a slot."""
        root = self._history.state_root(self._history.existing_height(reference))
        return data(self._history.chain.storage(root, address, slot))

    def call(
        self, message: Message, reference: BlockReference, overrides: Mapping[bytes, AccountOverride] | None = None
    ) -> str:
        """Execute a message and return its output."""
        message, height = self._priced(message, self._history.existing_height(reference))
        return data(call(self._history, message, height, overrides))

    def estimate_gas(self, message: Message, number: BlockNumber) -> str:
        """Return the least gas with which a message succeeds."""
        try:
            height = self._history.existing_height(number)
        except BlockNotFoundError as error:
            raise RpcError(error.unframed) from error
        return quantity(estimate_gas(self._history, *self._priced(message, height)))

    def _priced(self, message: Message, height: int) -> tuple[Message, int]:
        if self._history.rules.has_transaction_types:
            message = priced(message, self._history, height, self._gas_price.suggest)
        return message, height

    def send_raw_transaction(self, raw: bytes) -> str:
        """Put a signed transaction into the pool and return its hash."""
        try:
            return data(self._backend.pool.add(raw))
        except PoolError as error:
            raise RpcError(str(error)) from error

    def send_transaction(self) -> str:
        """Refuse: the node keeps nobody's keys."""
        raise RpcError(
            "request calls to eth_sendTransaction method are not supported, use eth_sendRawTransaction insead"
        )

    def get_transaction_by_hash(self, hash: bytes) -> object:
        """Return a transaction of the chain or of the pool, null if it is in neither."""
        with_type = self._history.rules.has_transaction_types
        found = self._history.chain.find_transaction(hash)
        if found is not None:
            height, index = found
            transaction = self._history.transactions(height)[index]
            place = Place(self._history.hash(height), height, index, self._history.header(height).base_fee)
            return transaction_document(transaction, place, with_type=with_type)
        waiting = self._backend.pool.find(hash)
        return None if waiting is None else transaction_document(waiting, with_type=with_type)

    def get_transaction_receipt(self, hash: bytes) -> object:
        """Return the receipt of a transaction of the chain, null if there is none."""
        place = self._history.chain.find_transaction(hash)
        return None if place is None else receipt_document(self._history.block(place[0]), place[1])

    def get_logs(self, query: LogQuery) -> object:
        """Return the logs that a query asks for."""
        return self._search.find(query)

    def get_filter_logs(self, name: str) -> object:
        """Return the logs that a filter's query asks for, bounds included."""
        return self._search.find(self._filters.query_of(name))

    def new_block_filter(self) -> str:
        """Watch for new blocks and return the filter's name."""
        return self._filters.install(None)
