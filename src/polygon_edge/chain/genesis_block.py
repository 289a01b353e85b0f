"""The genesis block and the rules as the Rust core takes them, made from what the genesis file says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polygon_edge import _core
from polygon_edge.errors import GenesisError

if TYPE_CHECKING:
    from polygon_edge.chain.genesis import Genesis
    from polygon_edge.chain.rules import Rules


def core_rules(rules: Rules) -> _core.Rules:
    """Hand the rules down to the core."""
    return _core.Rules(rules.generation.name, rules.chain_id, dict(rules.forks), rules.quorum_size_block)


def genesis_block(rules: Rules, genesis: Genesis) -> _core.Genesis:
    """Compute header, hash and state of block 0 (§5.5); raises GenesisError for extra data that is not IBFT's."""
    alloc = [
        (
            account.address,
            None
            if account.balance is None
            else account.balance.to_bytes((account.balance.bit_length() + 7) // 8, "big"),
            account.nonce,
            account.code,
            list(account.storage.items()),
        )
        for account in genesis.alloc
    ]
    try:
        return _core.Genesis(
            core_rules(rules),
            alloc,
            nonce=int.from_bytes(genesis.nonce, "big"),
            timestamp=genesis.timestamp,
            extra_data=genesis.extra_data,
            gas_limit=genesis.gas_limit,
            difficulty=genesis.difficulty,
            mix_hash=genesis.mix_hash,
            coinbase=genesis.coinbase,
            number=genesis.number,
            gas_used=genesis.gas_used,
            parent_hash=genesis.parent_hash,
            base_fee=genesis.base_fee,
        )
    except (ValueError, OverflowError) as error:
        raise GenesisError(genesis.file, "genesis", "a genesis block that can be computed", str(error)) from error
