from __future__ import annotations

import errno
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polygon_edge.errors import DataDirectoryError, DiskFullError
from polygon_edge.store.data_dir import NODE_FOLDERS, RESTORE_FOLDERS, DataDirectory, RestoreMark
from polygon_edge.store.durable import create_durably, write_durably


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


MARK = RestoreMark(24, bytes(range(32)), 20)


def test_a_node_gets_its_folders_and_keeps_what_is_there(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path / "new" / "data")
    directory.create()
    (directory.consensus / "validator.key").write_text("kept")
    directory.create()
    assert names(directory.path) == sorted(NODE_FOLDERS)
    assert (directory.consensus / "validator.key").read_text() == "kept"


def test_folders_of_keys_are_their_owners_alone(tmp_path: Path) -> None:
    DataDirectory(tmp_path / "consensus").create()
    private = {name for name in NODE_FOLDERS if not (tmp_path / "consensus" / name).stat().st_mode & 0o077}
    assert private == {"keystore", "consensus", "libp2p"}
    assert (tmp_path / "consensus").stat().st_mode & 0o777 == 0o777 & ~_umask()


def _umask() -> int:
    current = os.umask(0o022)
    os.umask(current)
    return current


def test_a_restore_gets_its_three(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path)
    directory.create(RESTORE_FOLDERS)
    assert names(tmp_path) == ["blockchain", "consensus", "trie"]
    assert directory.blockchain.is_dir()
    assert directory.trie.is_dir()


def test_a_file_in_place_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "trie").touch()
    with pytest.raises(DataDirectoryError, match="trie: cannot be used: expected a folder, found a file"):
        DataDirectory(tmp_path).create()


@pytest.mark.parametrize(
    ("number", "raised"),
    [(errno.EACCES, DataDirectoryError), (errno.ENOSPC, DiskFullError), (errno.EROFS, DataDirectoryError)],
)
def test_a_folder_that_cannot_be_created_says_why(
    number: int, raised: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_self: Path, *_mode: int, **_options: bool) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "mkdir", fail)
    with pytest.raises(raised):
        DataDirectory(tmp_path / "data").create()


def test_the_mark_is_there_until_it_is_removed(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path)
    assert not DataDirectory(tmp_path).is_unfinished
    assert directory.read_mark() is None
    directory.write_mark(MARK)
    assert DataDirectory(tmp_path).is_unfinished
    assert directory.read_mark() == MARK
    directory.remove_mark()
    directory.remove_mark()
    assert not DataDirectory(tmp_path).is_unfinished
    assert names(tmp_path) == []


@given(
    st.builds(
        RestoreMark,
        st.integers(0, (1 << 64) - 1),
        st.binary(min_size=32, max_size=32),
        st.none() | st.integers(0, (1 << 64) - 1),
    )
)
def test_marks_round_trip(mark: RestoreMark) -> None:
    directory = DataDirectory(Path(tempfile.mkdtemp()))

    directory.write_mark(mark)
    assert directory.read_mark() == mark
    shutil.rmtree(directory.path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        b'{"height": 1, "hash": "0x00", "target": null}',
        b'{"height": "1", "hash": "0x' + b"00" * 32 + b'", "target": null}',
        b'{"height": 1, "hash": "0x' + b"00" * 32 + b'", "target": -1}',
        b'{"height": true, "hash": "0x' + b"00" * 32 + b'", "target": null}',
        b'{"height": 1, "hash": 5, "target": null}',
        b'{"height": 1, "hash": "xy", "target": null}',
        b'{"height": 1, "target": null}',
    ],
)
def test_a_mark_that_cannot_be_read_is_still_a_mark(content: bytes, tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path)
    directory.mark.write_bytes(content)
    assert directory.is_unfinished
    with pytest.raises(DataDirectoryError, match="unreadable mark"):
        directory.read_mark()


def test_a_mark_that_is_no_file_is_still_a_mark(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path)
    directory.mark.symlink_to(tmp_path / "nothing")
    assert directory.is_unfinished
    with pytest.raises(DataDirectoryError, match="link to nothing"):
        directory.read_mark()
    directory.remove_mark()
    directory.mark.mkdir()
    with pytest.raises(DataDirectoryError, match="Is a directory"):
        directory.read_mark()


def test_free_space_is_that_of_the_folder_to_be(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path / "not" / "yet")
    assert directory.free_bytes() > 0
    directory.require_free(1)
    with pytest.raises(DiskFullError) as raised:
        directory.require_free(1 << 80)
    assert raised.value.needed == 1 << 80
    assert raised.value.free is not None
    assert raised.value.free > 0


@pytest.mark.parametrize(
    ("traces", "found"),
    [
        (("trie/CURRENT",), "a world state"),
        (("trie/CURRENT", "consensus/snapshots"), "a world state"),
        (("consensus/snapshots",), "the validators of a chain"),
        (("consensus/validator.key",), None),
        (("trie/CURRENT", "blockchain/CURRENT", "consensus/snapshots"), None),
        ((), None),
    ],
)
def test_a_chain_that_has_lost_its_blocks_is_told(
    traces: tuple[str, ...], found: str | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    directory = DataDirectory(tmp_path)
    directory.create()
    for trace in traces:
        (tmp_path / trace).touch()
    directory.warn_of_lost_blocks()
    said = f"{tmp_path} has {found} but no blocks: the chain begins anew at its genesis block"
    assert caplog.messages == ([] if found is None else [said])


# --- durable writes


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    write_durably(file, b"old")

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFullError):
        write_durably(file, b"new")
    assert file.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


def test_a_part_left_by_a_crash_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "file.part").write_bytes(b"half of something longer")
    write_durably(tmp_path / "file", b"whole", 0o600)
    assert (tmp_path / "file").read_bytes() == b"whole"
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("number", [None, errno.EPERM, errno.EOPNOTSUPP])
def test_a_new_file_is_whole_and_never_replaces_one(
    number: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if number is not None:

        def no_hard_links(_file: Path, _target: Path) -> None:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(Path, "hardlink_to", no_hard_links)
    create_durably(tmp_path / "a.key", b"first", 0o600)
    assert (tmp_path / "a.key").stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        create_durably(tmp_path / "a.key", b"second", 0o600)
    assert (tmp_path / "a.key").read_bytes() == b"first"
    assert names(tmp_path) == ["a.key"]


def test_a_new_file_that_cannot_be_named_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(number: int) -> OSError:
        return OSError(number, os.strerror(number))

    def no_hard_links(_file: Path, _target: Path) -> None:
        raise fail(errno.EPERM)

    def no_rename(_part: Path, _target: Path) -> Path:
        raise fail(errno.EIO)

    monkeypatch.setattr(Path, "hardlink_to", no_hard_links)
    monkeypatch.setattr(Path, "rename", no_rename)
    with pytest.raises(OSError, match="Input/output error"):
        create_durably(tmp_path / "a.key", b"content", 0o600)
    assert names(tmp_path) == []


def test_a_new_file_without_space_is_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFullError):
        create_durably(tmp_path / "a.key", b"content", 0o600)
    assert names(tmp_path) == []
