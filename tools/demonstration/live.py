"""A validator that seals while it is backed up; what it wrote, restored; its folder, copied cold."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from typing import TYPE_CHECKING, Any, TypeAlias

from rich.table import Table

from demonstration.contracts import word
from demonstration.load import CHAIN_ID, Load, accounts
from demonstration.node import Server
from demonstration.program import command_line, run
from demonstration.proofs import DemoError, Proofs, console

if TYPE_CHECKING:
    from pathlib import Path

BACKUP = ("backup", "--grpc-address", "127.0.0.1:9632", "--out", "backup.dat")
SAMPLES = 25

State: TypeAlias = "tuple[list[dict[str, Any]], dict[str, Any]]"
"""All blocks, and samples by name."""


def show_live_node(folder: Path, proofs: Proofs) -> None:
    """From fresh keys to a cold copy."""
    folder.mkdir()
    servers: list[Server] = []
    try:
        console.rule("1. Fresh keys, a genesis file, a validator that seals alone", align="left")
        servers.append(_start_validator(folder))
        load = _load(servers[0], proofs)
        console.rule("2. A backup while it seals", align="left")
        last = _backup_while_sealing(folder, servers[0], load, proofs)
        console.rule("3. The backup restored into a second data directory", align="left")
        flags = ("--chain", folder / "genesis.json", "--data-dir", folder / "second", "--restore", "backup.dat")
        servers.append(Server("second", folder, 9633, 8546, *flags))
        servers[1].wait_for_height(last)
        servers[1].wait("the end of the restore", lambda: servers[1].rpc("eth_syncing") is False)
        if servers[1].height != last:
            raise DemoError(f"the restored node is at {servers[1].height}, the backup ends at {last}")
        compared = _compare(servers[0], servers[1], last, load)
        proofs.add(f"restored from the backup: {compared}", "JSON-RPC of both nodes")
        console.rule("4. Both stopped by SIGINT, the first directory copied cold", align="left")
        height = servers[0].height
        remembered = _state(servers[0], height, load)
        servers[0].stop()
        servers[1].stop()
        proofs.add("SIGINT: databases flushed, locks released", "exit code 0, its own log")
        servers.append(_cold_copy(folder, load, remembered, proofs))
    finally:
        for server in servers:
            server.kill()


def _start_validator(folder: Path) -> Server:
    keys = json.loads(run("secrets", "init", "--data-dir", folder / "first", "--json").stdout)[0]
    premined = [flag for account in accounts() for flag in ("--premine", f"{account.address}:0x21E19E0C9BAB2400000")]
    run(
        "genesis",
        *("--dir", folder / "genesis.json", "--chain-id", str(CHAIN_ID), "--ibft-validator-type", "ecdsa"),
        *("--ibft-validator", keys["address"], "--bootnode", f"/ip4/127.0.0.1/tcp/1478/p2p/{keys['node_id']}"),
        *premined,
    )
    flags = ("--chain", folder / "genesis.json", "--data-dir", folder / "first", "--block-time", "1")
    # The chain is so small that its export would end between two blocks.
    return Server("first", folder, 9632, 8545, *flags, "--export-delay", "4")


def _load(server: Server, proofs: Proofs) -> Load:
    load = Load(server)
    created = [load.deploy(sender) for sender in range(2)]
    server.wait("the contracts", lambda: all(server.rpc("eth_getTransactionReceipt", hash) for hash in created))
    load.contracts = [server.rpc("eth_getTransactionReceipt", hash)["contractAddress"] for hash in created]
    for _ in range(4):
        load.wave(10)
        server.wait_for_height(server.height + 1)
    last = load.hashes[-1]
    server.wait("the last transaction", lambda: server.rpc("eth_getTransactionReceipt", last) is not None)
    kinds = ", ".join(f"{count} of {kind}" for kind, count in sorted(load.kinds.items()))
    console.print(f"  head {server.height}; {len(load.hashes)} transactions: {kinds}")
    proofs.add(f"{len(load.hashes)} transactions of {len(load.kinds)} kinds sent and sealed", "their receipts")
    return load


def _backup_while_sealing(folder: Path, server: Server, load: Load, proofs: Proofs) -> int:
    before = server.height
    started = time.monotonic()
    process = subprocess.Popen(
        command_line(*BACKUP), cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    load.wave(2)
    output, errors = process.communicate(timeout=120)
    during = server.height
    console.print(output.strip())
    if process.returncode != 0:
        raise DemoError(f"backup ended with {process.returncode}: {errors}")
    server.wait_for_height(during + 2)
    after = server.height
    info = json.loads(run("archive", "info", folder / "backup.dat", "--json").stdout)
    last = int(info["last"]["number"])
    table = Table(show_edge=False, pad_edge=False)
    for column in ("heights sealed", "from", "to"):
        table.add_column(column)
    table.add_row("before the backup", "1", str(before))
    table.add_row(f"during its {time.monotonic() - started:.1f} s", str(before + 1), str(during))
    table.add_row("after it", str(during + 1), str(after))
    table.add_row("in the archive", "0", str(last))
    console.print(table)
    if during <= before or after <= during or not before <= last <= during:
        raise DemoError(f"heights {before}, {during}, {after}; archive up to {last}")
    proofs.add(f"blocks {before + 1} to {during} were sealed while the backup of 0 to {last} ran", "eth_blockNumber")
    return last


def _samples(server: Server, last: int, load: Load) -> dict[str, Any]:
    """Balances, code, storage and calls at several heights, receipts and transactions."""
    found: dict[str, Any] = {}
    heights = sorted({0, last // 3, last // 2, last})
    for height in map(hex, heights):
        for account in accounts():
            found[f"balance {account.address} {height}"] = server.rpc("eth_getBalance", account.address, height)
            found[f"nonce {account.address} {height}"] = server.rpc("eth_getTransactionCount", account.address, height)
        for contract in load.contracts:
            found[f"code {contract} {height}"] = server.rpc("eth_getCode", contract, height)
            for slot in map(hex, range(10)):
                found[f"slot {contract} {slot} {height}"] = server.rpc("eth_getStorageAt", contract, slot, height)
            call = {"to": contract, "data": "0x" + word(0).hex()}
            found[f"call {contract} {height}"] = server.answer("eth_call", call, height).get("result")
    for transaction_hash in load.hashes[:: max(1, len(load.hashes) // SAMPLES)]:
        receipt = server.rpc("eth_getTransactionReceipt", transaction_hash)
        if receipt is not None and int(receipt["blockNumber"], 16) > last:
            continue
        found[f"receipt {transaction_hash}"] = receipt
        found[f"transaction {transaction_hash}"] = server.rpc("eth_getTransactionByHash", transaction_hash)
    return found


def _state(server: Server, last: int, load: Load) -> State:
    return [server.block(number) for number in range(last + 1)], _samples(server, last, load)


def _compare_states(expected: State, found: State) -> str:
    for ours, theirs in zip(expected[0], found[0], strict=True):
        for key in ("hash", "stateRoot", "receiptsRoot"):
            if ours[key] != theirs[key]:
                raise DemoError(f"block {ours['number']}: {key} {theirs[key]}, expected {ours[key]}")
        if ours != theirs:
            raise DemoError(f"block {ours['number']} differs")
    for key, value in expected[1].items():
        if found[1].get(key) != value:
            raise DemoError(f"{key}: {found[1].get(key)}, expected {value}")
    told = f"{len(found[0])} blocks with hash, state root, receipts root and transactions, {len(found[1])} samples"
    console.print(f"  equal: {told}")
    return told


def _compare(first: Server, second: Server, last: int, load: Load) -> str:
    return _compare_states(_state(first, last, load), _state(second, last, load))


def _identity(folder: Path) -> str:
    return run("secrets", "output", "--data-dir", folder, "--json").stdout


def _cold_copy(folder: Path, load: Load, remembered: State, proofs: Proofs) -> Server:
    console.print("[bold]$ cp -a first copy")
    shutil.copytree(folder / "first", folder / "copy")
    if _identity(folder / "first") != _identity(folder / "copy"):
        raise DemoError("the copy has another identity")
    flags = ("--chain", folder / "genesis.json", "--data-dir", folder / "copy", "--block-time", "1")
    copied = Server("copy", folder, 9632, 8545, *flags)
    last = len(remembered[0]) - 1
    try:
        compared = _compare_states(remembered, _state(copied, last, load))
        copied.wait_for_height(last + 2)
    except BaseException:
        copied.kill()
        raise
    proofs.add(f"cold copy: {compared}; the same keys, and it seals on", "what the first node said before its stop")
    copied.stop()
    return copied
