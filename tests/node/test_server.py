"""`polygon-edge server` as a process: what it makes, says and refuses, and where it says it (§1.1, §3)."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import signal
import socket
import stat
import subprocess
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from tests.crash.network import head_of
from tests.node.running import RunningNode, run
from tests.ports import free_port
from tests.program import COMMAND

from polygon_edge import _core
from polygon_edge.chain.address import checksum_address

from demonstration.load import CHAIN_ID, Load, accounts

if TYPE_CHECKING:
    from tests.node.chain import FreshChain

CLOSED = "databases flushed and closed, locks released"
BLOCK_TIME = ("--block-time", "1")
ENDED_SECONDS = 30


def height_at(port: int) -> int | None:
    """The height that a node's JSON-RPC says, None before it answers."""
    request = {"jsonrpc": "2.0", "id": 1, "method": "eth_blockNumber", "params": []}
    try:
        return int(httpx.post(f"http://127.0.0.1:{port}", json=request).json()["result"], 16)
    except httpx.TransportError:
        return None


def closed_pipe() -> int:
    """The writing end of a pipe that nobody reads any more."""
    reading, writing = os.pipe()
    os.close(reading)
    return writing


def lines_in_order(text: str, *parts: str) -> None:
    """Assert that `parts` stand in `text` one after the other."""
    position = 0
    for part in parts:
        found = text.find(part, position)
        assert found >= 0, f"{part!r} is not in\n{text[position:]}"
        position = found


# ---- a first start ---------------------------------------------------------------------------------------------------


def test_the_first_start_makes_folders_and_keys_and_tells_each_step_in_order(newborn: FreshChain) -> None:
    shutil.rmtree(newborn.data_dir)
    with RunningNode(newborn.data_dir, newborn.genesis, *BLOCK_TIME) as node:
        node.wait_for_line("not sealing")
        assert node.stop() == 0
    lines_in_order(
        node.messages,
        "polygon-edge ",
        "data directory: ",
        f"chain: id={CHAIN_ID} genesis=0x",
        "head: number=0 hash=0x",
        "validator address: 0x",
        "node id: 16Uiu2HA",
        "gRPC server listening on 127.0.0.1:",
        "JSON-RPC server listening on 127.0.0.1:",
        "is not the validator of block 1; blocks come by restore only",
        "SIGINT: stopping",
        "gRPC and JSON-RPC closed",
        "consensus stopped: validators saved at block 0",
        "closing the databases",
        CLOSED,
    )
    modes = {
        folder.name: stat.S_IMODE(folder.stat().st_mode) & 0o077
        for folder in newborn.data_dir.iterdir()
        if folder.is_dir()
    }
    assert set(modes) == {"blockchain", "trie", "keystore", "consensus", "libp2p"}
    assert (modes["consensus"], modes["libp2p"], modes["keystore"]) == (0, 0, 0)
    for key in ("consensus/validator.key", "libp2p/libp2p.key"):
        assert stat.S_IMODE((newborn.data_dir / key).stat().st_mode) == 0o600
    assert json.loads((newborn.data_dir / "consensus" / "metadata").read_text()) == {"LastBlock": 0}
    assert not (newborn.data_dir / "consensus" / "validator-bls.key").exists(), "no BLS on an ECDSA chain"


def test_the_hidden_flag_grpc_wins_and_flags_of_peers_are_said_to_do_nothing(newborn: FreshChain) -> None:
    address = f"127.0.0.1:{free_port()}"
    idle = ("--no-discover", "--max-peers=5", "--nat", "10.1.2.3", "--dns", "dns4/node.example", "--seal=false")
    with RunningNode(newborn.data_dir, newborn.genesis, "--grpc", address, *idle, *BLOCK_TIME) as node:
        assert node.grpc == address
        for flag in ("--no-discover", "--max-peers", "--nat", "--dns"):
            assert f"{flag} has no effect yet" in node.messages
        assert "--prometheus" not in node.messages
        # As with the Go client, the flag is never looked at.
        node.wait_for_height(1)
        status = run(["status", "--grpc-address", address, "--json"])
        assert json.loads(status.stdout)["libp2p_address"] == f"/ip4/127.0.0.1/tcp/1478/p2p/{newborn.node_id}"
        assert node.stop() == 0


def test_the_gas_limit_moves_to_the_target_of_the_flag(newborn: FreshChain) -> None:
    with RunningNode(newborn.data_dir, newborn.genesis, *BLOCK_TIME, "--block-gas-target", "0x600000") as node:
        node.wait_for_height(2)
        limits = [int(node.rpc("eth_getBlockByNumber", hex(number), False)["gasLimit"], 16) for number in range(3)]
        assert node.stop() == 0
    assert limits == [5_242_880, 5_242_880 + 5_120, 5_248_000 + 5_125]


def test_a_lone_validator_says_what_it_seals_for_and_which_signal_stopped_it(newborn: FreshChain) -> None:
    with RunningNode(newborn.data_dir, newborn.genesis, *BLOCK_TIME) as node:
        node.wait_for_height(1)
        genesis_hash = node.block_hash(0)
        assert node.stop(signal.SIGTERM) == 0
    lines_in_order(
        node.messages,
        f"polygon-edge {version('polygon-edge')}",
        f"data directory: {newborn.data_dir}",
        f"chain: id={CHAIN_ID} genesis={genesis_hash} generation=G1 engine=ibft",
        f"head: number=0 hash={genesis_hash}",
        f"validator address: {newborn.validator}",
        f"node id: {newborn.node_id}",
        f"sealing alone: {newborn.validator} is the only validator of block 1; a block every second",
        "block sealed: number=1 ",
        "SIGTERM: stopping",
        CLOSED,
    )
    assert node.messages.count("sealing alone") == 1


# ---- where it is said ------------------------------------------------------------------------------------------------


def test_the_log_goes_into_its_file_which_is_emptied_first(newborn: FreshChain, tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    log.write_text("of yesterday\n")
    with RunningNode(
        newborn.data_dir, newborn.genesis, "--log-to", str(log), "--json", *BLOCK_TIME, wait=False
    ) as node:
        node.wait_for("a block", lambda: "block sealed: number=1" in log.read_text())
        assert node.stop() == 0
    assert node.messages == ""
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert {"@timestamp", "@level", "@module", "@message"} <= set(lines[0])
    assert lines[0]["@message"].startswith("polygon-edge ")
    assert lines[-1]["@message"] == CLOSED
    assert all(line["@module"].startswith("polygon.") for line in lines)
    assert json.loads(node.output)["message"].startswith("\n[SIGNAL] Caught signal: interrupt")


def test_a_log_that_is_off_says_nothing_at_all(newborn: FreshChain) -> None:
    port = free_port()
    flags = ("--log-level", "OFF", "--jsonrpc", f"127.0.0.1:{port}", *BLOCK_TIME)

    with RunningNode(newborn.data_dir, newborn.genesis, *flags, wait=False) as node:
        node.wait_for("a block", lambda: (height_at(port) or 0) >= 1)
        assert node.stop() == 0
    assert node.messages == ""


def test_a_caller_that_closed_the_standard_streams_gets_no_message_into_a_database(newborn: FreshChain) -> None:
    port = free_port()
    words = [*COMMAND, "server", "--data-dir", newborn.data_dir, "--chain", newborn.genesis, *BLOCK_TIME]
    words += ["--jsonrpc", f"127.0.0.1:{port}", "--grpc-address", "127.0.0.1:0"]
    process = subprocess.Popen(["/bin/sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *map(str, words)])
    try:
        deadline = time.monotonic() + ENDED_SECONDS
        while (height_at(port) or 0) < 1:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        streams = [Path(f"/proc/{process.pid}/fd/{descriptor}").readlink() for descriptor in range(3)]
        assert streams == [Path(os.devnull)] * 3
        process.send_signal(signal.SIGTERM)
        assert process.wait(ENDED_SECONDS) == 0
    finally:
        process.kill()
        process.wait()
    assert (head_of(newborn.data_dir) or 0) >= 1


def test_a_reader_of_the_output_that_is_gone_does_not_keep_a_stop_from_its_end(newborn: FreshChain) -> None:
    with RunningNode(newborn.data_dir, newborn.genesis, *BLOCK_TIME, output=closed_pipe()) as node:
        node.wait_for_height(1)
        assert node.stop() == 0
    assert CLOSED in node.messages
    assert "consensus stopped" in node.messages
    assert "Traceback" not in node.messages


# ---- what ends it ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("door", ["--grpc-address", "--jsonrpc"])
def test_a_port_that_is_taken_is_said_in_the_go_clients_words(door: str, newborn: FreshChain) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with RunningNode(newborn.data_dir, newborn.genesis, door, address, wait=False) as node:
            assert node.process.wait(ENDED_SECONDS) == 1
        assert node.messages.splitlines()[-1] == f"listen tcp {address}: bind: address already in use"
        assert "Traceback" not in node.messages
        assert CLOSED in node.messages
        assert node.output == ""
        with RunningNode(newborn.data_dir, newborn.genesis, door, address, "--json", wait=False) as node:
            assert node.process.wait(ENDED_SECONDS) == 1
        assert json.loads(node.messages.splitlines()[-1]) == {
            "error": f"listen tcp {address}: bind: address already in use"
        }
    assert head_of(newborn.data_dir) == 0
    with RunningNode(newborn.data_dir, newborn.genesis, *BLOCK_TIME) as node:
        node.wait_for_height(1)
        assert node.stop() == 0


def test_a_genesis_file_that_was_changed_is_refused(newborn: FreshChain, tmp_path: Path) -> None:
    with RunningNode(newborn.data_dir, newborn.genesis, *BLOCK_TIME) as node:
        node.wait_for_height(1)
        assert node.stop() == 0
    other = tmp_path / "other.json"
    other.write_text(newborn.genesis.read_text().replace('"gasUsed": "0x70000"', '"gasUsed": "0x70001"'))
    with RunningNode(newborn.data_dir, other, wait=False) as node:
        assert node.process.wait(ENDED_SECONDS) == 1
    assert "genesis file does not match current genesis" in node.messages.splitlines()[-1]
    assert "Traceback" not in node.messages
    assert (head_of(newborn.data_dir) or 0) >= 1


def test_a_disk_that_fills_up_while_it_seals_ends_the_node_and_costs_no_block(newborn: FreshChain) -> None:
    with RunningNode(newborn.data_dir, newborn.genesis, *BLOCK_TIME) as node:
        load = Load(node)
        for _ in range(2):
            load.send("transfer with data", 0, accounts()[1].address, data=bytes(100_000), gas=2_000_000)
        node.wait_for_height(2)
        largest = max(file.stat().st_size for file in newborn.data_dir.rglob("*") if file.is_file())
        # No file may grow beyond what the largest one is: what the kernel then says is what a full disk says.
        resource.prlimit(node.process.pid, resource.RLIMIT_FSIZE, (largest + 1, largest + 1))
        load.send("transfer with data", 0, accounts()[1].address, data=bytes(100_000), gas=2_000_000)
        assert node.process.wait(ENDED_SECONDS) == 1
        sealed = node.sealed
    last = node.messages.splitlines()[-1]
    assert "disk full" in last
    assert "Traceback" not in node.messages
    assert CLOSED in node.messages
    assert head_of(newborn.data_dir) in {sealed[-1][0], sealed[-1][0] + 1}
    with RunningNode(
        newborn.data_dir, newborn.genesis, *BLOCK_TIME, log=newborn.data_dir.with_name("again.log")
    ) as node:
        node.wait_for_height(sealed[-1][0] + 2)
        for number, block_hash in sealed:
            assert node.block_hash(number) == block_hash
        assert node.stop() == 0


# ---- transactions that come to nothing -------------------------------------------------------------------------------


def test_a_transaction_that_can_no_longer_be_paid_holds_nobody_up(newborn: FreshChain) -> None:
    with RunningNode(newborn.data_dir, newborn.genesis, *BLOCK_TIME) as node:
        load = Load(node)
        receiver = "0x" + "42" * 20
        balance = int(node.rpc("eth_getBalance", accounts()[0].address, "latest"), 16)
        # Each alone can be paid; together they cannot.
        first = load.send("transfer", 0, receiver, value=balance * 2 // 3, gas=21_000)
        second = load.send("transfer", 0, receiver, value=balance * 2 // 3, gas=21_000)
        other = load.send("transfer", 1, receiver, value=1, gas=21_000)
        node.wait_for("both", lambda: all(node.rpc("eth_getTransactionReceipt", hash) for hash in (first, other)))
        assert node.rpc("eth_getTransactionReceipt", second) is None
        assert re.search(r"transactions=[12] ", node.messages)
        # It may be paid some blocks later, so it is not dropped at once (§4.8); nothing waits for it meanwhile.
        third = load.send("transfer", 1, receiver, value=1, gas=21_000)
        node.wait_for("the next one", lambda: node.rpc("eth_getTransactionReceipt", third) is not None)
        assert node.rpc("eth_getTransactionReceipt", second) is None
        assert node.stop() == 0


def test_another_validators_key_follows_and_does_not_seal(newborn: FreshChain) -> None:
    other = checksum_address(_core.EcdsaKey(b"\x0b" * 32).address)
    (newborn.data_dir / "consensus" / "validator.key").write_text("0b" * 32)
    with RunningNode(newborn.data_dir, newborn.genesis, *BLOCK_TIME) as node:
        node.wait_for_line(f"not sealing: {other} is not the validator of block 1")
        assert node.height == 0
        assert node.stop() == 0
