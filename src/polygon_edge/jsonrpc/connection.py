"""One HTTP connection, with the bounds that uvicorn does not set: half-open ones are closed, and there is a limit.

uvicorn's own timer covers a connection that is idle between two requests. This adds the others: a header that does not
come to its end, a client that does not read its answer, and connections beyond the limit, which are refused before they
cost a task.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from uvicorn.protocols.http.h11_impl import H11Protocol

from polygon_edge.jsonrpc.context import Limits

if TYPE_CHECKING:
    import asyncio

    from uvicorn.protocols.http.h11_impl import RequestResponseCycle


class Connection(H11Protocol):
    """A connection under `limits`; `bounded` makes the class for other ones."""

    limits: ClassVar[Limits] = Limits()

    _header_timer: asyncio.TimerHandle | None = None
    _stall_timer: asyncio.TimerHandle | None = None

    @classmethod
    def bounded(cls, limits: Limits) -> type[Connection]:
        """Return a class of connections under `limits`."""
        return type("BoundedConnection", (cls,), {"limits": limits})

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start to wait for a header, or refuse a connection beyond the limit."""
        super().connection_made(transport)
        if len(self.connections) > self.limits.connections:
            transport.abort()
            return
        self._watch_header()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop every timer."""
        self._stop_header_timer()
        self._stop_stall_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes; a header must be complete some time after its first byte, however many follow."""
        super().data_received(data)
        cycle = cast("RequestResponseCycle | None", self.cycle)  # none before the first request
        if cycle is None or cycle.response_complete:
            self._watch_header()
        else:
            self._stop_header_timer()

    def pause_writing(self) -> None:
        """Give a client that does not read some time, and end the connection then."""
        super().pause_writing()
        self._watch_stall()

    def resume_writing(self) -> None:
        """Go on, now that the client reads again."""
        super().resume_writing()
        self._stop_stall_timer()

    def on_response_complete(self) -> None:
        """Leave the connection to uvicorn's timer; where it closes, what is written must be read in time."""
        super().on_response_complete()
        self._watch_closing()

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection, even one that did not read its last answer."""
        super().timeout_keep_alive_handler()
        self._watch_closing()

    def _watch_header(self) -> None:
        # The timer between requests watches already where the last answer is sent and nothing has come since.
        if self._header_timer is None and self.timeout_keep_alive_task is None:
            self._header_timer = self.loop.call_later(self.limits.header_seconds, self.transport.abort)

    def _watch_closing(self) -> None:
        if self.transport.is_closing() and self.transport.get_write_buffer_size():
            self._watch_stall()

    def _watch_stall(self) -> None:
        if self._stall_timer is None:
            self._stall_timer = self.loop.call_later(self.limits.stall_seconds, self.transport.abort)

    def _stop_header_timer(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def _stop_stall_timer(self) -> None:
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None
