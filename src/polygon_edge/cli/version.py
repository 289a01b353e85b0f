"""`polygon-edge version`."""

from __future__ import annotations

import json
from importlib.metadata import version as distribution_version

import click


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def version(as_json: bool) -> None:
    """Print the version of this program."""
    number = distribution_version("polygon-edge")
    click.echo(json.dumps({"version": number}) if as_json else number)
