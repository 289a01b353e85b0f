"""The envelope: from the bytes of a request to the bytes of its answer (§5.2). What a method does is its own business.

Whatever the bytes are, there is an answer and never an exception. Everything here is synchronous: the door calls it in
a thread.
"""

from __future__ import annotations

import json
import logging
import math
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from polygon_edge.jsonrpc.codec import select_fields
from polygon_edge.jsonrpc.rpc_error import (
    INTERNAL_ERROR,
    InvalidParametersError,
    InvalidRequestError,
    MethodNotFoundError,
    RpcError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

logger = logging.getLogger(__name__)

MAXIMUM_BATCH_ANSWER_BYTES: Final = 25 * 1024 * 1024
"""What a batch may answer in all before its other calls are refused, as in other Ethereum nodes."""

MAXIMUM_DEPTH: Final = 32
"""How deep a request may be nested; the deepest that makes sense, a filter in a batch, has 6."""

MAXIMUM_VALUES: Final = 100_000
"""How many values a body may hold: each takes some hundred bytes when it is decoded, however short it is."""

_STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
"""A string, or one that the text ends in: so that no byte is looked at twice, whatever the bytes are."""
_AS_SQUARE_BRACKETS: Final = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))
_WHITESPACE = " \t\r\n"
_EXACT_INTEGERS = 1e21
"""From here on the Go client writes a number of an id with an exponent."""


class Required:
    """Stands for the value of a parameter that cannot be left out."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """How one parameter is read, and what it is where it is missing or null."""

    decode: Callable[[object], object]
    absent: object = Required


@dataclass(frozen=True, slots=True)
class Method:
    """A method and its parameters by position."""

    call: Callable[..., object]
    parameters: tuple[Parameter, ...] = ()


class Dispatcher:
    """Answers requests with `methods`, by their full names."""

    def __init__(self, methods: Mapping[str, Method], batch_limit: int) -> None:
        self._methods = methods
        self._batch_limit = batch_limit

    def answer(self, body: bytes) -> bytes:
        """Answer one request or a batch of them; one JSON document for each body."""
        try:
            requests = self._decode(body)
            if isinstance(requests, list):
                return self._answer_batch(requests)
            if not requests.method:
                return _failure(requests.id, InvalidRequestError())
            return self._answer_one(requests)
        except RpcError as error:
            return _failure(None, error)

    def _decode(self, body: bytes) -> _Request | list[_Request]:
        values = sum(body.count(mark) for mark in (b",", b"[", b"{"))
        if values > MAXIMUM_VALUES:
            raise RpcError(f"request too complex: expected at most {MAXIMUM_VALUES} values, found {values}")
        if not _is_shallow(body):
            raise InvalidRequestError
        text = body.decode("utf-8", "replace").lstrip(_WHITESPACE)
        try:
            document = json.loads(text, parse_constant=_refuse, parse_float=_finite)
        except ValueError as error:
            raise InvalidRequestError from error
        if text.startswith("{"):
            return _Request.read(document)
        entries = [] if document is None else document
        if not isinstance(entries, list):
            raise InvalidRequestError
        if self._batch_limit and len(entries) > self._batch_limit:
            raise RpcError("Batch request length too long")
        return [_Request.read({} if entry is None else entry) for entry in entries]

    def _answer_batch(self, requests: list[_Request]) -> bytes:
        answers: list[bytes] = []
        size = 0
        for request in requests:
            if size > MAXIMUM_BATCH_ANSWER_BYTES:
                error = RpcError(f"the answers before this one have {size} bytes: send smaller batches")
                answers.append(_failure(request.id, error))
            else:
                answers.append(self._answer_one(request))
            size += len(answers[-1])
        return b"[" + b",".join(answers) + b"]"

    def _method(self, name: str) -> Method:
        found = self._methods.get(name)
        if found is None:
            raise MethodNotFoundError(name)
        return found

    def _answer_one(self, request: _Request) -> bytes:
        try:
            method = self._method(request.method)
            return _success(request.id, method.call(*_arguments(method, request)))
        except RpcError as error:
            return _failure(request.id, error)
        except Exception:
            # A client must not be able to end a connection, let alone the node, by what it asks for.
            logger.exception("%s failed", request.method)
            return _failure(request.id, RpcError("Internal error", code=INTERNAL_ERROR))


@dataclass(frozen=True, slots=True)
class _Request:
    """One request; `parameters` is absent as it was, `None` being a null that was sent."""

    id: object
    method: str
    parameters: object = Required

    @staticmethod
    def read(document: object) -> _Request:
        if not isinstance(document, dict):
            raise InvalidRequestError
        found = select_fields(document, ("id", "method"))
        method = found.get("method", "")
        if not isinstance(method, str):
            raise InvalidRequestError
        parameters: object = Required
        for key, value in document.items():
            if key.casefold() == "params":
                parameters = value
        return _Request(_echoed(found.get("id")), method, parameters)


def refusal(error: RpcError) -> bytes:
    """Return the answer to a request that was not even read."""
    return _failure(None, error)


def _arguments(method: Method, request: _Request) -> list[object]:
    if not method.parameters:
        return []
    sent = [] if request.parameters is None else request.parameters
    if not isinstance(sent, list):
        raise InvalidParametersError
    arguments: list[object] = []
    for index, parameter in enumerate(method.parameters):
        value = sent[index] if index < len(sent) else None
        if value is not None:
            arguments.append(parameter.decode(value))
        elif parameter.absent is Required:
            raise InvalidParametersError
        else:
            arguments.append(parameter.absent)
    return arguments


def _echoed(request_id: object) -> object:
    """Return an id as the answer carries it: the Go client's numbers go through a double."""
    if isinstance(request_id, bool) or not isinstance(request_id, int | float):
        return request_id
    try:
        number = float(request_id)
    except OverflowError as error:
        raise InvalidRequestError from error
    if number.is_integer() and abs(number) < _EXACT_INTEGERS:
        return int(Decimal(repr(number)))
    return number


def _success(request_id: object, result: object) -> bytes:
    return _encode({"jsonrpc": "2.0", "id": request_id, "result": result})


def _failure(request_id: object, error: RpcError) -> bytes:
    document: dict[str, object] = {"jsonrpc": "2.0"}
    if request_id is not None:
        document["id"] = request_id
    described: dict[str, object] = {"code": error.code, "message": error.message}
    if error.data is not None:
        described["data"] = error.data
    return _encode(document | {"error": described})


def _encode(document: object) -> bytes:
    # Escaped to ASCII, because an id or a name may hold half of a surrogate pair, which UTF-8 cannot carry.
    return json.dumps(document, separators=(",", ":")).encode("ascii")


def _is_shallow(body: bytes) -> bool:
    """Say whether no more than `MAXIMUM_DEPTH` brackets are open anywhere in a JSON text, and each is closed.

    The decoder itself cannot be asked: its recursion ends in a crash of the process where a library has raised the
    interpreter's limit. Which kind of bracket it is does not matter here; the decoder finds that.
    """
    brackets = _STRING.sub(b"", body).translate(_AS_SQUARE_BRACKETS, _NO_BRACKETS)
    for _ in range(MAXIMUM_DEPTH):
        before = len(brackets)
        brackets = brackets.replace(b"[]", b"")
        if len(brackets) == before:
            break
    return not brackets


def _refuse(constant: str) -> float:
    raise ValueError(constant)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number
