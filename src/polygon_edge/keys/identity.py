"""Who a node is in the network: the id made from its key, and the key as libp2p writes it (§1.2 of the network sheet).

Where the key lies is `local`'s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import base58

if TYPE_CHECKING:
    from polygon_edge import _core

# Both messages of libp2p: field 1, the type, is 2 for secp256k1; field 2, the data, has 32 or 33 bytes.
SECRET_KEY_PREFIX = bytes.fromhex("08021220")
_PUBLIC_KEY_PREFIX = bytes.fromhex("08021221")
_IDENTITY_MULTIHASH = 0x00


def node_id(key: _core.EcdsaKey) -> str:
    """Return the id of the node whose network key this is: base58 of the identity multihash of its public key."""
    public_key = _PUBLIC_KEY_PREFIX + key.public_key
    return base58.b58encode(bytes((_IDENTITY_MULTIHASH, len(public_key))) + public_key).decode("ascii")
