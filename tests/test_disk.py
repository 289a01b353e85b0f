"""A full disk is told by name, whichever way the system says so, and nothing else is taken for one."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from polygon_edge.disk import free_bytes, reporting_full_disk, sync_folder
from polygon_edge.errors import DiskFullError


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_no_space_by_disk_quota_or_limit_is_a_full_disk(number: int, tmp_path: Path) -> None:
    file = tmp_path / "not" / "yet" / "file"
    with pytest.raises(DiskFullError) as raised, reporting_full_disk(file):
        raise OSError(number, os.strerror(number))
    assert raised.value.path == str(file)
    assert raised.value.free == free_bytes(tmp_path)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.EROFS])
def test_any_other_failure_passes_as_it_is(number: int, tmp_path: Path) -> None:
    failure = OSError(number, os.strerror(number))
    with pytest.raises(OSError, match=os.strerror(number)) as raised, reporting_full_disk(tmp_path / "file"):
        raise failure
    assert raised.value is failure


def test_a_folder_that_is_none_cannot_be_synced(tmp_path: Path) -> None:
    sync_folder(tmp_path)
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(NotADirectoryError):
        sync_folder(file)
