"""What was recorded from real Go nodes, in one form, and the same read from a data directory of ours."""

from __future__ import annotations

import io
import json
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zstandard
from eth_hash.auto import keccak

from polygon_edge import _core
from polygon_edge.archive.flat import FlatArchive
from polygon_edge.chain import rlp

LONGEST_WINDOW = 1 << 27
DYNAMIC_FEE = b"\x02"
TO, TO_OF_DYNAMIC_FEE = 3, 5
"""Where in a transaction its receiver stands (§2.4)."""

NETWORKS = (
    *(f"v0.6.3/{name}" for name in ("dev", "poa-bls", "poa-ecdsa", "pos-ecdsa", "single", "switch", "switch-type")),
    *(
        f"v1.3.2/{name}"
        for name in (
            "access-lists",
            "big-blocks",
            "forks-early",
            "forks-late",
            "poa-bls",
            "poa-ecdsa-london",
            "pos-ecdsa",
            "switch",
        )
    ),
)
"""The recorded networks of both generations that can be restored to their end."""


@dataclass(frozen=True)
class Network:
    """The folder of one recorded network; every file may be there as it is or as `.zst`."""

    folder: Path

    @property
    def genesis(self) -> Path:
        """The genesis file."""
        return self.folder / "genesis.json"

    @property
    def about(self) -> dict[str, Any]:
        """What about.json says; its head and counts describe full.dat."""
        found: dict[str, Any] = json.loads((self.folder / "about.json").read_bytes())
        return found

    def rows(self, name: str) -> list[dict[str, Any]]:
        """The lines of a recorded .jsonl file."""
        return rows(self.folder / name)

    def archive(self, name: str, scratch: Path) -> Path:
        """The archive `name`, unpacked into `scratch` where it is packed."""
        plain = self.folder / name
        if plain.exists():
            return plain
        unpacked = scratch / name
        with plain.with_name(name + ".zst").open("rb") as packed, unpacked.open("wb") as out:
            zstandard.ZstdDecompressor(max_window_size=LONGEST_WINDOW).copy_stream(packed, out)
        return unpacked

    def data_directory(self, name: str, target: Path) -> Path:
        """Unpack the data directory `name` of a Go node into `target`."""
        with (
            (self.folder / f"{name}.tar.zst").open("rb") as packed,
            zstandard.ZstdDecompressor(max_window_size=LONGEST_WINDOW).stream_reader(packed) as stream,
            tarfile.open(fileobj=stream, mode="r|") as tar,
        ):
            tar.extractall(target, filter="data")
        return target

    def opened_directory(self, name: str, target: Path) -> Path:
        """Unpack the data directory `name` into `target`, and return the folder that has the databases in it."""
        unpacked = self.data_directory(name, target)
        return unpacked if (unpacked / "blockchain").is_dir() else next(unpacked.iterdir())


def read_bytes(path: Path) -> bytes:
    """The content of `path`, or of its `.zst` beside it."""
    if path.exists():
        return path.read_bytes()
    packed = path.with_name(path.name + ".zst").read_bytes()
    with zstandard.ZstdDecompressor(max_window_size=LONGEST_WINDOW).stream_reader(io.BytesIO(packed)) as stream:
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
    if "blockHash" in row:
        receipt |= {"block_hash": row["blockHash"], "to": _hex(row["to"]), "bloom": row["logsBloom"]}
        # What is the same in every receipt, or stands there twice.
        assert row["root"] == "0x" + "00" * 32
        for log in row["logs"]:
            assert log["removed"] is False
            assert all(log[name] == row[name] for name in ("blockHash", "blockNumber", "transactionHash"))
    return receipt


def stored_receipts(chain: _core.Chain, number: int) -> list[dict[str, Any]]:
    """The receipts of block `number` as our database holds them, in the form of `recorded_receipt`, in block order."""
    body, receipts, block_hash = chain.body(number), chain.receipts(number), chain.canonical_hash(number)
    if number == 0:
        assert (body, receipts) == (None, None)
        return []
    assert body is not None
    assert receipts is not None
    assert block_hash is not None
    found = []
    for transaction, stored in zip(_list(_list(rlp.decode(body))[0]), _list(rlp.decode(receipts)), strict=True):
        # A typed transaction and its receipt have their type before everything else (§2.7).
        *kind, payload, sender = _list(transaction)
        *receipt_kind, consensus, contract, gas_used, transaction_hash = _list(stored)
        assert kind == receipt_kind
        to = payload[TO_OF_DYNAMIC_FEE if kind == [DYNAMIC_FEE] else TO]
        status, cumulative, bloom, logs = _list(consensus)
        found.append(
            {
                "block": number,
                "block_hash": "0x" + block_hash.hex(),
                "hash": "0x" + transaction_hash.hex(),
                "status": int.from_bytes(status, "big"),
                "gas_used": int.from_bytes(gas_used, "big"),
                "cumulative_gas_used": int.from_bytes(cumulative, "big"),
                "from": "0x" + sender.hex(),
                "to": "0x" + to.hex() if to else None,
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


def _list(value: object) -> list[Any]:
    assert isinstance(value, list)
    return value


def compare_receipts(chain: _core.Chain, recorded: list[dict[str, Any]], last: int) -> int:
    """Assert that the blocks up to `last` have the recorded receipts and no others; returns how many there are."""
    found = {receipt["hash"]: receipt for number in range(last + 1) for receipt in stored_receipts(chain, number)}
    expected = [recorded_receipt(row) for row in recorded]
    compared = 0
    for receipt in expected:
        if receipt["block"] > last:
            continue
        ours = found.pop(receipt["hash"])
        # The quirk chains record fewer fields; what is recorded must be equal.
        assert {name: ours[name] for name in receipt} == receipt, f"block {receipt['block']}"
        compared += 1
    assert not found, "receipts that nobody recorded"
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
        # Where states were recorded over JSON-RPC, an account that is not there answers as an empty one.
        if row.get("exists") is False or (account is None and "storageRoot" not in row):
            assert account is None, row
            assert (row.get("nonce", 0), int(row.get("balance", "0"), 0)) == (0, 0), row
            continue
        assert account is not None, row
        nonce, balance, storage_root, code_hash = account
        assert (nonce, balance) == (row["nonce"], int(row["balance"], 0)), row
        assert (storage_root.hex(), code_hash.hex()) == (row["storageRoot"][2:], row["codeHash"][2:]), row
        assert keccak(chain.code(code_hash) or b"") == code_hash, row
        for slot, value in row.get("storage", {}).items():
            stored = chain.storage(root, address, int(slot, 16).to_bytes(32, "big"))
            assert stored == int(value, 16).to_bytes(32, "big"), (row, slot)
        if "slots" in row:
            assert chain.count_slots(root, address) == row["slots"], row
    return compared


def compare_accounts(chain: _core.Chain, about: dict[str, Any], last: int) -> int:
    """Assert that the states up to block `last` have the recorded number of accounts; returns how many states."""
    counts = {entry["number"]: entry["accountsInTrie"] for entry in about["accountsInTrie"] if entry["number"] <= last}
    for number, accounts in counts.items():
        root = chain.state_root_at(number)
        assert root is not None
        assert chain.count_accounts(root) == accounts, f"block {number}"
    return len(counts)


def compare_blocks(chain: _core.Chain, archive: Path, last: int) -> None:
    """Assert that the blocks up to `last` come back byte for byte as they stand in `archive`, which starts at 0."""
    with FlatArchive.open(archive) as source:
        for number, record in enumerate(source.records()):
            if number > last:
                return
            assert chain.block(number) == record.raw, f"block {number}"
