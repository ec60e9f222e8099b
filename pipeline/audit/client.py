"""How a worker reaches the audit process."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import TYPE_CHECKING, cast

from headrig import DecodeError, SinkUnavailableError

from pipeline.audit import wire
from pipeline.audit.leaf import blob_name, blob_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from pipeline.audit.entry import Entry, LogReceipt

_PART_BYTES = 4 * 1024 * 1024
_NUMBERS = 2**32


class AuditClient:
    """One connection to the audit process, made when it is needed and made again when it is lost.

    Args:
        path: Unix socket of the audit process.
        timeout: Seconds until a connection or an answer counts as not coming.
    """

    def __init__(self, path: Path, *, timeout: float = 10.0) -> None:
        self._path = path
        self._timeout = timeout
        self._stream: _Stream | None = None
        self._connecting = asyncio.Lock()

    async def append(self, entries: Sequence[Entry], blobs: Sequence[bytes] = ()) -> list[LogReceipt]:
        """Append entries; return a receipt for each, in order, once they would survive a power cut.

        Repeating a call that raised is safe: what was stored gets its old receipt.

        Raises:
            SinkUnavailableError: The audit process is away or silent; it is unknown what it stored.
            OverloadedError: Too much is waiting there; nothing was stored.
            IntegrityError: The log has stopped and its process is about to restart.
            DecodeError: A leaf is too large, or points at a blob that is not in ``blobs``.
        """
        receipts: list[LogReceipt] = []
        for part, beside in _parts(entries, blobs):
            body = await self._ask(wire.APPEND, wire.encode_append(part, beside))
            receipts += wire.decode_receipts(body)
        return receipts

    async def receipts(self, bid: bytes) -> list[tuple[int, LogReceipt]]:
        """Return line number and receipt of each entry of a batch that the log remembers."""
        return wire.decode_found(await self._ask(wire.BATCH, bid))

    async def _ask(self, kind: int, body: bytes) -> bytes:
        stream = self._stream
        if stream is None or stream.closed:
            stream = await self._connect()
        reply = stream.ask(kind, body)
        timer = asyncio.get_running_loop().call_later(self._timeout, stream.lose, "it does not answer")
        try:
            return await reply
        finally:
            timer.cancel()

    async def _connect(self) -> _Stream:
        async with self._connecting:
            if self._stream is not None and not self._stream.closed:
                return self._stream
            loop = asyncio.get_running_loop()
            try:
                async with asyncio.timeout(self._timeout):
                    _, self._stream = await loop.create_unix_connection(_Stream, str(self._path))
            except OSError:  # a TimeoutError is one, too
                raise SinkUnavailableError("the audit process is away") from None
            return self._stream

    async def close(self) -> None:
        """Close the connection; requests under way fail."""
        if self._stream:
            self._stream.lose("the client was closed")


def _parts(entries: Sequence[Entry], blobs: Sequence[bytes]) -> Iterator[tuple[list[Entry], list[bytes]]]:
    """Cut a large append into messages; a blob goes with its leaf."""
    by_name = {blob_name(blob): blob for blob in blobs}
    part: list[Entry] = []
    beside: dict[tuple[str, int], bytes] = {}
    held = 0
    for entry in entries:
        part.append(entry)
        held += len(entry.leaf)
        if by_name and (name := blob_of(entry.leaf)) in by_name and name not in beside:
            beside[name] = by_name[name]
            held += name[1]
        if held > _PART_BYTES:
            yield part, list(beside.values())
            part, beside, held = [], {}, 0
    if part:
        yield part, list(beside.values())


class _Stream(asyncio.Protocol):
    """The connection: numbers requests, hands replies to whoever waits for them."""

    def __init__(self) -> None:
        self._buffer = wire.MessageBuffer()
        self._waiting: dict[int, asyncio.Future[bytes]] = {}
        self._numbers = count()
        self._transport: asyncio.Transport | None = None
        self.closed = False

    def ask(self, kind: int, body: bytes) -> asyncio.Future[bytes]:
        """Send a request; the future gets the reply's body or an error."""
        number = next(self._numbers) % _NUMBERS
        reply: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        if self._transport is None or self.closed:
            reply.set_exception(SinkUnavailableError("the audit process is away"))
            return reply
        message = wire.encode_message(kind, number, body)
        if len(message) > wire.MAX_MESSAGE_BYTES:
            reply.set_exception(
                DecodeError(f"an append of {len(message)} bytes; {wire.MAX_MESSAGE_BYTES} are allowed")
            )
            return reply
        self._waiting[number] = reply
        self._transport.write(message)
        return reply

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        try:
            messages = self._buffer.feed(data)
        except DecodeError:
            self.lose("its answer cannot be read")
            return
        for kind, number, body in messages:
            reply = self._waiting.pop(number, None)
            if reply is None or reply.done():
                continue
            if kind == wire.REFUSED:
                reply.set_exception(wire.decode_error(body))
            else:
                reply.set_result(body)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - unknown outcome anyhow
        self.lose("the connection was lost")

    def lose(self, why: str) -> None:
        """Give the connection up; whoever waits learns that the outcome is unknown."""
        self.closed = True
        waiting, self._waiting = self._waiting, {}
        for reply in waiting.values():
            if not reply.done():
                reply.set_exception(SinkUnavailableError(f"the audit process: {why}"))
        if self._transport:
            self._transport.abort()
