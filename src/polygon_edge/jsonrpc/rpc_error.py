"""What a client is told instead of a result (§5.2). None of these is an error of the program."""

from __future__ import annotations

from typing import Final

INVALID_REQUEST: Final = -32600
"""Also every error that a method itself returns: the Go client has no other code for those."""
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMETERS: Final = -32602
INTERNAL_ERROR: Final = -32603


class RpcError(Exception):
    """An answer that is not a result: `code` and `message`, and `data` where the client can use it (revert data)."""

    def __init__(self, message: str, *, code: int = INVALID_REQUEST, data: object = None) -> None:
        self.code = code
        self.message = message
        self.data = data
        super().__init__(message)


class InvalidParametersError(RpcError):
    """Parameters that cannot be decoded. Tools match on the text, so it does not say which one."""

    def __init__(self) -> None:
        super().__init__("Invalid Params", code=INVALID_PARAMETERS)


class MethodNotFoundError(RpcError):
    """A method that is not there, under the name that was asked for."""

    def __init__(self, method: str) -> None:
        super().__init__(f"the method {method} does not exist/is not available", code=METHOD_NOT_FOUND)


class InvalidRequestError(RpcError):
    """A body that is not JSON, or not a request."""

    def __init__(self) -> None:
        super().__init__("Invalid json request")
