"""Block 0 as the core computes it, from what the genesis file says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from polygon_edge import _core
from polygon_edge.chain.access_lists import BALANCE
from polygon_edge.chain.genesis import GenesisAccount
from polygon_edge.chain.schedule import stake_heights, validator_types
from polygon_edge.chain.staking import STAKING_ADDRESS, staking_contract
from polygon_edge.errors import GenesisError

if TYPE_CHECKING:
    from polygon_edge.chain.genesis import Genesis
    from polygon_edge.chain.rules import Rules

WITHOUT_EFFECT = frozenset({"quorumcalcalignment"})
"""Forks that change nothing on chains of IBFT (§5.4)."""


def core_rules(rules: Rules) -> _core.Rules:
    """Hand the rules down to the core."""
    settings: dict[str, Any] = {
        "engine": "ibft" if rules.has_validators else "plain",
        "validator_types": validator_types(rules.schedule),
        "stake": stake_heights(rules.schedule),
        "deployments": _deployments(rules),
        "burn_contracts": rules.burn_contracts,
        "access_lists": rules.access_lists,
    }
    defaults = {"engine": "ibft", "validator_types": ((0, "ecdsa"),), "stake": ((0, False),)}
    different = {name: value for name, value in settings.items() if value != defaults.get(name, ())}
    forks = {name: first for name, first in rules.forks.items() if name not in WITHOUT_EFFECT}
    return _core.Rules(rules.generation.name, rules.chain_id, forks, rules.quorum_size_block, **different)


def _deployments(rules: Rules) -> tuple[tuple[int, bytes, bytes, tuple[tuple[bytes, bytes], ...], bytes], ...]:
    found = []
    for number, entry in sorted(rules.deployments.items()):
        contract = staking_contract(entry.validators or (), entry.least_validators, entry.most_validators)
        storage = tuple(contract.storage.items())
        found.append((number, STAKING_ADDRESS, contract.code, storage, _big_endian(contract.balance)))
    return tuple(found)


def genesis_block(rules: Rules, genesis: Genesis) -> _core.Genesis:
    """Compute header, hash and state of block 0 (§5.5); raises GenesisError for extra data that is not IBFT's."""
    alloc = [
        (
            account.address,
            None if account.balance is None else _big_endian(account.balance),
            account.nonce,
            account.code,
            list(account.storage.items()),
        )
        for account in _accounts(genesis)
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


def _accounts(genesis: Genesis) -> list[GenesisAccount]:
    """The alloc, with what access lists add to it: roles in storage, and a balance in place of any other (§5.5)."""
    accounts = {account.address: account for account in genesis.alloc}
    for access_list in genesis.params.access_lists:
        if not access_list.roles:
            continue
        address = access_list.kind.address
        given = accounts.get(address) or GenesisAccount(address, None, 0, b"", {})
        roles = {member.rjust(32, b"\0"): role.to_bytes(32, "big") for member, role in access_list.roles.items()}
        accounts[address] = GenesisAccount(address, BALANCE, given.nonce, given.code, {**given.storage, **roles})
    return list(accounts.values())


def _big_endian(value: int) -> bytes:
    return value.to_bytes((value.bit_length() + 7) // 8, "big")
