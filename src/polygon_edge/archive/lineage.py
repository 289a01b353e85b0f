"""Holds blocks against the ones before them as they come: whole records, heights without a gap, parent links by hash.

Decodes headers only. By which hash the blocks of this chain are linked is read off the blocks themselves; no seal is
verified and nothing is executed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from polygon_edge import _core
from polygon_edge.archive.info import HashRule
from polygon_edge.chain.rlp import RlpError

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_PAIRS_TRIED = 32
"""Pairs of blocks on which hash rules are tried before the search is given up."""


class Types(NamedTuple):
    """The validator types of a block and of its parent: they differ in the first block after a switch (§3.3)."""

    own: str
    parent: str


TYPES = (Types("ecdsa", "ecdsa"), Types("bls", "bls"), Types("bls", "ecdsa"), Types("ecdsa", "bls"))


def hash_by(raw: bytes, rule: HashRule, types: Types) -> bytes | None:
    """Return the hash of the block in `raw` by `rule`, None where it cannot be computed by that one."""
    (summary,) = _core.summarise([raw], rule.function, rule.generation, types.own, types.parent)
    return None if isinstance(summary, str) else summary.hash


def types_that_give(raw: bytes, rule: HashRule, wanted: bytes) -> Types | None:
    """Return the validator types under which the block in `raw` has the hash `wanted`, None when none do."""
    for types in TYPES if rule.function == "ibft" else TYPES[:1]:
        if hash_by(raw, rule, types) == wanted:
            return types
    return None


def split_records(data: bytes) -> list[bytes]:
    """Split consecutive records (§1.1) into a list of them; raises RlpError at a byte where no whole record starts."""
    records = []
    position, end = 0, len(data)
    while position < end:
        prefix = data[position]
        if prefix <= 0xF7:
            if prefix < 0xC0:
                raise RlpError(position, f"a list must start here, found byte 0x{prefix:02x}")
            stop = position + prefix - 0xBF
        else:
            start = position + prefix - 0xF6
            stop = start + int.from_bytes(data[position + 1 : start], "big")
        if stop > end:
            raise RlpError(position, f"a record of {stop - position} bytes, {end - position} left")
        records.append(data[position:stop])
        position = stop
    return records


class LineageError(ValueError):
    """Record `index` of those given does not follow the one before it; the records before `index` do."""

    def __init__(self, index: int, problem: str, expected: object, found: object) -> None:
        self.index = index
        self.problem = problem
        self.expected = expected
        self.found = found
        super().__init__(f"record {index}: {problem}: expected {expected}, found {found}")


class NotABlockError(LineageError):
    """The record is not a block at all, as at a torn end, rather than one of another chain."""


class Lineage:
    """The blocks seen so far, of which the first was to have the height `due`.

    A block is certain once the next one names its hash. Where no known rule links the first blocks, `rule` stays None
    and only heights are held; a rule that links later ones proves the earlier pairs broken.
    """

    def __init__(self, due: int) -> None:
        self.first = due
        self.due = due
        self.rule: HashRule | None = None
        self._type = TYPES[0].own
        self._tip: bytes | None = None
        self._tip_hash: bytes | None = None
        self._tip_parent: bytes | None = None
        self._unlinked: list[int] = []

    @property
    def last(self) -> int | None:
        """Height of the last block, None before the first."""
        return None if self._tip is None else self.due - 1

    @property
    def last_hash(self) -> bytes | None:
        """Hash of the last block by the rule that linked the blocks before it, None while no rule is known."""
        return None if self.rule is None else self._tip_hash

    @property
    def last_size(self) -> int:
        """Bytes of the last block's record, 0 before the first."""
        return 0 if self._tip is None else len(self._tip)

    @property
    def last_parent_hash(self) -> bytes | None:
        """The hash of the block before the last, as the last one names it."""
        return self._tip_parent

    @property
    def is_unlinked(self) -> bool:
        """Whether there were pairs of blocks and no known rule links them."""
        return bool(self._unlinked)

    def has_hash(self, wanted: bytes) -> bool | None:
        """Whether the last block hashes to `wanted`, by the rule of the chain or, after a single block, by any.

        None when that cannot be told: there is no block, or no known rule fits.
        """
        if self._tip is None:
            return None
        if wanted == self.last_hash:
            return True
        rules = HashRule if self.rule is None else (self.rule,)
        if any(types_that_give(self._tip, rule, wanted) is not None for rule in rules):
            return True
        return None if self.rule is None else False

    def follow(self, records: Sequence[bytes]) -> None:
        """Take `records` as the next blocks; raises LineageError at the first that is not, after taking the rest."""
        summaries = self._summarise(records)
        for index, raw in enumerate(records):
            summary = summaries[index]
            if isinstance(summary, str):
                raise NotABlockError(index, "not a block", f"block {self.due}", summary)
            if summary.number != self.due:
                raise LineageError(index, "wrong block", f"block {self.due}", f"block {summary.number}")
            tip_hash = summary.hash
            if self._tip is not None and (self.rule is None or summary.parent_hash != self._tip_hash):
                before = (self.rule, self._type)
                self._link(index, self._tip, summary.parent_hash)
                if self.rule is not None and before != (self.rule, self._type):
                    # The rest was summarised by another rule than the one that holds from here on.
                    tip_hash = hash_by(raw, self.rule, Types(self._type, self._type))
                    summaries[index + 1 :] = self._summarise(records[index + 1 :])
            self._tip, self._tip_hash, self._tip_parent = raw, tip_hash, summary.parent_hash
            self.due += 1

    def _link(self, index: int, tip: bytes, wanted: bytes) -> None:
        """Find what makes `tip` have the hash `wanted`: other validator types or, while none is known, a rule."""
        if self.rule is None and len(self._unlinked) == MOST_PAIRS_TRIED:
            return
        for rule in HashRule if self.rule is None else (self.rule,):
            types = types_that_give(tip, rule, wanted)
            if types is not None:
                if self._unlinked:
                    earlier = self._unlinked[0]
                    raise LineageError(
                        index, f"parent link of block {earlier}", f"the hash of block {earlier - 1}", "another"
                    )
                self.rule, self._type = rule, types.own
                return
        if self.rule is not None:
            raise LineageError(index, f"parent link of block {self.due}", self._tip_hash, wanted)
        self._unlinked.append(self.due)

    def _summarise(self, records: Sequence[bytes]) -> list[_core.HeaderSummary | str]:
        """Summarise by the rule and type that hold now; the hashes mean nothing as long as there is no rule."""
        rule = self.rule or HashRule.PLAIN_15
        return _core.summarise(records, rule.function, rule.generation, self._type)
