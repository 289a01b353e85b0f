"""The long chains that speed is measured on, restored to their recorded head."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest
from tests.golden.recorded import Network

if TYPE_CHECKING:
    from pathlib import Path

    from tests.program import Command

pytestmark = [pytest.mark.shared, pytest.mark.slow]


@pytest.mark.parametrize("name", ["transfers", "long", "erc20", "mixed"])
def test_a_bench_chain_restores_to_its_recorded_head(name: str, shared: Path, command: Command, tmp_path: Path) -> None:
    chain = Network(shared / "bench" / name)
    about, archive = chain.about, chain.archive("full.dat", tmp_path)
    with archive.open("rb") as content:
        assert hashlib.file_digest(content, "sha256").hexdigest() == about["fullDat"]["sha256"]
    ended = command("restore", archive, "--data-dir", tmp_path / "node", "--chain", chain.genesis, "--json")
    archive.unlink()
    assert ended.exit_code == 0, ended.errors
    found = {key: value for key, value in ended.document.items() if key != "seconds"}
    assert found == {
        "from": 1,
        "to": about["blocks"],
        "head": about["blocks"],
        "head_hash": about["headHash"],
        "state_root": about["headStateRoot"],
        "genesis_hash": about["genesisHash"],
        "blocks": about["blocks"],
        "transactions": about["transactions"],
        "gas": about["gasTotal"],
    }
