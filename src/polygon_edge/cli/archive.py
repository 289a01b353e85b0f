"""`polygon-edge archive`: what can be asked of an archive without a data directory."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import click

from polygon_edge.archive.info import ArchiveInfo, End
from polygon_edge.archive.inspection import MOST_FAULTS_LISTED, inspect
from polygon_edge.archive.opening import open_archive
from polygon_edge.chain.generation import Generation
from polygon_edge.chain.genesis import load_genesis
from polygon_edge.cli.flags import generation_option
from polygon_edge.cli.output import JSON_OPTION, json_requested
from polygon_edge.cli.stop import stop_requested

FAULTS_PRINTED = 10


@click.group()
def archive() -> None:
    """Look at an archive without a data directory."""


@archive.command(short_help="Print what an archive holds.", params=[JSON_OPTION])
@click.argument("archive")
@click.option("--chain", type=click.Path(path_type=Path), help="Genesis file to compare with.")
@generation_option
def info(archive: str, chain: Path | None, generation: Generation | None) -> None:
    """Print what ARCHIVE (a file, or - for standard input) holds.

    Range, counts, gaps, hashes, and whether the archive holds what its metadata promises. Hashes are followed from
    block to block; seals are not verified and nothing is executed: `restore` does that. A damaged archive is described
    up to the damage, then the command fails.
    """
    genesis = None if chain is None else load_genesis(chain, generation)
    with open_archive(archive, stop_requested) as source:
        found = inspect(source, genesis, stop_requested)
    click.echo(json.dumps(found.document()) if json_requested() else _text(found))
    fault = found.fault()
    if fault is not None:
        raise fault


def _text(found: ArchiveInfo) -> str:
    lines = [("archive", found.file), ("size", f"{found.size:,} bytes")]
    if found.first is not None and found.last is not None:
        lines += [
            ("blocks", f"{found.blocks:,}, {found.first.number} to {found.last.number}"),
            ("transactions", f"{found.transactions:,}"),
            ("gas", f"{found.gas:,}"),
            ("hash rule", _rule(found)),
            ("first block", _end(found.first)),
            ("last block", _end(found.last)),
            ("state root", "0x" + found.last.state_root.hex()),
        ]
    else:
        lines.append(("blocks", "none"))
    lines += [
        ("promises", f"block {found.metadata.height}, hash 0x{found.metadata.hash.hex()}"),
        ("kept", _promise(found)),
        ("genesis", _genesis(found)),
        ("gaps", _gaps(found)),
    ]
    lines += [("", fault) for fault in _faults(found)]
    return "\n".join(f"{name:<13} {text}".rstrip() for name, text in lines if text)


def _rule(found: ArchiveInfo) -> str:
    if found.rule is None:
        return f"cannot tell: {found.reason}"
    types = ", ".join(
        f"{switch.type} validators" + (f" from block {switch.first}" if index else "")
        for index, switch in enumerate(found.validator_types)
    )
    return f"{found.rule.description}; {types}" if types else found.rule.description


def _end(end: End) -> str:
    shown_hash = "hash not known" if end.hash is None else f"0x{end.hash.hex()}"
    try:
        moment = datetime.fromtimestamp(end.timestamp, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        # Timestamps are 64 bits of the block's own choice.
        moment = f"timestamp {end.timestamp}"
    return f"{end.number} {shown_hash}, {moment}"


def _promise(found: ArchiveInfo) -> str:
    if found.last is None:
        return "no: there is no block"
    if not found.keeps_height:
        return f"no: the blocks end at {found.last.number}"
    if found.metadata_hash_is == "plain hash":
        return "yes (the hash is the plain header hash, as the Go client's backup --to writes it)"
    if found.metadata_hash_is is None:
        return "height yes, hash no" if found.rule else "height yes, hash cannot be told"
    return "yes"


def _genesis(found: ArchiveInfo) -> str:
    if found.genesis_hash is None:
        return ""
    compared = {None: "not compared: the archive starts later", True: "NOT this archive's", False: "this archive's"}
    return f"0x{found.genesis_hash.hex()}, {compared[found.has_foreign_genesis]}"


def _gaps(found: ArchiveInfo) -> str:
    if not found.misplaced_count and not found.broken_link_count:
        return "none"
    parts = []
    if found.misplaced_count:
        parts.append(f"records that hold another block than the one due: {found.misplaced_count}")
    if found.broken_link_count:
        parts.append(f"blocks that do not name the hash of the block before: {found.broken_link_count}")
    return "; ".join(parts)


def _faults(found: ArchiveInfo) -> list[str]:
    faults = [
        (
            fault.offset,
            f"byte {fault.offset}: block {fault.found}"
            + (" again" if fault.repeats else f", due was {fault.expected}"),
        )
        for fault in found.misplaced
    ]
    faults += [
        (
            link.offset,
            f"byte {link.offset}: block {link.number}, parent hash is not the hash of block {link.number - 1}",
        )
        for link in found.broken_links
    ]
    faults.sort()
    shown = [text for _, text in faults[:FAULTS_PRINTED]]
    if len(faults) > FAULTS_PRINTED:
        shown.append(f"and more (--json lists the first {MOST_FAULTS_LISTED} of each kind)")
    return shown
