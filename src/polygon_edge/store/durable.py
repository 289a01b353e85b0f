"""Writes a small file so that after a crash there is the old one or the new one, never half of one."""

from __future__ import annotations

import errno
import os
from secrets import token_hex
from typing import TYPE_CHECKING

from polygon_edge.disk import reporting_full_disk, sync_folder

if TYPE_CHECKING:
    from pathlib import Path

FILE_MODE = 0o666
"""For a file without secrets: the umask takes its part, as with v0.6.x; nobody has to execute it (§3.7, §8)."""

_NO_HARD_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})


def write_durably(file: Path, content: bytes, mode: int = FILE_MODE) -> None:
    """Replace `file` by `content`: written beside it, synced, renamed, folder synced.

    Raises DiskFullError and OSError; `file` is then unchanged.
    """
    part = file.with_name(file.name + ".part")
    with reporting_full_disk(file):
        try:
            # A part left over by a crash may have other permissions.
            part.unlink(missing_ok=True)
            with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            part.rename(file)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        sync_folder(file.parent)


def create_durably(file: Path, content: bytes, mode: int) -> None:
    """Create `file` with `content`: whole or not at all, and never in place of one that is there.

    Raises FileExistsError, DiskFullError and OSError; what was there is then unchanged.
    """
    # It ends like the file itself: what a crash leaves of a key still looks like a key to whoever sorts them out.
    part = file.with_name(f".{file.stem}.{token_hex(8)}{file.suffix}")
    with reporting_full_disk(file):
        try:
            with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            _publish(part, file)
        finally:
            part.unlink(missing_ok=True)
        sync_folder(file.parent)


def _publish(part: Path, file: Path) -> None:
    """Give `part` the name `file`, unless that is taken: a rename would replace it."""
    try:
        file.hardlink_to(part)
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        # FAT and some network file systems: take the name first. A crash right now leaves an empty file, which nobody
        # takes for a key.
        file.touch(mode=0o600, exist_ok=False)
        try:
            part.rename(file)
        except BaseException:
            file.unlink()
            raise
