"""A stop, or a failure, at each step of a start: the node ends in order, and the directory is as good as new."""

from __future__ import annotations

import logging
import shutil
import socket
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import rlp
from tests.crash.network import head_of

from polygon_edge import node
from polygon_edge.chain.genesis import load_genesis
from polygon_edge.config import Address, ServerConfig
from polygon_edge.errors import DataDirectoryError, DiskFullError, KeyFileError, ListenError
from polygon_edge.execution.sealing import Sealer
from polygon_edge.jsonrpc.app import JsonRpcServer
from polygon_edge.jsonrpc.context import SyncProgress
from polygon_edge.keys.local import LocalKeys, Secret
from polygon_edge.operator.server import OperatorServer
from polygon_edge.restore import RestoreReport
from polygon_edge.store.data_dir import DataDirectory

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.node.chain import FreshChain

LOOPBACK = Address("127.0.0.1", 0)
STAGES: dict[str, tuple[Any, str]] = {
    "folders": (DataDirectory, "create"),
    "network key": (LocalKeys, "network_key"),
    "databases": (node, "start_chain"),
    "validator key": (LocalKeys, "validator_key"),
    "pool": (node, "TransactionPool"),
    "gRPC": (OperatorServer, "start"),
    "JSON-RPC": (JsonRpcServer, "start"),
    "validators": (node, "validators_at_head"),
    "sealing": (Sealer, "start"),
    "serving": (node.Node, "_until_stopped"),
}


class Rig:
    """A node in this process, and what it told."""

    def __init__(self, chain: FreshChain, data_dir: Path) -> None:
        self.stop = threading.Event()
        self.notices = 0
        self.data_dir = data_dir
        self._genesis = load_genesis(chain.genesis)

    def run(self, **settings: Any) -> None:
        places: dict[str, Any] = {"data_dir": self.data_dir, "grpc": LOOPBACK, "jsonrpc": LOOPBACK}
        config = ServerConfig(**places | settings)
        self.node = node.Node(config, self._genesis, version="test", stop=self.stop, on_stopping=self._notice)
        self.node.run()

    def _notice(self) -> None:
        self.notices += 1

    def stop_after(self, stage: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Have the signal come right before the step `stage`."""
        owner, name = STAGES[stage]
        real: Callable[..., Any] = getattr(owner, name)

        def step(*arguments: Any, **named: Any) -> Any:
            self.stop.set()
            return real(*arguments, **named)

        monkeypatch.setattr(owner, name, step)

    def fail_at(self, stage: str, error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
        """Have the step `stage` fail."""
        owner, name = STAGES[stage]

        def step(*_arguments: Any, **_named: Any) -> Any:
            raise error

        monkeypatch.setattr(owner, name, step)

    def check_as_new(self) -> None:
        """Assert that nothing of the run is left in this process, and that a start seals the first blocks."""
        names = {thread.name for thread in threading.enumerate()}
        assert not names & {"sealing", "commit"}, names
        self.stop.clear()
        seals = Sealer.seal_next

        def seal_and_stop(sealer: Sealer) -> None:
            seals(sealer)
            self.stop.set()

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(Sealer, "seal_next", seal_and_stop)
            patched.setattr(Sealer, "_wait_until", lambda *_: False)
            self.run()
        assert (head_of(self.data_dir) or 0) >= 1


@pytest.mark.parametrize("stage", STAGES)
def test_a_stop_before_any_step_ends_in_order_and_the_next_start_seals(
    stage: str, newborn: FreshChain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # An empty folder, so that every step has something to make.
    rig = Rig(newborn, tmp_path / "empty")
    with monkeypatch.context() as patched:
        rig.stop_after(stage, patched)
        rig.run()
    assert rig.notices == 1
    assert head_of(rig.data_dir) == 0
    assert LocalKeys(rig.data_dir).has(Secret.VALIDATOR)
    rig = Rig(newborn, newborn.data_dir)
    with monkeypatch.context() as patched:
        rig.stop_after(stage, patched)
        rig.run()
    assert head_of(rig.data_dir) == 0
    rig.check_as_new()


@pytest.mark.parametrize("stage", STAGES)
def test_a_step_that_fails_ends_the_start_with_its_error_and_the_next_start_seals(
    stage: str, newborn: FreshChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = DiskFullError(stage)
    rig = Rig(newborn, newborn.data_dir)
    with monkeypatch.context() as patched:
        rig.fail_at(stage, error, patched)
        with pytest.raises(type(error)) as caught:
            rig.run()
    assert caught.value is error
    assert rig.notices == 0
    rig.check_as_new()


def test_what_ended_sealing_is_told_even_where_the_consensus_files_cannot_be_written(
    newborn: FreshChain, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def cannot_append(_sealer: Sealer) -> None:
        raise DiskFullError("blocks")

    def cannot_save(*_arguments: object) -> None:
        raise DiskFullError("files")

    rig = Rig(newborn, newborn.data_dir)
    with monkeypatch.context() as patched, caplog.at_level(logging.WARNING, logger="polygon_edge"):
        patched.setattr(Sealer, "seal_next", cannot_append)
        patched.setattr(node, "save_validators", cannot_save)
        with pytest.raises(DiskFullError, match="blocks"):
            rig.run()
    assert "the validators are not saved: files" in caplog.text
    rig.check_as_new()


def test_a_notice_that_fails_does_not_leave_the_chain_open(
    newborn: FreshChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise RuntimeError("nobody reads the output")

    rig = Rig(newborn, newborn.data_dir)
    with monkeypatch.context() as patched:
        patched.setattr(rig, "_notice", fail)
        rig.stop_after("serving", patched)
        with pytest.raises(RuntimeError, match="nobody reads"):
            rig.run()
    rig.check_as_new()


def test_a_door_that_does_not_close_in_order_does_not_keep_the_rest_from_it(
    newborn: FreshChain, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = OperatorServer.stop

    async def stop_badly(operator: OperatorServer, grace_seconds: float = 1.0) -> None:
        await real(operator, grace_seconds)
        raise RuntimeError("a bug")

    rig = Rig(newborn, newborn.data_dir)
    with monkeypatch.context() as patched, caplog.at_level(logging.ERROR, logger="polygon_edge"):
        patched.setattr(OperatorServer, "stop", stop_badly)
        rig.stop_after("serving", patched)
        rig.run()
    assert "a server did not close in order" in caplog.text
    rig.check_as_new()


@pytest.mark.parametrize("name", ["grpc", "jsonrpc"])
def test_an_address_in_use_is_named_and_leaves_the_directory_closed(name: str, newborn: FreshChain) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        rig = Rig(newborn, newborn.data_dir)
        with pytest.raises(ListenError, match=f"listen tcp 127.0.0.1:{port}: bind: address already in use"):
            rig.run(**{name: Address("127.0.0.1", port)})
    rig.check_as_new()


def test_listening_on_all_interfaces_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="polygon_edge"):
        node._warn_if_open("gRPC", Address("127.0.0.1", 1))
        assert not caplog.records
        node._warn_if_open("JSON-RPC", ServerConfig().jsonrpc)
    assert "JSON-RPC listens on all interfaces" in caplog.text


# ---- restores --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("promised", "first", "second"),
    [
        (150, SyncProgress(1, 0, 150), SyncProgress(1, 7, 150)),
        # An archive that was made with `--to 0` promises nothing and holds all.
        (0, None, SyncProgress(1, 7, 7)),
    ],
    ids=["an archive", "one that holds more than it promises"],
)
def test_syncing_is_said_from_what_is_missing_and_what_was_imported(
    promised: int,
    first: SyncProgress | None,
    second: SyncProgress,
    newborn: FreshChain,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[SyncProgress | None] = []

    class Watched:
        """A restore that imports nothing, and looks at what the node says meanwhile."""

        def __init__(self, *arguments: Any, **_switches: Any) -> None:
            self.reporter = arguments[-1]

        def run(self) -> RestoreReport:
            seen.append(rig.node._sync)
            self.reporter.update(blocks=7, transactions=0, gas=0, head=7)
            seen.append(rig.node._sync)
            rig.stop.set()
            return RestoreReport(genesis_hash=bytes(32), head=7, head_hash=bytes(32))

    archive = newborn.data_dir.with_name("archive.dat")
    archive.write_bytes(rlp.encode([promised, bytes(32)]))
    rig = Rig(newborn, newborn.data_dir)
    monkeypatch.setattr(node, "Restore", Watched)
    rig.run(restore=archive)
    assert seen == [first, second]
    assert rig.node._sync is None


# ---- directories that are not as they should be ----------------------------------------------------------------------


def test_an_unreadable_key_is_an_error_and_no_other_key_is_made(newborn: FreshChain) -> None:
    key = newborn.data_dir / "consensus" / "validator.key"
    whole = key.read_bytes()
    key.write_bytes(whole[:40])
    rig = Rig(newborn, newborn.data_dir)
    with pytest.raises(KeyFileError, match="is not a key"):
        rig.run()
    assert key.read_bytes() == whole[:40]
    key.write_bytes(whole)
    rig.check_as_new()


def test_a_genesis_file_of_another_chain_is_refused_and_nothing_is_touched(newborn: FreshChain) -> None:
    rig = Rig(newborn, newborn.data_dir)
    rig.stop.set()
    rig.run()
    text = newborn.genesis.read_text()
    other = newborn.data_dir.with_name("other.json")
    other.write_text(text.replace('"gasUsed": "0x70000"', '"gasUsed": "0x70001"'))
    strange = Rig(replace(newborn, genesis=other), newborn.data_dir)
    with pytest.raises(DataDirectoryError, match="genesis file does not match current genesis"):
        strange.run()
    rig.check_as_new()


@pytest.mark.parametrize("folder", ["blockchain", "trie"])
def test_a_directory_that_lost_a_database_does_not_seal_on_what_is_left(
    folder: str, newborn: FreshChain, caplog: pytest.LogCaptureFixture
) -> None:
    rig = Rig(newborn, newborn.data_dir)
    rig.check_as_new()
    shutil.rmtree(newborn.data_dir / folder)
    rig = Rig(newborn, newborn.data_dir)
    if folder == "trie":
        with pytest.raises(DataDirectoryError):
            rig.run()
        return
    with caplog.at_level(logging.WARNING, logger="polygon_edge"):
        rig.check_as_new()
    assert "the chain begins anew at its genesis block" in caplog.text


def test_an_empty_head_of_bytes_is_no_chain(newborn: FreshChain) -> None:
    rig = Rig(newborn, newborn.data_dir)
    rig.check_as_new()
    (newborn.data_dir / "blockchain" / "CURRENT").write_bytes(b"MANIFEST-999999\n")
    with pytest.raises(DataDirectoryError):
        Rig(newborn, newborn.data_dir).run()


@pytest.mark.parametrize(
    ("name", "content"),
    [("metadata", b""), ("metadata", b'{"LastBlock":1000000}'), ("snapshots", b"[]"), ("snapshots", b"\xff")],
    ids=str,
)
def test_damaged_consensus_files_are_made_up_for_by_the_headers(name: str, content: bytes, newborn: FreshChain) -> None:
    rig = Rig(newborn, newborn.data_dir)
    rig.check_as_new()
    (newborn.data_dir / "consensus" / name).write_bytes(content)
    Rig(newborn, newborn.data_dir).check_as_new()
    assert (head_of(newborn.data_dir) or 0) >= 2
