"""What this program is made of, and under which licences: read from the installation, not from a list of our own.

Python packages from their metadata; Rust crates from the bill of materials that the build leaves beside ours.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

OWN_NAME = "polygon-edge"
LICENCE_FILE = "licenses/LICENSE"
BILL_OF_MATERIALS = "sboms/polygon-edge-python.cyclonedx.json"
_REQUIREMENT_NAME = re.compile(r"[A-Za-z0-9._-]+")
_LICENCE_FILE_NAME = re.compile(r"(LICEN[CS]E|COPYING)", re.IGNORECASE)
_LICENCE_CLASSIFIER = "License :: OSI Approved :: "


@dataclass(frozen=True, slots=True)
class Attribution:
    """A part of the program: `licence` as an SPDX expression where there is one, `place` a path or a package URL."""

    name: str
    version: str
    licence: str
    place: str

    def document(self) -> dict[str, object]:
        """Return it under the keys of the Go client (§1.10)."""
        return {"name": self.name, "version": self.version, "type": self.licence, "path": self.place}


def licence_text() -> str | None:
    """Return this program's own licence, none when the installation lacks it."""
    return distribution(OWN_NAME).read_text(LICENCE_FILE)


def packages() -> list[Attribution]:
    """Return the installed Python packages that this program needs, directly or not, by name."""
    found: dict[str, Attribution] = {}
    open_names = list(_required(distribution(OWN_NAME)))
    while open_names:
        name = open_names.pop()
        if name in found:
            continue
        try:
            package = distribution(name)
        except PackageNotFoundError:
            # Needed on other systems or older interpreters only.
            continue
        found[name] = Attribution(package.name, package.version, _licence(package), _place(package))
        open_names += _required(package)
    return [found[name] for name in sorted(found)]


def crates() -> list[Attribution] | None:
    """Return the Rust crates that the core is built from, by name; none when the build left no bill of materials."""
    text = distribution(OWN_NAME).read_text(BILL_OF_MATERIALS)
    if text is None:
        return None
    components = [
        component
        for component in json.loads(text)["components"]
        if component["scope"] == "required" and not component["name"].startswith(OWN_NAME)
    ]
    found = [
        Attribution(
            component["name"],
            component["version"],
            " AND ".join(_crate_licence(entry) for entry in component.get("licenses", [])) or "not stated",
            f"pkg:cargo/{component['name']}@{component['version']}",
        )
        for component in components
    ]
    return sorted(found, key=lambda crate: (crate.name, crate.version))


def _required(package: Distribution) -> Iterator[str]:
    for requirement in package.requires or []:
        name, _, marker = requirement.partition(";")
        match = _REQUIREMENT_NAME.match(name.strip())
        if match and "extra" not in marker:
            yield re.sub(r"[-_.]+", "-", match[0]).lower()


def _licence(package: Distribution) -> str:
    metadata = package.metadata
    for stated in (*(metadata.get_all("License-Expression") or ()), *(metadata.get_all("License") or ())):
        # Some put the whole text there.
        if stated and "\n" not in stated:
            return str(stated)
    classifiers = metadata.get_all("Classifier") or []
    names = [name.removeprefix(_LICENCE_CLASSIFIER) for name in classifiers if name.startswith(_LICENCE_CLASSIFIER)]
    return " AND ".join(names) or "not stated"


def _place(package: Distribution) -> str:
    for file in package.files or []:
        if _LICENCE_FILE_NAME.match(file.name):
            return str(file)
    # A package URL names the package and not the host that it came from.
    return f"pkg:pypi/{package.name.lower()}@{package.version}"


def _crate_licence(entry: dict[str, object]) -> str:
    expression = entry.get("expression")
    if isinstance(expression, str):
        # Crates of old write a bar of their own for "or".
        return " ".join(expression.replace("/", " OR ").split())
    licence = entry.get("license")
    return str(licence.get("id") or licence.get("name")) if isinstance(licence, dict) else "not stated"
