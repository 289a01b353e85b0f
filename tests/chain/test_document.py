from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polygon_edge.chain.document import Value, fixed_bytes, lenient_hex


class RefusedError(Exception):
    pass


def parse(text: str | bytes) -> Value:
    content = text if isinstance(text, bytes) else text.encode()
    return Value.parse(content, lambda path, expected, found: RefusedError(f"{path}: {expected}, {found}"))


def field(value: str) -> Value:
    found = parse('{"a": ' + value + "}").field("a")
    assert found is not None
    return found


@pytest.mark.parametrize("key", ["gasLimit", "GASLIMIT", "gaslimit", "ga\u017fLimit"])
def test_struct_keys_match_whatever_their_case(key: str) -> None:
    found = parse('{"' + key + '": "7"}').field("gasLimit")
    assert found is not None
    assert found.quantity() == 7


def test_the_last_of_several_matching_keys_counts() -> None:
    found = parse('{"a": "1", "A": "2", "b": "3"}').field("a")
    assert found is not None
    assert found.quantity() == 2
    assert parse('{"a": "1", "a": null}').field("a") is None


def test_map_keys_are_exact_and_the_last_counts() -> None:
    document = parse('{"ibft": 1, "IBFT": 2, "ibft": 3, "none": null}')
    found = document.entry("ibft")
    assert found is not None
    assert found.unsigned() == 3
    assert document.entry("Ibft") is None
    assert document.entry("none") is None
    assert list(document.entries()) == ["ibft", "IBFT", "none"]


@pytest.mark.parametrize("text", ["", "{", "[1,]", "NaN", '{"a": Infinity}', "\ufeff{}", "[" * 100_000, "1" * 5000])
def test_text_that_is_not_json_is_refused(text: str) -> None:
    with pytest.raises(RefusedError, match="JSON"):
        parse(text)


def test_bytes_that_are_not_utf8_are_replaced() -> None:
    found = parse(b'{"name": "\xff"}').field("name")
    assert found is not None
    assert found.text() == "\ufffd"


@given(st.integers(min_value=0, max_value=(1 << 256) - 1))
def test_quantities_are_decimal_or_hex_strings(number: int) -> None:
    assert field(f'"{number}"').quantity(256) == number
    assert field(f'"{number:#x}"').quantity(256) == number
    assert field(f'"0x{number:X}"').quantity(256) == number


@pytest.mark.parametrize(
    "value",
    ["7", '""', '"0x"', '"0X7"', '"-1"', '"+1"', '" 1"', '"1\\n"', '"1_0"', '"٣"', '"18446744073709551616"', "{}"],
)
def test_other_quantities_are_refused(value: str) -> None:
    with pytest.raises(RefusedError, match=r"^a: "):
        field(value).quantity()


def test_a_quantity_of_a_million_digits_is_refused_at_once() -> None:
    with pytest.raises(RefusedError):
        field('"' + "9" * 1_000_000 + '"').quantity(256)


@pytest.mark.parametrize("value", ["true", "1.0", '"1"', "-1", "18446744073709551616", "[]"])
def test_other_numbers_are_refused(value: str) -> None:
    with pytest.raises(RefusedError, match=r"^a: "):
        field(value).unsigned()


@pytest.mark.parametrize(("value", "number"), [("20", 20), ("20.7", 20), ("2e1", 20), ("9007199254740993", 1 << 53)])
def test_numbers_of_the_engine_go_through_a_double(value: str, number: int) -> None:
    assert field(value).truncated_number() == number


@pytest.mark.parametrize("value", ["true", '"1"', "-1", "1e300", "1e400", "99999999999999999999"])
def test_other_engine_numbers_are_refused(value: str) -> None:
    with pytest.raises(RefusedError, match=r"^a: "):
        field(value).truncated_number()


def test_hashes_are_padded_cut_and_read_up_to_the_first_bad_digit() -> None:
    assert field('"0x1"').hash() == bytes(31) + b"\x01"
    assert field('"' + "ab" * 40 + '"').hash() == b"\xab" * 32
    assert field('"0x12zz34"').hash() == bytes(31) + b"\x12"
    assert fixed_bytes("", 20) == bytes(20)
    assert lenient_hex("abc") == b"\xab"


def test_addresses_are_exact() -> None:
    assert field('"0x' + "12" * 20 + '"').address() == b"\x12" * 20
    assert field('"' + "12" * 20 + '"').address() == b"\x12" * 20
    for digits in ("12" * 19, "12" * 21, "zz" * 20, ""):
        with pytest.raises(RefusedError, match="20 bytes"):
            field(f'"0x{digits}"').address()


def test_bytes_are_strict() -> None:
    assert field('"0x1234"').hex_bytes() == b"\x12\x34"
    assert field('""').hex_bytes() == b""
    for digits in ("0x123", "0x12zz", "xy"):
        with pytest.raises(RefusedError, match="hex"):
            field(f'"{digits}"').hex_bytes()


def test_kinds_are_told_apart_and_named() -> None:
    document = parse('{"list": [1, {"x": "y"}], "yes": true, "long": "' + "a" * 200 + '"}')
    items = document.field("list")
    yes = document.field("yes")
    long = document.field("long")
    assert items is not None
    assert yes is not None
    assert long is not None
    assert yes.boolean() is True
    assert [item.path for item in items.items()] == ["list[0]", "list[1]"]
    with pytest.raises(RefusedError, match="list: an object, a list"):
        items.entries()
    with pytest.raises(RefusedError, match="yes: a list, true"):
        list(yes.items())
    with pytest.raises(RefusedError, match=r"long: true or false, \"a+\.\.\.\""):
        long.boolean()
    with pytest.raises(RefusedError, match="a string, an object"):
        document.text()
    with pytest.raises(RefusedError, match="an object, null"):
        parse("null").field("a")
