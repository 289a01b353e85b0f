"""Restores in a process of its own and says on a pipe what it is about to do and what it has done.

Run as a program: archive, genesis file, data directory, blocks in a run, descriptor to write to. Each line is one word
of `Word`, for `REPORTED` followed by the height. The lines are written unbuffered, so that the last one read after a
kill tells where the process died.
"""

from __future__ import annotations

import os
import sys
import threading
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, cast

from polygon_edge import _core
from polygon_edge.archive.flat import FlatArchive
from polygon_edge.chain.genesis import load_genesis
from polygon_edge.execution.pipeline import Limits
from polygon_edge.restore import Restore
from polygon_edge.store.data_dir import RESTORE_FOLDERS, DataDirectory

if TYPE_CHECKING:
    from collections.abc import Callable


class Word(StrEnum):
    """What a line can say."""

    OPENING = "opening"
    STARTING = "starting"
    STARTED = "started"
    COMMITTING = "committing"
    COMMITTED = "committed"
    REPORTED = "reported"
    DONE = "done"


class ToldChain:
    """A chain that tells before and after whatever it writes; all the rest is the chain's own."""

    def __init__(self, chain: _core.Chain, tell: Callable[[str], None]) -> None:
        self._chain = chain
        self._tell = tell

    def start(self, rules: _core.Rules, genesis: _core.Genesis) -> None:
        self._tell(Word.STARTING)
        self._chain.start(rules, genesis)
        self._tell(Word.STARTED)

    def commit(self, executed: _core.Executed) -> None:
        self._tell(Word.COMMITTING)
        self._chain.commit(executed)
        self._tell(Word.COMMITTED)

    def __getattr__(self, name: str) -> object:
        return getattr(self._chain, name)


class ToldProgress:
    """Hands on what the program reports as committed."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell

    def update(self, *, blocks: int, transactions: int, gas: int, head: int) -> None:  # noqa: ARG002 - the protocol
        self._tell(f"{Word.REPORTED} {head}")


def main(archive: str, genesis: str, data_directory: str, run_blocks: str, descriptor: str) -> None:
    def tell(line: str) -> None:
        os.write(int(descriptor), line.encode() + b"\n")

    tell(Word.OPENING)
    directory = DataDirectory(Path(data_directory))
    directory.create(RESTORE_FOLDERS)
    with FlatArchive.open(archive) as source, _core.Chain.open(directory.path) as chain:
        Restore(
            source,
            directory,
            cast("_core.Chain", ToldChain(chain, tell)),
            load_genesis(Path(genesis)),
            threading.Event(),
            ToldProgress(tell),
            limits=Limits(blocks=int(run_blocks)),
        ).run()
    tell(Word.DONE)


if __name__ == "__main__":
    main(*sys.argv[1:])
