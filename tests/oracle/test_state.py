"""Genesis states against the twin's tries."""

from __future__ import annotations

import random
import tempfile
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from tests.oracle.chain import GAS_LIMIT, TwinChain, genesis_of
from tests.oracle.effort import examples
from tests.oracle.twin import EMPTY_ROOT, Account, Block, integer, state_root

from polygon_edge import _core

ADDRESSES = st.binary(min_size=20, max_size=20)
WORDS = st.one_of(
    st.just(bytes(32)),
    st.integers(0, 255).map(lambda value: value.to_bytes(32, "big")),
    st.binary(min_size=32, max_size=32),
)
accounts = st.builds(
    Account,
    balance=st.one_of(st.just(0), st.integers(0, (1 << 256) - 1)),
    nonce=st.one_of(st.just(0), st.integers(0, (1 << 64) - 1)),
    code=st.one_of(st.just(b""), st.binary(max_size=100)),
    storage=st.dictionaries(WORDS, WORDS, max_size=20),
)


@examples(60)
@given(st.dictionaries(ADDRESSES, accounts, max_size=40))
def test_state_root_of_an_alloc(alloc: dict[bytes, Account]) -> None:
    assert TwinChain.start(alloc).genesis.state_root == state_root(alloc)


@examples(8)
@given(st.randoms(use_true_random=False), st.integers(100, 1_000))
def test_state_root_of_a_large_alloc(chance: random.Random, size: int) -> None:
    seeded = random.Random(chance.getrandbits(64))
    alloc = {
        seeded.randbytes(20): Account(
            balance=seeded.getrandbits(seeded.randrange(256)),
            storage={seeded.randbytes(32): seeded.randbytes(32) for _ in range(seeded.randrange(4))},
        )
        for _ in range(size)
    }
    assert TwinChain.start(alloc).genesis.state_root == state_root(alloc)


@examples(25)
@given(st.dictionaries(ADDRESSES, accounts, max_size=15), st.sets(ADDRESSES, max_size=3))
def test_what_was_written_is_read_again(alloc: dict[bytes, Account], absent: set[bytes]) -> None:
    chain = TwinChain.start(alloc)
    with tempfile.TemporaryDirectory() as folder, _core.Chain.open(folder) as opened:
        opened.start(chain.rules, chain.genesis)
        root = opened.state_root
        assert root == chain.genesis.state_root
        assert opened.count_accounts(root) == len(alloc)
        for address, account in alloc.items():
            found = opened.account(root, address)
            assert found is not None
            nonce, balance, storage_root, code_hash = found
            assert (nonce, balance, storage_root) == (account.nonce, account.balance, account.storage_root)
            assert opened.code(code_hash) == account.code or not account.code
            assert opened.count_slots(root, address) == sum(any(value) for value in account.storage.values())
            for slot, value in account.storage.items():
                assert opened.storage(root, address, slot) == value
        for address in absent - set(alloc):
            assert opened.account(root, address) is None


@examples(100)
@given(st.dictionaries(ADDRESSES, accounts, min_size=1, max_size=5), st.data())
def test_an_account_without_a_balance_key(alloc: dict[bytes, Account], data: st.DataObject) -> None:
    """An absent key sets nothing: an account of which nothing is set is not there, one of balance 0 is (§5.5)."""
    bare = data.draw(st.sampled_from(sorted(alloc)))
    alloc[bare] = replace(alloc[bare], balance=0, storage={})
    rules = _core.Rules("G1", 100, {}, 0)
    fields = [
        (
            address,
            None if address == bare else integer(account.balance),
            account.nonce,
            account.code,
            list(account.storage.items()),
        )
        for address, account in alloc.items()
    ]
    if not alloc[bare].nonce and not alloc[bare].code:
        del alloc[bare]
    genesis = genesis_of(rules, fields, bytes(32) + b"\xc3\xc0\x80\xc0")
    assert genesis.state_root == state_root(alloc)


@examples(50)
@given(st.dictionaries(ADDRESSES, accounts, max_size=3), st.lists(ADDRESSES, max_size=5).map(tuple))
def test_genesis_hash(alloc: dict[bytes, Account], validators: tuple[bytes, ...]) -> None:
    """Block 0 is hashed like any other block, with its own difficulty and constants (§5.5)."""
    chain = TwinChain.start(alloc, validators=validators)
    block = Block(
        number=0,
        parent_hash=bytes(32),
        state_root=state_root(alloc),
        gas_limit=GAS_LIMIT,
        validators=validators,
        transactions_root=EMPTY_ROOT,
        difficulty=1,
    )
    assert chain.genesis.hash == block.hash
