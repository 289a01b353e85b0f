"""Damaged real `consensus/metadata` and `consensus/snapshots`: a state, or ConsensusFileError."""

from __future__ import annotations

import io
import json
import tarfile
from collections import Counter
from pathlib import Path

import pytest
import zstandard
from tests.mutator import damaged_bytes, damaged_document, generator, mutations, report

from polygon_edge import _core
from polygon_edge.consensus.snapshot_files import decode_metadata, decode_snapshots, encode_snapshots, load_state
from polygon_edge.errors import ConsensusFileError

DATA_DIRECTORY = Path(__file__).parent.parent / "data/v0.6.3/poa-ecdsa/data-dir.tar.zst"


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    """Both files as a Go node left them."""
    packed = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(DATA_DIRECTORY.read_bytes())).read()
    found: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        for member in archive:
            name = Path(member.name)
            content = archive.extractfile(member)
            if name.parent.name == "consensus" and name.name in ("metadata", "snapshots") and content:
                found[name.name] = content.read()
    assert set(found) == {"metadata", "snapshots"}
    return found


def test_damaged_snapshots_are_read_or_refused(files: dict[str, bytes]) -> None:
    document = json.loads(files["snapshots"])
    ends: Counter[str] = Counter()
    for number in range(mutations(8_000)):
        content = damaged_document(generator(number), document)
        try:
            snapshots = decode_snapshots(content)
        except ConsensusFileError as error:
            ends["refused"] += 1
            str(error).encode("utf-8", "backslashreplace")
            continue
        ends["read"] += 1
        assert list(snapshots) == sorted(snapshots, key=lambda snapshot: snapshot.number)
        assert all(0 <= snapshot.number < 1 << 64 and len(snapshot.hash) == 32 for snapshot in snapshots)
        assert all(snapshot.validators for snapshot in snapshots)
        # What was understood is written in the current form and understood the same way.
        again = decode_snapshots(encode_snapshots(snapshots, _core.keccak256))
        assert [
            (snapshot.number, snapshot.hash, snapshot.ballots or (), snapshot.validators) for snapshot in again
        ] == [(snapshot.number, snapshot.hash, snapshot.ballots or (), snapshot.validators) for snapshot in snapshots]
    report(ends)
    assert min(ends.values()) > 0
    assert len(ends) == 2


def test_damaged_metadata_is_read_or_refused(files: dict[str, bytes]) -> None:
    for number in range(mutations(8_000)):
        chance = generator(number)
        if chance.getrandbits(1):
            content = damaged_document(chance, json.loads(files["metadata"]))
        else:
            content = damaged_bytes(chance, files["metadata"], list(files.values()))
        try:
            last_block = decode_metadata(content)
        except ConsensusFileError:
            continue
        assert 0 <= last_block < 1 << 64


def test_damaged_files_in_a_folder_load_or_are_refused(files: dict[str, bytes], tmp_path: Path) -> None:
    for number in range(mutations(8_000) // 40):
        chance = generator(number)
        for name, content in files.items():
            (tmp_path / name).write_bytes(damaged_bytes(chance, content, list(files.values())))
        try:
            state = load_state(tmp_path)
        except ConsensusFileError:
            continue
        assert state is None or state.snapshots
