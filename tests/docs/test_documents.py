"""Holds what the documentation lists against what the program prints."""

from __future__ import annotations

import json
import re
from pathlib import Path

import click
import pytest

from polygon_edge.archive.flat import FlatArchive
from polygon_edge.archive.inspection import inspect
from polygon_edge.cli.commands import root
from polygon_edge.errors import Rule
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
    command: click.Command = root
    for word in words.split():
        assert isinstance(command, click.Group)
        command = command.commands[word]
    options = [option for option in command.params if isinstance(option, click.Option)]
    shown = {option.opts[0] for option in options if not option.hidden}
    not_yet = {"--min-validator-count", "--max-validator-count", "--config"}
    assert shown - not_yet <= listed
    assert listed <= {name for option in options for name in option.opts} | {"--json"}


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
    named = re.findall(r"^  ( *)(\S+)  ", package, re.MULTILINE)
    assert len(named) > 10
    missing = []
    for indent, name in named:
        folder = ROOT / "src" / "polygon_edge" / ("execution" if indent else "")
        if not (folder / name).exists():
            missing.append(name)
    assert missing == []
    core = tree.split("rust/chain/ ")[1].split("rust/store/")[0]
    modules = [name for line in core.splitlines()[1:] for name in line.split("   ")[0].split()]
    assert len(modules) > 15
    rust = ROOT / "rust" / "chain" / "src"
    assert [name for name in modules if not ((rust / f"{name}.rs").exists() or (rust / name).is_dir())] == []
