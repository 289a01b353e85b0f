from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polygon_edge.archive.flat import FlatArchive
from polygon_edge.chain import rlp
from polygon_edge.chain.block import ExtraDataError, block_number, listed_validators
from polygon_edge.chain.rlp import Item

if TYPE_CHECKING:
    from pathlib import Path


def block(number: bytes, miner: bytes = bytes(20), difficulty: bytes = b"") -> bytes:
    header: list[Item] = [bytes(32), bytes(32), miner, bytes(32), bytes(32), bytes(32), bytes(256), difficulty, number]
    header += [b"\x01", b"", b"", bytes(100), bytes(32), bytes(8)]
    return rlp.encode([header, [], []])


@given(
    st.integers(min_value=0, max_value=(1 << 64) - 1),
    st.sampled_from([0, 1, 19, 20, 21, 72]).map(bytes),
    st.integers(min_value=0, max_value=(1 << 64) - 1),
)
def test_the_height_is_found_whatever_stands_before_it(number: int, miner: bytes, difficulty: int) -> None:
    assert block_number(block(rlp.integer(number), miner, rlp.integer(difficulty))) == number


def test_a_header_that_only_looks_like_the_usual_one_is_walked() -> None:
    # Twenty bytes of miner, as usual, but a bloom of the wrong size.
    header: list[Item] = [bytes(32), bytes(32), bytes(20), bytes(32), bytes(32), bytes(32), bytes(300), b"", b"\x07"]
    assert block_number(rlp.encode([[*header, bytes(300)], [], []])) == 7


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xc0",
        b"\xc1\x05",
        rlp.encode([[], [], []]),
        rlp.encode([[b"a"] * 8, [], []]),
        block(bytes(9)),
        rlp.encode([[b"a"] * 8 + [[]], [], []]),
    ],
)
def test_bytes_without_a_height_raise(raw: bytes) -> None:
    with pytest.raises(rlp.RlpError):
        block_number(raw)


@given(st.binary(max_size=700))
def test_no_bytes_do_anything_but_give_a_height_or_raise(raw: bytes) -> None:
    with contextlib.suppress(rlp.RlpError):
        assert 0 <= block_number(raw) < 1 << 64


def test_heights_of_a_recorded_chain(shared: Path) -> None:
    with FlatArchive.open(shared / "golden/v0.6.3/poa-bls/full.dat") as archive:
        assert [block_number(record.raw) for record in archive.records()] == list(range(82))


def test_listed_validators_come_in_order() -> None:
    addresses: list[Item] = [bytes([index]) * 20 for index in (3, 1, 2)]
    assert listed_validators(bytes(32) + rlp.encode([addresses, b"", []])) == tuple(addresses)


@pytest.mark.parametrize(
    "extra",
    [
        b"",
        bytes(32),
        bytes(32) + b"\x80",
        bytes(32) + b"\xf8",
        bytes(32) + rlp.encode([[], b""]),
        bytes(32) + rlp.encode([b"", b"", []]),
        bytes(32) + rlp.encode([[bytes(19)], b"", []]),
    ],
)
def test_extra_data_that_is_not_ibft_raises(extra: bytes) -> None:
    with pytest.raises(ExtraDataError):
        listed_validators(extra)


def test_bls_validators_come_with_their_keys() -> None:
    member: rlp.Item = [b"\x01" * 20, b"\x02" * 48]
    assert listed_validators(bytes(32) + rlp.encode([[member], b"", [b"", b""]])) == (b"\x01" * 20 + b"\x02" * 48,)


@pytest.mark.parametrize(
    "members",
    [
        [[b"\x01" * 20, bytes(48)], b"\x02" * 20],
        [[b"\x01" * 20]],
        [[b"\x01" * 20, bytes(47)]],
        [[b"\x01" * 19, bytes(48)]],
        [[b"\x01" * 20, [bytes(48)]]],
    ],
)
def test_members_that_are_no_validators_of_one_type_raise(members: rlp.Item) -> None:
    with pytest.raises(ExtraDataError):
        listed_validators(bytes(32) + rlp.encode([members, b"", [b"", b""]]))
