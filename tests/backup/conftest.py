"""A recorded chain that grows, and the file its backup is to become."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.operator.serving import GrowingChain

if TYPE_CHECKING:
    from pathlib import Path

    from tests.golden.recorded import Network


@pytest.fixture(scope="module")
def records(poa: Network, tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    return list(GrowingChain.of(poa.archive("full.dat", tmp_path_factory.mktemp("archive"))).records)


@pytest.fixture
def chain(records: list[bytes]) -> GrowingChain:
    return GrowingChain(records, 150)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out.dat"
