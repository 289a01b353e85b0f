"""`polygon-edge version`."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.golden.recorded import Network
    from tests.program import Command

NUMBER = version("polygon-edge")


def test_the_version_stands_where_the_go_client_has_it(poa: Network, command: Command) -> None:
    recorded = {tuple(row["argv"]): row for row in poa.rows("cli.jsonl")}
    for words in (("version",), ("version", "--json")):
        # The recorded client was built without the four facts, as `<none>` says.
        expected = recorded[words]["stdout"].replace("Release version = <none>", f"Release version = {NUMBER}")
        expected = expected.replace('"version":""', f'"version":"{NUMBER}"')
        ended = command(*words)
        assert (ended.exit_code, ended.output, ended.errors) == (0, expected, "")
    assert command("--json", "version").document["version"] == NUMBER
