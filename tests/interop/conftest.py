"""The binary of the Go client that the environment names; without it the tests are skipped and say so."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.interop.go_node import BINARY


@pytest.fixture(scope="module")
def go_client() -> str:
    binary = os.environ.get(BINARY)
    if not binary:
        pytest.skip(f"no binary of the Go client: set {BINARY}")
    assert Path(binary).is_file(), f"{BINARY} names no file"
    return binary
