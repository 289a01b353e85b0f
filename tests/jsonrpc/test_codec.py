from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polygon_edge.jsonrpc import codec
from polygon_edge.jsonrpc.codec import Tag
from polygon_edge.jsonrpc.logs import decode_log_query
from polygon_edge.jsonrpc.message import decode_message, revert_reason
from polygon_edge.jsonrpc.rpc_error import InvalidParametersError, RpcError

if TYPE_CHECKING:
    from collections.abc import Callable

ADDRESS = "0x647565fAfcD653801B53c7B58fACec3A638B5F18"
DECODERS: list[Callable[[object], object]] = [
    codec.decode_text,
    codec.decode_flag,
    codec.decode_address,
    codec.decode_hash,
    codec.decode_data,
    codec.decode_optional_data,
    codec.decode_amount,
    codec.decode_uint64,
    codec.decode_block_number,
    codec.decode_block_reference,
    decode_log_query,
    decode_message,
]


def json_values() -> st.SearchStrategy[Any]:
    names = st.sampled_from(
        ["from", "TO", "gas", "data", "fromBlock", "topics", "address", "blockHash", "blockNumber", "nonce", "value"]
    )
    texts = (
        st.text(max_size=8) | st.from_regex(r"0x[0-9a-f]{0,70}", fullmatch=True) | st.sampled_from(["latest", "0X1"])
    )
    return st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names | texts, inner, max_size=4),
        max_leaves=12,
    )


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("latest", Tag.LATEST),
        ("pending", Tag.PENDING),
        ("earliest", Tag.EARLIEST),
        ("0x0", 0),
        ("0x00000005", 5),
        ("0xA", 10),
        (5, 5),
        ("7", 7),
        ("007", 7),
        ("0xffffffffffffffff", 2**64 - 1),
    ],
)
def test_a_block_is_a_tag_or_a_height_in_either_base(value: object, number: object) -> None:
    assert codec.decode_block_number(value) == number
    assert codec.decode_block_reference(value) == number
    assert codec.decode_block_reference({"BlockNumber": value}) == number


@pytest.mark.parametrize(
    "value",
    [
        *("", "0x", "latestt", "safe", "finalized", "Latest", "0X5", "1e3", "-1", "+1", "1_0", "0x10000000000000000"),
        *("٣", -1, 2**64, 1.0, True, [], {}, "9" * 5000, "0x" + "f" * 5000),
    ],
)
def test_what_is_no_block_is_refused(value: object) -> None:
    with pytest.raises(InvalidParametersError):
        codec.decode_block_number(value)


def test_a_number_with_many_leading_zeros_is_read() -> None:
    assert codec.decode_block_number("0" * 6000 + "12") == 12
    assert codec.decode_uint64("0x" + "0" * 6000 + "12") == 0x12


@pytest.mark.parametrize(
    "value", [{}, {"blockNumber": "0x1", "blockHash": "0x" + "11" * 32}, {"other": 1}, {"blockNumber": None}, [], "0x"]
)
def test_a_block_object_names_exactly_one_block(value: object) -> None:
    with pytest.raises(InvalidParametersError):
        codec.decode_block_reference(value)


def test_a_block_object_may_name_a_hash() -> None:
    assert codec.decode_block_reference({"blockHash": "0x11"}) == bytes(31) + b"\x11"


def test_addresses_need_no_prefix_and_no_checksum() -> None:
    expected = bytes.fromhex(ADDRESS[2:])
    assert codec.decode_address(ADDRESS) == codec.decode_address(ADDRESS[2:].lower()) == expected


@pytest.mark.parametrize("value", ["", "0x", "0x1234", ADDRESS + "00", "0X" + ADDRESS[2:], "0xzz", 17, None, [ADDRESS]])
def test_what_is_no_address_is_refused(value: object) -> None:
    with pytest.raises(InvalidParametersError):
        codec.decode_address(value)


@pytest.mark.parametrize(
    ("value", "hash"),
    [
        ("0x33", bytes(31) + b"\x33"),
        ("0x3", bytes(31) + b"\x03"),
        ("", bytes(32)),
        ("zz", bytes(32)),
        ("0x12zz", bytes(31) + b"\x12"),
        ("0xff" + "11" * 32, b"\x11" * 32),
    ],
)
def test_hashes_are_filled_up_or_cut_on_the_left(value: str, hash: bytes) -> None:
    assert codec.decode_hash(value) == hash


def test_data_that_is_not_hex_counts_as_none() -> None:
    assert codec.decode_data("0x123") == b"\x01\x23"
    assert codec.decode_data("hello") == b""
    assert codec.decode_optional_data("0x") == b""
    assert codec.decode_optional_data("0x12zz") is None


def test_an_amount_has_256_bits_at_most() -> None:
    assert codec.decode_amount("0x00" + "ff" * 32) == 2**256 - 1
    with pytest.raises(InvalidParametersError):
        codec.decode_amount("0x01" + "00" * 32)


def test_fields_are_found_whatever_their_case_and_the_last_one_counts() -> None:
    assert codec.fields({"FROM": 1, "from": 2, "to": None, "x": 3}, ("from", "to")) == {"from": 2}


def test_data_counts_before_input() -> None:
    both = decode_message({"to": ADDRESS, "input": "0x01", "data": "0x02", "gas": "0x10", "nonce": "0x1"})
    assert (both.input, both.gas, both.value, both.sender) == (b"\x02", 16, 0, None)
    assert decode_message({"to": ADDRESS, "input": "0x01"}).input == b"\x01"


def test_a_message_without_recipient_needs_data() -> None:
    for empty in ({}, {"from": ADDRESS}, {"data": "not hex"}):
        with pytest.raises(RpcError, match="contract creation without data provided"):
            decode_message(empty)
    assert decode_message({"data": "0x"}).input == b""


def test_a_filter_takes_one_or_many_addresses_and_topics() -> None:
    topic = "0x" + "22" * 32
    query = decode_log_query({"address": [ADDRESS], "topics": [None, topic, [topic, "0x1"], []], "toBlock": ""})
    assert query.addresses == {bytes.fromhex(ADDRESS[2:])}
    assert [len(position) for position in query.topics] == [0, 1, 2, 0]
    assert (query.first, query.last) == (Tag.LATEST, Tag.LATEST)
    assert decode_log_query({"address": ADDRESS}).addresses == query.addresses


@pytest.mark.parametrize(
    "value",
    [
        *([], "0x1", {"topics": "0x12"}, {"address": "nonsense"}, {"address": [None]}, {"topics": [[None]]}),
        *({"fromBlock": 5}, {"address": 5}, {"topics": [5]}, {"topics": {}}),
    ],
)
def test_what_is_no_filter_is_refused(value: object) -> None:
    with pytest.raises(InvalidParametersError):
        decode_log_query(value)


def test_a_revert_reason_is_read_only_from_a_whole_error_string() -> None:
    text = b"coin: balance too low"
    whole = bytes.fromhex("08c379a0") + (32).to_bytes(32, "big") + len(text).to_bytes(32, "big") + text.ljust(32, b"\0")
    assert revert_reason(whole) == text.decode()
    for length in range(4 + 64 + len(text)):
        assert revert_reason(whole[:length]) is None
    assert revert_reason(bytes.fromhex("4e487b71") + bytes(32)) is None
    assert revert_reason(whole[:4] + b"\xff" * 64) is None


@given(json_values().filter(lambda value: value is not None))
def test_every_decoder_either_reads_or_refuses(value: object) -> None:
    for decode in DECODERS:
        with contextlib.suppress(RpcError):
            decode(value)
