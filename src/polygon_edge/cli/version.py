"""`polygon-edge version` (§1.10)."""

from __future__ import annotations

from importlib.metadata import version as distribution_version

import click

from polygon_edge.cli.edge_command import StrictEdgeCommand
from polygon_edge.cli.output import block, key_values, show


@click.command(cls=StrictEdgeCommand)
def version() -> None:
    """Print the version of this program."""
    # A package carries its number and nothing of the repository it was built from. The keys stay, as in a Go client
    # that was built without these facts.
    facts = {"version": distribution_version("polygon-edge"), "commit": "", "branch": "", "buildTime": ""}
    rows = [
        ("Release version", facts["version"]),
        ("Git branch", facts["branch"]),
        ("Commit hash", facts["commit"]),
        ("Build time", facts["buildTime"]),
    ]
    show(block("VERSION INFO", key_values(rows)), facts)
