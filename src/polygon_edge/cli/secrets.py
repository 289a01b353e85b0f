"""`polygon-edge secrets`: make the keys of a node, and print what may be shown of them (§1.4).

No private key is ever printed.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import click

from polygon_edge.chain.address import checksum_address
from polygon_edge.cli.edge_command import EdgeGroup, exclude_flags
from polygon_edge.cli.flags import Boolean, Integer, grpc_address_unused
from polygon_edge.cli.output import block, key_values, show
from polygon_edge.errors import DataDirectoryError, KeyMissingError
from polygon_edge.keys import identity
from polygon_edge.keys.local import LocalKeys, Secret

MOST_STORES = 30
_NO_ADDRESS = checksum_address(bytes(20))


@click.group(cls=EdgeGroup, not_yet=("generate",))
@grpc_address_unused
def secrets() -> None:
    """Make and show the keys of a node."""


@secrets.command(short_help="Make the keys of a node.")
@click.option("--data-dir", default="", help="Data directory to make the keys in.")
@click.option("--config", default="", help="Configuration of another secrets manager (not supported yet).")
@click.option(
    "--num",
    type=Integer(-(1 << 63), (1 << 63) - 1),
    default=1,
    show_default=True,
    help=("How many nodes to make keys for, at most 30; above 1 their directories are DATA-DIR1, DATA-DIR2, ..."),
)
@click.option("--ecdsa", type=Boolean(), default=True, show_default=True, help="Make the validator key.")
@click.option("--bls", type=Boolean(), default=True, show_default=True, help="Make the validator's BLS key.")
@click.option("--network", type=Boolean(), default=True, show_default=True, help="Make the network key.")
# Later releases demand it; with or without it the keys lie in files (D-11).
@click.option("--insecure", type=Boolean(), default=False, hidden=True, expose_value=False)
@grpc_address_unused
def init(  # noqa: PLR0917 - one parameter a flag
    data_dir: str, config: str, num: int, ecdsa: bool, bls: bool, network: bool
) -> None:
    """Make the keys of one node or several, in files that only their owner can read.

    A key that is there already is never replaced: then no key is made at all.
    """
    if not 1 <= num <= MOST_STORES:
        raise click.UsageError(f"num flag value should be between 1 and {MOST_STORES}")
    _require_source(data_dir, config)
    exclude_flags("num", "config")
    stores = [LocalKeys(Path(data_dir if num == 1 else f"{data_dir}{index + 1}")) for index in range(num)]
    wanted = [
        secret
        for secret, is_wanted in ((Secret.VALIDATOR, ecdsa), (Secret.VALIDATOR_BLS, bls), (Secret.NETWORK, network))
        if is_wanted
    ]
    for store in stores:
        for secret in wanted:
            store.require_absent(secret)
    for store in stores:
        for secret in wanted:
            store.create(secret)
    text, documents = "", []
    for store in stores:
        shown = _Shown(store)
        rows = [("Public key (address)", shown.address or _NO_ADDRESS)]
        if shown.bls_public_key:
            rows.append(("BLS Public key", shown.bls_public_key))
        rows.append(("Node ID", shown.node_id))
        text += block("SECRETS INIT", key_values(rows))
        address = shown.address or _NO_ADDRESS
        documents.append({"address": address, "bls_pubkey": shown.bls_public_key, "node_id": shown.node_id})
    show(text + "\n", documents)


@secrets.command(short_help="Print address, BLS public key and node id.")
@click.option("--data-dir", default="", help="Data directory that holds the keys.")
@click.option("--config", default="", help="Configuration of another secrets manager (not supported yet).")
@click.option("--validator", type=Boolean(), default=False, help="Print the validator's address only.")
@click.option("--bls", type=Boolean(), default=False, help="Print the BLS public key only.")
@click.option("--node-id", type=Boolean(), default=False, help="Print the node id only.")
@grpc_address_unused
def output(data_dir: str, config: str, validator: bool, bls: bool, node_id: bool) -> None:
    """Print what may be shown of a node's keys: its address, its BLS public key and its node id."""
    _require_source(data_dir, config)
    exclude_flags("validator", "bls", "node_id")
    _require_folders(Path(data_dir))
    shown = _Shown(LocalKeys(Path(data_dir)))
    if validator:
        show(f"{shown.address}\n", {"address": shown.address})
    elif bls:
        show(f"{shown.bls_public_key}\n", {"bls": shown.bls_public_key})
    elif node_id:
        show(f"{shown.node_id}\n", {"node_id": shown.node_id})
    else:
        rows = [
            ("Public key (address)", shown.address),
            ("BLS Public key", shown.bls_public_key),
            ("Node ID", shown.node_id),
        ]
        document = {"address": shown.address, "bls": shown.bls_public_key, "node_id": shown.node_id}
        show(block("SECRETS OUTPUT", key_values(rows), ""), document)


class _Shown:
    """What may be shown of the keys in `store`; empty texts for those that are not there. Raises KeyFileError."""

    def __init__(self, store: LocalKeys) -> None:
        self.address = self.bls_public_key = self.node_id = ""
        with suppress(KeyMissingError):
            self.address = checksum_address(store.validator_key(create=False).address)
        with suppress(KeyMissingError):
            self.bls_public_key = "0x" + store.bls_key(create=False).public_key.hex()
        with suppress(KeyMissingError):
            self.node_id = identity.node_id(store.network_key(create=False))


def _require_source(data_dir: str, config: str) -> None:
    if not data_dir and not config:
        raise click.UsageError("no config file or data directory passed in")
    exclude_flags("data_dir", "config")
    if config:
        raise click.UsageError(
            f"--config {config}: secrets managers other than the local one are not supported yet: give --data-dir"
        )


def _require_folders(data_dir: Path) -> None:
    """Raise DataDirectoryError where there is no place that keys could be in."""
    path = data_dir.absolute()
    if not path.exists():
        raise DataDirectoryError(str(path), f"the data directory provided does not exist: {path}")
    keys = LocalKeys(path)
    missing = []
    if not keys.directory.consensus.exists():
        missing.append(f"no validator keys found in the data directory provided: {path}")
    if not keys.directory.libp2p.exists() and not keys.has(Secret.NETWORK):
        missing.append(f"no network key found in the data directory provided: {path}")
    if missing:
        raise DataDirectoryError(str(path), "; ".join(missing))
