"""A contract that a chain has from its genesis block on: from a compiler's artifact to an account of the alloc (§1.3).

The constructor is executed by the core; what it writes becomes the storage.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from polygon_edge import _core
from polygon_edge.chain.constructor_arguments import Argument, encode_arguments
from polygon_edge.chain.document import Value
from polygon_edge.chain.generation import Generation
from polygon_edge.chain.genesis import FORK_NAMES, GenesisAccount
from polygon_edge.chain.genesis_block import WITHOUT_EFFECT
from polygon_edge.errors import ArtifactError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from polygon_edge.chain.genesis import Genesis

LOWEST_ADDRESS = 0x1100
"""What lies below belongs to the client: precompiles, and contracts of its own."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """What a compiler says of a contract: parameters of its constructor, code that constructs it, code it then has."""

    inputs: tuple[Value, ...]
    bytecode: bytes
    deployed_bytecode: bytes


def parse_artifact(content: bytes, file: str) -> Artifact:
    """Read an artifact of Hardhat or Truffle; raises ArtifactError that names the key."""
    document = Value.parse(content, lambda path, expected, found: ArtifactError(_place(file, path), expected, found))
    found = {}
    for name in ("abi", "bytecode", "deployedBytecode"):
        value = document.entry(name)
        if value is None:
            raise document.refuse(f"key {name}", "nothing")
        found[name] = value
    constructors = [entry for entry in found["abi"].items() if _is_constructor(entry)]
    if len(constructors) > 1:
        raise found["abi"].refuse("one constructor at most", str(len(constructors)))
    inputs = constructors[0].field("inputs") if constructors else None
    return Artifact(
        tuple(inputs.items()) if inputs is not None else (),
        found["bytecode"].hex_bytes(),
        found["deployedBytecode"].hex_bytes(),
    )


def _place(file: str, path: str) -> str:
    return f"{file}: {path}" if path else file


def _is_constructor(entry: Value) -> bool:
    kind = entry.field("type")
    return kind is not None and kind.text() == "constructor"


def predeployed(genesis: Genesis, address: bytes, artifact: Artifact, arguments: Sequence[Argument]) -> GenesisAccount:
    """Return the account that the contract has at `address` after its constructor, in a chain that `genesis` starts.

    All forks of the generation count, whatever the file says, as in the Go client. Raises ArtifactError for arguments
    that do not fit, and for a constructor that fails.
    """
    code = artifact.bytecode + encode_arguments(artifact.inputs, arguments)
    forks = {name: 0 for name in FORK_NAMES[genesis.generation] if name not in WITHOUT_EFFECT}
    is_later = genesis.generation is Generation.G3
    # Its earlier releases run the constructor on a chain without an id.
    rules = _core.Rules(genesis.generation.name, genesis.params.chain_id if is_later else 0, forks, 0)
    try:
        made = _core.construct(rules, address, code)
    except _core.CallRefusedError as error:
        raise ArtifactError("EVM predeployment failed", "a constructor that ends", str(error)) from error
    if made.status != "success":
        raise ArtifactError("EVM predeployment failed", "a constructor that succeeds", made.status)
    return GenesisAccount(
        address=address,
        balance=made.balance,
        nonce=made.nonce,
        # Later releases take what the constructor returns, with the values of immutable variables in it.
        code=made.output if is_later else artifact.deployed_bytecode,
        storage=dict(made.storage),
    )
