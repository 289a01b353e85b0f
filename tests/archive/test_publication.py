"""A finished file gets its name in one step, and takes nobody's place."""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

import pytest

from polygon_edge.archive import publication
from polygon_edge.archive.publication import publish
from polygon_edge.errors import ArchiveExistsError


@pytest.fixture(params=["renameat2", "link", "neither"])
def system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Systems and file systems that have the one call, only links, or not even these."""
    if request.param != "renameat2":
        monkeypatch.setattr(publication, "_rename_exclusively", lambda *_: False)
    if request.param == "neither":

        def no_link(*_: object, **__: object) -> None:
            raise OSError(errno.EPERM, "Operation not permitted")

        monkeypatch.setattr(os, "link", no_link)
    return str(request.param)


@pytest.mark.usefixtures("system")
def test_a_part_gets_its_name(tmp_path: Path) -> None:
    part, out = tmp_path / "a.part", tmp_path / "a"
    part.write_bytes(b"content")
    publish(part, out)
    assert (out.read_bytes(), part.exists()) == (b"content", False)


@pytest.mark.usefixtures("system")
@pytest.mark.parametrize("kind", ["file", "folder", "link to nothing"])
def test_what_has_the_name_is_not_touched(tmp_path: Path, kind: str) -> None:
    part, out = tmp_path / "a.part", tmp_path / "a"
    part.write_bytes(b"content")
    if kind == "file":
        out.write_bytes(b"other")
    elif kind == "folder":
        out.mkdir()
    else:
        out.symlink_to(tmp_path / "nothing")
    before = out.lstat()
    with pytest.raises(ArchiveExistsError, match=f"^open {out}: file exists$"):
        publish(part, out)
    assert out.lstat() == before
    assert part.read_bytes() == b"content"


def test_a_folder_that_is_gone_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        publish(tmp_path / "no" / "a.part", tmp_path / "no" / "a")


def test_the_reason_of_a_failed_link_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publication, "_rename_exclusively", lambda *_: False)
    with pytest.raises(FileNotFoundError):
        publish(tmp_path / "a.part", tmp_path / "a")


@pytest.mark.parametrize("lacks", ["the call", "its support"])
def test_a_system_without_the_one_call_uses_a_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lacks: str) -> None:
    class Library:
        if lacks == "its support":

            @staticmethod
            def renameat2(*_: object) -> int:
                ctypes.set_errno(errno.EINVAL)
                return -1

    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: Library())
    part, out = tmp_path / "a.part", tmp_path / "a"
    part.write_bytes(b"content")
    publish(part, out)
    assert (out.read_bytes(), part.exists()) == (b"content", False)
