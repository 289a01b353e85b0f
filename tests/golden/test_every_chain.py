"""Every recorded IBFT chain: restored to the recorded end, with the recorded receipts and states, and opened as it was.

Of both generations, of all kinds of validators, of all flags; also those that the Go client itself cannot restore.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.conftest import is_carried, recorded_folder
from tests.golden.conftest import Proved
from tests.golden.recorded import NETWORKS, Network, compare_accounts, compare_blocks, compare_receipts, compare_state
from tests.golden.stored_trie import compare_whole_states
from tests.store.independent_reader import compare_databases, stored

from polygon_edge import _core
from polygon_edge.chain.genesis import load_genesis
from polygon_edge.chain.rules import rules_of
from polygon_edge.consensus.head_validators import validators_at_head
from polygon_edge.consensus.snapshot_files import load_state
from polygon_edge.store.start import start_chain

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tests.golden.conftest import Table
    from tests.program import Command

WITH_VOTES = ["v0.6.3/poa-bls", "v0.6.3/poa-ecdsa", "v0.6.3/switch", "v0.6.3/switch-type", "v1.3.2/switch"]
GO_MADE = "data-dir.tar.zst"
LATER_QUIRKS = [
    "all",
    "all-fuzz",
    "byzantium",
    "constantinople",
    "frontier",
    "gaslimit-2p63",
    "homestead",
    "lists-all",
    "lists-deployer-allow",
    "lists-deployer-block",
    "lists-tx-allow",
    "lists-tx-block",
    "london",
    "london-basefee",
    "londonfix",
    "londonfix-basefee",
    "londonfix-fuzz",
]
EARLIER_QUIRKS = [
    "all",
    "byzantium",
    "constantinople",
    "frontier",
    "gaslimit-2p63",
    "homestead",
    "istanbul-only",
    "no-eip150",
    "petersburg",
]
QUIRKS = [*(f"quirks/v0.6.3/{name}" for name in EARLIER_QUIRKS), *(f"quirks/v1.3.2/{name}" for name in LATER_QUIRKS)]


def network_of(name: str, needed: str = "full.dat") -> Network:
    return Network(recorded_folder(name, needed))


def parameters(names: Iterable[str], needed: str = "full.dat") -> list[Any]:
    """The folders as parameters; those whose file `needed` does not travel with the source need the shared folder."""
    return [name if is_carried(name, needed) else pytest.param(name, marks=pytest.mark.shared) for name in names]


def restored(network: Network, command: Command, scratch: Path) -> Path:
    """A data directory with the whole archive in it, which ended as recorded."""
    archive = network.archive("full.dat", scratch)
    ended = command("restore", archive, "--data-dir", scratch / "node", "--chain", network.genesis, "--json")
    assert ended.exit_code == 0, ended.errors
    about = network.about
    assert ended.document["head"] == about["blocks"]
    assert ended.document["head_hash"] == about["headHash"]
    assert ended.document["state_root"] == about["headStateRoot"]
    assert ended.document["genesis_hash"] == about["genesisHash"]
    return scratch / "node"


def states(network: Network) -> list[dict[str, Any]]:
    """The recorded accounts, without what was recorded beside them from JSON-RPC."""
    return [row for row in network.rows("state.jsonl") if "address" in row and "nonce" in row]


@pytest.mark.parametrize("name", parameters(NETWORKS))
def test_the_archive_restores_to_the_recorded_head_receipts_and_states(
    name: str, command: Command, tmp_path: Path, table: Table
) -> None:
    network = network_of(name)
    head = network.about["blocks"]
    data = restored(network, command, tmp_path)
    with _core.Chain.open(data) as chain:
        recorded = [row for row in network.rows("receipts.jsonl") if int(row["blockNumber"], 16) <= head]
        # Receipts of v1.3.2 were recorded some blocks before the archive was made.
        last = max(int(row["blockNumber"], 16) for row in recorded)
        assert compare_receipts(chain, recorded, last) == len(recorded)
        compare_blocks(chain, network.archive("full.dat", tmp_path), head)
        accounts = [row for row in states(network) if row["number"] <= head]
        assert compare_state(chain, accounts, head) == len(accounts) > 0
        if "accountsInTrie" in network.about:
            assert compare_accounts(chain, network.about, head) > 0
        whole = network.rows("state-full.jsonl") if (network.folder / "state-full.jsonl").exists() else []
        for number, root in {(row["number"], row["stateRoot"]) for row in whole}:
            assert chain.state_root_at(number) == bytes.fromhex(root[2:])
    if whole:
        # Every account and slot of a state, and no others: read by other libraries than ours.
        assert compare_whole_states(data / "trie", whole) >= 3
    table(Proved.of(name, network, receipts=len(recorded), accounts=len(accounts)))


@pytest.mark.parametrize("name", parameters(QUIRKS))
def test_every_quirk_is_that_of_the_go_client(name: str, command: Command, tmp_path: Path, table: Table) -> None:
    network = network_of(name)
    recorded = network.rows("receipts.jsonl")
    with _core.Chain.open(restored(network, command, tmp_path)) as chain:
        assert compare_receipts(chain, recorded, network.about["blocks"]) == len(recorded)
    assert len(recorded) == network.about["transactions"] > 0
    table(Proved.of(name, network, receipts=len(recorded)))


@pytest.mark.shared
def test_a_block_that_no_verifier_accepts_is_refused_and_all_before_it_is_kept(
    command: Command, tmp_path: Path
) -> None:
    network = network_of("v1.3.2/forks-early-refused")
    data = tmp_path / "node"
    ended = command("restore", network.folder / "full.dat", "--data-dir", data, "--chain", network.genesis, "--json")
    assert ended.exit_code == 11
    assert (ended.error["number"], ended.error["rule"]) == (3, "execution")
    with _core.Chain.open(data, create=False) as chain:
        assert chain.head is not None
        assert chain.head[0] == 2


@pytest.mark.shared
def test_a_chain_of_another_engine_is_refused_by_key(command: Command, tmp_path: Path) -> None:
    network = network_of("v1.3.2/polybft")
    data = tmp_path / "node"
    ended = command("restore", network.folder / "full.dat", "--data-dir", data, "--chain", network.genesis, "--json")
    assert ended.exit_code == 12
    assert ended.error["path"] == "params.engine"
    assert not data.exists()


@pytest.mark.parametrize("name", parameters(NETWORKS, GO_MADE))
def test_the_data_directory_of_the_go_node_opens_and_its_validators_are_known(name: str, tmp_path: Path) -> None:
    network = network_of(name, GO_MADE)
    network.data_directory("data-dir", tmp_path)
    folder = tmp_path if (tmp_path / "blockchain").is_dir() else next(tmp_path.iterdir())
    genesis = load_genesis(network.genesis)
    rules = rules_of(genesis)
    with _core.Chain.open(folder, create=False) as chain:
        start_chain(chain, rules, genesis)
        about = network.about
        number, block_hash, _ = chain.tip
        head = about["dataDirHead"] if "dataDirHead" in about else about["dataDir"]["head"]
        assert number == head
        if number == about["blocks"]:
            assert "0x" + block_hash.hex() == about["headHash"]
        last = max(row["number"] for row in states(network))
        assert compare_state(chain, states(network), last) > 0
        loaded = validators_at_head(chain, folder / "consensus", genesis, rules)
        listed = chain.sealed_header(number)[5]
        assert loaded.validators(number) == listed
        # Without the files the headers and the contract tell the same.
        rebuilt = validators_at_head(chain, tmp_path / "nowhere", genesis, rules)
        assert rebuilt.validators(number) == listed
        assert rebuilt.validators(number + 1) == loaded.validators(number + 1)


@pytest.mark.parametrize("name", parameters(WITH_VOTES, GO_MADE))
def test_the_consensus_files_are_those_of_the_go_node(name: str, command: Command, tmp_path: Path) -> None:
    network = network_of(name, GO_MADE)
    data = restored(network, command, tmp_path)
    unpacked = network.data_directory("data-dir", tmp_path / "go")
    folder = unpacked if (unpacked / "blockchain").is_dir() else next(unpacked.iterdir())
    ours, theirs = load_state(data / "consensus"), load_state(folder / "consensus")
    assert ours is not None
    assert ours == theirs


def test_a_chain_of_stake_alone_leaves_no_consensus_files(command: Command, tmp_path: Path) -> None:
    data = restored(network_of("v0.6.3/pos-ecdsa"), command, tmp_path)
    assert list((data / "consensus").iterdir()) == []


@pytest.mark.shared
def test_all_folders_are_replayed(shared: Path) -> None:
    golden = shared / "golden"
    found = {str(file.parent.relative_to(golden)) for file in golden.glob("**/genesis.json")}
    fuzzed = {name for name in found if name.startswith("quirks/v0.6.3/") and name.endswith("-fuzz")}
    apart = {"v1.3.2/polybft", "v1.3.2/forks-early-refused", *fuzzed}
    assert found - apart == {*NETWORKS, *QUIRKS}


@pytest.mark.parametrize("name", parameters(NETWORKS, GO_MADE))
def test_another_reader_sees_what_it_sees_in_the_directory_of_the_go_node(
    name: str, command: Command, tmp_path: Path
) -> None:
    network = network_of(name, GO_MADE)
    unpacked = network.data_directory("data-dir", tmp_path / "go")
    theirs = stored(unpacked if (unpacked / "blockchain").is_dir() else next(unpacked.iterdir()))
    ours = stored(restored(network, command, tmp_path))
    common = min(ours.head, theirs.head)
    # Archive and directory were not always taken at the same height.
    assert common >= network.about["blocks"] * 2 // 3
    compare_databases(ours, theirs, common)
