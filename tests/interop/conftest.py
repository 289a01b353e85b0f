"""The binaries of the Go client that the environment names; without them the tests are skipped and say so."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.interop.go_node import BINARY


def named_binary(variable: str) -> str:
    """The path that the environment gives; skips the test where it gives none."""
    binary = os.environ.get(variable)
    if not binary:
        pytest.skip(f"no binary of the Go client: set {variable}")
    assert Path(binary).is_file(), f"{variable} names no file"
    return binary


@pytest.fixture(scope="module")
def go_client() -> str:
    """The Go client of version 0.6.3."""
    return named_binary(BINARY)
