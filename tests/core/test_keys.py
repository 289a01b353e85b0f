"""Keys sign as other libraries and the Go client do, and show their secret to nobody who did not ask."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import rlp
from coincurve import PrivateKey
from eth_hash.auto import keccak
from eth_keys.datatypes import PrivateKey as EthereumKey
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import sealed_header
from tests.golden.recorded import Network

from polygon_edge import _core
from polygon_edge.archive.flat import FlatArchive

if TYPE_CHECKING:
    from pathlib import Path

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
BLS_ORDER = 0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000001

secrets = st.integers(1, ORDER - 1).map(lambda scalar: scalar.to_bytes(32, "big"))
digests = st.binary(min_size=32, max_size=32)


@given(secrets, digests)
def test_addresses_and_signatures_are_those_of_other_libraries(secret: bytes, digest: bytes) -> None:
    key, other = _core.EcdsaKey(secret), PrivateKey(secret)
    assert key.secret == secret
    assert key.public_key == other.public_key.format(compressed=True)
    assert key.address == EthereumKey(secret).public_key.to_canonical_address()
    assert key.sign(digest) == other.sign_recoverable(digest, hasher=None)


def test_a_go_validators_seals_are_signed_again_byte_for_byte(poa: Network, tmp_path: Path) -> None:
    data = poa.data_directory("data-dir", tmp_path)
    key = _core.EcdsaKey(bytes.fromhex((data / "consensus/validator.key").read_text()))
    proposed = committed = 0
    with FlatArchive.open(poa.folder / "full.dat") as archive:
        raws = [record.raw for record in archive.records()]
    for raw in raws[1:]:
        header = sealed_header(raw)
        _validators, proposer_seal, committed_seals, *_parent = rlp.decode(rlp.decode(raw)[0][12][32:])
        if header.proposer == key.address:
            assert key.sign(_core.proposer_digest(header.hash)) == proposer_seal
            proposed += 1
        committed += key.sign(_core.committed_digest(header.hash)) in committed_seals
    # It proposed its share and sealed most blocks: a quorum is collected, not everybody.
    assert proposed > 20
    assert committed > 75


def test_digests_are_those_of_the_fact_sheet() -> None:
    block_hash = keccak(b"\x01")
    assert _core.proposer_digest(block_hash) == keccak(block_hash)
    assert _core.committed_digest(block_hash) == keccak(keccak(block_hash + b"\x02"))
    for digest in (_core.proposer_digest, _core.committed_digest, _core.EcdsaKey.generate().sign):
        with pytest.raises(ValueError, match="expected 32 bytes, found 31"):
            digest(bytes(31))


@pytest.mark.parametrize(("kind", "order"), [(_core.EcdsaKey, ORDER), (_core.BlsKey, BLS_ORDER)])
def test_scalars_outside_the_group_are_no_keys(kind: type[_core.EcdsaKey | _core.BlsKey], order: int) -> None:
    for scalar in (0, order, order + 1, 2**256 - 1):
        with pytest.raises(ValueError, match="expected a number from 1 to below the order"):
            kind(scalar.to_bytes(32, "big"))
    for scalar in (1, order - 1):
        assert kind(scalar.to_bytes(32, "big")).secret == scalar.to_bytes(32, "big")


@pytest.mark.parametrize("kind", [_core.EcdsaKey, _core.BlsKey])
def test_no_message_and_no_repr_shows_a_secret(kind: type[_core.EcdsaKey | _core.BlsKey]) -> None:
    key = kind.generate()
    secret = key.secret.hex()
    for shown in (repr(key), str(key), f"{key}", repr([key])):
        assert secret not in shown.lower()
        assert key.public_key.hex() in shown or "address" in shown
    for length in (0, 31, 33):
        with pytest.raises(ValueError, match=f"expected 32 bytes, found {length}") as raised:
            kind((key.secret * 2)[:length])
        assert secret[:16] not in str(raised.value)


def test_generated_keys_differ() -> None:
    assert len({_core.EcdsaKey.generate().secret for _ in range(20)}) == 20
    assert len({_core.BlsKey.generate().secret for _ in range(20)}) == 20


def test_a_bls_key_of_a_go_node_has_the_public_key_that_the_go_node_printed() -> None:
    # `secrets init` and `secrets output --bls` of a recorded test node.
    key = _core.BlsKey(bytes.fromhex("33116656eb9bb30605d12a32c8ac4d36dc5dfd255b161f0b6de63e3aaac6c9e1"))
    assert key.public_key.hex() == (
        "866f7bade6a674bfc23276f74365714f5a7fcecfa9b71a250ab22446c5a25bc18d3f861ac5fb8279b0b622b0a5688a72"
    )


@pytest.mark.shared
@pytest.mark.parametrize("network", ["dev", "poa-bls", "pos-ecdsa", "single", "switch", "switch-type"])
def test_the_key_files_of_go_nodes_give_what_secrets_output_printed(shared: Path, tmp_path: Path, network: str) -> None:
    recorded = Network(shared / "golden/v0.6.3" / network)
    data = recorded.data_directory("data-dir", tmp_path)
    printed = next(
        json.loads(row["stdout"])
        for row in recorded.rows("cli.jsonl")
        if row["argv"] == ["secrets", "output", "--data-dir", "node-1", "--json"]
    )
    key = _core.EcdsaKey(bytes.fromhex((data / "consensus/validator.key").read_text()))
    bls_key = _core.BlsKey(bytes.fromhex((data / "consensus/validator-bls.key").read_text()))
    assert "0x" + key.address.hex() == printed["address"].lower()
    assert "0x" + bls_key.public_key.hex() == printed["bls"]
