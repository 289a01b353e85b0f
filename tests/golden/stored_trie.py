"""Every account and slot of a stored state, by other libraries than ours: LevelDB, RLP and Keccak (§4.5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import plyvel
import rlp
from eth_hash.auto import keccak

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EMPTY_ROOT = keccak(rlp.encode(b""))
ACCOUNT_FIELDS = ("nonce", "balance", "storageRoot", "codeHash")


def leaves(database: plyvel.DB, root: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The hashed key and the value of every leaf below `root`."""
    waiting: list[tuple[Any, str]] = [] if root == EMPTY_ROOT else [(root, "")]
    while waiting:
        node, path = waiting.pop()
        if isinstance(node, bytes):
            node = rlp.decode(database.get(node))
        if len(node) == 17:
            waiting += [(child, path + f"{nibble:x}") for nibble, child in enumerate(node[:16]) if child != b""]
            continue
        flag, encoded = node[0][0] >> 4, node[0].hex()
        whole = path + encoded[1 if flag & 1 else 2 :]
        if flag & 2:
            yield bytes.fromhex(whole), node[1]
        else:
            waiting.append((node[1], whole))


def stored_accounts(database: plyvel.DB, root: bytes) -> dict[str, dict[str, Any]]:
    """All accounts of a state by the hash of their address, with all their slots by the hash of the slot."""
    found = {}
    for hashed, leaf in leaves(database, root):
        nonce, balance, storage_root, code_hash = rlp.decode(leaf)
        found[hashed.hex()] = {
            "nonce": int.from_bytes(nonce, "big"),
            "balance": int.from_bytes(balance, "big"),
            "storageRoot": storage_root.hex(),
            "codeHash": code_hash.hex(),
            "storage": {
                slot.hex(): int.from_bytes(rlp.decode(value), "big") for slot, value in leaves(database, storage_root)
            },
        }
    return found


def recorded_accounts(rows: list[dict[str, Any]]) -> dict[str, dict[str, dict[str, Any]]]:
    """The rows of a state-full.jsonl by state root, in the form of `stored_accounts`."""
    states: dict[str, dict[str, dict[str, Any]]] = {}
    for row in rows:
        hashed = row["accountHash"].removeprefix("0x")
        if "address" in row:
            assert keccak(bytes.fromhex(row["address"][2:])).hex() == hashed
        states.setdefault(row["stateRoot"], {})[hashed] = {
            "nonce": row["nonce"],
            "balance": int(row["balance"], 0),
            "storageRoot": row["storageRoot"][2:],
            "codeHash": row["codeHash"][2:],
            "storage": {hashed_slot(slot): int(value, 0) for slot, value in row.get("storage", {}).items()},
        }
    return states


def hashed_slot(slot: str) -> str:
    """The hash of a slot; some were recorded without what they are the hash of."""
    if slot.startswith("hashed:"):
        return slot.removeprefix("hashed:0x")
    return keccak(int(slot, 0).to_bytes(32, "big")).hex()


def compare_whole_states(directory: Path, rows: list[dict[str, Any]]) -> int:
    """Assert that the recorded states are in the trie database `directory`, and nothing beside; returns how many."""
    states = recorded_accounts(rows)
    with plyvel.DB(str(directory), create_if_missing=False) as database:
        for root, accounts in states.items():
            assert stored_accounts(database, bytes.fromhex(root[2:])) == accounts, root
    return len(states)
