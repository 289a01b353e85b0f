"""Blocks of our own: the recorded ones built again to the byte, and what refused candidates leave behind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import rlp
from tests.conftest import sealed_header
from tests.golden.recorded import Network

from polygon_edge import _core
from polygon_edge.archive.flat import FlatArchive
from polygon_edge.chain.genesis import load_genesis
from polygon_edge.chain.genesis_block import core_rules, genesis_block
from polygon_edge.chain.rules import rules_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclass(frozen=True)
class Block:
    """A recorded block, decoded without the core."""

    raw: bytes
    number: int
    hash: bytes
    coinbase: bytes
    validators: tuple[bytes, ...]
    gas_limit: int
    timestamp: int
    miner: bytes
    nonce: bytes
    transactions: list[bytes]
    proposer_seal: bytes
    committed_seals: list[bytes]
    parent_seals: list[bytes]

    @classmethod
    def decode(cls, raw: bytes) -> Block:
        sealed = sealed_header(raw)
        header, transactions, _ = rlp.decode(raw)
        extra = rlp.decode(header[12][32:])
        return cls(
            raw=raw,
            number=sealed.number,
            hash=sealed.hash,
            coinbase=sealed.proposer,
            validators=sealed.validators,
            gas_limit=int.from_bytes(header[9], "big"),
            timestamp=int.from_bytes(header[11], "big"),
            miner=header[2],
            nonce=header[14],
            transactions=[rlp.encode(transaction) for transaction in transactions],
            proposer_seal=extra[1],
            committed_seals=extra[2],
            parent_seals=extra[3] if len(extra) > 3 else [],
        )

    def with_committed_seals(self, seals: Sequence[bytes]) -> Block:
        """The same block with other committed seals, as another node may hold it (§3.6)."""
        header, transactions, uncles = rlp.decode(self.raw)
        extra = rlp.decode(header[12][32:])
        extra[2] = list(seals)
        header[12] = header[12][:32] + rlp.encode(extra)
        return Block.decode(rlp.encode([header, transactions, uncles]))
