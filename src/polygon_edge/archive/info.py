"""What was found in an archive: range, counts, gaps, hashes, its promise, and the error that it deserves.

Owns the answer and its JSON form; `inspection` finds it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from polygon_edge.errors import (
    ArchiveError,
    ArchiveIncompleteError,
    ArchiveRecordError,
    BlockRuleError,
    PolygonEdgeError,
    Rule,
)

if TYPE_CHECKING:
    from polygon_edge.archive.flat import Metadata


class HashRule(Enum):
    """How a block is hashed: the core's name of the rule, the generation, and what to call it (§3.1, §3.4)."""

    IBFT_G1 = ("ibft", "G1", "ibft-g1", "IBFT of v0.6")
    IBFT_G3 = ("ibft", "G3", "ibft-g2-g3", "IBFT of v0.7 and later")
    PLAIN_15 = ("plain", "G1", "plain-15", "plain, 15 header items (engines dev and dummy)")
    PLAIN_16 = ("plain", "G3", "plain-16", "plain, 16 header items (engines dev and dummy, v0.9 and later)")

    def __init__(self, function: str, generation: str, label: str, description: str) -> None:
        self.function = function
        self.generation = generation
        self.label = label
        self.description = description


class Misplaced(NamedTuple):
    """A record that holds another block than the one due; `repeats` when it is the record before again."""

    offset: int
    expected: int
    found: int
    repeats: bool


class BrokenLink(NamedTuple):
    """A block whose parent hash is not the hash of the block before it: one of the two headers was altered."""

    offset: int
    number: int
    expected: bytes | None
    found: bytes


class ValidatorType(NamedTuple):
    """The validator type from a height on, as the hashes show it."""

    first: int
    type: str


@dataclass(frozen=True, slots=True)
class End:
    """The first or last block: height, its 32-byte hash (None when no rule is known), seconds since 1970."""

    number: int
    hash: bytes | None
    parent_hash: bytes
    timestamp: int
    state_root: bytes


@dataclass(slots=True)
class ArchiveInfo:
    """What was found in an archive, up to its end or up to `damage`; `incomplete` when it ends before it promised.

    `rule` is None when no rule fits or there is but one block to tell from, `reason` then says which. `gas` is that of
    the blocks above 0. `genesis_hash` is the one computed from a genesis file, None without one or when this version
    cannot compute it.
    """

    file: str
    metadata: Metadata
    size: int = 0
    rule: HashRule | None = None
    reason: str | None = None
    first: End | None = None
    last: End | None = None
    blocks: int = 0
    transactions: int = 0
    gas: int = 0
    misplaced_count: int = 0
    misplaced: list[Misplaced] = field(default_factory=list)
    broken_link_count: int = 0
    broken_links: list[BrokenLink] = field(default_factory=list)
    validator_types: list[ValidatorType] = field(default_factory=list)
    last_plain_hashes: tuple[bytes, ...] = ()
    genesis_hash: bytes | None = None
    damage: ArchiveError | None = None
    incomplete: ArchiveIncompleteError | None = None

    @property
    def keeps_height(self) -> bool:
        """Whether the blocks end at the promised height; a promise of 0 is kept by any, as Go writes it (§1.3)."""
        return self.last is not None and self.metadata.height in {0, self.last.number}

    @property
    def metadata_hash_is(self) -> str | None:
        """What the metadata hash is of the last block: `block hash`, `plain hash` (Go's `--to`, §1.3), or neither."""
        if self.last is None:
            return None
        if self.metadata.hash == self.last.hash:
            return "block hash"
        if self.metadata.hash in self.last_plain_hashes:
            return "plain hash"
        return None

    @property
    def has_foreign_genesis(self) -> bool | None:
        """Whether block 0, or the parent of block 1, is not the genesis file's; None when neither is there."""
        start = self._start_hash()
        return None if start is None or self.genesis_hash is None else start != self.genesis_hash

    def _start_hash(self) -> bytes | None:
        if self.first is None or self.first.number > 1:
            return None
        return self.first.hash if self.first.number == 0 else self.first.parent_hash

    def fault(self) -> PolygonEdgeError | None:
        """Return the error that this archive deserves, None for one that can be restored as far as can be told here.

        The foreign genesis goes first, then what stands first in the file, last the promise that was not kept.
        """
        if self.has_foreign_genesis:
            return self._foreign_genesis()
        faults: list[tuple[int, PolygonEdgeError]] = []
        wrong = next((misplaced for misplaced in self.misplaced if not misplaced.repeats), None)
        if wrong is not None:
            error: PolygonEdgeError = ArchiveRecordError(
                self.file, wrong.offset, "wrong block", expected=f"block {wrong.expected}", found=f"block {wrong.found}"
            )
            faults.append((wrong.offset, error))
        if self.broken_links:
            faults.append((self.broken_links[0].offset, self._broken_link(self.broken_links[0])))
        if faults:
            return min(faults, key=lambda fault: fault[0])[1]
        return self.damage or self.incomplete

    def _foreign_genesis(self) -> BlockRuleError:
        number = 0 if self.first is None else self.first.number
        return BlockRuleError(
            Rule.PARENT_LINK,
            number,
            what="genesis hash",
            expected=self.genesis_hash,
            found=self._start_hash(),
            file=self.file,
        )

    def _broken_link(self, link: BrokenLink) -> BlockRuleError:
        return BlockRuleError(
            Rule.PARENT_LINK,
            link.number,
            what="parentHash",
            offset=link.offset,
            expected=link.expected or f"the hash of block {link.number - 1}, whose extra data cannot be decoded",
            found=link.found,
            file=self.file,
        )

    def document(self) -> dict[str, object]:
        """The JSON document of `archive info --json` (docs/operating/json-output.md)."""
        return {
            "file": self.file,
            "size": self.size,
            "hash_rule": None if self.rule is None else self.rule.label,
            "hash_rule_unknown": self.reason,
            "first": _end_document(self.first),
            "last": _end_document(self.last),
            "blocks": self.blocks,
            "transactions": self.transactions,
            "gas": self.gas,
            "metadata": {
                "height": self.metadata.height,
                "hash": _hex(self.metadata.hash),
                "height_is_kept": self.keeps_height,
                "hash_is": self.metadata_hash_is,
            },
            "misplaced_count": self.misplaced_count,
            "misplaced": [misplaced._asdict() for misplaced in self.misplaced],
            "broken_link_count": self.broken_link_count,
            "broken_links": [
                {
                    "offset": link.offset,
                    "number": link.number,
                    "expected": _hex(link.expected),
                    "found": _hex(link.found),
                }
                for link in self.broken_links
            ],
            "validator_types": [switch._asdict() for switch in self.validator_types],
            "genesis_hash": _hex(self.genesis_hash),
            "foreign_genesis": self.has_foreign_genesis,
            "error": _text(self.fault()),
        }


def _hex(value: bytes | None) -> str | None:
    return None if value is None else "0x" + value.hex()


def _text(error: PolygonEdgeError | None) -> str | None:
    return None if error is None else str(error)


def _end_document(end: End | None) -> dict[str, object] | None:
    if end is None:
        return None
    return {
        "number": end.number,
        "hash": _hex(end.hash),
        "timestamp": end.timestamp,
        "state_root": _hex(end.state_root),
    }
