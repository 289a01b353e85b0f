"""Blocks built by the twin, sealed with our own key, against what the core makes of them."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import rlp
from eth_hash.auto import keccak
from eth_keys.datatypes import PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from tests.oracle.chain import ALL_FORKS, VALIDATOR, TwinChain
from tests.oracle.effort import examples
from tests.oracle.twin import (
    EMPTY_ROOT,
    ORDER,
    Account,
    Block,
    Log,
    Transaction,
    address_of,
    encode,
    integer,
    ordered_root,
    receipt,
    signature,
    state_root,
)

from polygon_edge import _core

EMPTY_CHAIN = TwinChain.start({})
U64 = st.integers(0, (1 << 64) - 1)
HASHES = st.binary(min_size=32, max_size=32)
SIGNATURES = st.integers(1, ORDER - 1)

keys = st.integers(1, ORDER - 1).map(lambda number: PrivateKey(number.to_bytes(32, "big")))
transactions = st.builds(
    Transaction,
    nonce=U64,
    gas_price=st.integers(0, (1 << 256) - 1),
    gas=U64,
    to=st.one_of(st.just(b""), st.binary(min_size=20, max_size=20)),
    value=st.integers(0, (1 << 256) - 1),
    input=st.binary(max_size=100),
)


@examples(60)
@given(st.lists(st.tuples(transactions, st.integers(0, 1 << 300), SIGNATURES, SIGNATURES), max_size=300))
def test_transactions_root(items: list[tuple[Transaction, int, int, int]]) -> None:
    encoded = tuple(transaction.signed(*signed) for transaction, *signed in items)
    root = ordered_root(encoded)
    block = EMPTY_CHAIN.next_block(transactions=encoded, transactions_root=root)
    violation = EMPTY_CHAIN.verdict(block.raw)
    assert violation is not None
    # The rule after the transactions root: the block is not sealed.
    assert violation.rule == "proposer seal"
    wrong = bytes((root[0] ^ 1,)) + root[1:]
    violation = EMPTY_CHAIN.verdict(EMPTY_CHAIN.next_block(transactions=encoded, transactions_root=wrong).raw)
    assert violation is not None
    assert (violation.rule, violation.expected) == ("transactions root", "0x" + root.hex())


@examples(200)
@given(
    st.builds(
        Block,
        number=U64,
        parent_hash=HASHES,
        state_root=HASHES,
        gas_limit=U64,
        validators=st.lists(st.binary(min_size=20, max_size=20), max_size=5).map(tuple),
        transactions_root=HASHES,
        receipts_root=HASHES,
        gas_used=U64,
        timestamp=U64,
        miner=st.binary(max_size=80),
        nonce=st.binary(min_size=8, max_size=8),
        mix_hash=HASHES,
        vanity=HASHES,
        proposer_seal=st.binary(max_size=65),
        committed_seals=st.lists(st.binary(max_size=65), max_size=5).map(tuple),
        parent_seals=st.lists(st.binary(max_size=65), max_size=5).map(tuple),
    )
)
def test_block_hash(block: Block) -> None:
    # Parent seals are not read below block 2, so they are not hashed either (§3.3).
    hashed = block.hash if block.number > 1 else replace(block, parent_seals=()).hash
    (summary,) = _core.summarise([block.raw], "ibft", "G1")
    assert not isinstance(summary, str)
    assert (summary.number, summary.hash, summary.parent_hash) == (block.number, hashed, block.parent_hash)
    assert (summary.state_root, summary.timestamp, summary.gas_used) == (
        block.state_root,
        block.timestamp,
        block.gas_used,
    )
    (plain,) = _core.summarise([block.raw], "plain", "G1")
    assert not isinstance(plain, str)
    assert plain.hash == keccak(encode(rlp.decode(block.raw)[0]))


class Form(NamedTuple):
    """One way to write down a valid signature: kind of v, multiple added to it, and whether s is turned to n - s."""

    is_protected: bool
    multiple: int
    is_turned: bool


forms = st.builds(Form, st.booleans(), st.integers(0, 1 << 260), st.booleans())


def signed_as(key: PrivateKey, transaction: Transaction, form: Form, chain_id: int, *, eip155: bool) -> bytes:
    """Sign so that v0.6.3 finds the sender, in the most unusual way that it accepts (§2.5)."""
    is_protected = form.is_protected and eip155
    r, s, parity = signature(key, transaction.digest(chain_id if is_protected else None))
    if form.is_turned:
        s, parity = ORDER - s, 1 - parity
    if is_protected:
        # Any v that is the right one modulo 256, unless its low 64 bits say 27 or 28.
        v = parity + 35 + 2 * chain_id + 256 * form.multiple
        if v % (1 << 64) in (27, 28):
            v += 256
    elif eip155:
        # "Unprotected" looks at the low 64 bits only.
        v = parity + 27 + (form.multiple << 64)
    else:
        v = parity + 27 + 256 * form.multiple
    return transaction.signed(v, r, s)


@examples(40)
@given(
    st.lists(st.tuples(keys, forms), min_size=1, max_size=12, unique_by=lambda item: item[0].to_bytes()),
    st.integers(0, (1 << 63) - 1),
    st.booleans(),
)
def test_senders(signers: list[tuple[PrivateKey, Form]], chain_id: int, eip155: bool) -> None:
    forks = {name: block for name, block in ALL_FORKS.items() if eip155 or name != "EIP155"}
    chain = TwinChain.start({}, chain_id=chain_id, forks=forks)
    encoded = tuple(signed_as(key, Transaction(), form, chain_id, eip155=eip155) for key, form in signers)
    senders = [address_of(key) for key, _ in signers]
    after = {sender: Account(nonce=1) for sender in senders}
    receipts = [receipt(True, 21_000 * (index + 1), ()) for index in range(len(signers))]
    block = chain.next_block(
        transactions=encoded,
        state_root=state_root(after),
        gas_used=21_000 * len(signers),
        receipts_root=ordered_root(receipts),
    ).sealed(VALIDATOR, [VALIDATOR])
    with chain.imported(block.raw) as (imported, violation):
        assert violation is None, (violation.rule, violation.what, violation.expected, violation.found)
        assert imported.head == (1, block.hash)
        body = imported.body(1)
        assert body is not None
        assert [stored[1] for stored in rlp.decode(body)[0]] == senders
        assert imported.state_root == block.state_root


def test_signatures_that_v0_6_3_refuses() -> None:
    key = PrivateKey(b"\x22" * 32)
    plain, chain_id = Transaction(), 100
    r, s, parity = signature(key, plain.digest(None))
    protected_r, protected_s, protected_parity = signature(key, plain.digest(chain_id))
    protected_v = protected_parity + 35 + 2 * chain_id
    refused = {
        "27 + 256 is protected": plain.signed(parity + 27 + 256, r, s),
        "v of no kind": plain.signed(29, r, s),
        "another chain's id": plain.signed(protected_v + 2, protected_r, protected_s),
        "r is zero": plain.signed(protected_v, 0, protected_s),
        "s is zero": plain.signed(protected_v, protected_r, 0),
        "r is the order": plain.signed(protected_v, ORDER, protected_s),
        "s is the order": plain.signed(protected_v, protected_r, ORDER),
        "s above the order": plain.signed(protected_v, protected_r, protected_s + ORDER),
        "s above 2^256": plain.signed(protected_v, protected_r, protected_s + (1 << 256)),
    }
    for why, raw in refused.items():
        block = EMPTY_CHAIN.next_block(
            transactions=(raw,),
            state_root=state_root({address_of(key): Account(nonce=1)}),
            gas_used=21_000,
            receipts_root=ordered_root([receipt(True, 21_000, ())]),
        ).sealed(VALIDATOR, [VALIDATOR])
        with EMPTY_CHAIN.imported(block.raw) as (imported, violation):
            assert violation is not None, why
            assert violation.rule == "execution", why
            assert imported.head == (0, EMPTY_CHAIN.genesis.hash), why


def logger_code(topics: tuple[bytes, ...]) -> bytes:
    """A program that logs its call data under `topics`."""
    copy = bytes.fromhex("366000600037")
    push = b"".join(b"\x7f" + topic for topic in reversed(topics))
    return copy + push + b"\x36\x60\x00" + bytes((0xA0 + len(topics),)) + b"\x00"


def logger_gas(topics: int, data: bytes) -> int:
    """Gas of a transaction that calls the program above, under Istanbul (§6.2, §6.5)."""
    words = (len(data) + 31) // 32
    call_data = sum(16 if byte else 4 for byte in data)
    copy = 2 + 3 + 3 + 3 + 3 * words + 3 * words + words * words // 512
    log = 3 * topics + 2 + 3 + 375 + 375 * topics + 8 * len(data)
    return 21_000 + call_data + copy + log


@examples(30)
@given(
    st.lists(
        st.tuples(keys, st.lists(HASHES, max_size=4).map(tuple), st.binary(max_size=200)),
        max_size=20,
        unique_by=lambda item: item[0].to_bytes(),
    )
)
def test_receipts_root_with_logs(calls: list[tuple[PrivateKey, tuple[bytes, ...], bytes]]) -> None:
    programs = {keccak(b"".join(topics))[:20]: Account(code=logger_code(topics), nonce=1) for _, topics, _ in calls}
    chain = TwinChain.start(programs)
    after, encoded, receipts, gas_used = dict(programs), [], [], 0
    for key, topics, data in calls:
        address = keccak(b"".join(topics))[:20]
        transaction = Transaction(to=address, gas=1_000_000, input=data)
        r, s, parity = signature(key, transaction.digest(100))
        encoded.append(transaction.signed(parity + 235, r, s))
        gas_used += logger_gas(len(topics), data)
        receipts.append(receipt(True, gas_used, [Log(address, topics, data)]))
        after[address_of(key)] = Account(nonce=1)
    block = chain.next_block(
        transactions=tuple(encoded),
        state_root=state_root(after),
        gas_used=gas_used,
        receipts_root=ordered_root(receipts) if receipts else EMPTY_ROOT,
    ).sealed(VALIDATOR, [VALIDATOR])
    with chain.imported(block.raw) as (imported, violation):
        assert violation is None, (violation.rule, violation.what, violation.expected, violation.found)
        stored = imported.receipts(1)
        assert stored is not None
        for (consensus, _, _, transaction_hash), expected, raw in zip(
            rlp.decode(stored), receipts, encoded, strict=True
        ):
            assert encode(consensus) == expected
            assert transaction_hash == keccak(raw)


def test_a_wrong_root_is_named() -> None:
    for field, value in (("state_root", EMPTY_ROOT), ("receipts_root", bytes(32)), ("gas_used", 21_001)):
        key = PrivateKey(b"\x33" * 32)
        r, s, parity = signature(key, Transaction().digest(100))
        right = {
            "transactions": (Transaction().signed(parity + 235, r, s),),
            "state_root": state_root({address_of(key): Account(nonce=1)}),
            "gas_used": 21_000,
            "receipts_root": ordered_root([receipt(True, 21_000, ())]),
        }
        block = EMPTY_CHAIN.next_block(**{**right, field: value}).sealed(VALIDATOR, [VALIDATOR])
        with EMPTY_CHAIN.imported(block.raw) as (imported, violation):
            assert violation is not None
            assert violation.rule == "execution"
            shown = ["0x" + it.hex() if isinstance(it, bytes) else str(it) for it in (right[field], value)]
            assert [violation.expected, violation.found] == shown, field
            assert imported.head == (0, EMPTY_CHAIN.genesis.hash)


def test_integers_are_minimal_in_the_twin() -> None:
    assert [integer(value) for value in (0, 1, 255, 256)] == [b"", b"\x01", b"\xff", b"\x01\x00"]
