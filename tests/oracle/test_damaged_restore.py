"""Damaged archives all the way through a restore: whatever happens, the head is a block of the real chain."""

from __future__ import annotations

import io
import shutil
import threading
from collections import Counter
from typing import TYPE_CHECKING

import pytest
import rlp
from tests.conftest import recorded_folder
from tests.mutator import damaged_bytes, generator, report
from tests.oracle.effort import EXAMPLES
from tests.oracle.forgery import ForgedNetwork, Silent, opened
from tests.oracle.twin import encode

from polygon_edge.archive.flat import FlatArchive, Metadata, encode_metadata
from polygon_edge.errors import BlockRuleError, PolygonEdgeError
from polygon_edge.restore import Restore
from polygon_edge.store.data_dir import DataDirectory

if TYPE_CHECKING:
    import random
    from pathlib import Path


def damaged_archive(chance: random.Random, blocks: list[bytes]) -> bytes:
    """One block among good ones is damaged: blindly, or in one of its items with all lengths repaired."""
    good = chance.randrange(len(blocks))
    victim = blocks[good]
    if chance.getrandbits(1):
        victim = damaged_bytes(chance, victim, blocks)
    else:
        block = rlp.decode(victim, strict=False)
        items = [list(part) for part in block]
        part = items[chance.choice([0, 0, 0, 1])]
        if part:
            place = chance.randrange(len(part))
            if isinstance(part[place], bytes):
                part[place] = damaged_bytes(chance, part[place], blocks)
            else:
                del part[place]
        victim = encode(items)
    last = len(blocks) - 1
    return encode_metadata(Metadata(last, bytes(32))) + b"".join((*blocks[:good], victim, *blocks[good + 1 :]))


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("v0.6.3/poa-ecdsa", 11),
        ("v0.6.3/poa-bls", 11),
        # Across the block that is the first with BLS validators.
        ("v0.6.3/switch-type", 27),
        ("v1.3.2/switch", 22),
    ],
)
def test_the_head_is_always_a_block_of_the_real_chain(name: str, count: int, tmp_path: Path) -> None:
    network = ForgedNetwork(name, recorded_folder(name))
    blocks = network.blocks[:count]
    real = [network.parts(number) for number in range(count)]
    ends: Counter[str] = Counter()
    for number in range(EXAMPLES or 440 // count):
        content = damaged_archive(generator(number), blocks)
        folder = tmp_path / "data"
        shutil.rmtree(folder, ignore_errors=True)
        end = "restored"
        try:
            with opened(folder) as chain, io.BytesIO(content) as stream:
                source = FlatArchive(stream, "damaged.dat")
                Restore(source, DataDirectory(folder), chain, network.genesis, threading.Event(), Silent()).run()
        except BlockRuleError as error:
            end = error.rule.value
        except PolygonEdgeError as error:
            end = type(error).__name__
        ends[end] += 1
        with opened(folder) as chain:
            head = chain.head
            # Block 0 may be what is damaged: then nothing or the genesis file's own block is there.
            if head is not None:
                assert head[1] == real[head[0]].hash, number
                assert chain.state_root_at(head[0]) == real[head[0]].header[3], number
            assert head is not None or end != "restored", number
            assert end != "restored" or head == (count - 1, real[-1].hash), number
    report(ends)
    assert len(ends) > 4
