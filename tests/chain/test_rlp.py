from __future__ import annotations

import pytest
import rlp as oracle
from hypothesis import given
from hypothesis import strategies as st

from polygon_edge.chain import rlp
from polygon_edge.chain.rlp import Item

items: st.SearchStrategy[Item] = st.recursive(
    st.binary(max_size=80), lambda children: st.lists(children, max_size=6), max_leaves=20
)


def as_lists(item: object) -> object:
    return bytes(item) if isinstance(item, bytes) else [as_lists(child) for child in item]  # type: ignore[attr-defined]


@given(items)
def test_encoding_is_that_of_the_rlp_package_and_decodes_back(item: Item) -> None:
    encoded = rlp.encode(item)
    assert encoded == oracle.encode(item)
    assert rlp.decode(encoded) == item


@given(st.binary(max_size=200))
def test_what_the_rlp_package_accepts_is_accepted_alike(data: bytes) -> None:
    try:
        expected = as_lists(oracle.decode(data))
    except oracle.DecodingError:
        return
    assert rlp.decode(data) == expected


@given(st.binary(max_size=200))
def test_what_is_accepted_beyond_the_rlp_package_is_a_tail_or_a_padded_length(data: bytes) -> None:
    try:
        item = rlp.decode(data)
    except rlp.RlpError:
        with pytest.raises(oracle.DecodingError):
            oracle.decode(data)
        return
    canonical = rlp.encode(item)
    if data.startswith(canonical):
        assert as_lists(oracle.decode(canonical)) == item
    else:
        assert any(prefix in data for prefix in (b"\xb9\0", b"\xba\0", b"\xbb\0", b"\xf9\0", b"\xfa\0", b"\xfb\0"))


@given(st.integers(min_value=0, max_value=1 << 256))
def test_integers_are_minimal(value: int) -> None:
    encoded = rlp.integer(value)
    assert int.from_bytes(encoded, "big") == value
    assert not encoded.startswith(b"\0")


def test_bytes_after_the_first_value_are_ignored() -> None:
    assert rlp.decode(b"\x83cat\xff\xff") == b"cat"


def test_leading_zeros_in_a_long_length_are_accepted() -> None:
    assert rlp.decode(b"\xb9\x00\x38" + b"a" * 56) == b"a" * 56


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x81\x05",  # a byte below 0x80 wrapped
        b"\x81",
        b"\xb8\x37" + b"a" * 55,  # long form below 56
        b"\xb9\x01",  # length cut
        b"\x83ab",
        b"\xc3\x83ab",  # item longer than its list
        b"\xff" + b"\xff" * 8,
        b"\xc2\x81",
    ],
)
def test_bytes_that_are_not_rlp_raise(data: bytes) -> None:
    with pytest.raises(rlp.RlpError):
        rlp.decode(data)


def test_an_item_that_leaves_its_list_but_not_the_data_raises() -> None:
    with pytest.raises(rlp.RlpError, match="beyond its list"):
        rlp.decode(b"\xc2\x83abcd")


def test_deep_nesting_raises_instead_of_exhausting_the_stack() -> None:
    nested: Item = []
    for _ in range(20):
        nested = [nested]
    with pytest.raises(rlp.RlpError, match="deep"):
        rlp.decode(rlp.encode(nested))
