"""The folders of a data directory, and the mark of a restore that has not finished.

The databases inside the folders are opened by the Rust core, never here.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from polygon_edge import disk
from polygon_edge.disk import reporting_full_disk, sync_folder
from polygon_edge.errors import DataDirectoryError, DiskFullError
from polygon_edge.store.durable import write_durably

if TYPE_CHECKING:
    from pathlib import Path

logger = logging.getLogger(__name__)

NODE_FOLDERS = ("blockchain", "trie", "keystore", "consensus", "libp2p")
RESTORE_FOLDERS = ("blockchain", "trie", "consensus")
PRIVATE_FOLDERS = frozenset({"keystore", "consensus", "libp2p"})
"""Those that hold keys: made so that only their owner may look inside."""
MARK_NAME = "restore-unfinished.json"
"""Beside the folders.

As long as it is there, the chain below is not the one that was promised, and nobody may seal on it.
"""


def has_database(folder: Path) -> bool:
    """Whether a database was made in `folder`."""
    return (folder / "CURRENT").exists()


@dataclass(frozen=True, slots=True)
class RestoreMark:
    """What an unfinished restore still owes: `height` and 32-byte `hash` as the archive promises them, and `target`,
    the height wanted.

    `target` is None when the whole archive was wanted.
    """

    height: int
    hash: bytes
    target: int | None = None

    @property
    def end(self) -> int:
        """The height whose commit makes the restore complete."""
        return self.height if self.target is None else self.target


@dataclass(frozen=True, slots=True)
class DataDirectory:
    """The data directory at `path`."""

    path: Path

    @property
    def blockchain(self) -> Path:
        """Folder of the block database."""
        return self.path / "blockchain"

    @property
    def trie(self) -> Path:
        """Folder of the state database."""
        return self.path / "trie"

    @property
    def consensus(self) -> Path:
        """Folder of validator keys and snapshots."""
        return self.path / "consensus"

    @property
    def libp2p(self) -> Path:
        """Folder of the network key."""
        return self.path / "libp2p"

    @property
    def keystore(self) -> Path:
        """Folder of the network key as older releases are documented to have it; read, never written."""
        return self.path / "keystore"

    @property
    def mark(self) -> Path:
        """The mark's file, there or not."""
        return self.path / MARK_NAME

    def create(self, folders: tuple[str, ...] = NODE_FOLDERS) -> None:
        """Create the directory and `folders` in it where they are missing.

        Raises DataDirectoryError when something else has the name or the system refuses, DiskFullError.
        """
        for folder in (self.path, *(self.path / name for name in folders)):
            mode = 0o700 if folder.name in PRIVATE_FOLDERS and folder is not self.path else 0o777
            try:
                with reporting_full_disk(folder):
                    folder.mkdir(mode, parents=folder is self.path, exist_ok=True)
            except FileExistsError as error:
                raise DataDirectoryError(str(folder), "cannot be used", expected="a folder", found="a file") from error
            except OSError as error:
                raise DataDirectoryError(str(folder), f"cannot be created: {error.strerror or error}") from error
        sync_folder(self.path)

    @property
    def is_unfinished(self) -> bool:
        """Whether a restore into this directory began and did not finish; a mark that cannot be read counts."""
        return os.path.lexists(self.mark)

    def write_mark(self, mark: RestoreMark) -> None:
        """Mark the directory as unfinished, durably, before the first block is written.

        Raises DiskFullError, OSError.
        """
        content = {"height": mark.height, "hash": "0x" + mark.hash.hex(), "target": mark.target}
        write_durably(self.mark, json.dumps(content).encode() + b"\n")

    def read_mark(self) -> RestoreMark | None:
        """Return the mark, None when there is none; raises DataDirectoryError for one that cannot be read."""
        try:
            content = json.loads(self.mark.read_bytes())
            mark = RestoreMark(content["height"], bytes.fromhex(content["hash"].removeprefix("0x")), content["target"])
        except FileNotFoundError as error:
            if self.is_unfinished:
                raise self._unreadable("a link to nothing") from error
            return None
        except OSError as error:
            raise self._unreadable(error.strerror or str(error)) from error
        except (ValueError, LookupError, AttributeError, TypeError, RecursionError) as error:
            raise self._unreadable(str(error)) from error
        for height in (mark.height, 0 if mark.target is None else mark.target):
            if type(height) is not int or height < 0:
                raise self._unreadable(f"height {height!r}")
        if len(mark.hash) != 32:
            raise self._unreadable(f"hash of {len(mark.hash)} bytes")
        return mark

    def _unreadable(self, found: str) -> DataDirectoryError:
        return DataDirectoryError(
            str(self.mark), "unreadable mark of an unfinished restore", expected="height, hash and target", found=found
        )

    def remove_mark(self) -> None:
        """Take the mark away, durably, after the last block is durable."""
        with contextlib.suppress(FileNotFoundError):
            self.mark.unlink()
        sync_folder(self.path)

    def warn_of_lost_blocks(self) -> None:
        """Warn when there are traces of a chain and no blocks; to be asked before the databases are made."""
        if has_database(self.blockchain):
            return
        if has_database(self.trie):
            found = "a world state"
        elif (self.consensus / "snapshots").exists():
            found = "the validators of a chain"
        else:
            return
        logger.warning("%s has %s but no blocks: the chain begins anew at its genesis block", self.path, found)

    def free_bytes(self) -> int:
        """Bytes free on the file system of this directory, or of where it will be created."""
        return disk.free_bytes(self.path)

    def require_free(self, needed: int) -> None:
        """Raise DiskFullError when fewer than `needed` bytes are free."""
        free = self.free_bytes()
        if free < needed:
            raise DiskFullError(str(self.path), needed, free)
