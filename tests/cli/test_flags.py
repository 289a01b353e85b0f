"""How the values of flags are read."""

from __future__ import annotations

import click
import pytest

from polygon_edge.cli.flags import Boolean, Height, Integer, integer_literal, number_or_hexadecimal


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("17", 17),
        ("0x11", 17),
        ("0X1f", 31),
        ("017", 15),
        ("0o17", 15),
        ("0b101", 5),
        ("1_000", 1000),
        ("0x_ff", 255),
        ("0_7", 7),
        ("-5", -5),
        ("+5", 5),
        ("-0x10", -16),
    ],
)
def test_a_number_is_read_as_a_go_literal(text: str, number: int) -> None:
    assert integer_literal(text) == number


@pytest.mark.parametrize(
    "text", ["", "-", "x", "08", "0x", "1__0", "_1", "1_", "1.5", "1e3", " 1", "1 ", "\u0661", "0b2", "9" * 5000]
)
def test_what_is_no_go_literal_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a number|invalid literal"):
        integer_literal(text)
    with pytest.raises(click.BadParameter, match="expected a whole number from 0 to 18446744073709551615"):
        Integer().convert(text, None, None)


@pytest.mark.parametrize("text", ["-1", "+1", str(1 << 64), "0x10000000000000000"])
def test_an_unsigned_number_has_no_sign_and_64_bits(text: str) -> None:
    with pytest.raises(click.BadParameter, match="expected a whole number"):
        Integer().convert(text, None, None)


def test_a_range_may_include_negative_numbers() -> None:
    assert Integer(-1, 3).convert("-1", None, None) == -1
    assert Integer().convert(7, None, None) == 7
    with pytest.raises(click.BadParameter, match="from -1 to 3, found '4'"):
        Integer(-1, 3).convert("4", None, None)


def test_a_quantity_is_decimal_or_hexadecimal_and_nothing_else() -> None:
    assert [number_or_hexadecimal(text) for text in ("0", "007", "0x00ff", "0XFF")] == [0, 7, 255, 255]
    assert number_or_hexadecimal(str((1 << 256) - 1), 256) == (1 << 256) - 1
    for text in ("", "-1", "+1", "1_0", "0x", "0x_1", "0b1", "ff", " 1", "1\n", "\u0661", "9" * 5000):
        with pytest.raises(ValueError, match="expected a decimal number"):
            number_or_hexadecimal(text)
    with pytest.raises(ValueError, match="below 2"):
        number_or_hexadecimal(str(1 << 64))


@pytest.mark.parametrize("text", ["1_0", " 1", "0x_1"])
def test_a_height_has_no_separators(text: str) -> None:
    with pytest.raises(click.BadParameter, match="expected a block height"):
        Height().convert(text, None, None)


def test_booleans_are_the_words_of_go() -> None:
    for text in ("1", "t", "T", "TRUE", "true", "True"):
        assert Boolean().convert(text, None, None) is True
    for text in ("0", "f", "F", "FALSE", "false", "False"):
        assert Boolean().convert(text, None, None) is False
    assert Boolean().convert(False, None, None) is False
    for text in ("yes", "", "tRUE", "on"):
        with pytest.raises(click.BadParameter, match="expected true or false"):
            Boolean().convert(text, None, None)
