"""Small worlds of random programs, as plain data: rules, accounts, blocks of transactions, messages for the end."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from eth_keys.datatypes import PrivateKey
from tests.oracle.chain import G1_FORKS
from tests.oracle.edge_block import Call
from tests.oracle.edge_chain import genesis_account
from tests.oracle.edge_precompiles import NATIVE_TOKEN
from tests.oracle.edge_rules import LISTS, EdgeRules
from tests.oracle.programs import Surroundings, init_code, program
from tests.oracle.scenes import scenes

from polygon_edge import _core

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.oracle.edge_state import Account

CHAIN_ID = 100
BURN_CONTRACT = b"\xb0" * 20
SEALER = _core.EcdsaKey(b"\x11" * 32)
KEYS = [PrivateKey(bytes((number,)) * 32) for number in range(0x21, 0x27)]
SENDERS = {key.public_key.to_canonical_address(): key for key in KEYS}
LONDON = ("london", "londonfix", "txHashWithType")


@dataclass(frozen=True)
class World:
    """What is played; nonces of transactions are the ones that are right, plus those given."""

    name: str
    rules: EdgeRules
    accounts: Mapping[bytes, Account]
    blocks: Sequence[Sequence[Call]]
    messages: Sequence[Call] = ()
    programs: int = 0
    """How many random programs are in it, each run by a transaction of its own at least."""

    def __str__(self) -> str:
        """Everything that repeats it."""
        rules = self.rules
        lines = [f"world {self.name}: {rules.generation}, flags {sorted(rules.flags)}, lists {sorted(rules.lists)}"]
        for address, account in sorted(self.accounts.items()):
            storage = {hex(slot): hex(value) for slot, value in account.storage.items()}
            lines.append(
                f"  0x{address.hex()}: balance {account.balance}, nonce {account.nonce}, storage {storage}, "
                f"code 0x{account.code.hex()}"
            )
        for number, calls in enumerate(self.blocks, 1):
            lines += [f"  block {number}: {call}" for call in calls]
        lines += [f"  message: {call}" for call in self.messages]
        return "\n".join(lines)


def random_rules(chance: random.Random) -> EdgeRules:
    """Half of the worlds have the flags of a real history, the others any."""
    generation = chance.choice(("G1", "G1", "G1", "G2", "G3", "G3"))
    flags = set(G1_FORKS)
    kind = chance.random()
    if kind < 0.15:
        flags = set(G1_FORKS[: chance.randrange(len(G1_FORKS) + 1)])
    elif kind < 0.5:
        flags = {flag for flag in G1_FORKS if chance.random() < 0.75}
    lists: set[str] = set()
    if generation == "G3":
        if chance.random() < 0.6:
            flags |= set(LONDON[: chance.randrange(1, 4)])
        elif chance.random() < 0.2:
            flags |= {flag for flag in LONDON if chance.random() < 0.5}
        if chance.random() < 0.4:
            lists = {name for name in LISTS if chance.random() < 0.35}
    return EdgeRules(generation, frozenset(flags), CHAIN_ID, frozenset(lists))


def random_world(seed: str) -> World:
    """The world of `seed`."""
    chance = random.Random(seed)
    rules = random_rules(chance)
    contracts = [(0xC0DE0000 + index).to_bytes(20, "big") for index in range(chance.choice((12, 20, 28)))]
    if rules.generation != "G1":
        contracts[0] = NATIVE_TOKEN
    others = [
        *SENDERS,
        SEALER.address,
        BURN_CONTRACT,
        b"\xee" * 20,
        *(bytes((0xA0 + index,)) * 20 for index in range(3)),
    ]
    around = Surroundings(rules, contracts, others)
    accounts = {address: genesis_account(1 << 70) for address in SENDERS}
    for address in contracts:
        accounts[address] = genesis_account(
            balance=chance.choice((0, 0, 1, 1000, 1 << 60)),
            nonce=chance.choice((0, 1, 1, (1 << 64) - 1 if chance.random() < 0.05 else 1)),
            code=program(chance, around),
            storage={slot: chance.choice((1, 2, 1 << 255)) for slot in range(4) if chance.random() < 0.4},
        )
    # An empty account of block 0 is there until it is touched.
    accounts[b"\xee" * 20] = genesis_account()
    accounts[b"\xa0" * 20] = genesis_account(balance=7)
    accounts[b"\xa1" * 20] = genesis_account(storage={0: 5})
    for precompile in range(1, 10):
        if chance.random() < 0.2:
            accounts[precompile.to_bytes(20, "big")] = genesis_account(balance=chance.choice((0, 1)))
    for name in rules.lists:
        roles = {
            int.from_bytes(who, "big"): chance.choice((1, 2))
            for who in (*SENDERS, *contracts)
            if chance.random() < (0.8 if "allow" in name else 0.15)
        }
        accounts[LISTS[name]] = genesis_account(balance=1, storage=roles)
    targets = [*contracts, *contracts]
    chance.shuffle(targets)
    groups = [[random_call(chance, rules, around, target)] for target in targets]
    groups += [[random_call(chance, rules, around, None)] for _ in range(len(contracts) // 2)]
    groups += [[random_call(chance, rules, around, chance.choice(others))] for _ in range(2)]
    groups += scenes(chance, list(SENDERS), contracts, accounts)
    chance.shuffle(groups)
    size = len(groups) // 3 + 1
    blocks = [
        [call for group in groups[start : start + size] for call in group] for start in range(0, len(groups), size)
    ]
    messages = [
        replace(random_call(chance, rules, around, target), gas_price=0, tip=None, cap=None)
        for target in chance.sample(contracts, 4)
    ]
    return World(seed, rules, accounts, blocks, messages, programs=len(contracts) + len(contracts) // 2)


def random_call(chance: random.Random, rules: EdgeRules, around: Surroundings, to: bytes | None) -> Call:
    """A transaction to `to`; its nonce is how far it is off."""
    data = chance.choice((b"", chance.randbytes(chance.randrange(100)), chance.randbytes(4) + bytes(64), bytes(33)))
    if to is None:
        data = init_code(chance, around)
    fees: dict[str, int] = {"gas_price": chance.choice((0, 0, 1, 1, 7, 1_000_000_000))}
    if "london" in rules and rules.generation == "G3" and chance.random() < 0.4:
        tip = chance.choice((0, 1, 5))
        fees = {"tip": tip, "cap": max(0, tip + chance.choice((0, 0, 3, -1 if chance.random() < 0.1 else 1)))}
    return Call(
        sender=chance.choice(list(SENDERS)),
        to=to,
        nonce=chance.choice((1, -1)) if chance.random() < 0.01 else 0,
        gas=chance.choice((21_000, 40_000, 60_000, 100_000, 100_000, 200_000, 400_000, 400_000, 1_000_000)),
        value=chance.choice((0, 0, 0, 0, 1, 1000, 1 << 60, 1 << 80 if chance.random() < 0.2 else 2)),
        input=data,
        **fees,
    )
