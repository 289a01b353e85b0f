"""What several tests need: the recorded networks, and headers decoded independently of the program."""

from __future__ import annotations

import logging
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import rlp
from eth_hash.auto import keccak
from eth_keys.datatypes import Signature
from hypothesis import settings
from tests.golden.recorded import Network
from tests.program import Outcome

from polygon_edge.archive.flat import FlatArchive
from polygon_edge.cli.main import main
from polygon_edge.cli.stop import STOP_SIGNALS, stop_requested
from polygon_edge.consensus.validators import SealedHeader
from polygon_edge.observe.logs import ROOT_LOGGER_NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.program import Command

# A loaded machine is slow, not wrong; a failure prints the seed that repeats it.
settings.register_profile("repository", deadline=None, print_blob=True)
settings.load_profile("repository")

RECURSION_LIMIT = 1000
REPOSITORY = Path(__file__).parent.parent


def shared_folder() -> Path:
    """The folder of recorded networks; without it the test is skipped, in CI it fails."""
    folder = Path(os.environ.get("POLYGON_EDGE_SHARED", REPOSITORY.parent / "shared"))
    if (folder / "golden").is_dir():
        return folder
    message = f"no recorded networks in {folder}: set POLYGON_EDGE_SHARED"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of recorded networks; without it the test is skipped, in CI it fails."""
    return shared_folder()


def is_carried(name: str, *needed: str) -> bool:
    """Whether the recorded folder `name` travels with the source, and in it the files `needed`, packed or not."""
    carried = REPOSITORY / "tests/data" / name
    files = (any((carried / (file + suffix)).exists() for suffix in ("", ".zst")) for file in needed)
    return carried.is_dir() and all(files)


def recorded_folder(name: str, *needed: str) -> Path:
    """Where the recorded folder `name` stands: with the source or, if it does not travel, in the shared folder.

    Of most folders only a part travels; `needed` are the files that must be there.
    """
    root = REPOSITORY / "tests/data" if is_carried(name, *needed) else shared_folder() / "golden"
    return root / name


@pytest.fixture(scope="session")
def poa() -> Network:
    """Four ECDSA validators and 150 blocks; travels with the source."""
    return Network(recorded_folder("v0.6.3/poa-ecdsa"))


@pytest.fixture(autouse=True)
def stack_as_in_production() -> None:
    """Sets the interpreter's own bound again: py_ecc, which comes with web3, lifts it when it is imported, and a deeply
    nested document then overruns the stack instead of being refused.
    """
    sys.setrecursionlimit(RECURSION_LIMIT)


@pytest.fixture(autouse=True)
def signals_as_before() -> Iterator[None]:
    """Leaves the signals as a test found them: one that stays ignored would be ignored by every child process after."""
    handlers = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    yield
    stop_requested.clear()
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Iterator[Command]:
    """Runs the program in this process; afterwards logging is as before."""
    logger = logging.getLogger(ROOT_LOGGER_NAME)
    before = (list(logger.handlers), logger.level, logger.propagate)

    def run(*words: object) -> Outcome:
        capsys.readouterr()
        exit_code = main([str(word) for word in words])
        captured = capsys.readouterr()
        return Outcome(exit_code, captured.out, captured.err)

    yield run
    logger.handlers, logger.level, logger.propagate = before


def sealed_header(raw: bytes) -> SealedHeader:
    """Decode a G1 ECDSA block with the `rlp` package and recover its proposer with `eth-keys` (§3.1, §3.4, §3.5)."""
    header = list(rlp.decode(raw)[0])
    extra = header[12]
    items = rlp.decode(extra[32:])
    filtered = [items[0], b"", []] + ([items[3]] if len(items) > 3 and items[3] else [])
    hashed = header[:13]
    hashed[12] = extra[:32] + rlp.encode(filtered)
    block_hash = keccak(rlp.encode(hashed))
    number = int.from_bytes(header[8], "big")
    proposer = b""
    if number > 0:
        seal = Signature(items[1])
        proposer = seal.recover_public_key_from_msg_hash(keccak(block_hash)).to_canonical_address()
    return SealedHeader(number, block_hash, proposer, header[2], header[14], tuple(items[0]))


@pytest.fixture(scope="session")
def headers(shared: Path) -> Callable[[str], list[SealedHeader]]:
    """The headers of a recorded G1 ECDSA network, by its folder under golden."""
    decoded: dict[str, list[SealedHeader]] = {}

    def read(network: str) -> list[SealedHeader]:
        if network not in decoded:
            with FlatArchive.open(shared / "golden" / network / "full.dat") as archive:
                decoded[network] = [sealed_header(record.raw) for record in archive.records()]
        return decoded[network]

    return read
