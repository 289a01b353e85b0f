"""A fresh chain with one validator, made by the program's own commands."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from tests.node.running import run

from demonstration.load import CHAIN_ID, JsonRpc, Load, accounts

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class FreshChain:
    """A data directory with keys and a genesis file beside it, in which the accounts of the load have coins."""

    data_dir: Path
    genesis: Path
    validator: str
    node_id: str


def fresh_keys(data_dir: Path) -> dict[str, str]:
    """Make the keys of a node with `secrets init`, and return what it prints of them."""
    made = run(["secrets", "init", "--data-dir", data_dir, "--json"])
    assert made.returncode == 0, made.stderr
    keys: dict[str, str] = json.loads(made.stdout)[0]
    return keys


def load_flags(keys: dict[str, str]) -> list[str]:
    """The flags of `genesis`, ours and the Go client's, for the load's chain id, its coins and a boot node."""
    premined = [word for account in accounts() for word in ("--premine", f"{account.address}:0x21E19E0C9BAB2400000")]
    return ["--chain-id", str(CHAIN_ID), "--bootnode", f"/ip4/127.0.0.1/tcp/1478/p2p/{keys['node_id']}", *premined]


def fresh_chain(folder: Path, *genesis_flags: str, validator_type: str = "ecdsa") -> FreshChain:
    """Make keys and a genesis file below `folder` with `secrets init` and `genesis`."""
    data_dir = folder / "node"
    genesis = folder / "genesis.json"
    keys = fresh_keys(data_dir)
    validator = keys["address"] + (f":{keys['bls_pubkey']}" if validator_type == "bls" else "")
    written = run(
        [
            "genesis",
            *("--dir", genesis, "--ibft-validator-type", validator_type, "--ibft-validator", validator),
            *load_flags(keys),
            *genesis_flags,
        ]
    )
    assert written.returncode == 0, written.stderr
    return FreshChain(data_dir, genesis, keys["address"], keys["node_id"])


class GrowingNode(JsonRpc, Protocol):
    """A node that takes transactions and makes blocks of them."""

    def wait_for(self, what: str, condition: Callable[[], bool]) -> None:
        """Wait until `condition` holds."""
        ...


def grow(node: GrowingNode, rounds: int = 2, *, dynamic_fees: bool = False) -> Load:
    """Deploy two contracts and send `rounds` transactions of several kinds from every account; waits for the last."""
    load = Load(node, dynamic_fees=dynamic_fees)
    created = [load.deploy(sender) for sender in range(2)]
    node.wait_for("the contracts", lambda: all(receipt(node, hash) is not None for hash in created))
    load.contracts = [node.rpc("eth_getTransactionReceipt", hash)["contractAddress"] for hash in created]
    load.wave(rounds)
    node.wait_for("the last transaction", lambda: receipt(node, load.hashes[-1]) is not None)
    return load


def receipt(node: JsonRpc, transaction_hash: str) -> object:
    """The receipt of a transaction, None while it is not in a block."""
    found: object = node.rpc("eth_getTransactionReceipt", transaction_hash)
    return found
