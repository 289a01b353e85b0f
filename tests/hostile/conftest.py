"""One sealing node for all attacks; after each of them it must be what it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.hostile.attack import BLOCK_SECONDS, Target
from tests.node.chain import fresh_chain
from tests.node.running import RunningNode

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def sealing_target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A node that seals every second; at the end it must still do so, and stop in order."""
    chain = fresh_chain(tmp_path_factory.mktemp("hostile"))
    with RunningNode(chain.data_dir, chain.genesis, "--block-time", str(BLOCK_SECONDS)) as node:
        node.wait_for_height(1)
        target = Target(node, chain)
        yield target
        target.check_sealing()
        target.client.close()
        assert node.stop() == 0, node.messages[-4000:]


@pytest.fixture
def target(sealing_target: Target) -> Iterator[Target]:
    """The node under attack; checked when the attack is over."""
    yield sealing_target
    sealing_target.check_health()
