"""Messages executed without a block: what a Go node answered, the context they see, and what refuses them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
import rlp
from tests.conftest import sealed_header
from tests.golden.recorded import Network

from polygon_edge import _core
from polygon_edge.chain.genesis import load_genesis
from polygon_edge.chain.genesis_block import core_rules, genesis_block
from polygon_edge.chain.rules import rules_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOBODY = bytes(20)
GAS = 1_000_000


def open_chain(network: Network, folder: Path) -> _core.Chain:
    """The chain of a Go node, as it left it."""
    genesis = load_genesis(network.genesis)
    rules = rules_of(genesis)
    core = core_rules(rules)
    chain = _core.Chain.open(network.data_directory("data-dir", folder), create=False)
    chain.start(core, genesis_block(rules, genesis))
    return chain


@pytest.fixture(scope="module")
def chain(poa: Network, tmp_path_factory: pytest.TempPathFactory) -> Iterator[_core.Chain]:
    with open_chain(poa, tmp_path_factory.mktemp("node")) as chain:
        yield chain


def run(
    chain: _core.Chain,
    code: str = "",
    *,
    number: int = 150,
    sender: bytes = NOBODY,
    to: bytes | None = None,
    value: int = 0,
    gas: int = GAS,
    gas_price: int = 0,
) -> _core.CallOutcome:
    """Call, by default a creation that runs `code` as its initialisation."""
    data = bytes.fromhex(code)
    return chain.call(number, sender=sender, to=to, value=value, input=data, gas=gas, gas_price=gas_price)


def quantity(call: dict[str, Any], name: str) -> int:
    return int(call.get(name) or "0x0", 16)


def answer(chain: _core.Chain, call: dict[str, Any], number: int) -> str:
    """What the Go client would make of our outcome: the data, or its error text."""
    header = rlp.decode(chain.header(number))
    try:
        outcome = chain.call(
            number,
            sender=bytes.fromhex(call.get("from", "0x" + "00" * 20)[2:]),
            to=bytes.fromhex(call["to"][2:]) if "to" in call else None,
            value=quantity(call, "value"),
            input=bytes.fromhex((call.get("data") or call.get("input") or "0x")[2:]),
            gas=quantity(call, "gas") or int.from_bytes(header[9], "big"),
            gas_price=quantity(call, "gasPrice"),
        )
    except _core.CallRefusedError as refused:
        return str(refused)
    if outcome.status == "success":
        return "0x" + outcome.output.hex()
    if outcome.status == "revert":
        # Error(string): selector, offset, length, text.
        selector, body = outcome.output[:4], outcome.output[4:]
        if selector.hex() == "08c379a0":
            return f"execution was reverted: {body[64 : 64 + int.from_bytes(body[32:64], 'big')].decode()}"
        return "execution was reverted"
    return f"unable to execute call: {outcome.status}"


def compare_calls(chain: _core.Chain, network: Network, head: int) -> int:
    """Assert that every recorded eth_call gets the recorded answer; returns how many.

    The Go client asks for the nonce that the sender has at the head, also where it executes on an older state, and
    cannot execute on block 0, which nobody sealed; the core does both, so of these it is only asked for an answer.
    """
    compared = 0
    for row in network.rows("rpc.jsonl"):
        request = row["request"]
        if not isinstance(request, dict) or request.get("method") != "eth_call":
            continue
        call, block = (*request["params"], "latest")[:2]
        response = row["response"]
        expected = response.get("result") or response["error"]["message"]
        if expected in {"Invalid Params", "contract creation without data provided"}:
            continue
        number = {"latest": head, "earliest": 0}[block] if block.isalpha() else int(block, 16)
        found = answer(chain, call, number)
        if expected in {"incorrect nonce", "invalid signature"}:
            assert found.startswith("0x"), (call, found)
        else:
            assert found == expected, row
        compared += 1
    return compared


def test_every_recorded_call_gets_the_answer_of_the_go_node(chain: _core.Chain, poa: Network) -> None:
    assert compare_calls(chain, poa, 150) == 74


@pytest.mark.shared
def test_every_recorded_call_on_the_lone_validator_gets_the_answer_of_the_go_node(shared: Path, tmp_path: Path) -> None:
    single = Network(shared / "golden/v0.6.3/single")
    with open_chain(single, tmp_path) as chain:
        assert compare_calls(chain, single, 118) == 74


def word(opcodes: str) -> str:
    """Code that returns the word that `opcodes` leave on the stack."""
    return opcodes + "60005260206000f3"


@pytest.mark.parametrize("number", [1, 75, 150])
def test_a_message_sees_the_block_on_whose_state_it_runs(chain: _core.Chain, number: int) -> None:
    block = chain.block(number)
    assert block is not None
    header = rlp.decode(block)[0]
    seen = {
        name: run(chain, word(opcode), number=number).output
        for name, opcode in {
            "number": "43",
            "time": "42",
            "coinbase": "41",
            "difficulty": "44",
            "gas limit": "45",
            "hash before": f"61{number - 1:04x}40",
            "own hash": f"61{number:04x}40",
        }.items()
    }
    assert seen == {
        "number": header[8].rjust(32, b"\0"),
        "time": header[11].rjust(32, b"\0"),
        "coinbase": sealed_header(block).proposer.rjust(32, b"\0"),
        "difficulty": header[7].rjust(32, b"\0"),
        "gas limit": header[9].rjust(32, b"\0"),
        "hash before": chain.canonical_hash(number - 1),
        "own hash": bytes(32),
    }


def test_block_0_is_sealed_by_nobody_and_answers_all_the_same(chain: _core.Chain) -> None:
    assert run(chain, word("41"), number=0).output == bytes(32)
    assert run(chain, word("43"), number=0).output == bytes(32)


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("00", "success"),
        ("60006000fd", "revert"),
        ("01", "stack underflow"),
        ("5b" + "6000" * 1025, "stack overflow"),
        ("fe", "opcode not found"),
        ("0c", "opcode not found"),
        ("600156", "invalid jump destination"),
        ("5b600056", "out of gas"),
        ("6000680100000000000000005260", "gas uint64 overflow"),
        ("6001600060003e", "return data out of bounds"),
        ("6160016000f3", "evm: max code size exceeded"),
        ("6150006000f3", "contract creation code storage out of gas"),
    ],
)
def test_a_failure_has_the_go_clients_words(chain: _core.Chain, code: str, status: str) -> None:
    outcome = run(chain, code)
    assert outcome.status == status
    assert outcome.output == b""
    assert (outcome.gas_used == GAS) == (status not in {"success", "revert"})


def test_a_precompile_without_gas_is_out_of_gas(chain: _core.Chain) -> None:
    assert run(chain, to=bytes(19) + b"\1", gas=21_000 + 2_999).status == "out of gas"
    assert run(chain, to=bytes(19) + b"\1", gas=21_000 + 3_000).status == "success"


def test_revert_data_and_gas_come_back(chain: _core.Chain) -> None:
    outcome = run(chain, "602a60005260206000fd")
    assert (outcome.status, int.from_bytes(outcome.output, "big")) == ("revert", 42)
    # 53000 for a creation, 4 for each of 2 zero bytes and 16 for each of 8 others, 18 for the code.
    assert outcome.gas_used == 53_000 + 2 * 4 + 8 * 16 + 18


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"value": 1 << 200}, "not enough funds for transfer with given value"),
        ({"gas_price": 1 << 200}, "not enough funds to cover gas costs"),
        ({"gas_price": (1 << 256) - 1}, "not enough funds to cover gas costs"),
        ({"gas": 52_999}, "not enough gas supplied for intrinsic gas costs"),
        ({"gas": 1 << 62}, "gas limit reached in the pool"),
    ],
)
def test_a_refusal_has_the_go_clients_words(chain: _core.Chain, message: dict[str, Any], text: str) -> None:
    with pytest.raises(_core.CallRefusedError) as refused:
        run(chain, "00", **message)
    assert str(refused.value) == text
    assert isinstance(refused.value, ValueError)


def test_what_makes_the_go_client_panic_has_the_result_of_its_rules(chain: _core.Chain) -> None:
    # RETURNDATACOPY of length 0 to offset 64, beyond the memory: nothing is copied.
    assert run(chain, "6000600060403e").status == "success"


def test_a_block_that_is_not_there_is_a_lookup_error(chain: _core.Chain) -> None:
    with pytest.raises(LookupError, match="no such block: 151"):
        run(chain, "00", number=151)


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"sender": bytes(19)}, "address: expected 20 bytes, found 19"),
        ({"to": b""}, "address: expected 20 bytes, found 0"),
        ({"value": -1}, "value: expected an int of 0 to 2^256-1, found -1"),
        ({"gas_price": 1 << 256}, "gas price: expected an int of 0 to 2"),
    ],
)
def test_a_malformed_message_says_what_is_wrong(chain: _core.Chain, message: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text.replace("^", r"\^")):
        run(chain, "00", **message)


def test_a_chain_that_was_not_started_refuses_calls(poa: Network, tmp_path: Path) -> None:
    with (
        _core.Chain.open(poa.data_directory("data-dir", tmp_path), create=False) as chain,
        pytest.raises(Exception, match="the chain was not started"),
    ):
        run(chain, "00")


def test_a_call_keeps_nothing(chain: _core.Chain) -> None:
    root = chain.state_root
    # Slot 0 raised by one and returned, in a contract of a fixed address.
    code = word("60005460010180600055")
    first, second = run(chain, code), run(chain, code)
    assert first.status == "success"
    assert first.output == second.output == (1).to_bytes(32, "big")
    assert chain.state_root == root


def test_many_threads_call_at_once(chain: _core.Chain) -> None:
    """Each thread asks blocks of its own for their number, with calls in between that nest until the gas is gone."""
    deep = "5b600060006000600060006000305af15060005b80"
    failures: list[object] = []
    start = threading.Barrier(8)

    def work(first: int) -> None:
        start.wait()
        for number in range(first, 150, 8):
            found = run(chain, word("43"), number=number)
            if (found.status, int.from_bytes(found.output, "big")) != ("success", number):
                failures.append((number, found.status, found.output))
            run(chain, deep, number=number)

    threads = [threading.Thread(target=work, args=(first,)) for first in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
