"""`polygon-edge status` (§1.5)."""

from __future__ import annotations

import click

from polygon_edge.cli.edge_command import StrictEdgeCommand
from polygon_edge.cli.output import block, key_values, show
from polygon_edge.cli.stop import stop_requested
from polygon_edge.operator.client import DEFAULT_ADDRESS, NodeClient


@click.command(cls=StrictEdgeCommand, short_help="Print chain id and head of a running node.")
@click.option("--grpc-address", default=DEFAULT_ADDRESS, show_default=True, help="Where the node answers, HOST:PORT.")
def status(grpc_address: str) -> None:
    """Print chain id and head of a running node, and where peers reach it."""
    with NodeClient(grpc_address, stop_requested) as node:
        found = node.status()
    facts = {
        "chain_id": found.chain_id,
        "current_block_number": found.height,
        "current_block_hash": "0x" + found.hash.hex(),
        "libp2p_address": found.peer_address,
    }
    rows = [
        ("Network (Chain ID)", found.chain_id),
        ("Current Block Number (base 10)", found.height),
        ("Current Block Hash", facts["current_block_hash"]),
        ("Libp2p Address", found.peer_address),
    ]
    show(block("CLIENT STATUS", key_values(rows)), facts)
