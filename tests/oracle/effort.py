"""How many examples an oracle test draws."""

from __future__ import annotations

import os

from hypothesis import settings

EXAMPLES = int(os.environ.get("POLYGON_EDGE_EXAMPLES", "0"))


def examples(count: int) -> settings:
    """Draw `count` examples, or as many as POLYGON_EDGE_EXAMPLES says for a run by hand."""
    return settings(max_examples=EXAMPLES or count)
