"""Stored records and submitted transactions decode to what other libraries find in them; nonsense is a ValueError."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
import rlp
from eth_hash.auto import keccak
from eth_keys.datatypes import PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from polygon_edge import _core

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.golden.recorded import Network

FORKS = ("homestead", "EIP150", "EIP155", "EIP158", "byzantium", "constantinople", "petersburg", "istanbul")
CHAIN_ID = 100
RULES = _core.Rules("G1", CHAIN_ID, dict.fromkeys(FORKS, 0), 0)
EARLY_RULES = _core.Rules("G1", CHAIN_ID, {"EIP155": 10}, 0)
KEY = PrivateKey(keccak(b"sender"))
SENDER = KEY.public_key.to_canonical_address()


@pytest.fixture(scope="module")
def chain(poa: Network, tmp_path_factory: pytest.TempPathFactory) -> Iterator[_core.Chain]:
    data = poa.data_directory("data-dir", tmp_path_factory.mktemp("node"))
    with _core.Chain.open(data, create=False) as chain:
        yield chain


def present(record: bytes | None) -> bytes:
    assert record is not None
    return record


def number(value: bytes) -> int:
    return int.from_bytes(value, "big")


def test_headers_are_those_of_another_decoder(chain: _core.Chain) -> None:
    for height in range(151):
        raw = present(chain.header(height))
        header = _core.decode_header(raw)
        assert rlp.decode(raw) == [
            header.parent_hash,
            header.sha3_uncles,
            header.miner,
            header.state_root,
            header.transactions_root,
            header.receipts_root,
            header.logs_bloom,
            *(
                value.to_bytes((value.bit_length() + 7) // 8, "big")
                for value in (header.difficulty, height, header.gas_limit, header.gas_used, header.timestamp)
            ),
            header.extra_data,
            header.mix_hash,
            header.nonce,
        ]
        assert header.number == height


def test_transactions_of_stored_bodies_are_those_that_the_go_node_told(chain: _core.Chain, poa: Network) -> None:
    senders = {row["transactionHash"]: row["from"].lower() for row in poa.rows("receipts.jsonl")}
    found = 0
    for height in range(1, 151):
        body = present(chain.body(height))
        transactions = _core.decode_body(body)
        for transaction, (payload, sender) in zip(transactions, rlp.decode(body)[0], strict=True):
            assert transaction.raw == rlp.encode(payload)
            assert transaction.hash == keccak(transaction.raw)
            assert transaction.sender == sender == bytes.fromhex(senders["0x" + transaction.hash.hex()][2:])
            fields = [transaction.nonce, transaction.gas_price, transaction.gas, transaction.value]
            assert fields == [number(payload[index]) for index in (0, 1, 2, 4)]
            assert (transaction.v, transaction.r, transaction.s) == tuple(number(item) for item in payload[6:9])
            assert (transaction.to or b"", transaction.input) == (payload[3], payload[5])
            found += 1
    assert found == len(senders) == 236


def test_a_sender_that_was_not_stored_is_none(chain: _core.Chain) -> None:
    height = next(height for height in range(1, 151) if len(present(chain.body(height))) > 3)
    (payload, _sender), *_others = rlp.decode(present(chain.body(height)))[0]
    (transaction,) = _core.decode_body(rlp.encode([[[payload, bytes(20)]], []]))
    assert transaction.sender is None


def test_stored_receipts_are_those_that_the_go_node_told(chain: _core.Chain, poa: Network) -> None:
    recorded = {row["transactionHash"]: row for row in poa.rows("receipts.jsonl")}
    logged = created = failed = 0
    for height in range(1, 151):
        for receipt in _core.decode_receipts(present(chain.receipts(height))):
            row = recorded.pop("0x" + receipt.transaction_hash.hex())
            assert (receipt.success, receipt.gas_used, receipt.cumulative_gas_used) == (
                row["status"] == "0x1",
                int(row["gasUsed"], 16),
                int(row["cumulativeGasUsed"], 16),
            )
            contract = row["contractAddress"]
            assert receipt.contract_address == (bytes.fromhex(contract[2:]) if contract else None)
            assert "0x" + receipt.logs_bloom.hex() == row["logsBloom"]
            assert [
                {"address": log.address.hex(), "topics": [topic.hex() for topic in log.topics], "data": log.data.hex()}
                for log in receipt.logs
            ] == [
                {
                    "address": log["address"][2:].lower(),
                    "topics": [topic[2:] for topic in log["topics"]],
                    "data": (log["data"] or "0x")[2:],
                }
                for log in row["logs"]
            ]
            items = [item for log in receipt.logs for item in (log.address, *log.topics)]
            assert _core.bloom_of(items) == receipt.logs_bloom
            logged += len(receipt.logs)
            created += contract is not None
            failed += not receipt.success
    assert not recorded
    assert min(logged, created, failed) > 0


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=8))
def test_blooms_set_three_bits_of_each_item(items: list[bytes]) -> None:
    bloom = 0
    for digest in map(keccak, items):
        for pair in (0, 2, 4):
            bloom |= 1 << (number(digest[pair : pair + 2]) & 2047)
    assert _core.bloom_of(items) == bloom.to_bytes(256, "big")


@st.composite
def unsigned(draw: st.DrawFn) -> list[bytes]:
    """The first six fields: nonce, gas price, gas, to, value, input (§2.4)."""
    short, wide = st.integers(0, 2**64 - 1), st.one_of(st.integers(0, 2**70), st.integers(0, 2**256 - 1))
    to = st.one_of(st.just(b""), st.binary(min_size=20, max_size=20))
    nonce, gas_price, gas, value = draw(short), draw(wide), draw(short), draw(wide)
    return [*map(big_endian, (nonce, gas_price, gas)), draw(to), big_endian(value), draw(st.binary(max_size=100))]


def big_endian(value: int) -> bytes:
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def signed(fields: list[bytes], chain_id: int | None) -> list[bytes]:
    """The nine fields, signed for a chain or, as before EIP-155, for any (§2.5)."""
    protection = [] if chain_id is None else [big_endian(chain_id), b"", b""]
    signature = KEY.sign_msg_hash(keccak(rlp.encode([*fields, *protection])))
    v = signature.v + (27 if chain_id is None else 35 + 2 * chain_id)
    return [*fields, *map(big_endian, (v, signature.r, signature.s))]


@given(unsigned(), st.sampled_from([None, CHAIN_ID]))
def test_what_a_wallet_signs_decodes_with_its_sender(fields: list[bytes], chain_id: int | None) -> None:
    payload = signed(fields, chain_id)
    raw = rlp.encode(payload)
    transaction = _core.decode_transaction(RULES, 1, raw + b"ignored")
    assert transaction.sender == SENDER
    assert (transaction.raw, transaction.hash) == (raw, keccak(raw))
    found = (transaction.nonce, transaction.gas_price, transaction.gas)
    assert found == tuple(number(field) for field in fields[:3])
    assert (transaction.to or b"", transaction.value, transaction.input) == (fields[3], number(fields[4]), fields[5])
    assert (transaction.v, transaction.r, transaction.s) == tuple(number(item) for item in payload[6:])


def signed_for(chain_id: int) -> bytes:
    raw: bytes = rlp.encode(signed([b"", b"", big_endian(21_000), bytes(20), b"\1", b""], chain_id))
    return raw


def test_the_height_decides_which_signatures_have_a_sender() -> None:
    raw = signed_for(CHAIN_ID)
    assert _core.decode_transaction(EARLY_RULES, 9, raw).sender is None
    assert _core.decode_transaction(EARLY_RULES, 10, raw).sender == SENDER
    assert _core.decode_transaction(RULES, 0, signed_for(CHAIN_ID + 1)).sender is None


def test_a_transaction_in_another_form_has_the_hash_of_its_canonical_form() -> None:
    raw = signed_for(CHAIN_ID)
    fields = rlp.decode(raw)
    padded = rlp.encode([b"\0", b"\0\0", b"\0" + fields[2], *fields[3:]])
    assert padded != raw
    transaction = _core.decode_transaction(RULES, 1, padded)
    assert (transaction.raw, transaction.hash) == (raw, keccak(raw))
    assert transaction.sender == SENDER


def test_v_of_any_size_is_kept() -> None:
    fields = rlp.decode(signed_for(CHAIN_ID))
    v = number(fields[6]) + (1 << 2000)
    fields[6] = v.to_bytes(251, "big")
    transaction = _core.decode_transaction(RULES, 1, rlp.encode(fields))
    assert transaction.v == v
    # v counts modulo 256: the Go client accepts it (§2.5).
    assert transaction.sender == SENDER


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "expected an item, found the end of the data"),
        (b"\x02" + rlp.encode([b""] * 12), "transaction at byte 0: expected a list, found a byte string"),
        (rlp.encode([b""] * 8), "expected s, found the end of the list"),
        (rlp.encode([b"\1" * 9, *[b""] * 8]), "nonce at byte 1: expected at most 8 bytes, found 9 bytes"),
        (signed_for(CHAIN_ID)[:-1], "bytes of payload"),
    ],
)
def test_what_is_no_transaction_is_named(raw: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _core.decode_transaction(RULES, 1, raw)


@pytest.mark.parametrize(
    "decode",
    [
        _core.decode_header,
        _core.decode_body,
        _core.decode_receipts,
        lambda raw: _core.decode_transaction(RULES, 1, raw),
    ],
)
@given(data=st.data())
def test_nonsense_is_a_value_error_or_a_record(decode: Callable[[bytes], object], data: st.DataObject) -> None:
    items = st.recursive(st.binary(max_size=34), lambda inner: st.lists(inner, max_size=16), max_leaves=30)
    raw = data.draw(st.one_of(st.binary(max_size=80), items.map(rlp.encode)))
    with contextlib.suppress(ValueError):
        decode(raw)
