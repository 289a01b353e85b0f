"""A Go client of version 0.6.3 and this program on one data directory, in turns.

Needs its binary, named by the environment; the recorded answers are those of a node of the same network.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.golden.recorded import compare_receipts, compare_state, rows
from tests.interop.go_node import GoNode

from polygon_edge import _core
from polygon_edge.chain.genesis import load_genesis
from polygon_edge.chain.genesis_block import core_rules, genesis_block
from polygon_edge.chain.rules import rules_of

pytestmark = pytest.mark.interop

NETWORK = Path(__file__).parent.parent / "data" / "v0.6.3" / "poa-ecdsa"
GENESIS = NETWORK / "genesis.json"
RESTORE_SECONDS = 120
WHAT_IT_SERVES = (
    "eth_getBlockByNumber",
    "eth_getBlockByHash",
    "eth_getTransactionByHash",
    "eth_getTransactionReceipt",
    "eth_getBalance",
    "eth_getTransactionCount",
    "eth_getCode",
    "eth_getLogs",
    "eth_call",
)


def restore(archive: str, directory: Path) -> dict[str, Any]:
    """Restore with this program; returns its document."""
    words = ["restore", NETWORK / archive, "--data-dir", directory, "--chain", GENESIS, "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "polygon_edge.cli.main", *map(str, words)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout.splitlines()[-1])
    assert isinstance(document, dict)
    return document


def compare_with_recording(directory: Path, last: int) -> None:
    """Every recorded receipt and account up to block `last`, as this program reads them."""
    genesis = load_genesis(GENESIS)
    rules = rules_of(genesis)
    with _core.Chain.open(directory, create=False) as chain:
        chain.start(core_rules(rules), genesis_block(rules, genesis))
        assert chain.head is not None
        assert chain.head[0] == last
        receipts = compare_receipts(chain, rows(NETWORK / "receipts.jsonl"), last)
        accounts = compare_state(chain, rows(NETWORK / "state.jsonl"), last)
    print(f"{receipts} receipts and {accounts} accounts up to block {last} as recorded")
    assert receipts > 0
    assert accounts > 0


def compare_answers(node: GoNode) -> None:
    """Put the recorded questions to a node whose directory is ours, and compare with the answers recorded."""
    asked = dict.fromkeys(WHAT_IT_SERVES, 0)
    for row in rows(NETWORK / "rpc.jsonl"):
        question, answer = row["request"], row["response"]
        if not isinstance(question, dict) or question.get("method") not in asked or "params" not in question:
            continue
        if "transportError" in answer:
            continue
        found = node.ask(question["method"], *question["params"])
        expected = {name: value for name, value in answer.items() if name != "id"}
        assert {name: value for name, value in found.items() if name != "id"} == expected, question
        asked[question["method"]] += 1
    print(f"answers of the Go client on our directory, as recorded: {asked}")
    assert all(asked.values())


def test_the_two_clients_take_turns_on_one_directory(go_client: str, tmp_path: Path) -> None:
    about = json.loads((NETWORK / "about.json").read_text())
    directory = tmp_path / "data"
    assert restore("part-0-50.dat", directory)["head"] == 50
    with GoNode(go_client, directory, GENESIS, tmp_path / "go.log", NETWORK / "part-51-100.dat") as node:
        node.wait_for_height(100, RESTORE_SECONDS)
        assert node.height() == 100
    compare_with_recording(directory, 100)
    document = restore("part-101-150.dat", directory)
    assert (document["from"], document["head"], document["head_hash"], document["state_root"]) == (
        101,
        150,
        about["headHash"],
        about["headStateRoot"],
    )
    compare_with_recording(directory, 150)
    with GoNode(go_client, directory, GENESIS, tmp_path / "go-again.log") as node:
        node.wait_for_height(150, RESTORE_SECONDS)
        compare_answers(node)


def test_the_go_client_serves_what_we_restored(go_client: str, tmp_path: Path) -> None:
    directory = tmp_path / "data"
    restore("full.dat", directory)
    with GoNode(go_client, directory, GENESIS, tmp_path / "go.log") as node:
        node.wait_for_height(150, RESTORE_SECONDS)
        compare_answers(node)
        assert node.height() == 150, "it seals nothing"
    compare_with_recording(directory, 150)


def test_the_go_client_goes_on_where_a_kill_left_us(go_client: str, tmp_path: Path) -> None:
    directory = tmp_path / "data"
    words = ["restore", NETWORK / "part-0-50.dat", "--data-dir", directory, "--chain", GENESIS, "--run-blocks", 1]
    process = subprocess.Popen([sys.executable, "-m", "polygon_edge.cli.main", *map(str, words)])
    mark = directory / "restore-unfinished.json"
    while not mark.exists():
        assert process.poll() is None
    process.kill()
    process.wait()
    with GoNode(go_client, directory, GENESIS, tmp_path / "go.log", NETWORK / "full.dat") as node:
        node.wait_for_height(150, RESTORE_SECONDS)
        sample = random.Random(0).sample(range(151), 20)
        served = {number: node.rpc("eth_getBlockByNumber", hex(number), False)["hash"] for number in sample}
    with _core.Chain.open(directory, create=False) as chain:
        for number, block_hash in served.items():
            assert (chain.canonical_hash(number) or b"").hex() == block_hash[2:]
    compare_with_recording(directory, 150)
