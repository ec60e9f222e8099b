"""The audit process: one log, one socket, one publisher."""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING, cast

from headrig import ConfigError, DecodeError, HeadrigError, IntegrityError

from pipeline.audit import wire
from pipeline.audit.publisher import Publisher
from pipeline.audit.recovery import recover
from pipeline.audit.sequencer import AuditLog, Committed
from pipeline.audit.store import Store
from pipeline.audit.writer import SegmentWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from pipeline.audit.note import Signer

SEGMENT_BYTES = 64 * 1024 * 1024
PENDING_BYTES = 64 * 1024 * 1024
RETAIN = 1_000_000
MAX_CONNECTIONS = 64
_MAX_UNREAD_BYTES = 8 * 1024 * 1024
_MAX_SOCKET_PATH = 107


def open_log(
    directory: Path,
    signer: Signer,
    *,
    segment_bytes: int = SEGMENT_BYTES,
    retain: int = RETAIN,
    max_pending_bytes: int = PENDING_BYTES,
    clock: Callable[[], int] = time.time_ns,
    outside: Mapping[str, int] | None = None,
) -> tuple[AuditLog, Publisher]:
    """Take a log directory, recover it, and return the log and its publisher; within a running loop.

    What was recovered and not signed yet is signed before this returns, and a new log starts with the signed
    checkpoint of no entries: so a log that lacks one was tampered with.

    Args:
        directory: The log's directory; made when it is missing.
        signer: Its key.
        segment_bytes, max_pending_bytes, clock: As in `AuditLog`.
        retain: How many of the newest ids are remembered.
        outside: As in `recover`: sizes that the log is known to have had.

    Raises:
        IntegrityError: The directory is taken, damaged or forked; nothing was changed.
        ConfigError: The directory belongs to another origin.
    """
    store = Store(directory, signer.name, clock)
    writer = SegmentWriter()
    try:
        found = recover(store, [signer.verifier], retain, outside)
        if found.segment:
            writer.resume(found.segment, found.segment_bytes)
        publisher = Publisher(store, signer, found)
        # Only now is what was recovered durable, and only what is durable may be signed.
        publisher.publish(Committed(found.frontier.size, found.frontier.root(), found.chain))
    except BaseException:
        writer.close()
        store.close()
        raise
    limits = {"segment_bytes": segment_bytes, "max_pending_bytes": max_pending_bytes}
    return AuditLog(store, found, writer, clock=clock, **limits), publisher


class AuditServer:
    """Serves one log to the workers of this node, and publishes its checkpoints.

    Args:
        log, publisher: As from `open_log`. The pump reads the log's leaves from ``log`` itself.
        path: Unix socket to listen on; mode 0600.
        publish_seconds: Time between checkpoints.
    """

    def __init__(
        self, log: AuditLog, publisher: Publisher, path: Path, *, publish_seconds: float = 1.0
    ) -> None:
        self.log = log
        self.publisher = publisher
        self._path = path
        self._publish_seconds = publish_seconds
        self._connections: set[_Connection] = set()
        self._stop = asyncio.Event()
        self._server: asyncio.AbstractServer | None = None
        self._publishing: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen."""
        if len(os.fsencode(self._path)) > _MAX_SOCKET_PATH:
            raise ConfigError(
                f"the socket path {self._path} is longer than {_MAX_SOCKET_PATH} bytes", path="audit.socket"
            )
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(
            lambda: _Connection(self.log, self._connections), str(self._path)
        )
        self._path.chmod(0o600)
        self._publishing = asyncio.create_task(
            self.publisher.run(self.log, self._stop, self._publish_seconds)
        )

    async def serve(self) -> None:
        """End only by raising the error that stopped the log; the process then ends with exit code 70."""
        raise await self.log.wait_failed()

    async def close(self) -> None:
        """Stop listening, write what waits, publish it, and let the log go."""
        if self._server:
            self._server.close()
        self._stop.set()
        if self._publishing:
            await self._publishing
        await self.log.drain()
        await self.publisher.publish_now(self.log)
        for connection in list(self._connections):
            connection.close()
        await self.log.close()
        self._path.unlink(missing_ok=True)


class _Connection(asyncio.Protocol):
    """One worker. Requests may overlap; each is answered when the log has it."""

    def __init__(self, log: AuditLog, connections: set[_Connection]) -> None:
        self._log = log
        self._connections = connections
        self._buffer = wire.MessageBuffer()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._connections.add(self)
        if len(self._connections) > MAX_CONNECTIONS:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - why it went does not matter
        self._transport = None
        self._connections.discard(self)

    def data_received(self, data: bytes) -> None:
        try:
            messages = self._buffer.feed(data)
        except DecodeError:
            self.close()  # the stream is out of step: there is no request to answer
            return
        for kind, number, body in messages:
            try:
                self._handle(kind, number, body)
            except HeadrigError as error:
                self._reply(wire.REFUSED, number, wire.encode_error(error))

    def _handle(self, kind: int, number: int, body: bytes) -> None:
        if kind == wire.APPEND:
            self._log.submit(wire.decode_append(body), self._answer(number))
        elif kind == wire.BATCH:
            self._reply(wire.FOUND, number, wire.encode_found(self._log.receipts(body)))
        else:
            raise DecodeError(f"unknown kind of message {kind}")

    def _answer(self, number: int) -> Callable[[bytes, IntegrityError | None], None]:
        def done(receipts: bytes, error: IntegrityError | None) -> None:
            if error:
                self._reply(wire.REFUSED, number, wire.encode_error(error))
            else:
                self._reply(wire.APPENDED, number, receipts)

        return done

    def _reply(self, kind: int, number: int, body: bytes) -> None:
        if self._transport is None:
            return  # the worker went; its retry finds the entries by their ids
        if self._transport.get_write_buffer_size() > _MAX_UNREAD_BYTES:
            self._transport.abort()
            return
        self._transport.write(wire.encode_message(kind, number, body))

    def close(self) -> None:
        """Close once what was written is sent."""
        if self._transport:
            self._transport.close()
