"""Addresses as text."""

from __future__ import annotations

import pytest
from eth_utils.address import to_checksum_address
from hypothesis import given
from hypothesis import strategies as st

from polygon_edge.chain.address import checksum_address, parse_address


@given(st.binary(min_size=20, max_size=20))
def test_the_case_of_the_digits_is_their_checksum(address: bytes) -> None:
    text = checksum_address(address)
    assert text == to_checksum_address(address)
    assert parse_address(text) == parse_address(text[2:].lower()) == parse_address("0X" + text[2:].upper()) == address


@pytest.mark.parametrize("size", [0, 19, 21, 32])
def test_only_20_bytes_are_an_address(size: int) -> None:
    with pytest.raises(ValueError, match=f"expected an address of 20 bytes, found {size}"):
        checksum_address(bytes(size))
    with pytest.raises(ValueError, match="expected an address of 20 bytes in hex, found '0x"):
        parse_address("0x" + "00" * size)


@pytest.mark.parametrize(
    "text", ["", "0x", "0x" + "g" * 40, " " + "0" * 40, "0" * 40 + "\n", "0" * 39, "0x0x" + "0" * 40]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected an address"):
        parse_address(text)
