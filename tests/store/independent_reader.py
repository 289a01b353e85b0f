"""A data directory as another program reads it: by plyvel, Google's LevelDB, and by the rules of §4 written down again.

Nothing of the product is called for the databases; their bytes are what the comparisons are of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import plyvel
import rlp
from eth_hash.auto import keccak

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

EMPTY_ROOT = keccak(rlp.encode(b""))
EMPTY_CODE_HASH = keccak(b"")
STATE_ROOT = 3
"""Where in a header the root of the state stands (§2.2)."""


class Stored(NamedTuple):
    """What both databases of a data directory hold, key to value."""

    blockchain: dict[bytes, bytes]
    trie: dict[bytes, bytes]

    def header(self, number: int) -> list[Any]:
        """The header of canonical block `number`."""
        block_hash = self.blockchain[b"c" + number.to_bytes(8, "big")]
        header: list[Any] = rlp.decode(self.blockchain[b"h" + block_hash])
        return header

    @property
    def head(self) -> int:
        """The number of the head."""
        return int.from_bytes(self.blockchain[b"onumber"], "big")

    def state(self, last: int) -> dict[bytes, bytes]:
        """Every node and every code that the states of the blocks up to `last` need."""
        roots = {self.header(number)[STATE_ROOT] for number in range(last + 1)}
        return {key: self.trie[key] for key in reachable(self.trie, roots)}


def stored(data_dir: Path) -> Stored:
    """Read all of a data directory that no node has open."""
    return Stored(content(data_dir / "blockchain"), content(data_dir / "trie"))


def content(database: Path) -> dict[bytes, bytes]:
    """Every key and value of one database."""
    opened = plyvel.DB(str(database), create_if_missing=False)
    try:
        return dict(opened.iterator())
    finally:
        opened.close()


def reachable(nodes: dict[bytes, bytes], roots: Iterable[bytes]) -> set[bytes]:
    """The keys of every node and code below the states `roots` (§4.5)."""
    seen: set[bytes] = set()
    # Each entry: a node's hash or, where it is embedded, the node; and whether its leaves are accounts.
    waiting: list[tuple[Any, bool]] = [(root, True) for root in roots]
    while waiting:
        node, is_account_trie = waiting.pop()
        if isinstance(node, bytes):
            if node in seen or node in {b"", EMPTY_ROOT}:
                continue
            seen.add(node)
            node = rlp.decode(nodes[node])
        if len(node) == 17:
            waiting += [(child, is_account_trie) for child in node[:16]]
        elif not node[0][0] & 0x20:
            waiting.append((node[1], is_account_trie))
        elif is_account_trie:
            _nonce, _balance, storage_root, code_hash = rlp.decode(node[1])
            waiting.append((storage_root, False))
            if code_hash != EMPTY_CODE_HASH:
                assert b"code" + code_hash in nodes
                seen.add(b"code" + code_hash)
    return seen


def compare_databases(first: Stored, second: Stored, last: int) -> None:
    """Every key and value of the blocks, and of their states; what only one has of later blocks is left out."""
    assert first.state(last) == second.state(last)
    hashes = [first.blockchain[b"c" + number.to_bytes(8, "big")] for number in range(last + 1)]
    assert len(hashes) == last + 1
    for number, block_hash in enumerate(hashes):
        for database in (first.blockchain, second.blockchain):
            assert database[b"c" + number.to_bytes(8, "big")] == block_hash
        of_block = {key for key in first.blockchain if key[1:] == block_hash}
        assert of_block == {key for key in second.blockchain if key[1:] == block_hash}
        assert {key: first.blockchain[key] for key in of_block} == {key: second.blockchain[key] for key in of_block}
    if first.head == second.head == last:
        assert first.blockchain == second.blockchain
