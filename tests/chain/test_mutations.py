"""Damaged real genesis files: a chain that can be computed, or GenesisError."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from tests.mutator import damaged_bytes, damaged_document, generator, mutations, report

from polygon_edge.chain.block import ExtraDataError, listed_validators
from polygon_edge.chain.genesis import parse_genesis
from polygon_edge.chain.genesis_block import core_rules, genesis_block
from polygon_edge.chain.rules import initial_validators, rules_of
from polygon_edge.errors import GenesisError

DATA = Path(__file__).parent.parent / "data"


def test_damaged_genesis_files_start_a_chain_or_are_refused() -> None:
    documents = [
        json.loads((DATA / network / "genesis.json").read_bytes())
        for network in ("v0.6.3/poa-ecdsa", "v0.6.3/poa-ecdsa", "v0.6.3/poa-ecdsa", "quirks/v0.6.3/all-fuzz")
    ]
    ends: Counter[str] = Counter()
    for number in range(mutations(4_000)):
        chance = generator(number)
        text = damaged_document(chance, chance.choice(documents))
        try:
            genesis = parse_genesis(text)
            rules = rules_of(genesis)
            core_rules(rules)
            validators = initial_validators(genesis)
            block = genesis_block(rules, genesis)
        except GenesisError as error:
            ends[type(error).__name__] += 1
            # A message is for a terminal, however long or strange the value was.
            str(error).encode("utf-8", "backslashreplace")
            continue
        ends["a chain"] += 1
        assert validators
        assert len(block.hash) == len(block.state_root) == 32
    report(ends)
    assert min(ends[end] for end in ("a chain", "GenesisError", "UnsupportedGenesisError")) > 0


def test_damaged_extra_data_lists_validators_or_is_refused() -> None:
    genesis = json.loads((DATA / "v0.6.3/poa-ecdsa/genesis.json").read_bytes())["genesis"]
    extra_data = bytes.fromhex(genesis["extraData"].removeprefix("0x"))
    listed = 0
    count = mutations(10_000)
    for number in range(count):
        content = damaged_bytes(generator(number), extra_data, [extra_data])
        try:
            validators = listed_validators(content)
        except ExtraDataError:
            continue
        listed += 1
        assert all(len(address) == 20 for address in validators)
    assert 0 < listed < count
