"""What was recorded from real Go nodes, in one form, and the same read from a data directory of ours."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import zstandard

from polygon_edge import _core
from polygon_edge.chain import rlp


def read_bytes(path: Path) -> bytes:
    """The content of `path`, or of its `.zst` beside it."""
    if path.exists():
        return path.read_bytes()
    packed = path.with_name(path.name + ".zst").read_bytes()
    with zstandard.ZstdDecompressor(max_window_size=1 << 27).stream_reader(io.BytesIO(packed)) as stream:
        return stream.read()


def rows(path: Path) -> list[dict[str, Any]]:
    """The lines of a recorded .jsonl (.zst) file."""
    return [json.loads(line) for line in read_bytes(path).splitlines()]


def _number(value: int | str) -> int:
    return value if isinstance(value, int) else int(value, 16)


def _hex(value: str | None) -> str | None:
    return None if value is None else value.lower()


def recorded_receipt(row: dict[str, Any]) -> dict[str, Any]:
    """A recorded receipt (JSON-RPC form, or the decimal form of the quirk chains) without what D-18 leaves out."""
    receipt = {
        "block": _number(row["blockNumber"] if "blockNumber" in row else row["block"]),
        "hash": _hex(row.get("transactionHash", row.get("hash"))),
        "status": _number(row["status"]),
        "gas_used": _number(row["gasUsed"]),
        "cumulative_gas_used": _number(row["cumulativeGasUsed"]),
        "from": _hex(row["from"]),
        "contract_address": _hex(row.get("contractAddress")),
        "logs": [
            {
                "address": _hex(log["address"]),
                "topics": [_hex(topic) for topic in log["topics"]],
                "data": _hex(log["data"]) or "0x",
            }
            for log in row["logs"]
        ],
    }
    if "logsBloom" in row:
        receipt["bloom"] = row["logsBloom"]
    return receipt


def stored_receipts(chain: _core.Chain, number: int) -> list[dict[str, Any]]:
    """The receipts of block `number` as our database holds them, in the form of `recorded_receipt`."""
    body, receipts = chain.body(number), chain.receipts(number)
    if body is None or receipts is None:
        return []
    senders = ["0x" + stored[1].hex() for stored in _list(_list(rlp.decode(body))[0])]
    found = []
    for sender, stored in zip(senders, _list(rlp.decode(receipts)), strict=True):
        consensus, contract, gas_used, transaction_hash = _list(stored)
        status, cumulative, bloom, logs = _list(consensus)
        found.append(
            {
                "block": number,
                "hash": "0x" + transaction_hash.hex(),
                "status": int.from_bytes(status, "big"),
                "gas_used": int.from_bytes(gas_used, "big"),
                "cumulative_gas_used": int.from_bytes(cumulative, "big"),
                "from": sender,
                "contract_address": "0x" + contract.hex() if contract else None,
                "logs": [
                    {
                        "address": "0x" + address.hex(),
                        "topics": ["0x" + topic.hex() for topic in topics],
                        "data": "0x" + data.hex(),
                    }
                    for address, topics, data in logs
                ],
                "bloom": "0x" + bloom.hex(),
            }
        )
    return found


def _list(value: Any) -> list[Any]:
    assert isinstance(value, list)
    return value


def compare_receipts(chain: _core.Chain, recorded: list[dict[str, Any]], last: int) -> int:
    """Assert that every recorded receipt up to block `last` is ours as well; returns how many were compared."""
    by_block: dict[int, dict[str, dict[str, Any]]] = {}
    compared = 0
    for row in recorded:
        expected = recorded_receipt(row)
        number = expected["block"]
        if number > last:
            continue
        if number not in by_block:
            by_block[number] = {receipt["hash"]: receipt for receipt in stored_receipts(chain, number)}
        found = by_block[number][expected["hash"]]
        # Some recordings leave out fields; what is recorded must be equal.
        if expected["contract_address"] is None and "contractAddress" not in row:
            expected.pop("contract_address")
        assert {name: found[name] for name in expected} == expected, f"block {number}"
        compared += 1
    return compared


def compare_state(chain: _core.Chain, recorded: list[dict[str, Any]], last: int) -> int:
    """Assert that every recorded account up to block `last` is in our state; returns how many were compared."""
    compared = 0
    for row in recorded:
        if row["number"] > last:
            continue
        root = bytes.fromhex(row["stateRoot"][2:])
        assert chain.state_root_at(row["number"]) == root
        address = bytes.fromhex(row["address"][2:])
        account = chain.account(root, address)
        compared += 1
        if row.get("exists") is False:
            assert account is None, row
            continue
        assert account is not None, row
        nonce, balance, storage_root, code_hash = account
        assert (nonce, balance) == (row["nonce"], int(row["balance"])), row
        assert (storage_root.hex(), code_hash.hex()) == (row["storageRoot"][2:], row["codeHash"][2:]), row
        for slot, value in row.get("storage", {}).items():
            assert chain.storage(root, address, bytes.fromhex(slot[2:])) == bytes.fromhex(value[2:]), (row, slot)
        if "slots" in row:
            assert chain.count_slots(root, address) == row["slots"], row
    return compared
