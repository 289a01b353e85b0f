"""Restores a recorded network of the Go client and checks the result without the program's own help.

Prints each command before it runs. Exits non-zero at the first thing that is not as recorded.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import plyvel

ROOT = Path(__file__).resolve().parent.parent
NETWORK = ROOT / "tests" / "data" / "v0.6.3" / "poa-ecdsa"
DAMAGED = ROOT / "tests" / "data" / "malformed" / "truncated-mid-record.dat"
ARCHIVE_EXIT_CODE = 10


class DemoError(Exception):
    """What the demonstration found is not what it should be."""


def run(*arguments: str | Path, expected_exit_code: int = 0) -> None:
    """Runs one command of the program, output to the terminal; refuses any other exit code than the expected."""
    command = [str(Path(sys.executable).parent / "polygon-edge"), *map(str, arguments)]
    print("$ polygon-edge", *map(str, arguments), flush=True)
    exit_code = subprocess.run(command, check=False).returncode
    print(f"  exit code {exit_code}\n", flush=True)
    if exit_code != expected_exit_code:
        raise DemoError(f"exit code {exit_code}, expected {expected_exit_code}")


def read_head(data_directory: Path) -> tuple[int, str]:
    """Reads number and hash of the head straight from the database, as the Go client lays it out."""
    database = plyvel.DB(str(data_directory / "blockchain"), create_if_missing=False)
    try:
        number, block_hash = database.get(b"onumber"), database.get(b"ohash")
    finally:
        database.close()
    if number is None or block_hash is None:
        raise DemoError(f"{data_directory}: the database has no head")
    return int.from_bytes(number, "big"), "0x" + block_hash.hex()


def expect_head(data_directory: Path, number: int, block_hash: str) -> None:
    """Compares the head in the database with a recorded one."""
    found = read_head(data_directory)
    if found != (number, block_hash):
        raise DemoError(f"head {found}, expected {(number, block_hash)}")
    print(f"  head in the database: {number} {block_hash}, as the Go client recorded it\n", flush=True)


def demonstrate(folder: Path) -> None:
    """The demonstration: look, restore, restore again, refuse a damaged archive."""
    recorded = json.loads((NETWORK / "about.json").read_text())
    archive, genesis = NETWORK / "full.dat", NETWORK / "genesis.json"
    restored, refused = folder / "restored", folder / "refused"

    print("1. What is in the archive?")
    run("archive", "info", archive)

    print("2. Restore it: every block is decoded, its seals verified, its transactions executed, all roots compared.")
    run("restore", archive, "--data-dir", restored, "--chain", genesis)
    expect_head(restored, recorded["blocks"], recorded["headHash"])

    print("3. The same again: nothing is left to do, and that is a success.")
    run("restore", archive, "--data-dir", restored, "--chain", genesis)
    expect_head(restored, recorded["blocks"], recorded["headHash"])

    print("4. An archive cut in the middle of block 7: refused, the good blocks before the cut are kept.")
    run("restore", DAMAGED, "--data-dir", refused, "--chain", genesis, expected_exit_code=ARCHIVE_EXIT_CODE)
    number, block_hash = read_head(refused)
    if number != 6:
        raise DemoError(f"head {number} after the damaged archive, expected 6")
    print(f"  head in the database: {number} {block_hash}\n", flush=True)


def main() -> int:
    """Runs the demonstration in a temporary folder that is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="polygon-edge-demo-") as folder:
        try:
            demonstrate(Path(folder))
        except DemoError as error:
            print(f"demo: error: {error}", file=sys.stderr)
            return 1
    print("demo: all as recorded")
    return 0


if __name__ == "__main__":
    sys.exit(main())
