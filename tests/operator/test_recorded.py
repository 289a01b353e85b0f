"""What Go nodes of both generations were asked over gRPC, asked again on their data directories."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, NamedTuple

import grpc
import pytest
from eth_hash.auto import keccak
from google.protobuf.json_format import MessageToDict
from tests.conftest import recorded_folder
from tests.golden.earlier import EarlierChain
from tests.golden.recorded import NETWORKS, Network
from tests.operator.asking import ask, export, failure_of, refusal
from tests.operator.serving import ServedNode

from polygon_edge import _core

if TYPE_CHECKING:
    from pathlib import Path

    from polygon_edge.operator.proto import system_pb2

CARRIED = "v0.6.3/poa-ecdsa"
"""The network whose answers travel with the source."""

ANSWERED = [CARRIED, *(pytest.param(name, marks=pytest.mark.shared) for name in NETWORKS if name != CARRIED)]
ABOUT_PEERS = ("PeersList", "PeersAdd", "PeersStatus")
WITHOUT_END = "Subscribe"
TOO_LARGE = "RESOURCE_EXHAUSTED"


class Question(NamedTuple):
    """A recorded call of the service, in one form for both recordings; `error` is code and text, else none."""

    method: str
    fields: dict[str, int]
    answer: dict[str, Any]
    events: list[dict[str, Any]]
    error: tuple[str, str] | None


def questions(network: Network) -> list[Question]:
    """What was asked of the node whose data directory this is, while nothing else went on there."""
    found = []
    for row in network.rows("grpc.jsonl"):
        service, method = row["method"].removeprefix("/").split("/")
        if service != "v1.System" or row.get("live") or method == WITHOUT_END:
            continue
        error = row.get("error") or row.get("response", {}).get("error")
        found.append(
            Question(
                method,
                {name: int(value) for name, value in row["request"].items() if name != "id"},
                row.get("response", {}),
                row.get("events", []),
                None if error is None else (error["code"], error.get("message") or error["details"]),
            )
        )
    return found


def check_events(found: list[system_pb2.ExportEvent], recorded: list[dict[str, Any]]) -> None:
    """Assert that chunks are those that were recorded, by one kind of hash or the other."""
    assert len(found) == len(recorded)
    for event, expected in zip(found, recorded, strict=True):
        data = event.data
        described = {
            "from": getattr(event, "from"),
            "to": event.to,
            "latest": event.latest,
            "dataLength": len(data),
            "messageLength": event.ByteSize(),
            "dataSha256": hashlib.sha256(data).hexdigest(),
            "bytes": len(data),
            "keccak": "0x" + keccak(data).hex(),
        }
        assert len(expected) >= 5
        assert {name: described[name] for name in expected} == expected


@pytest.mark.parametrize("name", ANSWERED)
def test_the_recorded_questions_get_the_recorded_answers(name: str, tmp_path: Path) -> None:
    network = Network(recorded_folder(name, "grpc.jsonl", "data-dir.tar.zst"))
    asked = questions(network)
    status = next(question.answer for question in asked if question.method == "GetStatus")
    with _core.Chain.open(network.opened_directory("data-dir", tmp_path)) as whole:
        chain = EarlierChain(whole, int(status["current"]["number"]))
        with (
            ServedNode(chain, int(status["network"]), peer_address=status["p2pAddr"]) as node,
            grpc.insecure_channel(node.address, options=[("grpc.max_receive_message_length", -1)]) as channel,
        ):
            for question in asked:
                # A node that sealed while it was recorded says itself how far it had come.
                chain.height = max([chain.height, *(event["latest"] for event in question.events)])
                check(channel, question)
    assert len(asked) >= 15


def check(channel: grpc.Channel, question: Question) -> None:
    method, fields = question.method, question.fields
    if method in ABOUT_PEERS:
        # Without a network there are no peers, and their names are not looked at.
        if method == "PeersList":
            assert MessageToDict(ask(channel, method)) == {}
        else:
            assert refusal(channel, method, id="nonsense")[0] == "UNIMPLEMENTED"
    elif method == "Export":
        call = export(channel, fields.get("from", 0), fields.get("to", 0))
        if question.error is not None and question.error[0] == TOO_LARGE:
            # A block above four mebibytes, which the Go client does not send.
            events = list(call)
            assert len(events) > len(question.events)
            check_events(events[: len(question.events)], question.events)
        elif question.error is not None:
            assert failure_of(call) == question.error, question
        else:
            check_events(list(call), question.events)
    elif question.error is not None:
        assert refusal(channel, method, **fields) == question.error, question
    else:
        assert MessageToDict(ask(channel, method, **fields)) == question.answer, question
