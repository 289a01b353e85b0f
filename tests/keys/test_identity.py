"""Node ids against those of real Go nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import base58
from eth_keys.datatypes import PrivateKey

from polygon_edge import _core
from polygon_edge.chain.address import checksum_address
from polygon_edge.keys.identity import node_id
from polygon_edge.keys.local import LocalKeys

if TYPE_CHECKING:
    from pathlib import Path

    from tests.golden.recorded import Network


def test_a_go_node_is_recognised_by_its_key_files(poa: Network, tmp_path: Path) -> None:
    keys = LocalKeys(poa.data_directory("data-dir", tmp_path))
    node = poa.about["validators"][0]
    assert checksum_address(keys.validator_key(create=False).address) == node["address"]
    assert "0x" + keys.bls_key(create=False).public_key.hex() == node["blsPublicKey"]
    assert node_id(keys.network_key(create=False)) == node["nodeId"]


def test_the_id_holds_the_whole_public_key() -> None:
    key = _core.EcdsaKey.generate()
    public_key = PrivateKey(key.secret).public_key.to_compressed_bytes()
    text = node_id(key)
    assert text.startswith("16Uiu2HA")
    assert base58.b58decode(text) == bytes.fromhex("002508021221") + public_key
