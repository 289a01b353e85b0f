"""The founding page on backup and restore, its sentences on private keys."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from polygon_edge.cli.secrets import secrets
from polygon_edge.keys.local import LocalKeys, Secret

if TYPE_CHECKING:
    from pathlib import Path

    from tests.golden.recorded import Network
    from tests.program import Command


@pytest.fixture
def node(command: Command, tmp_path: Path) -> Path:
    """A data directory as `secrets init` makes it."""
    assert command("secrets", "init", "--data-dir", tmp_path / "node").exit_code == 0
    return tmp_path / "node"


def secrets_of(node: Path) -> list[bytes]:
    keys = LocalKeys(node)
    return [
        keys.validator_key(create=False).secret,
        keys.bls_key(create=False).secret,
        keys.network_key(create=False).secret,
    ]


def holds(content: bytes, secret: bytes) -> bool:
    return secret in content or secret.hex().encode() in content.lower()


def test_page_08_the_validators_key_is_64_hex_digits_and_gives_the_shown_address(node: Path, command: Command) -> None:
    content = (node / "consensus" / "validator.key").read_text()
    assert len(content) == 64
    assert bytes.fromhex(content) == secrets_of(node)[0]
    assert command("secrets", "output", "--data-dir", node, "--validator").output.startswith("0x")


def test_page_25_private_keys_stand_in_key_files_and_nowhere_else(
    poa: Network, command: Command, tmp_path: Path
) -> None:
    node = poa.data_directory("data-dir", tmp_path / "node")
    (node / "consensus" / "validator-bls.key").unlink()
    assert command("secrets", "init", "--data-dir", node, "--ecdsa=false", "--network=false").exit_code == 0
    secrets = secrets_of(node)
    found = {
        str(path.relative_to(node))
        for path in node.rglob("*")
        if path.is_file() and any(holds(path.read_bytes(), secret) for secret in secrets)
    }
    assert found == {"consensus/validator.key", "consensus/validator-bls.key", "libp2p/libp2p.key"}


def test_page_25_the_key_files_alone_carry_the_identity_to_another_node(
    node: Path, command: Command, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    for file in node.rglob("*.key"):
        target = other / file.relative_to(node)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
    shown = [command("secrets", "output", "--data-dir", folder).output for folder in (node, other)]
    assert shown[0] == shown[1]
    assert "<none>" not in shown[0]


def test_page_26_keys_are_their_owners_alone(node: Path) -> None:
    keys = LocalKeys(node)
    for secret in Secret:
        file = keys.file(secret)
        assert file.stat().st_mode & 0o077 == 0
        assert file.parent.stat().st_mode & 0o077 == 0


def test_page_26_no_command_prints_a_private_key(node: Path, command: Command) -> None:
    assert {"init", "output"} <= secrets.commands.keys()
    printed = ""
    for words in (
        ("output", "--data-dir", node),
        ("output", "--data-dir", node, "--json"),
        ("init", "--data-dir", node),
        ("init", "--data-dir", node, "--json"),
    ):
        ended = command("secrets", *words)
        printed += ended.output + ended.errors
    assert len(printed) > 400
    assert not any(holds(printed.encode(), secret) for secret in secrets_of(node))
