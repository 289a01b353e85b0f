"""Asking an operator's server over a channel, and what it says or refuses."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from google.protobuf.empty_pb2 import Empty

from polygon_edge.operator.proto import system_pb2

REQUESTS: dict[str, tuple[Any, Any]] = {
    "GetStatus": (Empty, system_pb2.ServerStatus),
    "PeersList": (Empty, system_pb2.PeersListResponse),
    "PeersAdd": (system_pb2.PeersAddRequest, system_pb2.PeersAddResponse),
    "PeersStatus": (system_pb2.PeersStatusRequest, system_pb2.Peer),
    "BlockByNumber": (system_pb2.BlockByNumberRequest, system_pb2.BlockResponse),
}
SECONDS = 20


def ask(channel: grpc.Channel, method: str, **fields: Any) -> Any:
    request, answer = REQUESTS[method]
    call = channel.unary_unary(
        f"/v1.System/{method}", request_serializer=request.SerializeToString, response_deserializer=answer.FromString
    )
    return call(request(**fields), timeout=SECONDS)


def export(channel: grpc.Channel, first: int = 0, last: int = 0, seconds: float = SECONDS) -> Any:
    call = channel.unary_stream(
        "/v1.System/Export",
        request_serializer=system_pb2.ExportRequest.SerializeToString,
        response_deserializer=system_pb2.ExportEvent.FromString,
    )
    return call(system_pb2.ExportRequest(to=last, **{"from": first}), timeout=seconds)


def failure_of(stream: Any) -> tuple[str, str]:
    with pytest.raises(grpc.RpcError) as caught:
        list(stream)
    return caught.value.code().name, caught.value.details() or ""


def refusal(channel: grpc.Channel, method: str, **fields: Any) -> tuple[str, str]:
    with pytest.raises(grpc.RpcError) as caught:
        ask(channel, method, **fields)
    return caught.value.code().name, caught.value.details() or ""
