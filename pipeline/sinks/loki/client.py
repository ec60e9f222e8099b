"""One HTTP exchange with Loki.

`http.client` in a thread, not an asynchronous client: a push of 200 KB costs 0.2 ms of CPU this way
and 0.75 ms with httpx (measured, loopback, keep-alive), and there are few pushes with large bodies.
The threads are the sink's own, so that a silent Loki cannot use up those that write to disk.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import http.client
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pipeline.sinks.delivery import UndeliveredError

if TYPE_CHECKING:
    from pipeline.sinks.loki.settings import LokiSettings

_TEXT = 1 << 16
_NETWORK = (OSError, http.client.HTTPException)


@dataclass(frozen=True, slots=True)
class Answer:
    """What Loki said.

    Attributes:
        status: HTTP status.
        text: The body, at most 64 KiB. It may quote records: never log it.
        retry_after: Seconds from ``Retry-After``; 0 without one.
    """

    status: int
    text: str = ""
    retry_after: float = 0.0


class _UnconnectedError(Exception):
    """Nothing was sent."""


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes | None
    timeout: float


class Client:
    """Sends pushes over kept connections, at most ``settings.connections`` at a time."""

    def __init__(self, settings: LokiSettings) -> None:
        parts = urlsplit(settings.url)
        self._settings = settings
        self._host = parts.hostname or ""
        self._port = parts.port
        self._path = parts.path.rstrip("/")
        self._tls = None
        if parts.scheme == "https":
            self._tls = ssl.create_default_context(cafile=settings.ca_file or None)
        self._headers = {"User-Agent": "headrig"}
        if settings.bearer:
            self._headers["Authorization"] = f"Bearer {settings.bearer}"
        elif settings.username:
            pair = f"{settings.username}:{settings.password}".encode()
            self._headers["Authorization"] = "Basic " + base64.b64encode(pair).decode()
        self._threads = ThreadPoolExecutor(settings.connections, thread_name_prefix="headrig-loki")
        self._idle: list[http.client.HTTPConnection] = []
        self._busy: set[http.client.HTTPConnection] = set()
        self._slots = asyncio.Semaphore(settings.connections)

    async def push(self, tenant: str, body: bytes) -> Answer:
        """Send one push; ``body`` is gzipped JSON.

        Raises:
            UndeliveredError: No answer came; the push may be stored.
        """
        headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        return await self._exchange("POST", "/loki/api/v1/push", tenant, headers, body)

    async def ready(self) -> Answer:
        """Ask whether Loki is ready."""
        return await self._exchange("GET", "/ready", "", {}, None)

    async def close(self) -> None:
        """Close all connections; an exchange in progress fails."""
        for connection in list(self._busy):
            _abort(connection)
        self._threads.shutdown(wait=False, cancel_futures=True)
        while self._idle:
            self._idle.pop().close()

    async def _exchange(
        self, method: str, path: str, tenant: str, headers: dict[str, str], body: bytes | None
    ) -> Answer:
        headers = self._headers | headers
        path = self._path + path
        if tenant and (org := self._settings.org_of(tenant)):
            headers["X-Scope-OrgID"] = org
        timeout = self._settings.timeout_s
        request = _Request(method, path, headers, body, timeout)
        async with self._slots:  # so that the time-out does not count waiting for a thread
            connection = self._idle.pop() if self._idle else self._connect()
            self._busy.add(connection)
            call = asyncio.get_running_loop().run_in_executor(self._threads, _talk, connection, request)
            call.add_done_callback(lambda done: self._settle(connection, done))
            try:  # the socket's own time-out is for one operation: a server that drips could hold us for ever
                return await asyncio.wait_for(asyncio.shield(call), timeout)
            except TimeoutError:
                raise UndeliveredError(f"no answer from Loki within {timeout} s", status="timeout") from None
            except _UnconnectedError as error:
                raise UndeliveredError(
                    f"no connection to Loki: {error}", status="connect", sent=False
                ) from None
            except _NETWORK as error:
                name = type(error).__name__
                raise UndeliveredError(f"no answer from Loki: {name}", status="network") from None
            finally:
                if not call.done():
                    _abort(connection)

    def _settle(self, connection: http.client.HTTPConnection, done: asyncio.Future[Answer]) -> None:
        self._busy.discard(connection)
        if done.cancelled() or done.exception() is not None:
            connection.close()
        elif connection.sock is not None:
            self._idle.append(connection)

    def _connect(self) -> http.client.HTTPConnection:
        timeout = self._settings.connect_timeout_s
        if self._tls is not None:
            return http.client.HTTPSConnection(self._host, self._port, timeout=timeout, context=self._tls)
        return http.client.HTTPConnection(self._host, self._port, timeout=timeout)


def _abort(connection: http.client.HTTPConnection) -> None:
    """Wake the thread that waits on this connection."""
    if connection.sock is not None:
        with contextlib.suppress(OSError):
            socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)


def _talk(connection: http.client.HTTPConnection, request: _Request) -> Answer:
    """Run one exchange, in a thread. A kept connection may have died meanwhile: then once more on a new one.

    The second try is safe: Loki folds identical entries.
    """
    kept = connection.sock is not None
    try:
        return _ask(connection, request)
    except (ConnectionError, http.client.RemoteDisconnected):
        connection.close()
        if not kept:
            raise
    return _ask(connection, request)


def _ask(connection: http.client.HTTPConnection, request: _Request) -> Answer:
    if connection.sock is None:
        try:
            connection.connect()
        except OSError as error:
            raise _UnconnectedError(type(error).__name__) from error
    connection.sock.settimeout(request.timeout)
    sent = False
    # A server that refuses early (413) closes while we still send; its answer is waiting to be read.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        connection.request(request.method, request.path, request.body, request.headers)
        sent = True
    response = connection.getresponse()
    text = response.read(_TEXT)
    if not sent or not response.isclosed():  # a rest, of ours or theirs, makes the connection useless
        connection.close()
    return Answer(response.status, text.decode(errors="replace"), _seconds(response.getheader("Retry-After")))


def _seconds(value: str | None) -> float:
    """Read ``Retry-After`` in seconds (RFC 9110 section 10.2.3); its date form counts as absent."""
    return min(float(value), 3600.0) if value and value.isascii() and value.isdigit() else 0.0
