"""Broken archives of a recorded chain: each ends at its last good block, says where and why, and spoils nothing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import pytest
from tests.conftest import recorded_folder, shared_folder
from tests.program import run_process

from polygon_edge import _core
from polygon_edge.store.data_dir import DataDirectory

if TYPE_CHECKING:
    from pathlib import Path

    from tests.golden.recorded import Network
    from tests.program import Command

GOOD_HEAD = 24
GOOD_HASH = "bd8085292b93dd1e61a6c3cfa611e7a105dbd18e0ea7196aee2573095980b368"
FLIPPED_HASH = "bd8085292b93dd1e61a7c3cfa611e7a105dbd18e0ea7196aee2573095980b368"
ARCHIVE, BLOCK_RULE = 10, 11
MOST_MEMORY = 300 << 20


class Damage(NamedTuple):
    """How a restore of `file` must end: head afterwards, exit code, what the message says behind the file's name."""

    file: str
    head: int
    exit_code: int
    message: str
    comparison: str = ""


def too_long(message: str) -> str:
    """A message about the record of block 7, whose length reaches beyond the end."""
    return f"byte 7807: block 7: record length beyond the end of the archive: {message}"


def at_21(message: str) -> str:
    """A message about the record of block 21."""
    return f"byte 40547: block 21: {message}"


DAMAGES = [
    Damage(
        "truncated-at-boundary",
        21,
        ARCHIVE,
        "byte 41651: the archive ends early: expected blocks up to 24, ",
        "end after block 21",
    ),
    Damage(
        "truncated-mid-record",
        6,
        ARCHIVE,
        "byte 7807: block 7: record length beyond the end of the archive: expected 15533 bytes, found 7766 left",
    ),
    Damage(
        "truncated-in-length", 6, ARCHIVE, "byte 7807: block 7: record cut inside its length: expected 3 bytes, found 2"
    ),
    Damage("truncated-in-metadata", 0, ARCHIVE, "byte 20: metadata is cut: expected 35 bytes, found 20"),
    Damage("flip-tx-data", 6, BLOCK_RULE, "byte 7807: block 7: transactions root: "),
    Damage("flip-tx-signature", 6, BLOCK_RULE, "byte 7807: block 7: transactions root: "),
    Damage("flip-header-parentHash", 20, BLOCK_RULE, at_21("parent link: parentHash: ")),
    Damage("flip-header-stateRoot", 20, BLOCK_RULE, at_21("proposer seal: ")),
    Damage("flip-header-receiptsRoot", 20, BLOCK_RULE, at_21("proposer seal: ")),
    Damage("flip-header-number", 20, BLOCK_RULE, at_21("number: "), "expected 21, found 20"),
    Damage("flip-header-gasUsed", 6, BLOCK_RULE, "byte 7807: block 7: proposer seal: "),
    Damage("flip-header-timestamp", 20, BLOCK_RULE, at_21("proposer seal: ")),
    Damage("flip-header-mixHash", 20, BLOCK_RULE, at_21("constants and vote: mixHash: ")),
    Damage("flip-header-miner", 20, BLOCK_RULE, at_21("proposer seal: ")),
    Damage("flip-header-nonce", 20, BLOCK_RULE, at_21("constants and vote: nonce: ")),
    Damage(
        "flip-header-difficulty", 20, BLOCK_RULE, at_21("constants and vote: difficulty: "), "expected 21, found 20"
    ),
    Damage("flip-vanity", 20, BLOCK_RULE, at_21("proposer seal: ")),
    Damage("flip-validators", 20, BLOCK_RULE, at_21("validator list: validators: ")),
    Damage("flip-proposer-seal", 20, BLOCK_RULE, at_21("proposer seal: ")),
    Damage("flip-committed-seal", 20, BLOCK_RULE, at_21("committed seals: seal 0: ")),
    Damage("flip-parent-seal", 20, BLOCK_RULE, at_21("parent seals: seal 2: ")),
    Damage(
        "flip-metadata-height",
        24,
        ARCHIVE,
        "byte 44963: the archive ends early: expected blocks up to 25, ",
        "end after block 24",
    ),
    Damage("flip-metadata-prefix", 0, ARCHIVE, "byte 0: no metadata: expected a list, found byte 0x62"),
    Damage("flip-record-prefix", 20, ARCHIVE, at_21("not a block: expected a list, found byte 0x79")),
    Damage("flip-record-length", 20, BLOCK_RULE, at_21("structure: ")),
    Damage("foreign-genesis-bls", 0, BLOCK_RULE, "byte 35: block 0: parent link: genesis hash: "),
    Damage("foreign-no-genesis-bls", 0, BLOCK_RULE, "byte 35: block 1: parent link: parentHash: "),
    Damage("foreign-genesis-ecdsa", 0, BLOCK_RULE, "byte 35: block 0: parent link: genesis hash: "),
    Damage("foreign-no-genesis-ecdsa", 0, BLOCK_RULE, "byte 35: block 1: parent link: parentHash: "),
    Damage("flip-extra-list-block-first", 0, BLOCK_RULE, "byte 665: block 1: extra data: "),
    Damage("flip-extra-list-block-middle", 20, BLOCK_RULE, at_21("extra data: ")),
    Damage("gap", 20, BLOCK_RULE, at_21("number: "), "expected 21, found 22"),
    Damage("gap-at-start", 0, BLOCK_RULE, "byte 35: block 1: number: ", "expected 1, found 5"),
    Damage("twice", 24, ARCHIVE, "byte 44963: block 25: not a block: metadata (height 24) inside the blocks"),
    Damage("blocks-twice", 24, BLOCK_RULE, "byte 44963: block 25: number: ", "expected 25, found 0"),
    Damage("swapped-blocks", 20, BLOCK_RULE, at_21("number: "), "expected 21, found 22"),
    Damage("hostile-length-ff-ff", 6, ARCHIVE, too_long("")),
    Damage("hostile-length-ff-7f", 6, ARCHIVE, too_long("")),
    Damage("hostile-length-ff-00", 6, ARCHIVE, too_long("")),
    Damage("hostile-length-fb-ff", 6, ARCHIVE, too_long("")),
    Damage("hostile-metadata", 0, ARCHIVE, "byte 0: no metadata: length: "),
    Damage("trailing-bytes", 24, ARCHIVE, "byte 44963: block 25: not a block: expected a list, found byte 0x00"),
    Damage("empty-list-record", 20, ARCHIVE, at_21("not a block: no header in it")),
    Damage("zero-tail", 20, ARCHIVE, at_21("not a block: expected a list, found byte 0x00")),
    Damage("metadata-only", 0, ARCHIVE, "byte 35: the archive ends early: expected blocks up to 24, found no blocks"),
    Damage("empty", 0, ARCHIVE, "byte 0: empty file, no metadata"),
    Damage("random", 0, ARCHIVE, "byte 0: no metadata: expected a list, found byte 0x78"),
    Damage("text", 0, ARCHIVE, "byte 0: no metadata: expected a list, found byte 0x74"),
]
HARMLESS = {
    "good": "",
    "no-genesis": "",
    "repeated-block": "block 21 stands there twice, skipped",
    "flip-metadata-hash": "byte 0: metadata hash is not the last block's: ",
}
CARRIED = {path.stem for path in recorded_folder("malformed").glob("*.dat")}


def archive(name: str) -> Path:
    """The broken archive `name`: with the source, or in the shared folder."""
    carried = recorded_folder("malformed") / f"{name}.dat"
    return carried if carried.exists() else shared_folder() / "golden/malformed" / f"{name}.dat"


def parameters(names: list[str]) -> list[object]:
    """The names as test parameters, marked where they need the shared folder."""
    return [pytest.param(name, marks=() if name in CARRIED else pytest.mark.shared) for name in names]


DAMAGE = {damage.file: damage for damage in DAMAGES}


def head_of(data: Path) -> int:
    """The head of a data directory; 0 where nothing was ever written."""
    if not (data / "blockchain").exists():
        return 0
    with _core.Chain.open(data, create=False) as chain:
        assert chain.head is not None
        number, block_hash = chain.head
        assert chain.canonical_hash(number) == block_hash
        assert chain.canonical_hash(number + 1) is None
        return number


def check_message(damage: Damage, errors: str) -> None:
    """Assert that the one error names the file, the byte, the height and the rule, and is no traceback."""
    said = [line for line in errors.splitlines() if line.startswith("Error: ")]
    assert len(said) == 1, errors
    assert f"{damage.file}.dat: {damage.message}" in said[0]
    assert damage.comparison in said[0]
    assert "Traceback" not in errors
    assert "panic" not in errors


def check_good_restore(poa: Network, command: Command, data: Path) -> None:
    """Assert that the good archive completes what is there."""
    ended = command("restore", archive("good"), "--data-dir", data, "--chain", poa.genesis, "--json")
    assert ended.exit_code == 0, ended.errors
    assert (ended.document["head"], ended.document["head_hash"]) == (GOOD_HEAD, "0x" + GOOD_HASH)
    assert not DataDirectory(data).is_unfinished
    assert head_of(data) == GOOD_HEAD


@pytest.mark.parametrize("name", parameters(list(DAMAGE)))
def test_a_broken_archive_ends_at_its_last_good_block_and_a_good_one_completes_it(
    name: str, poa: Network, command: Command, tmp_path: Path
) -> None:
    damage, data = DAMAGE[name], tmp_path / "node"
    ended = command("restore", archive(name), "--data-dir", data, "--chain", poa.genesis)
    assert ended.exit_code == damage.exit_code
    assert ended.output == ""
    check_message(damage, ended.errors)
    assert head_of(data) == damage.head
    # Where nothing was written there is nothing to mark, and the mark goes with the commit of the promised height.
    promised = 25 if name == "flip-metadata-height" else GOOD_HEAD
    assert DataDirectory(data).is_unfinished == (data.exists() and damage.head < promised)
    check_good_restore(poa, command, data)


@pytest.mark.parametrize("name", parameters(list(HARMLESS)))
def test_a_harmless_archive_restores(name: str, poa: Network, command: Command, tmp_path: Path) -> None:
    ended = command("restore", archive(name), "--data-dir", tmp_path, "--chain", poa.genesis, "--json")
    assert ended.exit_code == 0, ended.errors
    assert (ended.document["head"], ended.document["head_hash"]) == (GOOD_HEAD, "0x" + GOOD_HASH)
    warnings = [line for line in ended.errors.splitlines() if "[WARNING]" in line]
    assert len(warnings) == bool(HARMLESS[name])
    assert all(f"{name}.dat: {HARMLESS[name]}" in line for line in warnings)
    check_good_restore(poa, command, tmp_path)


@pytest.mark.shared
def test_a_wrong_metadata_hash_is_an_error_when_strict(poa: Network, command: Command, tmp_path: Path) -> None:
    damaged = archive("flip-metadata-hash")
    ended = command("restore", damaged, "--data-dir", tmp_path, "--chain", poa.genesis, "--strict")
    assert ended.exit_code == ARCHIVE
    assert (
        f"{damaged}: byte 0: metadata hash is not the last block's: expected 0x{FLIPPED_HASH}, found 0x{GOOD_HASH}"
        in ended.errors
    )
    assert head_of(tmp_path) == GOOD_HEAD
    check_good_restore(poa, command, tmp_path)


@pytest.mark.parametrize(
    "name",
    parameters(
        [
            "hostile-length-ff-ff",
            "hostile-length-ff-7f",
            "hostile-length-ff-00",
            "hostile-length-fb-ff",
            "hostile-metadata",
            "truncated-mid-record",
            "flip-committed-seal",
            "random",
        ]
    ),
)
@pytest.mark.parametrize("is_pipe", [False, True], ids=["file", "pipe"])
def test_a_process_ends_with_its_code_and_little_memory(name: str, is_pipe: bool, poa: Network, tmp_path: Path) -> None:
    damage, data = DAMAGE[name], tmp_path / "node"
    words = ["restore", "-" if is_pipe else archive(name), "--data-dir", data, "--chain", poa.genesis]
    ended, peak = run_process(*words, measured_in=tmp_path, stdin=archive(name).read_bytes() if is_pipe else None)
    assert ended.exit_code == damage.exit_code, ended.errors
    place = re.match(r"byte \d+(: block \d+)?", damage.message)
    assert place is not None
    source = "standard input" if is_pipe else archive(name)
    assert f"Error: {source}: {place[0]}: " in ended.errors
    assert "Traceback" not in ended.errors
    assert head_of(data) == damage.head
    assert peak < MOST_MEMORY, f"{peak >> 20} MiB"


def test_the_table_is_that_of_the_collection(shared: Path) -> None:
    table = (shared / "golden/malformed/README.md").read_text()
    rows = [[cell.strip() for cell in row.split(" | ")] for row in table.splitlines() if row.count(" | ") == 4]
    right = {row[0].removeprefix("| "): row[-1] for row in rows[1:]}
    heads = {f"{damage.file}.dat": damage.head for damage in DAMAGES} | {f"{name}.dat": GOOD_HEAD for name in HARMLESS}
    assert {name: int(text.partition(";")[0]) for name, text in right.items()} == heads
    assert heads.keys() == {path.name for path in (shared / "golden/malformed").glob("*.dat")}
    for damage in DAMAGES:
        # Wherever the collection names a byte or a block, our message names the same.
        named = re.findall(r"byte \d+", right[f"{damage.file}.dat"])
        assert all(place in damage.message for place in named), damage.file
