"""A fresh chain with one validator, made by the program's own commands."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from eth_account import Account
from tests.node.running import run

if TYPE_CHECKING:
    from pathlib import Path

    from eth_account.signers.local import LocalAccount

CHAIN_ID = 4711


@dataclass(frozen=True, slots=True)
class FreshChain:
    """A data directory with keys, a genesis file beside it, and an account with coins."""

    data_dir: Path
    genesis: Path
    validator: str
    node_id: str
    rich: LocalAccount


def fresh_chain(folder: Path, *genesis_flags: str) -> FreshChain:
    """Make keys and a genesis file below `folder` with `secrets init` and `genesis`."""
    data_dir = folder / "node"
    genesis = folder / "genesis.json"
    made = run(["secrets", "init", "--data-dir", data_dir, "--json"])
    assert made.returncode == 0, made.stderr
    keys = json.loads(made.stdout)[0]
    rich = Account.from_key("0x" + "17" * 32)
    written = run(
        [
            "genesis",
            *("--dir", genesis, "--chain-id", CHAIN_ID, "--ibft-validator-type", "ecdsa"),
            *("--ibft-validator", keys["address"], "--premine", f"{rich.address}:0xD3C21BCECCEDA1000000"),
            *("--bootnode", f"/ip4/127.0.0.1/tcp/1478/p2p/{keys['node_id']}"),
            *genesis_flags,
        ]
    )
    assert written.returncode == 0, written.stderr
    return FreshChain(data_dir, genesis, keys["address"], keys["node_id"], rich)
