"""Chains of every type of validators through the core: recorded ones to their recorded state, own ones sealed alone."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import rlp
from eth_hash.auto import keccak
from tests.golden.recorded import Network
from tests.oracle.chain import GAS_LIMIT, genesis_of

from polygon_edge import _core
from polygon_edge.archive.flat import FlatArchive

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SECRET = b"\x11" * 32
G1_FORKS = dict.fromkeys(
    ("homestead", "EIP150", "EIP155", "EIP158", "byzantium", "constantinople", "petersburg", "istanbul"), 0
)


def number(value: str | int) -> int:
    return value if isinstance(value, int) else int(value, 16)


def core_rules(genesis: dict[str, Any]) -> _core.Rules:
    """The rules of a G1 genesis file, read here and not by the program."""
    ibft = genesis["params"]["engine"].get("ibft")
    entries = [] if ibft is None else ibft.get("types", [ibft])
    return _core.Rules(
        "G1",
        genesis["params"]["chainID"],
        genesis["params"]["forks"],
        0,
        engine="plain" if ibft is None else "ibft",
        validator_types=[(number(entry.get("from", 0)), entry.get("validator_type", "ecdsa")) for entry in entries],
        stake=[(number(entry.get("from", 0)), entry["type"] == "PoS") for entry in entries],
    )


def unhex(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def core_genesis(rules: _core.Rules, file: dict[str, Any]) -> _core.Genesis:
    genesis = file["genesis"]

    def account(address: str, fields: dict[str, Any]) -> Any:
        balance = number(fields["balance"]) if "balance" in fields else None
        magnitude = None if balance is None else balance.to_bytes(32, "big")
        slots = [(unhex(slot), unhex(value)) for slot, value in fields.get("storage", {}).items()]
        return unhex(address), magnitude, number(fields.get("nonce", 0)), unhex(fields.get("code", "")), slots

    return _core.Genesis(
        rules,
        [account(address, fields) for address, fields in genesis["alloc"].items()],
        nonce=number(genesis["nonce"]),
        timestamp=number(genesis["timestamp"]),
        extra_data=unhex(genesis["extraData"]),
        gas_limit=number(genesis["gasLimit"]),
        difficulty=number(genesis["difficulty"]),
        mix_hash=unhex(genesis["mixHash"]),
        coinbase=unhex(genesis["coinbase"]),
        number=number(genesis["number"]),
        gas_used=number(genesis["gasUsed"]),
        parent_hash=unhex(genesis["parentHash"]),
    )


def listed(raw: bytes) -> list[bytes]:
    """The validators that a block lists of itself, as the border takes them; none where its extra data is no list."""
    extra = rlp.decode(raw)[0][12]
    if len(extra) < 32:
        return []
    return [entry if isinstance(entry, bytes) else b"".join(entry) for entry in rlp.decode(extra[32:])[0]]


# Chains that need no contract to be put into the state at a height.
@pytest.mark.parametrize("name", ["poa-bls", "pos-ecdsa", "switch-type", "dev"])
def test_a_recorded_chain_is_restored_to_its_recorded_head_and_state(name: str, shared: Path, tmp_path: Path) -> None:
    network = Network(shared / "golden/v0.6.3" / name)
    file = json.loads(network.genesis.read_bytes())
    rules = core_rules(file)
    with FlatArchive.open(network.archive("full.dat", tmp_path)) as archive:
        raws = [record.raw for record in archive.records()][1:]
    sets = [(height, listed(raw)) for height, raw in enumerate(raws, start=1)]
    with _core.Chain.open(tmp_path / "chain") as chain:
        chain.start(rules, core_genesis(rules, file))
        previous = None
        for start in range(0, len(raws), 32):
            run = _core.prepare(rules, raws[start : start + 32], previous)
            held, violation = run.verify(rules, 0, chain.tip, sets, chain.tip_round)
            assert violation is None, (violation.what, violation.expected, violation.found)
            executed = chain.execute(run, 0, held)
            assert executed.violation is None, (executed.violation.what, executed.violation.expected)
            chain.commit(executed)
            previous = run
        about = network.about
        assert chain.head == (about["blocks"], unhex(about["headHash"]))
        assert chain.state_root == unhex(about["headStateRoot"])
        head = chain.sealed_header(about["blocks"])
        assert list(head[5]) == sets[-1][1]


def test_votes_of_bls_chains_name_address_and_key_and_chains_without_validators_have_none(
    shared: Path, tmp_path: Path
) -> None:
    votes = {}
    for name in ("poa-bls", "dev"):
        network = Network(shared / "golden/v0.6.3" / name)
        rules = core_rules(json.loads(network.genesis.read_bytes()))
        with FlatArchive.open(network.archive("full.dat", tmp_path)) as archive:
            raws = [record.raw for record in archive.records()][1:]
        votes[name] = _core.prepare(rules, raws).votes(0, len(raws))
        assert len(votes[name]) == sum(rlp.decode(raw)[0][2] != bytes(20) for raw in raws if name != "dev")
    assert votes["dev"] == []
    assert votes["poa-bls"]
    for _, _, proposer, miner, nonce in votes["poa-bls"]:
        address, key = rlp.decode(miner)
        assert (len(proposer), len(address), len(key)) == (20, 20, 48)
        assert nonce in (bytes(8), b"\xff" * 8)


@dataclass(frozen=True)
class Sealer:
    """A validator that is alone, with what its blocks need."""

    ecdsa: _core.EcdsaKey
    bls: _core.BlsKey
    rules: _core.Rules

    def validators(self, kind: str) -> list[bytes]:
        return [self.ecdsa.address + (self.bls.public_key if kind == "bls" else b"")]

    def genesis(self, kind: str) -> _core.Genesis:
        validators = [rlp.encode([entry[:20], entry[20:]] if entry[20:] else entry) for entry in self.validators(kind)]
        no_seals: Sequence[bytes] = [b"", b""] if kind == "bls" else []
        extra = [[rlp.decode(entry) for entry in validators], b"", no_seals]
        return genesis_of(self.rules, [], bytes(32) + rlp.encode(extra))

    def seal(self, proposal: _core.Proposal, kind: str, round_: int) -> bytes:
        digest = proposal.committed_digest(round_)
        committed = [self.ecdsa.sign(digest)]
        if kind == "bls":
            committed = proposal.aggregate({self.ecdsa.address: self.bls.sign(digest)})
            assert committed[0] == b"\x01"
        return proposal.record(self.ecdsa.sign(_core.proposer_digest(proposal.hash)), committed, round_)


def sealer(generation: str, types: Sequence[tuple[int, str]], **more: Any) -> Sealer:
    rules = _core.Rules(generation, 100, G1_FORKS, 0, validator_types=types, **more)
    return Sealer(_core.EcdsaKey(SECRET), _core.BlsKey(SECRET), rules)


@pytest.mark.parametrize("generation", ["G1", "G2", "G3"])
def test_a_lone_validator_seals_with_both_of_its_keys_in_turn(generation: str, tmp_path: Path) -> None:
    lone = sealer(generation, [(0, "bls"), (4, "ecdsa"), (6, "bls")])
    kinds = ["bls"] * 4 + ["ecdsa"] * 2 + ["bls"] * 3
    sets = [(height, lone.validators(kind)) for height, kind in enumerate(kinds)]
    with _core.Chain.open(tmp_path / "chain") as chain:
        chain.start(lone.rules, lone.genesis("bls"))
        for height, kind in list(enumerate(kinds))[1:]:
            proposal = chain.propose(
                coinbase=lone.ecdsa.address,
                timestamp=height,
                gas_limit=GAS_LIMIT,
                validators=lone.validators(kind),
                candidates=[],
            )
            record = lone.seal(proposal, kind, height % 3)
            run = _core.prepare(lone.rules, [record])
            held, violation = run.verify(lone.rules, 0, chain.tip, sets, chain.tip_round)
            assert violation is None, (violation.rule, violation.what, violation.expected, violation.found)
            chain.commit(chain.execute(run, 0, held))
            assert chain.head == (height, proposal.hash)
            assert chain.tip_round == (None if generation == "G1" else height % 3)
            assert list(chain.sealed_header(height)[5]) == lone.validators(kind)
            extra = rlp.decode(rlp.decode(record)[0][12][32:])
            assert len(extra) == 5 - (generation == "G1") - (generation == "G1" and height == 1)
            # Seals of another round say something else, where rounds are written.
            if generation != "G1":
                other = lone.seal(proposal, kind, 7)
                other = other.replace((7).to_bytes(8, "big"), (8).to_bytes(8, "big"))
                broken = _core.prepare(lone.rules, [other]).verify(lone.rules, 0, chain.tip, sets, chain.tip_round)[1]
                assert broken is not None
        tip = chain.tip
    # A chain that is opened again knows the round of its head from the header.
    with _core.Chain.open(tmp_path / "chain") as chain:
        chain.start(lone.rules, lone.genesis("bls"))
        assert chain.tip == tip
        assert chain.tip_round == (None if generation == "G1" else 8 % 3)


def test_what_cannot_be_sealed_or_added_up_is_told(tmp_path: Path) -> None:
    lone = sealer("G1", [(0, "bls")])
    address = lone.ecdsa.address
    terms: dict[str, Any] = {"coinbase": address, "timestamp": 1, "gas_limit": GAS_LIMIT, "candidates": []}
    with _core.Chain.open(tmp_path / "chain") as chain:
        chain.start(lone.rules, lone.genesis("bls"))
        with pytest.raises(ValueError, match="expected an address and a BLS key"):
            chain.propose(validators=[address], **terms)
        with pytest.raises(ValueError, match="expected 20 or 68 bytes, found 21"):
            chain.propose(validators=[bytes(21)], **terms)
        with pytest.raises(ValueError, match="miner: expected 20 or 72 bytes, found 48"):
            chain.propose(validators=lone.validators("bls"), miner=bytes(48), **terms)
        proposal = chain.propose(validators=lone.validators("bls"), miner=bytes(72), nonce=b"\xff" * 8, **terms)
        good = lone.bls.sign(proposal.committed_digest())
        for seals, match in (
            ({}, "expected at least one, found none"),
            ({bytes(20): good}, "expected one seal of each validator, found another's"),
            ({address: good[:95]}, "found 95 bytes that are none"),
            ({address: bytes(96)}, "found 96 bytes that are none"),
            ({address[:19]: good}, "address: expected 20 bytes, found 19"),
        ):
            with pytest.raises(ValueError, match=match):
                proposal.aggregate(seals)
        bitmap, aggregate = proposal.aggregate({address: good})
        assert aggregate == good
        for committed in ([], [bitmap], [bitmap, aggregate, aggregate], [bitmap, aggregate[:95]]):
            with pytest.raises(ValueError, match="expected"):
                proposal.record(bytes(65), committed)
    dev = sealer("G1", [], engine="plain")
    with _core.Chain.open(tmp_path / "dev") as chain:
        chain.start(dev.rules, dev.genesis("ecdsa"))
        with pytest.raises(ValueError, match="coinbase: expected the zero address where nobody seals"):
            chain.propose(validators=[], **terms)
        proposal = chain.propose(validators=[], **terms | {"coinbase": bytes(20)})
        with pytest.raises(ValueError, match="seals: expected none where nobody seals, found some"):
            proposal.record(bytes(65), [bytes(65)])


def test_a_bls_signature_is_that_of_the_suite_of_the_go_client() -> None:
    # The IETF draft's proof-of-possession suite, by another library.
    from py_ecc.bls.ciphersuites import G2ProofOfPossession  # noqa: PLC0415 - slow to import, and used here only

    key = _core.BlsKey((7).to_bytes(32, "big"))
    digest = keccak(b"block")
    assert key.public_key == G2ProofOfPossession.SkToPk(7)
    assert key.sign(digest) == G2ProofOfPossession.Sign(7, digest)
    with pytest.raises(ValueError, match="expected 32 bytes, found 31"):
        key.sign(digest[:31])


def test_the_digest_of_a_round_is_that_of_the_fact_sheet() -> None:
    block_hash = keccak(b"\x01")
    proposal = keccak(block_hash + (3).to_bytes(8, "big"))
    assert _core.committed_digest(block_hash, 3) == keccak(keccak(proposal + b"\x02"))
    assert _core.committed_digest(block_hash, None) == _core.committed_digest(block_hash)
    assert _core.committed_digest(block_hash, 0) != _core.committed_digest(block_hash)


@pytest.mark.parametrize(
    ("field", "value", "match"),
    [
        ("engine", "polybft", "engine: expected ibft or plain, found"),
        ("validator_types", [(0, "rsa")], "validator type: expected ecdsa or bls, found"),
        ("validator_types", [(0, "bls"), (0, "ecdsa")], "validator types: expected ascending heights, found 0 after 0"),
        ("stake", [(9, True), (3, False)], "stake: expected ascending heights, found 3 after 9"),
    ],
)
def test_rules_that_are_none_are_told(field: str, value: object, match: str) -> None:
    more: dict[str, Any] = {field: value}
    with pytest.raises(ValueError, match=match):
        _core.Rules("G1", 1, {}, 0, **more)
