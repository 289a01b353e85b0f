"""`polygon-edge license`: its own licence and those of every part of it."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import PathDistribution, distribution
from typing import TYPE_CHECKING

import pytest
from tests.conftest import REPOSITORY

from polygon_edge.cli import attributions
from polygon_edge.cli.attributions import crates, packages

if TYPE_CHECKING:
    from importlib.metadata import Distribution
    from pathlib import Path

    from tests.program import Command


def test_the_text_has_the_licence_and_a_paragraph_a_part(command: Command) -> None:
    ended = command("license")
    assert (ended.exit_code, ended.errors) == (0, "")
    own, parts = ended.output.split("\n[DEPENDENCY ATTRIBUTIONS]\n\n")
    assert own.strip() == f"[LICENSE]\n\n{(REPOSITORY / 'LICENSE').read_text().strip(chr(10))}".strip()
    listed = command("license", "--json").document["licenses"]
    assert len(re.findall(r"^   This product uses ", parts, re.MULTILINE)) == len(listed) > 50
    for part in listed:
        assert f"   This product uses {part['name']} {part['version']},\n" in parts
        assert f"   For details, see {part['path']}.\n" in parts


def test_bsd_licences_stand_where_the_go_client_lists_them(command: Command) -> None:
    document = command("license", "--json").document
    assert [list(part) for part in document["bsd_licenses"]] == [["name", "version", "type", "path"]] * len(
        document["bsd_licenses"]
    )
    assert "click" in {part["name"] for part in document["bsd_licenses"]}
    assert document["bsd_licenses"] == [part for part in document["licenses"] if "BSD" in part["type"]]


def test_every_package_the_program_needs_is_named_with_a_licence() -> None:
    # Some write a low line where their name has a hyphen.
    found = {package.name.lower().replace("_", "-"): package for package in packages()}
    for requirement in distribution("polygon-edge").requires or []:
        if "extra" not in requirement:
            name = re.match(r"[\w.-]+", requirement)
            assert name is not None
            assert name[0].lower() in found
    # One that is needed by another only.
    assert "mdurl" in found
    assert "pytest" not in found
    assert [package for package in found.values() if package.licence == "not stated"] == []


def test_every_crate_is_one_of_the_lock_file_with_a_licence() -> None:
    listed = crates()
    assert listed is not None
    assert {"k256", "pyo3"} <= {crate.name for crate in listed}
    locked = {package["name"] for package in tomllib.loads((REPOSITORY / "Cargo.lock").read_text())["package"]}
    assert {crate.name for crate in listed} <= locked
    assert [crate for crate in listed if crate.licence == "not stated" or "/" in crate.licence] == []
    assert not any(crate.name.startswith("polygon-edge") for crate in listed)


def test_an_installation_without_its_papers_says_so(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = tmp_path / "polygon_edge-1.dist-info"
    bare.mkdir()
    (bare / "METADATA").write_text("Metadata-Version: 2.1\nName: polygon-edge\nVersion: 1\nRequires-Dist: nowhere\n")

    def found(name: str) -> Distribution:
        return distribution(name) if name != "polygon-edge" else distribution_at(bare)

    monkeypatch.setattr(attributions, "distribution", found)
    ended = command("license")
    assert ended.exit_code == 0
    assert "this installation lacks its text" in ended.output
    assert "this installation lacks their bill of materials" in ended.output
    assert "This product uses" not in ended.output
    assert command("license", "--json").document == {"bsd_licenses": [], "licenses": []}


def distribution_at(folder: Path) -> Distribution:
    return PathDistribution(folder)


@pytest.mark.parametrize(
    ("metadata", "licence"),
    [
        ("License-Expression: BSD-3-Clause", "BSD-3-Clause"),
        ("License: MIT\nClassifier: License :: OSI Approved :: Apache Software License", "MIT"),
        ("License: a\n whole\n text\nClassifier: License :: OSI Approved :: MIT License", "MIT License"),
        ("Classifier: Topic :: Security", "not stated"),
    ],
)
def test_a_licence_is_found_wherever_a_package_states_it(metadata: str, licence: str, tmp_path: Path) -> None:
    (tmp_path / "METADATA").write_text(f"Metadata-Version: 2.1\nName: x\nVersion: 1\n{metadata}\n")
    assert attributions._licence(distribution_at(tmp_path)) == licence
    assert attributions._place(distribution_at(tmp_path)) == "pkg:pypi/x@1"


@pytest.mark.parametrize(
    ("entry", "licence"),
    [
        ({"expression": "MIT/Apache-2.0"}, "MIT OR Apache-2.0"),
        ({"expression": "Apache-2.0  OR  MIT"}, "Apache-2.0 OR MIT"),
        ({"license": {"id": "MIT"}}, "MIT"),
        ({"license": {"name": "Own"}}, "Own"),
        ({}, "not stated"),
    ],
)
def test_a_crates_licence_is_read_in_any_form_of_the_bill(entry: dict[str, object], licence: str) -> None:
    assert attributions._crate_licence(entry) == licence


def test_a_word_too_many_is_refused(command: Command) -> None:
    assert command("license", "word").exit_code == 1
