"""The tree of commands, each read when it is asked for: a command starts without what the others need."""

from __future__ import annotations

import importlib
from typing import Final

import click

from polygon_edge.cli.edge_command import EdgeGroup

# The module beside this one in which each command stands, and its name there.
COMMANDS: Final = {
    "archive": ("archive", "archive"),
    "backup": ("backup", "backup"),
    "genesis": ("genesis", "genesis"),
    "ibft": ("ibft", "ibft"),
    "license": ("license", "show_license"),
    "restore": ("restore", "restore"),
    "secrets": ("secrets", "secrets"),
    "server": ("server", "server"),
    "status": ("status", "status"),
    "version": ("version", "version"),
}

NOT_YET = ("monitor", "peers", "txpool", "whitelist")
"""Commands of the Go client that need what this version does not have: peers, or services of a node."""


class CommandTree(EdgeGroup):
    """The root of the commands, which lie in modules of their own."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, sorted."""
        return sorted({*COMMANDS, *super().list_commands(ctx)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of that name; None where there is none."""
        known = super().get_command(ctx, cmd_name)
        if known is not None or cmd_name not in COMMANDS:
            return known
        module, name = COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(f"polygon_edge.cli.{module}"), name)
        return command


@click.group(cls=CommandTree, not_yet=NOT_YET, context_settings={"help_option_names": ["-h", "--help"]})
def root() -> None:
    """A node for Polygon Edge networks: what the archived Go client wrote is checked, restored and continued."""
