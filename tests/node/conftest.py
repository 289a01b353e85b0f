"""A lone validator that has keys and a genesis file and was never started."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.node.chain import FreshChain, fresh_chain

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def unborn(tmp_path_factory: pytest.TempPathFactory) -> FreshChain:
    """The original, which no test starts."""
    return fresh_chain(tmp_path_factory.mktemp("unborn"))


@pytest.fixture
def newborn(unborn: FreshChain, tmp_path: Path) -> FreshChain:
    """A copy for one test."""
    return replace(unborn, data_dir=shutil.copytree(unborn.data_dir, tmp_path / "node"))
