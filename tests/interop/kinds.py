"""The kinds of chains that one node makes alone, and how each is made: with the genesis file of its own client."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, NamedTuple

from tests.interop.go_node import BINARY, BINARY_132
from tests.node.chain import FreshChain, fresh_chain, fresh_keys, grow, load_flags, receipt

if TYPE_CHECKING:
    from pathlib import Path

    from tests.node.chain import GrowingNode

EPOCH_BLOCKS = 5
LEAST_BLOCKS = 2 * EPOCH_BLOCKS + 2
"""Two ends of epochs, and what comes after them."""

BURNER = "0x" + "b1" * 20


class Kind(NamedTuple):
    """A generation, named by the binary of the Go client that makes it, and who validates; nobody on a `dev` chain."""

    name: str
    binary: str
    validator_type: str
    is_pos: bool = False
    has_london: bool = False

    @property
    def is_sealed(self) -> bool:
        """Whether a block needs the seal of a key."""
        return self.validator_type != ""

    @property
    def flags(self) -> tuple[str, ...]:
        """The flags of `server` for a block a second; v1.3.2 has the block time in the genesis file."""
        if not self.is_sealed:
            return ("--dev",)
        return ("--block-time", "1") if self.binary == BINARY else ()

    @property
    def quiet_flags(self) -> tuple[str, ...]:
        """The flags of `server` for a node that makes no block, on a sealed chain because it has another key."""
        return self.flags if self.is_sealed else ("--dev", "--dev-interval", "3600")


KINDS = (
    Kind("v0.6.3 PoA ECDSA", BINARY, "ecdsa"),
    Kind("v0.6.3 PoA BLS", BINARY, "bls"),
    Kind("v0.6.3 PoS ECDSA", BINARY, "ecdsa", is_pos=True),
    Kind("v0.6.3 PoS BLS", BINARY, "bls", is_pos=True),
    Kind("v0.6.3 dev", BINARY, ""),
    Kind("v1.3.2 PoA ECDSA", BINARY_132, "ecdsa"),
    Kind("v1.3.2 PoA ECDSA london", BINARY_132, "ecdsa", has_london=True),
    Kind("v1.3.2 PoA BLS", BINARY_132, "bls"),
    Kind("v1.3.2 PoS ECDSA", BINARY_132, "ecdsa", is_pos=True),
    Kind("v1.3.2 PoS BLS", BINARY_132, "bls", is_pos=True),
)


def new_chain(kind: Kind, go_client: str, folder: Path) -> FreshChain:
    """Keys of ours and a genesis file, with short epochs; of ours for v0.6.3 and of the Go client for v1.3.2."""
    if not kind.is_sealed:
        return fresh_chain(folder, "--consensus", "dev")
    pos = ("--pos",) if kind.is_pos else ()
    flags = ("--epoch-size", str(EPOCH_BLOCKS), *pos)
    if kind.binary == BINARY:
        return fresh_chain(folder, *flags, validator_type=kind.validator_type)
    keys = fresh_keys(folder / "node")
    genesis = folder / "genesis.json"
    london = ("--burn-contract", f"0:{BURNER}:{BURNER}") if kind.has_london else ()
    words = [
        *(go_client, "genesis", "--consensus", "ibft", "--dir", str(genesis), "--block-time", "1s"),
        *("--ibft-validator-type", kind.validator_type),
        *("--validators-path", f"{folder}/", "--validators-prefix", "node"),
        *(*load_flags(keys), *flags, *london),
    ]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert genesis.exists(), done.stdout + done.stderr
    assert ("london" in json.loads(genesis.read_text())["params"]["forks"]) is kind.has_london
    return FreshChain(folder / "node", genesis, keys["address"], keys["node_id"])


def grow_past_epochs(kind: Kind, node: GrowingNode) -> None:
    """Send transactions of several kinds in waves, until two epochs have ended."""
    load = grow(node, dynamic_fees=kind.has_london)
    while int(node.rpc("eth_blockNumber"), 16) < LEAST_BLOCKS:
        load.wave(1)
        node.wait_for("the last transaction", lambda: receipt(node, load.hashes[-1]) is not None)
