"""Finding logs: what a query asks for, and the blocks it is held against (§5.4).

Block headers of these chains carry no bloom, so receipts are read; those of an empty block are not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from polygon_edge.jsonrpc.codec import (
    Tag,
    decode_address,
    decode_block_number,
    decode_hash,
    decode_text,
    fields,
)
from polygon_edge.jsonrpc.objects import log_document, logs_of
from polygon_edge.jsonrpc.rpc_error import InvalidParametersError, RpcError

if TYPE_CHECKING:
    from polygon_edge import _core
    from polygon_edge.jsonrpc.codec import BlockNumber
    from polygon_edge.jsonrpc.history import History

MAXIMUM_LOGS: Final = 20_000
MAXIMUM_LOG_BYTES: Final = 8 * 1024 * 1024
"""Topics and data that one answer may carry; written as JSON they take about three times as much."""


@dataclass(frozen=True, slots=True)
class LogQuery:
    """Which logs of which blocks; no address means every address, an empty position of `topics` every topic."""

    first: BlockNumber
    last: BlockNumber
    block_hash: bytes | None
    addresses: frozenset[bytes]
    topics: tuple[frozenset[bytes], ...]

    def matches(self, log: _core.Log) -> bool:
        """Say whether the query asks for `log`."""
        if self.addresses and log.address not in self.addresses:
            return False
        if len(self.topics) > len(log.topics):
            return False
        return all(not asked or topic in asked for asked, topic in zip(self.topics, log.topics, strict=False))


def decode_log_query(value: object) -> LogQuery:
    """Read a filter object."""
    found = fields(value, ("fromBlock", "toBlock", "blockHash", "address", "topics"))
    block_hash = found.get("blockHash")
    topics = found.get("topics", [])
    if not isinstance(topics, list):
        raise InvalidParametersError
    return LogQuery(
        first=_bound(found.get("fromBlock")),
        last=_bound(found.get("toBlock")),
        block_hash=None if block_hash is None else decode_hash(block_hash),
        addresses=frozenset(decode_address(address) for address in _one_or_many(found.get("address"))),
        topics=tuple(frozenset(decode_hash(topic) for topic in _one_or_many(position)) for position in topics),
    )


class LogSearch:
    """Answers queries from `history`; `block_range_limit` is how far apart their bounds may be, 0 for any distance."""

    def __init__(self, history: History, block_range_limit: int) -> None:
        self._history = history
        self._block_range_limit = block_range_limit

    def find(self, query: LogQuery) -> list[dict[str, object]]:
        """Return the logs that `query` asks for, in their order; raises RpcError for bounds and sizes out of range."""
        if query.block_hash is not None:
            height = self._history.chain.number_of(query.block_hash)
            if height is None:
                raise RpcError("block not found")
            first = last = height
        else:
            first, last = self._range(query)
        found, reached = self.collect(query, first, last)
        if reached < last:
            raise RpcError(
                f"query returned more than {MAXIMUM_LOGS} results or {MAXIMUM_LOG_BYTES} bytes up to block {reached}:"
                " ask for fewer blocks"
            )
        return found

    def collect(self, query: LogQuery, first: int, last: int) -> tuple[list[dict[str, object]], int]:
        """Return the logs of the blocks from `first` on, and the last block that they are complete for.

        That is before `last` where the answer has become too large for another block. Raises RpcError if one block
        alone is too large.
        """
        found: list[dict[str, object]] = []
        size = 0
        for height in range(first, last + 1):
            if height == 0 or not self._history.header(height).gas_used:
                continue
            block = self._history.block(height)
            matching = [entry for entry in logs_of(block) if query.matches(entry[2])]
            size += sum(32 * len(log.topics) + len(log.data) for _, _, log in matching)
            if len(found) + len(matching) > MAXIMUM_LOGS or size > MAXIMUM_LOG_BYTES:
                if height == first:
                    raise RpcError(
                        f"query returned more than {MAXIMUM_LOGS} results or {MAXIMUM_LOG_BYTES} bytes"
                        f" in block {height} alone: ask for single addresses or topics"
                    )
                return found, height - 1
            found += [log_document(block, transaction, index, log) for transaction, index, log in matching]
        return found, last

    def _range(self, query: LogQuery) -> tuple[int, int]:
        first, last = self._history.height(query.first), self._history.height(query.last)
        if last < first:
            raise RpcError("incorrect range")
        first = max(first, 1)  # the genesis block has no logs
        if self._block_range_limit and last - first > self._block_range_limit:
            raise RpcError("block range too high")
        return first, min(last, self._history.head_number())


def _bound(value: object) -> BlockNumber:
    if value is None or decode_text(value) == "":
        return Tag.LATEST
    return decode_block_number(value)


def _one_or_many(value: object) -> list[object]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
