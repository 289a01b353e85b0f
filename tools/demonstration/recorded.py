"""Restores recorded networks of the Go client and compares with what its nodes had, without the program's own help.

Head and state root are read from the databases by other libraries (plyvel, rlp).
"""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import plyvel
import rlp
import zstandard
from rich.table import Table

from demonstration.program import ROOT, command_line, run
from demonstration.proofs import DemoError, Proofs, console

DATA = ROOT / "tests" / "data"
VOTES = DATA / "v0.6.3" / "poa-ecdsa"
PROGRAMS = DATA / "quirks" / "v0.6.3" / "all-fuzz"
MALFORMED = DATA / "malformed"
ARCHIVE_EXIT_CODE = 10
CHAIN_RULE_EXIT_CODE = 11
SIGKILL_EXIT_CODE = -9
STATE_ROOT_ITEM = 3
PATIENCE_SECONDS = 60


@dataclass(frozen=True)
class Head:
    """The head of a chain: height, hash and state root as 0x hex."""

    number: int
    hash: str
    state_root: str


def restore(archive: Path, data_directory: Path, genesis: Path, *options: str) -> dict[str, object]:
    """Restores and returns the document that the command ends with."""
    output = run("restore", archive, "--data-dir", data_directory, "--chain", genesis, "--json", *options).stdout
    document = json.loads(output.splitlines()[-1])
    if not isinstance(document, dict):
        raise DemoError(f"not a document: {output}")
    return document


def read_head(data_directory: Path) -> Head:
    """Reads the head straight from the database, as the Go client lays it out (docs/formats/data-directory.md)."""
    database = plyvel.DB(str(data_directory / "blockchain"), create_if_missing=False)
    try:
        number, block_hash = database.get(b"onumber"), database.get(b"ohash")
        if number is None or block_hash is None:
            raise DemoError(f"{data_directory}: the database has no head")
        header = rlp.decode(database.get(b"h" + block_hash))
    finally:
        database.close()
    return Head(int.from_bytes(number, "big"), "0x" + block_hash.hex(), "0x" + header[STATE_ROOT_ITEM].hex())


def recorded_head(network: Path) -> Head:
    """What the Go node said of its own head."""
    about = json.loads((network / "about.json").read_text())
    return Head(about["blocks"], about["headHash"], about["headStateRoot"])


def compare(found: Head, recorded: Head) -> None:
    """Prints both heads side by side and refuses a difference."""
    table = Table(show_edge=False, pad_edge=False)
    for column in ("", "the Go node", "this restore's database"):
        table.add_column(column)
    table.add_row("head", str(recorded.number), str(found.number))
    table.add_row("hash", _short(recorded.hash), _short(found.hash))
    table.add_row("state root", _short(recorded.state_root), _short(found.state_root))
    console.print(table)
    if found != recorded:
        raise DemoError(f"{found}, expected {recorded}")


def _short(value: str) -> str:
    return f"{value[:14]}...{value[-8:]}"


def show_restore(folder: Path, proofs: Proofs) -> None:
    """The main job: an archive becomes a data directory, and the same again is a success without work."""
    archive, genesis, directory = VOTES / "full.dat", VOTES / "genesis.json", folder / "node"
    console.rule("5. What is in the archive that a Go node wrote?", align="left")
    console.print(run("archive", "info", archive, "--chain", genesis).stdout.replace(f"{ROOT}/", ""), end="")
    console.rule("6. Restore it: every seal verified, every transaction executed, every root compared", align="left")
    document = restore(archive, directory, genesis)
    compare(read_head(directory), recorded_head(VOTES))
    about = json.loads((VOTES / "about.json").read_text())
    found = (document["genesis_hash"], document["transactions"])
    if found != (about["genesisHash"], about["transactions"]):
        raise DemoError(f"genesis hash and transactions {found}")
    proofs.add(
        f"{document['blocks']} blocks, {document['transactions']} transactions of 4 to 5 validators restored",
        "head, hash and state root of the Go node",
    )
    again = restore(archive, directory, genesis)
    if again["blocks"] != 0:
        raise DemoError(f"the second restore imported {again['blocks']} blocks")
    proofs.add("the same restore again does nothing", "its own report")


def show_damage(folder: Path, proofs: Proofs) -> None:
    """Two damaged copies: what is said about them, and that the good blocks before the damage are kept."""
    console.rule("7. Two damaged copies", align="left")
    damages = [
        ("truncated-mid-record.dat", "cut in the middle of block 7", ARCHIVE_EXIT_CODE, 6, "byte 7807: block 7"),
        (
            "flip-committed-seal.dat",
            "one bit altered in a seal of block 21",
            CHAIN_RULE_EXIT_CODE,
            20,
            "block 21: committed seals",
        ),
    ]
    for name, damage, exit_code, last_good, named in damages:
        console.print(f"{name}: {damage}. The Go client: head {last_good}, exit code 0.")
        directory = folder / Path(name).stem
        arguments = ("--data-dir", directory, "--chain", VOTES / "genesis.json")
        said = run("restore", MALFORMED / name, *arguments, expected_exit_code=exit_code).stderr
        if named not in said:
            raise DemoError(f"the message does not name {named}: {said}")
        head = read_head(directory)
        console.print(f"  head in the database: {head.number}")
        if head.number != last_good:
            raise DemoError(f"head {head.number} after the damaged archive, expected {last_good}")
        proofs.add(
            f"{damage}: refused, blocks up to {last_good} kept", f"exit code {exit_code}, the head in the database"
        )
    good = restore(VOTES / "full.dat", folder / Path(damages[0][0]).stem, VOTES / "genesis.json")
    if good["from"] != damages[0][3] + 1:
        raise DemoError(f"the restore from a good copy began at {good['from']}")
    compare(read_head(folder / Path(damages[0][0]).stem), recorded_head(VOTES))
    proofs.add("a good copy on top goes on at block 7", "head, hash and state root of the Go node")


def size_of(folder: Path) -> int:
    """Bytes below `folder`; files that vanish meanwhile do not count."""
    size = 0
    for file in folder.rglob("*"):
        try:
            size += file.stat().st_size
        except FileNotFoundError:
            continue
    return size


def kill_at(command: list[str], directory: Path, size: int) -> None:
    """Starts `command` and kills it, without a warning, once it has written `size` bytes below `directory`."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while process.poll() is None and size_of(directory) < size and time.monotonic() < deadline:
        time.sleep(0.002)
    process.kill()
    exit_code = process.wait()
    console.print(f"  killed: exit code {exit_code}")
    if exit_code != SIGKILL_EXIT_CODE:
        raise DemoError("the restore ended before it was killed")


def show_kill(folder: Path, proofs: Proofs) -> None:
    """A restore of random programs, once in peace and once killed half-way and resumed."""
    console.rule("8. A restore killed half-way, and resumed", align="left")
    archive, genesis = folder / "programs.dat", PROGRAMS / "genesis.json"
    with zstandard.ZstdDecompressor().stream_reader(io.BytesIO((PROGRAMS / "full.dat.zst").read_bytes())) as stream:
        archive.write_bytes(stream.read())
    whole, killed = folder / "in-peace", folder / "killed"
    document = restore(archive, whole, genesis)
    compare(read_head(whole), recorded_head(PROGRAMS))
    proofs.add(
        f"{document['transactions']} transactions that run random programs restored",
        "head, hash and state root of the Go node",
    )
    options = ("--data-dir", killed, "--chain", genesis, "--json", "--run-blocks", "1")
    kill_at(command_line("restore", archive, *options), killed, size_of(whole) // 2)
    # A copy is looked at, so that the restore finds what the kill left.
    left = read_head(Path(shutil.copytree(killed, folder / "copy")))
    is_marked = (killed / "restore-unfinished.json").exists()
    console.print(f"  head in the database: {left.number}, marked as unfinished: {'yes' if is_marked else 'no'}")
    if not (0 < left.number < recorded_head(PROGRAMS).number and is_marked):
        raise DemoError("not a half-way restore")
    resumed = restore(archive, killed, genesis)
    if not isinstance(resumed["from"], int) or resumed["from"] < left.number + 1:
        raise DemoError(f"resumed at block {resumed['from']}, the head was {left.number}")
    compare(read_head(killed), recorded_head(PROGRAMS))
    if (killed / "restore-unfinished.json").exists():
        raise DemoError("the mark of an unfinished restore is still there")
    proofs.add(
        f"killed after block {left.number}, resumed at block {resumed['from']}",
        "head, hash and state root of the Go node",
    )
