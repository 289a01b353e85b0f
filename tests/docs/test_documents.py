"""Holds what the documentation lists against what the program prints."""

from __future__ import annotations

import configparser
import json
import re
from pathlib import Path

import click
import pytest

from polygon_edge.archive.flat import FlatArchive
from polygon_edge.archive.inspection import inspect
from polygon_edge.cli.commands import root
from polygon_edge.cli.server import LONGEST_STOP_SECONDS
from polygon_edge.cli.stop import STOP_SIGNALS
from polygon_edge.config import DEFAULT_DATA_DIR
from polygon_edge.errors import Rule, StoppedBySignalError
from polygon_edge.jsonrpc.context import Limits
from polygon_edge.restore import RestoreReport

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "operating" / "json-output.md").read_text()
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


def section(title: str) -> str:
    return PAGE.split(f"## {title}\n")[1].split("\n## ")[0]


def listed_fields(title: str) -> set[str]:
    """The names in the first column of a section's table."""
    firsts = re.findall(r"^\| (`[^|]*`) \|", section(title), re.MULTILINE)
    return {name for first in firsts for name in re.findall(r"`(\w+)`", first)}


def test_the_document_of_a_restore_has_the_listed_fields() -> None:
    report = RestoreReport(genesis_hash=bytes(32), head=0, head_hash=bytes(32), state_root=bytes(32))
    assert listed_fields("`restore --json`") == set(report.document())
    example = json.loads(re.findall(r"```json\n(.*)\n```", section("`restore --json`"))[0])
    assert list(example) == list(report.document())


def test_the_document_of_an_archive_has_the_listed_fields() -> None:
    with FlatArchive.open(ROOT / "tests" / "data" / "malformed" / "good.dat") as archive:
        document = inspect(archive).document()
    assert listed_fields("`archive info --json`") == set(document)


@pytest.mark.parametrize(("title", "words"), [("Make the keys", "secrets init"), ("Write the genesis file", "genesis")])
def test_the_listed_flags_are_those_of_the_command(title: str, words: str) -> None:
    page = (ROOT / "docs" / "operating" / "keys-and-genesis.md").read_text()
    listed = set(re.findall(r"`(--[a-z-]+)", page.split(f"## {title}\n")[1].split("\n## ")[0]))
    options = options_of(words)
    shown = {option.opts[0] for option in options if not option.hidden}
    assert shown - {"--config"} <= listed
    assert listed <= {name for option in options for name in option.opts} | {"--json"}


def options_of(words: str) -> list[click.Option]:
    command: click.Command = root
    for word in words.split():
        assert isinstance(command, click.Group)
        below = command.get_command(click.Context(command), word)
        assert below is not None
        command = below
    return [option for option in command.params if isinstance(option, click.Option)]


def test_every_flag_of_the_server_is_on_its_page_with_its_default() -> None:
    page = (ROOT / "docs" / "operating" / "server.md").read_text().split("\n## Flags\n")[1].split("\n## ")[0]
    table, below = page.split("\n\nNumbers")
    rows = dict(re.findall(r"^\| `(--[a-z0-9-]+)` \| ?`?([^|`]*?)`? ?\|", table, re.MULTILINE))
    options = {option.opts[0]: option for option in options_of("server") if not option.hidden}
    without_effect = set(re.findall(r"`(--[a-z-]+)`", below))
    assert set(rows) | without_effect == set(options) | {"--json"}
    assert set(rows) & without_effect == set()
    for name in set(rows) - {"--json", "--data-dir", "--generation"}:
        default = options[name].default
        words = default if isinstance(default, tuple | list) else (default,)
        said = str(default).lower() if isinstance(default, bool) else " ".join(map(str, words))
        assert rows[name].removeprefix("./") == said.removeprefix("./"), name
    assert rows["--generation"] == ""
    assert rows["--data-dir"] == f"./{DEFAULT_DATA_DIR}"


def test_the_service_unit_stops_the_node_by_its_signal_and_starts_it_with_flags_that_there_are() -> None:
    page = (ROOT / "docs" / "operating" / "server.md").read_text()
    unit = configparser.ConfigParser()
    unit.optionxform = str  # type: ignore[assignment,method-assign]  # names of units have capitals
    unit.read_string(page.split("```ini\n")[1].split("```")[0])
    service = unit["Service"]
    assert service["KillSignal"] in {number.name for number in STOP_SIGNALS}
    assert float(service["TimeoutStopSec"]) > LONGEST_STOP_SECONDS
    assert int(service["SuccessExitStatus"]) == StoppedBySignalError.exit_code
    words = service["ExecStart"].split()
    assert words[1] == "server"
    flags = {word for word in words[2:] if word.startswith("--")}
    assert {"--data-dir", "--chain", "--grpc-address", "--jsonrpc"} <= flags
    assert flags <= {name for option in options_of("server") for name in option.opts}


def test_the_bounds_of_json_rpc_are_those_of_the_program() -> None:
    page = (ROOT / "docs" / "decisions" / "doors.md").read_text()
    rows = re.findall(r"^\| ([^|]*\(`[^|]*) \| ([^|]*) \|", page, re.MULTILINE)
    units = {"KiB": 1 << 10, "MiB": 1 << 20}
    checked = set()
    for names, bounds in rows:
        listed = re.findall(r"`(\w+)`", names)
        values = [int(number) * units.get(unit, 1) for number, unit in re.findall(r"(\d+)(?: (KiB|MiB|s\b))?", bounds)]
        for name, value in zip(listed, values, strict=False):
            assert getattr(Limits(), name) == value, name
            checked.add(name)
    assert len(checked) > 6


def test_the_rules_are_listed_in_the_order_of_their_checks() -> None:
    names = [rule.value for rule in Rule]
    listed = re.findall(r"`([^`]+)`", section("Errors").split("does not hold:")[1].split("```")[0])
    assert listed == names


@pytest.mark.parametrize("page", sorted(path.relative_to(ROOT) for path in ROOT.glob("*.md")), ids=str)
def test_every_link_of_a_page_at_the_root_leads_somewhere(page: Path) -> None:
    links = LINK.findall((ROOT / page).read_text())
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_folder_and_file_of_the_tree_is_there() -> None:
    tree = (ROOT / "ARCHITECTURE.md").read_text().split("```")[1]
    package = tree.split("src/polygon_edge/\n")[1].split("\ntests/")[0]
    source, room, rooms, missing = ROOT / "src" / "polygon_edge", "", set[str](), []
    for line in package.splitlines():
        if found := re.match(r"  (\S+)(?:  |$)", line):
            room = found[1] if found[1].endswith("/") else ""
            rooms.add(found[1].rstrip("/"))
            missing += [] if (source / found[1]).exists() else [found[1]]
        files = re.findall(r"\w+\.pyi?\b", line)
        missing += [name for name in files if not ((source / room / name).exists() or (source / name).exists())]
    assert missing == []
    packages = {path.name for path in source.iterdir() if (path / "__init__.py").exists()}
    assert len(packages) > 10
    assert packages - rooms == set()
    core = tree.split("rust/chain/ ")[1].split("rust/store/")[0]
    modules = [name for line in core.splitlines()[1:] for name in line.split("   ")[0].split()]
    assert len(modules) > 15
    rust = ROOT / "rust" / "chain" / "src"
    assert [name for name in modules if not ((rust / f"{name}.rs").exists() or (rust / name).is_dir())] == []
