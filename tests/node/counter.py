"""A contract with an ABI, assembled by hand to need no compiler: a number that anybody may set, but not to 13."""

from __future__ import annotations

from web3 import Web3

ABI = [
    {
        "type": "function",
        "name": "get",
        "stateMutability": "view",
        "inputs": [],
        "outputs": [{"name": "", "type": "uint256"}],
    },
    {
        "type": "function",
        "name": "set",
        "stateMutability": "nonpayable",
        "inputs": [{"name": "value", "type": "uint256"}],
        "outputs": [],
    },
    {
        "type": "event",
        "name": "Changed",
        "anonymous": False,
        "inputs": [
            {"name": "by", "type": "address", "indexed": True},
            {"name": "value", "type": "uint256", "indexed": False},
        ],
    },
]
FIRST_VALUE = 42
REFUSED_VALUE = 13

_GET, _SET = (Web3.keccak(text=signature)[:4].hex() for signature in ("get()", "set(uint256)"))
_CHANGED = Web3.keccak(text="Changed(address,uint256)").hex()

_DISPATCH = f"6000 35 60e0 1c  80 63{_GET} 14 60{{get}} 57  63{_SET} 14 60{{set}} 57  60{{refuse}} 56"
_BODIES = {
    # SLOAD(0) is returned.
    "get": "5b 6000 54 6000 52 6020 6000 f3",
    # The argument is compared, stored in slot 0, and logged with the caller.
    "set": f"5b 6004 35  80 60{REFUSED_VALUE:02x} 14 60{{refuse}} 57"
    f"  80 6000 55  6000 52  33 7f{_CHANGED} 6020 6000 a2 00",
    "refuse": "5b 6000 6000 fd",
}


def _size(text: str) -> int:
    return len(bytes.fromhex(text.format(get="00", set="00", refuse="00")))


def runtime() -> bytes:
    """The code that lives on the chain."""
    labels, position = {}, _size(_DISPATCH)
    for name, body in _BODIES.items():
        labels[name] = f"{position:02x}"
        position += _size(body)
    return bytes.fromhex("".join((_DISPATCH, *_BODIES.values())).format(**labels))


def creation() -> bytes:
    """Code for a creating transaction: it stores `FIRST_VALUE` and leaves `runtime` behind."""
    code = runtime()
    prefix = f"60{FIRST_VALUE:02x} 6000 55  60{len(code):02x} 60{{offset}} 6000 39  60{len(code):02x} 6000 f3"
    offset = len(bytes.fromhex(prefix.format(offset="00")))
    return bytes.fromhex(prefix.format(offset=f"{offset:02x}")) + code
