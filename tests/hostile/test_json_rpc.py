"""Hostile JSON to the JSON-RPC door: every body is answered with a document, and no call hurts the node."""

from __future__ import annotations

import json
import threading
from itertools import product
from typing import TYPE_CHECKING

import pytest
import rlp
from tests.hostile.attack import call, check_answer, is_long, post_bytes, rounds, seeded

if TYPE_CHECKING:
    import random

    from tests.hostile.attack import Target

METHODS = (
    *("eth_chainId", "eth_syncing", "eth_blockNumber", "eth_gasPrice", "eth_accounts", "eth_getBlockByNumber"),
    *("eth_getBlockByHash", "eth_getBlockTransactionCountByNumber", "eth_getBalance", "eth_getTransactionCount"),
    *("eth_getCode", "eth_getStorageAt", "eth_call", "eth_estimateGas", "eth_sendRawTransaction"),
    *("eth_sendTransaction", "eth_getTransactionByHash", "eth_getTransactionReceipt", "eth_getLogs"),
    *("eth_newFilter", "eth_newBlockFilter", "eth_getFilterChanges", "eth_getFilterLogs", "eth_uninstallFilter"),
    *("eth_unsubscribe", "eth_subscribe", "net_version", "net_listening", "net_peerCount", "web3_clientVersion"),
    *("web3_sha3", "txpool_content", "txpool_inspect", "txpool_status", "debug_traceCall", "no_such", "eth_", "_"),
)
ADDRESS = "0x" + "11" * 20
HASH = "0x" + "22" * 32
VALUES: tuple[object, ...] = (
    *(None, True, False, 0, 1, -1, 1.5, 1e300, -0.0, 2**63, 2**64, 2**256, 10**400),
    *("", "0x", "0x0", "0x1", "-0x1", "0xzz", "0x" + "f" * 65, "0x" + "f" * 5_000, "1" * 5_000, "1e9", "½", "\0"),
    *("latest", "earliest", "pending", "safe", "LATEST", ADDRESS, ADDRESS[:-1], ADDRESS + "00", HASH, HASH.upper()),
    *([], [[]], [None], [ADDRESS] * 1_000, {}, {"": ""}, {"blockNumber": "0x0", "blockHash": HASH}, {"blockHash": 7}),
    *(
        {"blockNumber": "0xffffffffffffffffff"},
        {"to": ADDRESS, "data": "0x" + "00" * 10_000},
        {"to": 5},
        {"data": "0x1"},
    ),
    *({"from": [], "gas": {}, "gasPrice": None, "value": "0x" + "f" * 100}, {"gas": "0xffffffffffffffffff"}),
    *({"fromBlock": "0x0", "toBlock": "0xffffffffffffffff"}, {"fromBlock": "0x5", "toBlock": "0x1"}),
    *({"topics": [[[HASH]]]}, {"topics": [HASH] * 1_000}, {"topics": {}}, {"address": [[ADDRESS]]}, {"address": HASH}),
)
# One number too large for a double makes a whole batch unreadable, with the Go client, too.
IDS = tuple(value for value in VALUES if not isinstance(value, int) or value < 10**300)
MALFORMED = (
    *("", " ", "\n", "{", "[", "}", "]", '"', "nul", "null", "true", "0", '"x"', "[]", "{}", "[{}]", "[null]", "[[]]"),
    *("[1,2,3]", "{]", '{"method"}', '{"method":}', '{"method":"eth_chainId",}', '{"id":1}', '{"method":1}'),
    *('{"method":null}', '{"method":[]}', '{"method":{}}', '{"method":"eth_chainId","params":{}}', "// comment"),
    *(
        '{"method":"eth_getBalance","params":"x"}',
        '{"method":"eth_getBalance","params":7}',
        '{"id":NaN}',
        '{"id":1e999}',
    ),
    *('{"id":{"a":[1]},"method":"eth_chainId"}', '{"id":-1e400,"method":"x"}', "{'method':'x'}", "\ufeff{}"),
    *('{"method":"eth_chainId","method":"no"}', '{"METHOD":"eth_chainId"}', '{"id":1}{"id":2}', "0" * 5_000, "-"),
    *(
        '{"id":"\\ud800","method":"\\udfff"}',
        '{"id":' + "9" * 5_000 + ',"method":"x"}',
        '{"method":"' + "x" * 10**5 + '"}',
    ),
)


@pytest.mark.parametrize("body", MALFORMED, ids=lambda body: repr(body[:30]))
def test_malformed_json_is_answered(target: Target, body: str) -> None:
    answer = target.post(body)
    for part in answer if isinstance(answer, list) else [answer]:
        check_answer(part)


@pytest.mark.parametrize("depth", [100, 5_000, 1_000_000])
@pytest.mark.parametrize(
    ("opening", "closing"),
    [("[", "]"), ('{"a":', "}"), ('{"id":1,"method":"eth_call","params":[', "]}"), ('{"id":[', "]}"), ("[{", "}]")],
)
def test_deep_json_is_refused(target: Target, opening: str, closing: str, depth: int) -> None:
    for body in (opening * depth + closing * depth, opening * depth):
        check_answer(target.post(body))


def test_deep_parameters_of_a_method_are_refused(target: Target) -> None:
    for depth in (200, 900, 5_000):
        nested = "[" * depth + "]" * depth
        for method in ("eth_call", "eth_getLogs", "eth_getBalance", "eth_newFilter"):
            check_answer(target.post(f'{{"id":{nested},"method":"{method}","params":[{nested}]}}'))
            check_answer(target.post(f'{{"id":1,"method":"{method}","params":[{{"topics":{nested}}}]}}'))


@pytest.mark.parametrize(
    "garbage",
    [
        b"\xff",
        b"\xc0\xaf",
        b"\xed\xa0\x80",
        b"\xf8\x88\x80\x80\x80",
        b"\x80",
        b"\xfe\xff\0{\0}",
        b"\0" * 100,
        b"\x1b[2J",
    ],
)
def test_invalid_utf8_is_answered(target: Target, garbage: bytes) -> None:
    for body in (
        garbage,
        b'{"id":1,"method":"' + garbage + b'"}',
        b'{"id":"' + garbage + b'","method":"eth_chainId"}',
        b'{"id":1,"method":"web3_sha3","params":["' + garbage + b'"]}',
    ):
        check_answer(target.post(body))


def test_every_method_survives_every_wrong_type(target: Target) -> None:
    calls = [call(method, value) for method, value in product(METHODS, VALUES)]
    target.ask(calls if is_long() else seeded("wrong types").sample(calls, len(calls) // 4))


def test_every_method_survives_any_mixture_of_parameters(target: Target) -> None:
    chance = seeded("mixtures of parameters")
    target.ask(
        call(chance.choice(METHODS), *chance.choices(VALUES, k=chance.randint(0, 5)), request_id=chance.choice(IDS))
        for _ in range(rounds(400))
    )


def test_parameters_that_are_no_list_are_answered(target: Target) -> None:
    target.ask({"id": 1, "method": method, "params": value} for method in METHODS[::4] for value in VALUES)
    target.ask({"id": value, "method": "eth_chainId"} for value in IDS)
    target.ask({"id": 1, "method": method} for method in METHODS)


def damaged(body: bytes, chance: random.Random) -> bytes:
    changed = bytearray(body)
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(changed) + 1)
        match chance.randrange(3):
            case 0:
                changed[place:place] = chance.randbytes(chance.randint(1, 4))
            case 1:
                del changed[place : place + chance.randint(1, 10)]
            case _:
                changed[place : place + 1] = chance.choice([b'"', b"[", b"]", b"{", b"}", b",", b"\\", b"0", b"\xff"])
    return bytes(changed)


def test_damaged_requests_are_answered(target: Target) -> None:
    chance = seeded("damaged requests")
    for _ in range(rounds(150)):
        request = call(chance.choice(METHODS), *chance.choices(VALUES[:30], k=chance.randint(0, 3)))
        answer = target.post(damaged(json.dumps(request).encode(), chance))
        for part in answer if isinstance(answer, list) else [answer]:
            check_answer(part)


def test_a_giant_batch_is_refused_as_a_whole(target: Target) -> None:
    for entry in (b"[]", b"{}", b"0", json.dumps(call("eth_chainId")).encode()):
        for count in (21, 10_000, 200_000):
            error = target.post(b"[" + b",".join([entry] * count) + b"]")["error"]
            assert error["code"] == -32600
            assert "too" in error["message"], error


def test_bodies_that_grow_when_they_are_read_do_not_add_up(target: Target) -> None:
    """Five million bytes of empty lists are a hundred million in memory, and one wide letter makes text four times as
    large; many clients send them at once.
    """
    wide = "\U0001f6d1"
    bodies = [
        b"[" + b"[]," * 1_600_000 + b"0]",
        b'{"id":1,"method":"eth_call","params":[' + b"{}," * 1_600_000 + b"0]}",
        b'{"id":1,"method":"eth_getLogs","params":[{"topics":[' + b"[]," * 1_600_000 + b"0]}]}",
        ('{"id":"' + "x" * 4_900_000 + wide + '","method":"eth_chainId"}').encode(),
        ('{"id":1,"method":"' + "x" * 4_900_000 + wide + '"}').encode(),
        ('{"id":1,"method":"' + '\\"' * 2_450_000 + wide + '"}').encode(),
        ('["' + '\\"' * 2_450_000).encode(),
        ('{"id":1,"method":"web3_sha3","params":["0x' + "00" * 2_450_000 + '"]}').encode(),
        ('{"id":1,"method":"eth_call","params":[{"data":"0x' + "5b" * 2_450_000 + '"}]}').encode(),
    ]
    clients = [
        threading.Thread(
            target=target.http.talk, args=(post_bytes(bodies[number % len(bodies)]),), kwargs={"seconds": 60}
        )
        for number in range(rounds(21))
    ]
    for client in clients:
        client.start()
    for client in clients:
        client.join()


def random_transaction(chance: random.Random) -> bytes:
    def item(depth: int) -> object:
        if depth < 4 and chance.random() < 0.2:
            return [item(depth + 1) for _ in range(chance.randint(0, 5))]
        return chance.randbytes(chance.choice([0, 0, 1, 1, 8, 9, 20, 32, 33, 60]))

    return bytes(rlp.encode([item(0) for _ in range(chance.choice([0, 1, 8, 9, 9, 9, 9, 10, 30]))]))


def test_random_transactions_are_refused(target: Target) -> None:
    chance = seeded("random transactions")
    nested = b"\xc0"
    for _ in range(20_000):
        nested = bytes(rlp.encode([nested])) if len(nested) < 50 else nested
    raws = [
        *(b"", b"\0", b"\x7f", b"\x80", b"\xb8", b"\xb8\xff", b"\xbf" + b"\xff" * 8, b"\xc0", b"\xf7", b"\xff" * 9),
        *(b"\x02\xc0", b"\xc1" * 100_000, b"\xf9\xff\xff" * 30_000, nested, b"\xc9" + b"\x80" * 9, bytes(300_000)),
        *(random_transaction(chance) for _ in range(rounds(200))),
    ]
    answers = target.ask((call("eth_sendRawTransaction", "0x" + raw.hex()) for raw in raws), batch=10)
    assert all(answer["error"]["message"] for answer in answers)
    assert target.node.rpc("txpool_status") == {"pending": 0, "queued": 0}


# What a call can make the node compute, each up to the gas limit of a block.
ENDLESS = {
    "loop": "5b600056",
    "memory": "5b596000526020590152600056",
    "hashes": "5b61ffff600020600056",
    "storage": "5b5a5a55600056",
    "logs": "5b61ffff6000a0600056",
    "creations": "5b6000600060006000f050600056",
    "calls of itself": "5b60006000600060006000305af150600056",
    "big powers": "5b7f" + "ff" * 32 + "7f" + "ff" * 32 + "0a50600056",
    "code copies": "5b61ffff60006000396000" + "56",
    "pairings": "5b600060006103006000600860005af150600056",
    "powers of a precompile": "7f" + "ff" * 32 + "6000526000600060ff6000600560005af1600056",
}


def test_calls_that_never_end_are_cut_off_and_honest_clients_are_served_meanwhile(target: Target) -> None:
    limits = ("0xffffffffffffffff", "0x4c4b40", "0x0") if is_long() else ("0xffffffffffffffff",)
    attacks = [
        post_bytes(json.dumps(call(method, {"data": "0x" + code, "gas": gas, "from": ADDRESS})).encode())
        for code, gas, method in product(ENDLESS.values(), limits, ("eth_call", "eth_estimateGas"))
    ] * rounds(1)
    answers: list[bytes] = []

    def attack(part: list[bytes]) -> None:
        answers.extend(target.http.talk(request, seconds=60) for request in part)

    attackers = [threading.Thread(target=attack, args=(attacks[start::12],)) for start in range(12)]
    for attacker in attackers:
        attacker.start()
    while any(attacker.is_alive() for attacker in attackers):
        assert target.node.height >= 1
    for attacker in attackers:
        attacker.join()
    assert len(answers) == len(attacks)
    for answer in answers:
        check_answer(json.loads(answer.partition(b"\r\n\r\n")[2]))


def test_filters_without_end_are_bounded(target: Target) -> None:
    answers = target.ask(call("eth_newFilter", {"fromBlock": "0x0"}) for _ in range(2_100))
    answers += target.ask(call("eth_newBlockFilter") for _ in range(2_100))
    assert any("too many filters" in answer["error"]["message"] for answer in answers if "error" in answer)
    # Those that nobody polls make room again; meanwhile everything else works.
    assert target.node.rpc("eth_getLogs", {"fromBlock": "latest"}) == []
