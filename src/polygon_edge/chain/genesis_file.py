"""Writes a genesis file for a new chain of v0.6.x, byte for byte as the Go client's `genesis` does (§1.3).

Reading any genesis file is `genesis`'s. What this cannot build, such as a predeployed contract other than that of the
stakes, has no place in `NewChain`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from polygon_edge.chain import rlp
from polygon_edge.chain.address import ADDRESS_SIZE, checksum_address
from polygon_edge.chain.block import VANITY_SIZE
from polygon_edge.chain.genesis import G1_FORK_NAMES, parse_genesis
from polygon_edge.chain.json_text import json_text
from polygon_edge.chain.staking import STAKING_ADDRESS, staking_contract

if TYPE_CHECKING:
    from collections.abc import Mapping

BLS_PUBLIC_KEY_SIZE = 48
INDENT = 4
_DIFFICULTY = 1
_GAS_USED = 0x70000


@dataclass(frozen=True, slots=True)
class Validator:
    """A validator of the genesis block: 20-byte address, and 48-byte BLS public key on a chain of BLS seals."""

    address: bytes
    bls_public_key: bytes | None = None


@dataclass(frozen=True, slots=True)
class Ibft:
    """The engine of a chain of IBFT: `validator_type` is `ecdsa` or `bls`, validators are in set order.

    `validator_counts` are the least and the most validators of a chain of proof of stake, in whose staking contract the
    validators have staked from the start; None on a chain of proof of authority.
    """

    validator_type: str
    validators: tuple[Validator, ...]
    epoch_size: int
    validator_counts: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class NewChain:
    """What a new chain starts from.

    `engine` is the IBFT engine, or the name of one without settings (`dev`, `dummy`). `premine` maps 20-byte addresses
    to balances in wei.
    """

    name: str
    chain_id: int
    engine: Ibft | str
    gas_limit: int
    premine: Mapping[bytes, int]
    bootnodes: tuple[str, ...]


def genesis_text(chain: NewChain) -> bytes:
    """Return the content of the genesis file.

    Raises GenesisError for values that no genesis file can hold.
    """
    content = json_text(_document(chain), INDENT).encode()
    # Nothing is handed out that could not be read again.
    parse_genesis(content, chain.name)
    return content


def extra_data(engine: Ibft) -> bytes:
    """Return the extra data of block 0: an empty vanity, the validators, and seals that are empty (§3.3)."""
    is_bls = engine.validator_type == "bls"
    validators: list[rlp.Item] = [
        [validator.address, validator.bls_public_key or b""] if is_bls else validator.address
        for validator in engine.validators
    ]
    # Committed seals of BLS are a bit map and one signature, those of ECDSA a list.
    no_seals: rlp.Item = [b"", b""] if is_bls else []
    return bytes(VANITY_SIZE) + rlp.encode([validators, b"", no_seals])


def _document(chain: NewChain) -> dict[str, object]:
    match chain.engine:
        case Ibft() as ibft:
            extra = extra_data(ibft)
            # Go sorts the keys of what it holds as a map, and this is one.
            kind = "PoA" if ibft.validator_counts is None else "PoS"
            settings = {"epochSize": ibft.epoch_size, "type": kind, "validator_type": ibft.validator_type}
            engine: dict[str, object] = {"ibft": settings}
        case name:
            extra = b""
            engine = {name: {}}
    alloc: dict[str, dict[str, object]] = {
        checksum_address(address): {"balance": hex(balance)} for address, balance in chain.premine.items()
    }
    if isinstance(chain.engine, Ibft) and chain.engine.validator_counts is not None:
        # After the premine, as in Go: a balance for the contract's address is lost.
        alloc[checksum_address(STAKING_ADDRESS)] = _staking_account(chain.engine, chain.engine.validator_counts)
    return {
        "name": chain.name,
        "genesis": {
            "nonce": "0x" + bytes(8).hex(),
            "timestamp": hex(0),
            "extraData": "0x" + extra.hex(),
            "gasLimit": hex(chain.gas_limit),
            "difficulty": hex(_DIFFICULTY),
            "mixHash": "0x" + bytes(32).hex(),
            "coinbase": checksum_address(bytes(ADDRESS_SIZE)),
            "alloc": {address: alloc[address] for address in sorted(alloc)},
            "number": hex(0),
            "gasUsed": hex(_GAS_USED),
            "parentHash": "0x" + bytes(32).hex(),
        },
        "params": {
            "forks": dict.fromkeys(G1_FORK_NAMES, 0),
            "chainID": chain.chain_id,
            "engine": engine,
            "blockGasTarget": 0,
        },
        "bootnodes": list(chain.bootnodes),
    }


def _staking_account(engine: Ibft, counts: tuple[int, int]) -> dict[str, object]:
    members = [validator.address + (validator.bls_public_key or b"") for validator in engine.validators]
    contract = staking_contract(members, *counts)
    return {
        "code": "0x" + contract.code.hex(),
        "storage": {"0x" + slot.hex(): "0x" + contract.storage[slot].hex() for slot in sorted(contract.storage)},
        "balance": hex(contract.balance),
    }
