"""Gives a finished file its name: durably, in one step, and never in the place of another file."""

from __future__ import annotations

import ctypes
import errno
import os
from typing import TYPE_CHECKING

from polygon_edge.disk import sync_folder
from polygon_edge.errors import ArchiveExistsError

if TYPE_CHECKING:
    from pathlib import Path

_CURRENT_FOLDER = -100
_NO_REPLACE = 1
_NOT_SUPPORTED = {errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM}


def publish(part: Path, out: Path) -> None:
    """Rename `part`, whose content is synced, to `out`, and sync the folder.

    Raises ArchiveExistsError when something has the name `out`; then nothing has changed. A check before a plain rename
    would leave a moment in which both pass it.
    """
    if not _rename_exclusively(part, out):
        try:
            os.link(part, out, follow_symlinks=False)
        except FileExistsError as error:
            raise ArchiveExistsError(str(out)) from error
        except OSError as error:
            if error.errno not in _NOT_SUPPORTED:
                raise
            # A file system without either, such as FAT: only the check is left.
            if os.path.lexists(out):
                raise ArchiveExistsError(str(out)) from error
            part.rename(out)
        else:
            part.unlink()
    sync_folder(out.parent)


def _rename_exclusively(part: Path, out: Path) -> bool:
    """Rename by the one call that refuses to replace; False where system or file system do not have it."""
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    if rename(_CURRENT_FOLDER, os.fsencode(part), _CURRENT_FOLDER, os.fsencode(out), _NO_REPLACE) == 0:
        return True
    number = ctypes.get_errno()
    if number == errno.EEXIST:
        raise ArchiveExistsError(str(out))
    if number in _NOT_SUPPORTED:
        return False
    raise OSError(number, os.strerror(number), str(part))
