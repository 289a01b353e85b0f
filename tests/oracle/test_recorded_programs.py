"""The twin of the core against blocks of the Go client: py-evm with Edge's rules is held to the same recordings."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
import rlp
from tests.conftest import recorded_folder
from tests.golden.recorded import Network
from tests.oracle.edge_block import Call
from tests.oracle.edge_chain import EdgeChain, genesis_account
from tests.oracle.edge_rules import LISTS, EdgeRules
from tests.oracle.edge_state import BlockContext

from polygon_edge.archive.flat import FlatArchive

if TYPE_CHECKING:
    from pathlib import Path

REPLAYS_ALL = "POLYGON_EDGE_PROGRAMS" in os.environ
"""Whole chains in a run by hand, the first blocks else."""
PARENT_HASH, STATE_ROOT, NUMBER, GAS_LIMIT, TIMESTAMP, EXTRA_DATA, BASE_FEE = 0, 3, 8, 9, 11, 12, 15


LIST_KINDS = {"contractDeployer": "deployer", "transactions": "transactions", "bridge": "bridge"}
LIST_WAYS = {"Allow": "allow", "Block": "block"}


def number(value: str | int) -> int:
    return value if isinstance(value, int) else int(value, 16)


def unhex(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def edge_chain(genesis: dict[str, Any], generation: str) -> EdgeChain:
    """The chain of a genesis file with all forks at 0."""
    parameters = genesis["params"]
    names = {f"{kind}{which}List": f"{of}-{way}" for kind, of in LIST_KINDS.items() for which, way in LIST_WAYS.items()}
    lists = {names[key]: parameters[key] for key in names if key in parameters}
    accounts = {
        unhex(address): genesis_account(
            number(fields.get("balance", 0)),
            number(fields.get("nonce", 0)),
            unhex(fields.get("code", "")),
            {number(slot): number(value) for slot, value in fields.get("storage", {}).items()},
        )
        for address, fields in genesis["genesis"].get("alloc", {}).items()
    }
    for name, fields in lists.items():
        roles = {number(who): 1 for who in fields.get("enabledAddresses") or ()}
        roles |= {number(who): 2 for who in fields.get("adminAddresses") or ()}
        accounts[LISTS[name]] = genesis_account(balance=1, storage=roles)
    burn = (parameters.get("burnContract") or {}).get("0")
    rules = EdgeRules(generation, frozenset(parameters["forks"]), parameters["chainID"], frozenset(lists))
    return EdgeChain(rules, accounts, unhex(burn) if burn else None)


def call_of(fields: list[Any], sender: bytes) -> Call:
    """A transaction of a block (§2.4)."""
    if len(fields) == 12:
        _, nonce, tip, cap, gas, to, value, data, *_ = fields
        fees = {"tip": int.from_bytes(tip, "big"), "cap": int.from_bytes(cap, "big")}
    else:
        nonce, price, gas, to, value, data, *_ = fields
        fees = {"gas_price": int.from_bytes(price, "big")}
    plain = {name: int.from_bytes(item, "big") for name, item in (("nonce", nonce), ("gas", gas), ("value", value))}
    return Call(sender=sender, to=to or None, input=data, **plain, **fees)


def replay(network: Network, scratch: Path, blocks: int | None = None) -> int:
    """Execute the first `blocks` recorded blocks, all by default; returns how many transactions agreed.

    Compared are the receipt of each and the state root of each block.
    """
    receipts = iter(network.rows("receipts.jsonl"))
    chain = edge_chain(json.loads(network.genesis.read_bytes()), network.about["generation"])
    done = 0
    with FlatArchive.open(network.archive("full.dat", scratch)) as archive:
        for record in archive.records():
            header, items, _ = rlp.decode(record.raw)
            height = int.from_bytes(header[NUMBER], "big")
            if height == 0:
                assert chain.state_root == header[STATE_ROOT]
                continue
            if blocks is not None and height > blocks:
                break
            chain.ancestors[height - 1] = header[PARENT_HASH]
            context = BlockContext(
                number=height,
                timestamp=int.from_bytes(header[TIMESTAMP], "big"),
                coinbase=rlp.decode(header[EXTRA_DATA][32:])[0][0],
                gas_limit=int.from_bytes(header[GAS_LIMIT], "big"),
                chain_id=chain.rules.chain_id,
                ancestors=chain.ancestors,
                base_fee=int.from_bytes(header[BASE_FEE], "big") if len(header) > BASE_FEE else 0,
            )
            # The type of a typed transaction is an item of its own before it (§2.3).
            transactions = [item for item in items if isinstance(item, list)]
            expected = [next(receipts) for _ in transactions]
            calls = [call_of(item, unhex(row["from"])) for item, row in zip(transactions, expected, strict=True)]
            for row, outcome in zip(expected, chain.execute(context, calls), strict=True):
                where = (row["block"], row["index"])
                assert outcome is not None, where
                assert (outcome.gas_used, int(outcome.error is None)) == (row["gasUsed"], row["status"]), where
                assert [(log.address, log.topics, log.data) for log in outcome.logs] == [
                    (unhex(log["address"]), tuple(map(unhex, log["topics"])), unhex(log["data"])) for log in row["logs"]
                ], where
            assert chain.state_root == header[STATE_ROOT], height
            done += len(calls)
    return done


@pytest.mark.parametrize(
    ("folder", "blocks"),
    [
        ("v0.6.3/all-fuzz", 25),
        *(
            pytest.param(folder, blocks, marks=pytest.mark.shared)
            for folder, blocks in (
                ("v0.6.3/byzantium-fuzz", 8),
                ("v0.6.3/constantinople-fuzz", 8),
                ("v0.6.3/homestead-fuzz", 8),
                ("v1.3.2/all-fuzz", 8),
                ("v1.3.2/londonfix-fuzz", 8),
                ("v1.3.2/lists-deployer-allow", 20),
                ("v1.3.2/lists-deployer-block", 20),
                ("v1.3.2/lists-tx-block", 20),
            )
        ),
    ],
)
def test_the_twin_executes_recorded_programs_as_the_go_client_did(folder: str, blocks: int, tmp_path: Path) -> None:
    network = Network(recorded_folder(f"quirks/{folder}"))
    if REPLAYS_ALL:
        assert replay(network, tmp_path) == network.about["transactions"]
    else:
        assert replay(network, tmp_path, blocks) > 100
