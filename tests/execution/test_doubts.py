"""What the Go client forgets to check: blocks of a lone validator that keep every rule and that no honest one makes."""

from __future__ import annotations

import io
import threading
from typing import TYPE_CHECKING

import pytest
from eth_keys.datatypes import PrivateKey
from tests.conftest import is_carried, recorded_folder, shared_folder
from tests.golden.recorded import Network
from tests.oracle.twin import Transaction, address_of, signature

from polygon_edge import _core
from polygon_edge.archive.flat import FlatArchive, Metadata, encode_metadata
from polygon_edge.chain.genesis import Genesis, parse_genesis
from polygon_edge.chain.genesis_block import core_rules
from polygon_edge.chain.genesis_file import Ibft, NewChain, Validator, genesis_text
from polygon_edge.chain.rules import rules_of
from polygon_edge.errors import BlockRuleError, Rule
from polygon_edge.restore import Restore, RestoreReport
from polygon_edge.store.data_dir import RESTORE_FOLDERS, DataDirectory
from polygon_edge.store.start import start_chain

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.program import Command

KEY, BLS_KEY = _core.EcdsaKey(b"\x11" * 32), _core.BlsKey(b"\x12" * 32)
SENDER = PrivateKey(b"\x22" * 32)
CHAIN_ID, EPOCH, GAS_LIMIT = 7, 3, 10**7
STAKED, VOTED = (1, 5), None


def genesis_of(counts: tuple[int, int] | None, kind: str = "ecdsa") -> Genesis:
    member = Validator(KEY.address, BLS_KEY.public_key if kind == "bls" else None)
    engine = Ibft(kind, (member,), EPOCH, counts)
    premine = {address_of(SENDER): 10**20}
    return parse_genesis(genesis_text(NewChain("doubts", CHAIN_ID, engine, GAS_LIMIT, premine, ("/ip4/127.0.0.1",))))


def transfer(rules: _core.Rules, nonce: int) -> _core.Transaction:
    unsigned = Transaction(nonce=nonce, value=1)
    r, s, parity = signature(SENDER, unsigned.digest(CHAIN_ID))
    return _core.decode_transaction(rules, 1, unsigned.signed(parity + 35 + 2 * CHAIN_ID, r, s))


def sealed_chain(
    genesis: Genesis, folder: Path, count: int, *, busy: Mapping[int, int], kind: str = "ecdsa"
) -> list[bytes]:
    """The blocks 1 to `count`, of which those in `busy` hold that many transfers; sealed by the lone validator."""
    rules, raws, nonce = rules_of(genesis), [], 0
    core = core_rules(rules)
    validators = [KEY.address + (BLS_KEY.public_key if kind == "bls" else b"")]
    with _core.Chain.open(folder) as chain:
        start_chain(chain, rules, genesis)
        for number in range(1, count + 1):
            candidates = [transfer(core, nonce + index) for index in range(busy.get(number, 0))]
            nonce += len(candidates)
            proposal = chain.propose(
                coinbase=KEY.address,
                timestamp=2_000_000_000 + number,
                gas_limit=GAS_LIMIT,
                validators=validators,
                candidates=candidates,
            )
            assert proposal.transactions == len(candidates)
            digest = proposal.committed_digest()
            committed = (
                [KEY.sign(digest)] if kind == "ecdsa" else proposal.aggregate({KEY.address: BLS_KEY.sign(digest)})
            )
            raws.append(proposal.record(KEY.sign(_core.proposer_digest(proposal.hash)), committed))
            run = _core.prepare(core, raws[-1:])
            held, violation = run.verify(core, 0, chain.tip, [(0, validators)], chain.tip_round)
            assert violation is None
            chain.commit(chain.execute(run, 0, held))
    return raws


class Silent:
    """A progress that nobody watches."""

    def update(self, *, blocks: int, transactions: int, gas: int, head: int) -> None:
        pass


def restored(genesis: Genesis, folder: Path, raws: list[bytes], *, strict: bool = False) -> RestoreReport:
    last = _core.summarise(raws[-1:], "ibft", "G1")[0]
    number, block_hash = (0, bytes(32)) if isinstance(last, str) else (last.number, last.hash or bytes(32))
    directory = DataDirectory(folder)
    directory.create(RESTORE_FOLDERS)
    archive = FlatArchive(io.BytesIO(encode_metadata(Metadata(number, block_hash)) + b"".join(raws)), "a.dat")
    with _core.Chain.open(folder) as chain:
        return Restore(archive, directory, chain, genesis, threading.Event(), Silent(), strict=strict).run()


def head_of(folder: Path) -> int:
    with _core.Chain.open(folder, create=False) as chain:
        assert chain.head is not None
        return chain.head[0]


@pytest.mark.parametrize("kind", ["ecdsa", "bls"])
def test_transactions_at_the_end_of_an_epoch_of_stake_are_accepted_with_a_warning(
    kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    genesis = genesis_of(STAKED, kind)
    raws = sealed_chain(genesis, tmp_path / "made", 7, busy={3: 2, 4: 1}, kind=kind)
    report = restored(genesis, tmp_path / "ours", raws)
    assert (report.head, report.transactions) == (7, 3)
    doubts = [message for message in caplog.messages if Rule.EPOCH_END.value in message]
    assert len(doubts) == 1
    assert "block 3: epoch end: expected no transactions, found 2" in doubts[0]


@pytest.mark.parametrize("kind", ["ecdsa", "bls"])
def test_transactions_at_the_end_of_an_epoch_of_stake_are_refused_where_that_is_asked_for(
    kind: str, tmp_path: Path
) -> None:
    genesis = genesis_of(STAKED, kind)
    raws = sealed_chain(genesis, tmp_path / "made", 7, busy={2: 1, 6: 1}, kind=kind)
    with pytest.raises(BlockRuleError) as refused:
        restored(genesis, tmp_path / "ours", raws, strict=True)
    assert (refused.value.rule, refused.value.number) == (Rule.EPOCH_END, 6)
    assert (refused.value.expected, refused.value.found) == ("no transactions", "1")
    assert refused.value.offset == 35 + sum(map(len, raws[:5]))
    # What came before is kept, and the same archive is accepted by whoever does not ask.
    assert head_of(tmp_path / "ours") == 5
    assert restored(genesis, tmp_path / "ours", raws).head == 7


def test_an_epoch_of_votes_may_end_with_transactions(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    genesis = genesis_of(VOTED)
    raws = sealed_chain(genesis, tmp_path / "made", 7, busy={3: 2, 6: 1})
    assert restored(genesis, tmp_path / "ours", raws, strict=True).transactions == 3
    assert not caplog.records


def test_where_epochs_end_empty_changes_with_the_entry_of_the_fork_list(tmp_path: Path) -> None:
    genesis = genesis_of(VOTED)
    raws = sealed_chain(genesis, tmp_path, 6, busy={3: 1, 4: 1, 6: 1})
    run = _core.prepare(core_rules(rules_of(genesis)), raws)

    def doubted(*empty_ends: tuple[int, bool], epoch_size: int = EPOCH) -> list[int]:
        found = run.doubts(0, len(raws), 2_000_000_000, epoch_size, empty_ends)
        assert {doubt.rule for doubt in found} <= {Rule.EPOCH_END.value}
        return [doubt.index + 1 for doubt in found]

    assert doubted() == doubted((0, False)) == []
    assert doubted((0, True)) == [3, 6]
    assert doubted((0, False), (4, True)) == doubted((6, True)) == [6]
    assert doubted((0, True), (4, False)) == [3]
    assert doubted((0, True), epoch_size=2) == [4, 6]
    assert doubted((0, True), epoch_size=1) == [3, 4, 6]


def test_the_time_of_a_block_is_held_against_its_parent_wherever_the_runs_are_cut(tmp_path: Path) -> None:
    genesis = genesis_of(VOTED)
    raws = sealed_chain(genesis, tmp_path / "made", 4, busy={})
    rules = core_rules(rules_of(genesis))
    run = _core.prepare(rules, raws)
    assert run.doubts(0, 4, 2_000_000_000, EPOCH, []) == []
    for start in range(4):
        (doubt,) = run.doubts(start, 4, 2_000_000_001 + start, EPOCH, [])
        assert (doubt.index, doubt.rule) == (start, Rule.TIMESTAMP_ORDER.value)
        assert doubt.found == doubt.expected.removeprefix("after ")
    # Across two restores the time is that of the header in the database.
    assert restored(genesis, tmp_path / "ours", raws[:2], strict=True).head == 2
    assert restored(genesis, tmp_path / "ours", raws, strict=True).head == 4


HONEST = [
    *(f"v0.6.3/{name}" for name in ("dev", "poa-bls", "poa-ecdsa", "pos-ecdsa", "single", "switch", "switch-type")),
    *(f"v1.3.2/{name}" for name in ("forks-late", "pos-ecdsa", "switch")),
]


@pytest.mark.parametrize(
    "name",
    [name if is_carried(name, "full.dat") else pytest.param(name, marks=pytest.mark.shared) for name in HONEST],
)
def test_no_block_of_an_honest_network_is_doubtful(name: str, command: Command, tmp_path: Path) -> None:
    network = Network(recorded_folder(name, "full.dat"))
    archive = network.archive("full.dat", tmp_path)
    ended = command(
        "restore", archive, "--data-dir", tmp_path / "node", "--chain", network.genesis, "--json", "--strict"
    )
    assert ended.exit_code == 0, ended.errors
    assert ended.document["head_hash"] == network.about["headHash"]


@pytest.mark.shared
@pytest.mark.parametrize("name", HONEST)
def test_no_archive_of_the_first_blocks_is_doubtful(name: str, command: Command, tmp_path: Path) -> None:
    """Their metadata carry the hash that the Go client writes there, which is not the block's (§1.3, D-15)."""
    network = Network(shared_folder() / "golden" / name)
    parts = sorted({path.name.removesuffix(".zst") for path in network.folder.glob("part-0-*.dat*")})
    assert parts
    for part in parts:
        data = tmp_path / part
        data.mkdir()
        archive = network.archive(part, data)
        ended = command(
            "restore", archive, "--data-dir", data / "node", "--chain", network.genesis, "--json", "--strict"
        )
        assert ended.exit_code == 0, (part, ended.errors)
        assert "[WARNING]" not in ended.errors
        assert part == f"part-0-{ended.document['head']}.dat"
