"""The network under the crash tests: the one that the repository carries, or the one that the environment names."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.crash.network import CARRIED, NETWORK, Network, network
from tests.golden.recorded import read_bytes


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Network:
    folder = Path(os.environ.get(NETWORK) or CARRIED)
    archive = tmp_path_factory.mktemp("archive") / "full.dat"
    archive.write_bytes(read_bytes(folder / "full.dat"))
    return network(folder, archive)
