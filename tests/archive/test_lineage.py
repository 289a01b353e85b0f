"""Blocks held against the ones before them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.conftest import shared_folder
from tests.golden.recorded import Network

from polygon_edge.archive.flat import FlatArchive
from polygon_edge.archive.info import HashRule
from polygon_edge.archive.lineage import Lineage, LineageError, NotABlockError, split_records
from polygon_edge.chain.rlp import RlpError

if TYPE_CHECKING:
    from pathlib import Path


def records_of(archive: Path) -> list[bytes]:
    with FlatArchive.open(archive) as source:
        return [record.raw for record in source.records()]


@pytest.fixture(scope="module")
def records(poa: Network, tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    return records_of(poa.archive("full.dat", tmp_path_factory.mktemp("archive")))


def altered(record: bytes, old: bytes, new: bytes) -> bytes:
    assert record.count(old) >= 1
    assert len(old) == len(new)
    return record.replace(old, new, 1)


@pytest.mark.parametrize("step", [1, 7, 151])
def test_a_chain_is_followed_to_its_head(poa: Network, records: list[bytes], step: int) -> None:
    lineage = Lineage(0)
    for start in range(0, len(records), step):
        lineage.follow(records[start : start + step])
    assert (lineage.first, lineage.last, lineage.due, lineage.rule) == (0, 150, 151, HashRule.IBFT_G1)
    head = bytes.fromhex(poa.about["headHash"][2:])
    assert lineage.last_hash == head
    assert lineage.has_hash(head) is True
    assert lineage.has_hash(bytes(32)) is False
    assert (lineage.last_size, lineage.is_unlinked) == (len(records[150]), False)


@pytest.mark.shared
@pytest.mark.parametrize(
    "name",
    [
        *("v0.6.3/dev", "v0.6.3/poa-bls", "v0.6.3/pos-ecdsa", "v0.6.3/single", "v0.6.3/switch", "v0.6.3/switch-type"),
        *("v1.3.2/poa-bls", "v1.3.2/poa-ecdsa-london", "v1.3.2/pos-ecdsa", "v1.3.2/switch"),
    ],
)
def test_chains_of_every_kind_are_followed(name: str, tmp_path: Path) -> None:
    network = Network(shared_folder() / "golden" / name)
    lineage = Lineage(0)
    lineage.follow(records_of(network.archive("full.dat", tmp_path)))
    assert lineage.has_hash(bytes.fromhex(network.about["headHash"][2:])) is True


def test_before_the_second_block_nothing_is_known(records: list[bytes]) -> None:
    lineage = Lineage(5)
    assert (lineage.last, lineage.last_hash, lineage.has_hash(bytes(32)), lineage.last_size) == (None, None, None, 0)
    lineage.follow(records[5:6])
    assert (lineage.last, lineage.last_hash, lineage.has_hash(bytes(32))) == (5, None, None)
    parent = Lineage(4)
    parent.follow(records[4:6])
    assert parent.last_hash is not None
    assert lineage.has_hash(parent.last_hash) is True


@pytest.mark.parametrize(
    ("numbers", "index", "found"), [((5, 6, 8), 2, 8), ((5, 6, 6), 2, 6), ((5, 4), 1, 4), ((6,), 0, 6)]
)
def test_a_block_that_is_not_due_is_refused(
    records: list[bytes], numbers: tuple[int, ...], index: int, found: int
) -> None:
    lineage = Lineage(5)
    with pytest.raises(LineageError, match="wrong block") as caught:
        lineage.follow([records[number] for number in numbers])
    assert (caught.value.index, caught.value.found) == (index, f"block {found}")
    assert lineage.due == 5 + index


@pytest.mark.parametrize("at_once", [True, False])
def test_a_block_that_names_another_parent_is_refused(records: list[bytes], at_once: bool) -> None:
    parent = Lineage(0)
    parent.follow(records[:21])
    assert parent.last_hash is not None
    forged = altered(records[21], parent.last_hash, bytes(32))
    lineage = Lineage(0)
    given = [*records[:21], forged, records[22]]
    if not at_once:
        for raw in given[:21]:
            lineage.follow([raw])
        given = given[21:]
    with pytest.raises(LineageError, match="parent link of block 21") as caught:
        lineage.follow(given)
    assert (caught.value.index, caught.value.expected, caught.value.found) == (
        21 if at_once else 0,
        parent.last_hash,
        bytes(32),
    )
    assert lineage.due == 21


def test_an_altered_header_is_found_out_by_the_next_block(records: list[bytes]) -> None:
    lineage = Lineage(0)
    with pytest.raises(LineageError, match="parent link of block 21"):
        lineage.follow([*records[:20], altered(records[20], b"\x56\xe8\x1f\x17", bytes(4)), records[21]])


@pytest.mark.parametrize("noise", [b"\xc1\xc0", b"\xc0", b"\xc3\xc0\xc0\xc0", b"\xf8\x38" + bytes(56)])
def test_what_is_no_block_is_refused(records: list[bytes], noise: bytes) -> None:
    lineage = Lineage(0)
    with pytest.raises(NotABlockError) as caught:
        lineage.follow([*records[:3], noise])
    assert caught.value.index == 3
    assert lineage.last == 2


def unlinked(records: list[bytes]) -> list[bytes]:
    """The first 40 blocks, each naming a parent that no rule gives."""
    parents = [bytes(32)]
    lineage = Lineage(0)
    for raw in records[:40]:
        lineage.follow([raw])
        parents.append(lineage.last_parent_hash or b"")
    return [
        raw if number == 0 else altered(raw, parents[number + 1], b"\x01" * 32)
        for number, raw in enumerate(records[:40])
    ]


def test_a_chain_that_no_rule_links_is_followed_by_height(records: list[bytes]) -> None:
    lineage = Lineage(0)
    lineage.follow(unlinked(records))
    assert (lineage.last, lineage.rule, lineage.last_hash, lineage.is_unlinked) == (39, None, None, True)
    assert lineage.last_parent_hash == b"\x01" * 32
    assert lineage.has_hash(b"\x01" * 32) is None


def test_a_rule_that_links_later_blocks_proves_the_earlier_ones_broken(records: list[bytes]) -> None:
    lineage = Lineage(0)
    lineage.follow(unlinked(records)[:3])
    with pytest.raises(LineageError, match="parent link of block 1"):
        lineage.follow(records[3:5])


def test_records_are_split_where_they_end(records: list[bytes]) -> None:
    assert split_records(b"".join(records)) == records
    assert split_records(b"") == []
    assert split_records(b"\xc0" + b"\xf7" + bytes(55) + b"\xf8\x38" + bytes(56)) == [
        b"\xc0",
        b"\xf7" + bytes(55),
        b"\xf8\x38" + bytes(56),
    ]


@pytest.mark.parametrize(
    "noise", [b"\x00", b"\x80", b"\xc1", b"\xf8", b"\xf9\x01", b"\xff" * 9, b"\xfb\xff\xff\xff\xff", b"\xbf" * 60]
)
def test_bytes_that_are_no_whole_records_are_refused(records: list[bytes], noise: bytes) -> None:
    with pytest.raises(RlpError) as caught:
        split_records(records[0] + noise)
    assert caught.value.position == len(records[0])
