"""`polygon-edge version`."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.program import Command


def test_the_version_is_that_of_the_distribution(command: Command) -> None:
    assert command("version").output == version("polygon-edge") + "\n"
    ended = command("version", "--json")
    assert (ended.exit_code, ended.document) == (0, {"version": version("polygon-edge")})
