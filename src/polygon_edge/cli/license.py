"""`polygon-edge license` (§1.10): this program's licence, and what it is made of."""

from __future__ import annotations

import click

from polygon_edge.cli.attributions import Attribution, crates, licence_text, packages
from polygon_edge.cli.edge_command import StrictEdgeCommand
from polygon_edge.cli.output import block, show

NO_TEXT = "Apache License, Version 2.0: https://www.apache.org/licenses/LICENSE-2.0 (this installation lacks its text)"
NO_CRATES = (
    "   The Rust crates of the core are not listed: this installation lacks their bill of materials.\n"
    "   They are those of Cargo.lock in the source.\n"
)


@click.command("license", cls=StrictEdgeCommand)
def show_license() -> None:
    """Print the licence of this program and of what it is made of."""
    linked = crates()
    parts = packages() + (linked or [])
    paragraphs = [_paragraph(part) for part in parts]
    if linked is None:
        paragraphs.append(NO_CRATES)
    own = (licence_text() or NO_TEXT).strip("\n")
    text = block("LICENSE", "", own) + block("DEPENDENCY ATTRIBUTIONS", "", *paragraphs)
    document = {
        "bsd_licenses": [part.document() for part in parts if "BSD" in part.licence],
        "licenses": [part.document() for part in parts],
    }
    show(text, document)


def _paragraph(part: Attribution) -> str:
    return (
        f"   This product uses {part.name} {part.version},\n"
        f'   which is available under a "{part.licence}" license.\n'
        f"   For details, see {part.place}.\n"
    )
