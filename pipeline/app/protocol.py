"""One HTTP/1.1 connection: uvicorn's protocol, bounded in what comes before anybody knows who sends it.

* A head (request line and headers, or trailers) has a largest size and must be complete in time; so must a body
  begin, because whoever reads it gets an empty piece at once and counts the time from there.
* An ``Upgrade`` is ignored (RFC 9110 section 7.8). The parser takes it as the end of HTTP, so it gets the
  request again without the offer.
* An answer that goes out before the request was there whole closes the connection: what is still to come of a
  refused body is thrown away for a little while, so that the sender gets to read why, and then cut off.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httptools
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from pipeline.receiver.answers import refusal
from pipeline.receiver.problem import SLOW, Problem, method_not_allowed

_PIECE_BYTES = 256 << 10
"""What a connection holds of a body before it is taken into the budget of memory."""
_OVERHEAD = 4  # ": " and a line end


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a connection may cost before a request is known.

    Attributes:
        head_bytes: Largest request line and headers.
        read_seconds: Longest wait for a whole head, and for the sender of a refused body to go.
        discard_bytes: Most bytes of a refused body that are read to no purpose.
    """

    head_bytes: int = 64 << 10
    read_seconds: float = 30.0
    discard_bytes: int = 64 << 20


class _RefusedError(Exception):
    """Leaves a callback of the parser, which raises another error over it."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.problem = problem


class Protocol(HttpToolsProtocol):
    """One connection.

    Args:
        config: Of uvicorn.
        state: Connections and tasks of all protocols.
        loop: The running loop.
        bounds: See there.
        lost: Called once the connection is gone.
    """

    def __init__(
        self,
        config: Config,
        state: ServerState,
        loop: asyncio.AbstractEventLoop,
        bounds: Bounds,
        lost: Callable[[], None],
    ) -> None:
        super().__init__(config=config, server_state=state, app_state={}, _loop=loop)
        self._bounds = bounds
        self._lost = lost
        self._door: Any = None
        self._timer: asyncio.TimerHandle | None = None
        self._ending = False
        # What was incomplete after the last piece: a head, told by its list of headers, or a request and its body.
        self._open: Any = None
        self._body: Any = None
        self._body_size = 0
        # Sizes of the piece that is fed now, of the one in which that began, and of those that added nothing to it.
        self._piece = self._first = self._fed = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._door = _Door(transport, self._close)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        super().connection_lost(exc)
        self._stop_timer()
        self._lost()

    def data_received(self, data: bytes) -> None:
        """Feed the parser, then look at what is still incomplete."""
        if self._ending:
            self._discard(len(data))
            return
        self._unset_keepalive_if_required()
        self._piece = len(data)
        try:
            while True:
                try:
                    self.parser.feed_data(data)
                    break
                except httptools.HttpParserUpgrade as upgrade:
                    data = self._without_upgrade() + data[upgrade.args[0] :]
        except httptools.HttpParserError as error:
            why = error.__context__
            unread = Problem(400, "this is no HTTP request", "malformed")
            self._refuse(why.problem if isinstance(why, _RefusedError) else unread)
            return
        cycle: RequestResponseCycle | Any = self.cycle  # None before the first
        if cycle is None or cycle.response_complete or cycle.more_body or "method" not in self.scope:
            self._bound(cycle)

    def on_headers_complete(self) -> None:
        """Start the request, unless it offers an upgrade: then it comes again."""
        before = self._first + self._fed if self._open is self.headers else 0
        if before + self._piece > self._bounds.head_bytes:
            size = len(self.url) + sum(len(name) + len(value) + _OVERHEAD for name, value in self.headers)
            if size > self._bounds.head_bytes:
                raise _RefusedError(self._head_too_large())
        if not self.parser.should_upgrade():
            if self._timer is not None:
                self._stop_timer()
            super().on_headers_complete()
        elif self.parser.get_method() == b"CONNECT":
            raise _RefusedError(method_not_allowed(b"GET, HEAD, POST"))

    def on_body(self, body: bytes) -> None:
        """Keep a piece; wake whoever reads when there is much: a wake costs more than what came with it."""
        cycle = self.cycle
        if cycle.response_complete:
            return
        cycle.body += body
        if len(cycle.body) > _PIECE_BYTES:
            self.flow.pause_reading()
            cycle.message_event.set()

    def on_message_complete(self) -> None:
        """The request is there whole."""
        if "method" in self.scope:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """Go on to the next request, if there may be one; a connection that waits holds nothing."""
        self._open = self._body = None
        if self._ending:
            self.server_state.total_requests += 1
        else:
            super().on_response_complete()

    def _in_head(self) -> bool:
        """A head has begun, and its request has not."""
        scope: Any = self.scope  # None before the first
        return scope is not None and "method" not in scope

    def _bound(self, cycle: RequestResponseCycle | None) -> None:
        """Bound what has no end yet: its time, and what it gets that is no body."""
        reading = (
            cycle is not None and cycle.more_body and not cycle.response_complete and not self._in_head()
        )
        key = self.headers if self._in_head() else cycle
        grown = False
        if reading and cycle is not None:
            grown = bool(cycle.body) and (cycle.body is not self._body or len(cycle.body) != self._body_size)
            self._body, self._body_size = cycle.body, len(cycle.body)
            self._guard(cycle)
        else:
            self._await_head()
        if key is not self._open or grown:
            self._open, self._first, self._fed = key, self._piece, 0
            return
        self._fed += self._piece
        if self._fed > self._bounds.head_bytes:
            self._refuse(self._head_too_large())

    def _guard(self, cycle: RequestResponseCycle) -> None:
        """Let whoever reads a body begin to count the time; an answer before its end closes the connection."""
        if cycle.transport is self._door:
            return
        cycle.message_event.set()
        cycle.transport = self._door
        send = cycle.send

        async def answer(message: Any) -> None:
            if cycle.more_body:
                cycle.keep_alive = False
            await send(message)

        cycle.send = answer  # type: ignore[method-assign]

    def _without_upgrade(self) -> bytes:
        """Begin with a new parser; return the head for it that the old one ended at."""
        version = self.parser.get_http_version().encode()
        lines = [b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, version)]
        for name, value in self.headers:
            if name == b"connection":
                options = [option.strip() for option in value.split(b",")]
                kept = b", ".join(option for option in options if option.lower() != b"upgrade")
                lines.append(b"connection: " + kept)
            elif name != b"upgrade":
                lines.append(name + b": " + value)
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        return b"\r\n".join([*lines, b"\r\n"])

    def _head_too_large(self) -> Problem:
        limit = self._bounds.head_bytes
        return Problem(431, f"the headers are larger than the limit of {limit} bytes", "head_bytes")

    def _await_head(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(self._bounds.read_seconds, self._too_slow)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_slow(self) -> None:
        if self._ending or not self._in_head():
            self.transport.close()
            return
        seconds = self._bounds.read_seconds
        self._refuse(Problem(408, f"the headers were not complete after {seconds:g} s", SLOW))

    def _refuse(self, problem: Problem) -> None:
        """Answer what never became a request, and end the connection."""
        cycle: RequestResponseCycle | Any = self.cycle
        if self.pipeline:
            self.transport.close()
            return
        if cycle is not None and not cycle.response_complete:
            if cycle.response_started or not cycle.more_body:
                # Requests before this one are being answered: theirs is the last answer.
                cycle.keep_alive = False
                self.flow.pause_reading()
                return
            cycle.disconnected = True
            cycle.message_event.set()
        status, headers, body = refusal(problem)
        lines = [name + b": " + value + b"\r\n" for name, value in headers]
        self.transport.write(b"".join([STATUS_LINE[status], *lines, b"connection: close\r\n\r\n", body]))
        self._end()

    def _close(self) -> None:
        """Close after an answer that went out before its request was there whole."""
        if self.cycle.more_body:
            self._end()
        else:
            self.transport.close()

    def _end(self) -> None:
        """Say that no more comes; close once the other side did, or had its time."""
        if self._ending or self.transport.is_closing():
            return
        self._ending = True
        self._fed = 0
        self._stop_timer()
        self._unset_keepalive_if_required()
        self.flow.resume_reading()
        self.transport.write_eof()
        self._timer = self.loop.call_later(self._bounds.read_seconds, self._too_slow)

    def _discard(self, size: int) -> None:
        self._fed += size
        if self._fed > self._bounds.discard_bytes:
            self.transport.close()


class _Door:
    """What a request sees of its transport: the connection's way of closing instead of its own."""

    __slots__ = ("close", "is_closing", "write")

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None]) -> None:
        self.write = transport.write
        self.is_closing = transport.is_closing
        self.close = close
