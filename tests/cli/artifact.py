"""A compiled contract, by hand: its constructor keeps each word of its arguments in the slot of the word's number."""

from __future__ import annotations

import json
from typing import Any

DEPLOYED = "60016000f3"
_LOOP = 5


def constructor() -> bytes:
    """The code, to which the arguments are appended: copies one word after the other to memory and into storage."""
    loop = bytes.fromhex("5b38821015")  # until the offset is that of the end
    step = bytes.fromhex("6020826000396000518155600101906020019060") + bytes([_LOOP, 0x56])
    end = bytes.fromhex("5b60006000f3")
    jump = _LOOP + len(loop) + 3 + len(step)
    size = jump + len(end)
    return b"\x61" + size.to_bytes(2, "big") + b"\x60\0" + loop + bytes([0x60, jump, 0x57]) + step + end


def artifact(inputs: list[Any] | None, **other: Any) -> bytes:
    """The JSON that a compiler writes of it; None for a contract without a constructor of its own."""
    abi: list[Any] = [{"type": "function", "name": "f", "inputs": [], "outputs": []}]
    if inputs is not None:
        abi.append({"type": "constructor", "inputs": inputs})
    document = {"abi": abi, "bytecode": "0x" + constructor().hex(), "deployedBytecode": "0x" + DEPLOYED}
    return json.dumps(document | other).encode()


def parameters(*types: str) -> list[dict[str, str]]:
    """Parameters of these types, named a0, a1, ..."""
    return [{"name": f"a{index}", "type": kind} for index, kind in enumerate(types)]
