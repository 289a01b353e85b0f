"""The import contracts of pyproject.toml do refuse: each is shown a package that breaks it and one that does not."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT_FILE = Path(__file__).resolve().parent.parent / "pyproject.toml"
LINTER = Path(sys.executable).parent / "lint-imports"

LAYERS = "Layers: a module imports only what stands below it"
ARCHIVE = "Archive: can be checked on a machine with no database"
STORE = "Store: knows nothing of archives"

# What each module of a lawful package imports: always from below.
LAWFUL = {
    "errors": "",
    "disk": "from polygon_edge import errors",
    "observe": "from polygon_edge import errors",
    "chain": "from polygon_edge import errors, observe",
    "source": "from polygon_edge import chain",
    "store": "from polygon_edge import chain, disk, source",
    "consensus": "from polygon_edge import store",
    "archive": "from polygon_edge import disk, errors, source",
    "execution": "from polygon_edge import consensus, store",
    "restore": "from polygon_edge import archive, execution",
    "cli": "from polygon_edge import restore",
}


def lint(folder: Path, modules: dict[str, str]) -> subprocess.CompletedProcess[str]:
    package = folder / "polygon_edge"
    package.mkdir()
    (package / "__init__.py").touch()
    for name, content in modules.items():
        (package / f"{name}.py").write_text(content + "\n")
    shutil.copy(PROJECT_FILE, folder / "pyproject.toml")
    # The folder comes before the installed package, whose place the made-up one takes.
    environment = os.environ | {"PYTHONPATH": str(folder), "NO_COLOR": "1", "COLUMNS": "200"}
    return subprocess.run(
        [LINTER, "--no-cache"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def verdicts(output: str) -> dict[str, str]:
    """The linter's word on each contract: KEPT or BROKEN."""
    return {
        name: line.removeprefix(name).split()[0]
        for line in output.splitlines()
        for name in (LAYERS, ARCHIVE, STORE)
        if line.startswith(name) and line != name
    }


def test_a_lawful_package_keeps_all_contracts(tmp_path: Path) -> None:
    result = lint(tmp_path, LAWFUL)
    assert verdicts(result.stdout) == {LAYERS: "KEPT", ARCHIVE: "KEPT", STORE: "KEPT"}, result.stdout + result.stderr
    assert result.returncode == 0


@pytest.mark.parametrize(
    ("module", "wrong_import", "broken"),
    [
        # Through ground everything reaches everything, so the narrower contracts fall with it.
        pytest.param("errors", "cli", {LAYERS, ARCHIVE, STORE}, id="ground imports the top"),
        pytest.param("chain", "store", {LAYERS, ARCHIVE}, id="chain imports a database"),
        pytest.param("disk", "observe", {LAYERS}, id="ground imports its sibling"),
        pytest.param("execution", "archive", {LAYERS}, id="skill imports its sibling"),
        pytest.param("archive", "store", {ARCHIVE}, id="archive imports the database"),
        pytest.param("archive", "consensus", {ARCHIVE}, id="archive imports consensus"),
        pytest.param("store", "archive", {LAYERS, STORE}, id="database imports archives"),
    ],
)
def test_a_wrong_import_is_refused_by_name(tmp_path: Path, module: str, wrong_import: str, broken: set[str]) -> None:
    lawful = LAWFUL | ({"archive": ""} if module == "store" else {})
    result = lint(tmp_path, lawful | {module: f"{lawful[module]}\nfrom polygon_edge import {wrong_import}"})
    found = {name for name, verdict in verdicts(result.stdout).items() if verdict == "BROKEN"}
    assert found == broken, result.stdout + result.stderr
    assert result.returncode != 0


def test_a_new_room_must_be_entered_into_the_contract(tmp_path: Path) -> None:
    result = lint(tmp_path, LAWFUL | {"helpers": ""})
    assert verdicts(result.stdout)[LAYERS] == "BROKEN", result.stdout + result.stderr
    assert result.returncode != 0
