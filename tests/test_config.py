"""Addresses as the Go client reads them (§1.1)."""

from __future__ import annotations

import pytest

from polygon_edge.config import Address
from polygon_edge.errors import UsageError


@pytest.mark.parametrize(
    ("text", "expected", "shown"),
    [
        ("127.0.0.1:9632", Address("127.0.0.1", 9632), "127.0.0.1:9632"),
        (":10000", Address("10.0.0.1", 10000), "10.0.0.1:10000"),
        ("localhost:0", Address("localhost", 0), "localhost:0"),
        ("[::1]:8545", Address("::1", 8545), "[::1]:8545"),
        ("127.0.0.1:", Address("127.0.0.1", 0), "127.0.0.1:0"),
        (":", Address("10.0.0.1", 0), "10.0.0.1:0"),
    ],
)
def test_an_address_is_host_and_port(text: str, expected: Address, shown: str) -> None:
    found = Address.parse(text, "10.0.0.1")
    assert found == expected
    assert str(found) == shown


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("9632", "missing port"),
        ("", "missing port"),
        ("http://0.0.0.0:8545", "too many colons"),
        ("::1:8545", "too many colons"),
        ("127.0.0.1:65536", "address 65536: invalid port"),
        ("127.0.0.1:999999999999999999999", "invalid port"),
        ("127.0.0.1:-1", "address -1: invalid port"),
        ("127.0.0.1:\u0661", "invalid port"),
        ("a" * 64 + ":80", "no such host"),
        ("a\0b:80", "no such host"),
    ],
)
def test_anything_else_is_refused_with_the_text(text: str, problem: str) -> None:
    with pytest.raises(UsageError, match=r"^failed to parse addr '") as caught:
        Address.parse(text, "127.0.0.1")
    assert problem in str(caught.value)
    assert f"'{text}'" in str(caught.value) or not text.isprintable() or not text.isascii()


@pytest.mark.parametrize(
    ("host", "expected"),
    [("0.0.0.0", True), ("::", True), ("127.0.0.1", False), ("host", False)],  # noqa: S104 - not bound
)
def test_listening_everywhere_is_noticed(host: str, expected: bool) -> None:
    assert Address(host, 1).is_open_to_all is expected


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", "/ip4/127.0.0.1/tcp/1478"),
        ("::1", "/ip6/::1/tcp/1478"),
        ("validator.example", "/dns/validator.example/tcp/1478"),
    ],
)
def test_the_address_of_peers_names_its_kind(host: str, expected: str) -> None:
    assert Address(host, 1478).multiaddress == expected
