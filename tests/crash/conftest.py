"""What the crash tests kill: a restore of a recorded network, which the environment may name, and a newborn node."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.crash.network import CARRIED, NETWORK, Network, network
from tests.golden.recorded import read_bytes
from tests.node.chain import FreshChain, fresh_chain


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Network:
    folder = Path(os.environ.get(NETWORK) or CARRIED)
    archive = tmp_path_factory.mktemp("archive") / "full.dat"
    archive.write_bytes(read_bytes(folder / "full.dat"))
    return network(folder, archive)


@pytest.fixture(scope="session")
def newborn(tmp_path_factory: pytest.TempPathFactory) -> FreshChain:
    """Keys and a genesis file of a lone validator that was never started."""
    return fresh_chain(tmp_path_factory.mktemp("newborn"))
