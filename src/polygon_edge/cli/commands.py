"""The tree of commands."""

from __future__ import annotations

import click

from polygon_edge.cli.archive import archive
from polygon_edge.cli.backup import backup
from polygon_edge.cli.edge_command import EdgeGroup
from polygon_edge.cli.genesis import genesis
from polygon_edge.cli.license import show_license
from polygon_edge.cli.restore import restore
from polygon_edge.cli.secrets import secrets
from polygon_edge.cli.server import server
from polygon_edge.cli.status import status
from polygon_edge.cli.version import version

NOT_YET = ("ibft", "monitor", "peers", "txpool", "whitelist")
"""Commands of the Go client that need what this version does not have: peers, or services of a node."""


@click.group(cls=EdgeGroup, not_yet=NOT_YET, context_settings={"help_option_names": ["-h", "--help"]})
def root() -> None:
    """A node for Polygon Edge networks: what the archived Go client wrote is checked, restored and continued."""


for command in (archive, backup, genesis, restore, secrets, server, show_license, status, version):
    root.add_command(command)
