"""A one-validator chain of the tests' own making, and what the core says of blocks on it."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from eth_keys.datatypes import PrivateKey
from tests.oracle.twin import Account, Block, address_of, encode, integer, state_root

from polygon_edge import _core

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

G1_FORKS = ("homestead", "EIP150", "EIP155", "EIP158", "byzantium", "constantinople", "petersburg", "istanbul")
ALL_FORKS = dict.fromkeys(G1_FORKS, 0)
GAS_LIMIT = 1 << 40

VALIDATOR = PrivateKey(b"\x11" * 32)


@dataclass(frozen=True)
class TwinChain:
    """Its rules, and its genesis as the core and as the twin compute it."""

    rules: _core.Rules
    genesis: _core.Genesis
    accounts: Mapping[bytes, Account]

    @classmethod
    def start(
        cls,
        accounts: Mapping[bytes, Account],
        *,
        chain_id: int = 100,
        forks: Mapping[str, int] = ALL_FORKS,
        validators: Sequence[bytes] = (address_of(VALIDATOR),),
    ) -> TwinChain:
        rules = _core.Rules("G1", chain_id, dict(forks), 0)
        alloc = [
            (address, integer(account.balance), account.nonce, account.code, list(account.storage.items()))
            for address, account in accounts.items()
        ]
        genesis = genesis_of(rules, alloc, bytes(32) + encode([list(validators), b"", []]))
        return cls(rules, genesis, accounts)

    def next_block(self, **changes: Any) -> Block:
        """An empty block 1; `changes` are fields of `Block`."""
        block = Block(
            number=1,
            parent_hash=self.genesis.hash,
            state_root=state_root(self.accounts),
            gas_limit=GAS_LIMIT,
            validators=(address_of(VALIDATOR),),
        )
        return replace(block, **changes)

    def verdict(self, raw: bytes) -> _core.Violation | None:
        """The first header rule that block 1 breaks; nothing is executed."""
        run = _core.prepare(self.rules, [raw])
        parent = (0, self.genesis.hash, GAS_LIMIT)
        return run.verify(self.rules, 0, parent, [(0, [address_of(VALIDATOR)])])[1]

    @contextmanager
    def imported(self, raw: bytes) -> Iterator[tuple[_core.Chain, _core.Violation | None]]:
        """Verify, execute and commit block 1 in a new data directory."""
        with tempfile.TemporaryDirectory() as folder, _core.Chain.open(folder) as chain:
            chain.start(self.rules, self.genesis)
            run = _core.prepare(self.rules, [raw])
            sets = [(0, [address_of(VALIDATOR)])]
            held, violation = run.verify(self.rules, 0, chain.tip, sets)
            if held:
                executed = chain.execute(run, 0, held)
                chain.commit(executed)
                violation = executed.violation
            yield chain, violation


def genesis_of(
    rules: _core.Rules,
    alloc: Sequence[tuple[bytes, bytes | None, int, bytes, Sequence[tuple[bytes, bytes]]]],
    extra_data: bytes,
) -> _core.Genesis:
    """The core's genesis block of `alloc`, everything else as plain as it may be."""
    return _core.Genesis(
        rules,
        alloc,
        nonce=0,
        timestamp=0,
        extra_data=extra_data,
        gas_limit=GAS_LIMIT,
        difficulty=1,
        mix_hash=bytes(32),
        coinbase=bytes(20),
        number=0,
        gas_used=0,
        parent_hash=bytes(32),
    )
