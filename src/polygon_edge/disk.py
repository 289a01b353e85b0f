"""What every layer that writes files asks of the disk: how much room there is, that names last, when it is full.

Owns no file and no format: those are the callers'.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from typing import TYPE_CHECKING

from polygon_edge.errors import DiskFullError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""No space left, also by quota or by limit."""


def free_bytes(path: Path) -> int:
    """Bytes free on the file system of `path`, or of where it will be made."""
    existing = path.absolute()
    while not existing.exists():
        existing = existing.parent
    return shutil.disk_usage(existing).free


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable; raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def reporting_full_disk(path: Path) -> Iterator[None]:
    """Turn "no space left" into DiskFullError for `path`; every other OSError passes as it is."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise DiskFullError(str(path), None, free_bytes(path)) from error
        raise
