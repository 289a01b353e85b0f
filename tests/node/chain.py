"""A fresh chain with one validator, made by the program's own commands."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.node.running import run

from demonstration.load import CHAIN_ID, Load, accounts

if TYPE_CHECKING:
    from pathlib import Path

    from tests.node.running import RunningNode


@dataclass(frozen=True, slots=True)
class FreshChain:
    """A data directory with keys and a genesis file beside it, in which the accounts of the load have coins."""

    data_dir: Path
    genesis: Path
    validator: str
    node_id: str


def fresh_chain(folder: Path, *genesis_flags: str) -> FreshChain:
    """Make keys and a genesis file below `folder` with `secrets init` and `genesis`."""
    data_dir = folder / "node"
    genesis = folder / "genesis.json"
    made = run(["secrets", "init", "--data-dir", data_dir, "--json"])
    assert made.returncode == 0, made.stderr
    keys = json.loads(made.stdout)[0]
    premined = [word for account in accounts() for word in ("--premine", f"{account.address}:0x21E19E0C9BAB2400000")]
    written = run(
        [
            "genesis",
            *("--dir", genesis, "--chain-id", CHAIN_ID, "--ibft-validator-type", "ecdsa"),
            *("--ibft-validator", keys["address"]),
            *("--bootnode", f"/ip4/127.0.0.1/tcp/1478/p2p/{keys['node_id']}"),
            *premined,
            *genesis_flags,
        ]
    )
    assert written.returncode == 0, written.stderr
    return FreshChain(data_dir, genesis, keys["address"], keys["node_id"])


def grow(node: RunningNode, rounds: int = 2) -> Load:
    """Deploy two contracts and send `rounds` transactions of several kinds from every account; waits for the last."""
    load = Load(node)
    created = [load.deploy(sender) for sender in range(2)]
    node.wait_for("the contracts", lambda: all(receipt(node, hash) is not None for hash in created))
    load.contracts = [node.rpc("eth_getTransactionReceipt", hash)["contractAddress"] for hash in created]
    load.wave(rounds)
    node.wait_for("the last transaction", lambda: receipt(node, load.hashes[-1]) is not None)
    return load


def receipt(node: RunningNode, transaction_hash: str) -> object:
    """The receipt of a transaction, None while it is not in a block."""
    found: object = node.rpc("eth_getTransactionReceipt", transaction_hash)
    return found
