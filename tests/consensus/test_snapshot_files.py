from __future__ import annotations

import io
import os
import stat
import tarfile
from typing import TYPE_CHECKING

import pytest
import zstandard
from eth_hash.auto import keccak
from hypothesis import given
from hypothesis import strategies as st

from polygon_edge.chain.genesis import load_genesis
from polygon_edge.chain.rules import initial_validators, rules_of
from polygon_edge.consensus.engine import Engine
from polygon_edge.consensus.snapshot_files import (
    checksum_address,
    decode_metadata,
    decode_snapshots,
    encode_metadata,
    encode_snapshots,
    load_state,
    save_state,
)
from polygon_edge.consensus.validators import (
    NO_VOTE,
    Ballot,
    SealedHeader,
    Snapshot,
    SnapshotState,
    Vote,
    start_state,
)
from polygon_edge.errors import ConsensusFileError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

A, B, C = (bytes([index]) * 20 for index in (1, 2, 3))
HEX = {name: "0x" + value.hex() for name, value in {"A": A, "B": B, "C": C}.items()}

addresses = st.binary(min_size=20, max_size=20)
snapshots = st.builds(
    Snapshot,
    st.integers(0, (1 << 64) - 1),
    st.binary(min_size=32, max_size=32),
    st.lists(st.builds(Ballot, addresses, addresses, st.booleans()), max_size=4).map(tuple),
    st.lists(addresses, min_size=1, max_size=4, unique=True).map(tuple),
)


def recorded(shared: Path, archive: str, name: str) -> bytes:
    content = (shared / "golden/v0.6.3/poa-ecdsa" / archive).read_bytes()
    plain = zstandard.ZstdDecompressor().decompressobj().decompress(content)
    with tarfile.open(fileobj=io.BytesIO(plain)) as tar:
        member = next(member for member in tar if member.name.endswith(f"consensus/{name}"))
        extracted = tar.extractfile(member)
        assert extracted is not None
        return extracted.read()


@pytest.mark.parametrize(("archive", "head"), [("data-dir.tar.zst", 150), ("data-dir-50.tar.zst", 50)])
def test_our_files_are_those_of_a_go_node(
    archive: str, head: int, shared: Path, headers: Callable[[str], list[SealedHeader]]
) -> None:
    chain_headers = headers("v0.6.3/poa-ecdsa")
    genesis = load_genesis(shared / "golden/v0.6.3/poa-ecdsa/genesis.json")
    chain = Engine(rules_of(genesis).schedule, start_state(chain_headers[0].hash, initial_validators(genesis)))
    votes = [Vote(*header[:5]) for header in chain_headers[1 : head + 1] if header.miner != NO_VOTE]
    plan = chain.plan(1, head, votes, lambda number: chain_headers[number].hash)
    chain.commit(plan, head, lambda number: chain_headers[number].hash)
    assert chain.state is not None
    assert encode_snapshots(chain.state.snapshots, keccak) == recorded(shared, archive, "snapshots")
    assert encode_metadata(chain.state.last_block) == recorded(shared, archive, "metadata")
    assert decode_snapshots(recorded(shared, archive, "snapshots")) == chain.state.snapshots
    assert decode_metadata(recorded(shared, archive, "metadata")) == head


@given(st.lists(snapshots, max_size=4, unique_by=lambda snapshot: snapshot.number))
def test_snapshots_round_trip_in_ascending_order(written: list[Snapshot]) -> None:
    read = decode_snapshots(encode_snapshots(tuple(written), keccak))
    assert read == tuple(sorted(written, key=lambda snapshot: snapshot.number))


def test_closed_votes_are_null_until_read_again() -> None:
    content = encode_snapshots((Snapshot(20, bytes(32), None, (A,)),), keccak)
    assert b'"Votes":null' in content
    assert decode_snapshots(content)[0].ballots == ()


def test_the_old_form_without_a_type_is_read() -> None:
    content = (
        f'[{{"Number":7,"Hash":"0x{"ab" * 32}","Votes":[{{"Validator":"{HEX["A"]}","Address":"{HEX["C"]}",'
        f'"Authorize":true}}],"Set":["{HEX["A"]}","{HEX["B"]}"]}}]'
    )
    assert decode_snapshots(content.encode()) == (Snapshot(7, b"\xab" * 32, (Ballot(A, C, True),), (A, B)),)


def test_absent_values_are_zero_as_in_go() -> None:
    assert decode_metadata(b"{}") == 0
    assert decode_snapshots(b"null") == ()
    ballot = f'{{"validator":"{HEX["A"]}","candidate":{{"address":"{HEX["B"]}"}}}}'
    content = f'[{{"type":"ecdsa","set":[{{"address":"{HEX["A"]}"}}],"votes":[{ballot}]}}]'
    assert decode_snapshots(content.encode()) == (Snapshot(0, bytes(32), (Ballot(A, B, False),), (A,)),)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "{}",
        '[{"Type":"bls","Set":[]}]',
        '[{"Type":"ecdsa"}]',
        '[{"Type":"ecdsa","Set":[]}]',
        '[{"Type":"ecdsa","Set":[{}]}]',
        f'[{{"Set":["{HEX["A"]}","{HEX["A"]}"]}}]',
        f'[{{"Type":"ecdsa","Set":["{HEX["A"]}"]}}]',
        f'[{{"Set":["{HEX["A"]}"],"Votes":[{{}}]}}]',
        f'[{{"Set":["{HEX["A"]}"],"Votes":[{{"Validator":"{HEX["A"]}","Address":"{HEX["B"]}","Authorize":1}}]}}]',
    ],
)
def test_a_broken_file_is_named(content: str) -> None:
    with pytest.raises(ConsensusFileError, match="snapshots: "):
        decode_snapshots(content.encode())


def test_broken_metadata_is_named() -> None:
    with pytest.raises(ConsensusFileError, match="metadata: LastBlock"):
        decode_metadata(b'{"LastBlock":"7"}')


@pytest.mark.parametrize(
    "text",
    [
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
        "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
        "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
    ],
)
def test_addresses_have_the_case_of_eip_55(text: str) -> None:
    assert checksum_address(bytes.fromhex(text[2:]), keccak) == text


def test_files_are_saved_for_everyone_to_read_and_nobody_to_execute_and_loaded_again(tmp_path: Path) -> None:
    state = SnapshotState((Snapshot(3, bytes(32), (Ballot(A, C, False),), (A, B)),), 9)
    before = os.umask(0o022)
    try:
        save_state(tmp_path, state, keccak)
        save_state(tmp_path, state, keccak)
    finally:
        os.umask(before)
    assert load_state(tmp_path) == state
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["metadata", "snapshots"]
    assert {stat.S_IMODE(entry.stat().st_mode) for entry in tmp_path.iterdir()} == {0o644}


@pytest.mark.parametrize("missing", ["metadata", "snapshots"])
def test_a_missing_file_means_no_state(missing: str, tmp_path: Path) -> None:
    save_state(tmp_path, SnapshotState((Snapshot(3, bytes(32), (), (A,)),), 9), keccak)
    (tmp_path / missing).unlink()
    assert load_state(tmp_path) is None


def test_an_empty_list_of_snapshots_means_no_state(tmp_path: Path) -> None:
    save_state(tmp_path, SnapshotState((), 9), keccak)
    assert load_state(tmp_path) is None


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "metadata").mkdir()
    with pytest.raises(ConsensusFileError, match="cannot be read"):
        load_state(tmp_path)
