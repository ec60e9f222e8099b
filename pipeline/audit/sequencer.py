"""The single writer of an audit log: group commit, one write in flight, who comes meanwhile joins the next.

Everything but the write happens in the event loop's thread, so order needs no lock: a group is numbered,
hashed and encoded there, handed to the writer's thread, and acknowledged when that comes back. Since the
next group is formed only then, an id that the index knows is either durable or in the group being formed.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from headrig import DecodeError, IntegrityError, OverloadedError, SinkUnavailableError

from pipeline.audit.conflict import own_entry
from pipeline.audit.frame import (
    FRAME_HEADER_BYTES,
    ROW_BYTES,
    SegmentHeader,
    encode_frame,
    join_entries,
    link,
    split_entries,
)
from pipeline.audit.leaf import blob_name, blob_of, may_have_blobs
from pipeline.audit.segments import LogReader, segment_path
from pipeline.audit.tlog import leaf_hash, leaf_hashes
from pipeline.audit.wire import (
    CONFLICT,
    DUPLICATE,
    Append,
    decode_append,
    decode_receipts,
    encode_append,
    pack_receipt,
)

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.audit.entry import Entry, LoggedLeaf, LogReceipt
    from pipeline.audit.recovery import Recovered
    from pipeline.audit.store import Store
from pipeline.audit.writer import Job, SegmentWriter, WriterThread

GROUP_BYTES = 4 * 1024 * 1024

Done = Callable[[bytes, IntegrityError | None], None]
"""Called in the loop's thread with the packed receipts, or with the error that stopped the log."""


class Committed(NamedTuple):
    """What is durable: a size, and the root and the chain digest at that size."""

    size: int
    root: bytes
    chain: bytes


@dataclass(slots=True)
class _Waiting:
    append: Append
    leaves: list[bytes]
    size: int
    done: Done
    receipts: bytes = b""


class AuditLog:
    """An open log. `append` returns once the entries would survive a power cut.

    Args:
        store: The directory, held by this process.
        found: What recovery found in it.
        writer: At the end of the newest segment, if there is one.
        segment_bytes: A segment that would grow beyond is followed by a new one.
        max_pending_bytes: Bound of what waits for the writer; above it an append is refused.
        clock: Unix ns.
    """

    def __init__(
        self,
        store: Store,
        found: Recovered,
        writer: SegmentWriter,
        *,
        segment_bytes: int,
        max_pending_bytes: int,
        clock: Callable[[], int],
    ) -> None:
        self.store = store
        self.committed = self._formed = Committed(found.frontier.size, found.frontier.root(), found.chain)
        self.failure: IntegrityError | None = None
        self._frontier = found.frontier
        self._index = found.index
        self._floor_ns = found.floor_ns
        self._clock = clock
        self._segment_limit = segment_bytes
        self._segment_first = found.segment_first
        self._segment_bytes = found.segment_bytes
        self._pending_limit = max_pending_bytes
        self._pending_bytes = 0
        self._waiting: deque[_Waiting] = deque()
        self._group: list[_Waiting] = []
        self._busy = False
        self._closing = False
        self._changed = asyncio.Event()
        self._reader = LogReader(store.directory)
        self._loop = asyncio.get_running_loop()
        self._writer = WriterThread(
            store, writer, lambda error: self._loop.call_soon_threadsafe(self._written, error)
        )

    async def append(self, entries: Sequence[Entry], blobs: Sequence[bytes] = ()) -> list[LogReceipt]:
        """Append what is new; return a receipt for each entry, in order.

        Raises:
            DecodeError: A leaf or its blob is not as it must be; nothing was stored.
            OverloadedError, SinkUnavailableError: Too much is waiting, or it is closing; nothing was stored.
            IntegrityError: The log has stopped; it is unknown whether the entries are stored.
        """
        if not entries:
            return []
        reply: asyncio.Future[bytes] = self._loop.create_future()

        def done(receipts: bytes, error: IntegrityError | None) -> None:
            if reply.done():
                return
            if error:
                reply.set_exception(error)
            else:
                reply.set_result(receipts)

        self.submit(decode_append(encode_append(entries, blobs)), done)
        return decode_receipts(await reply)

    def submit(self, append: Append, done: Done) -> None:
        """Queue an append; `append` says what is raised at once and what ``done`` gets."""
        if self.failure:
            raise self.failure
        if self._closing:
            raise SinkUnavailableError("the audit log is closing; nothing was stored")
        size = len(append.entries) + len(append.rows) + sum(map(len, append.blobs))
        if self._pending_bytes + size > self._pending_limit:
            raise OverloadedError(
                f"{self._pending_bytes} bytes wait for the audit log; {self._pending_limit} may"
            )
        try:
            leaves = split_entries(append.entries, append.count)
        except ValueError as error:
            raise DecodeError(str(error)) from None
        if may_have_blobs(append.entries):
            _check_blobs(leaves, append.blobs)
        self._pending_bytes += size
        self._waiting.append(_Waiting(append, leaves, size, done))
        if not self._busy:
            self._start()

    def _start(self) -> None:
        """Form the next group and hand it to the writer; nothing but repeats is answered at once."""
        while self._waiting and not self.failure:
            group, size = [self._waiting.popleft()], 0
            while self._waiting and size < GROUP_BYTES:
                size += self._waiting[0].size
                group.append(self._waiting.popleft())
            self._group = group
            job = self._form(group)
            if job.frame:
                self._busy = True
                self._writer.put(job)
                return
            self._acknowledge()

    def _form(self, group: Sequence[_Waiting]) -> Job:
        job = Job()
        first = self._index.size
        hashes: list[bytes] = []
        rows: list[bytes] = []
        entries: list[bytes] = []
        for waiting in group:
            before = len(hashes)
            blobs = self._admit(waiting, hashes, rows, entries)
            if len(hashes) > before:
                job.blobs += (*waiting.append.blobs, *blobs)
        if hashes:
            body = (b"".join(rows), *entries)
            job.segment = self._roll(FRAME_HEADER_BYTES + sum(map(len, body)))
            self._frontier.extend(hashes)
            ts_ns = max(self._clock(), self._floor_ns + 1)
            self._floor_ns = ts_ns + len(hashes)
            root = self._frontier.root()
            chain = link(self._formed.chain, first, len(hashes), ts_ns, root, body[0])
            self._formed = Committed(self._frontier.size, root, chain)
            job.frame = encode_frame(first, len(hashes), ts_ns, root, chain, *body)
            self._segment_bytes += len(job.frame)
        return job

    def _admit(
        self, waiting: _Waiting, hashes: list[bytes], rows: list[bytes], entries: list[bytes]
    ) -> list[bytes]:
        """Give each entry its index, or that of the entry which it repeats; return blobs that this makes."""
        source, index = waiting.append.rows, self._index.size
        digests = leaf_hashes(waiting.leaves)
        if self._index.extend(source, digests):  # all new: the usual case costs no row by itself
            waiting.receipts = b"".join(
                [pack_receipt(number, 0, digest) for number, digest in enumerate(digests, index)]
            )
            hashes += digests
            rows.append(source)
            entries.append(waiting.append.entries)
            return []
        return self._admit_each(waiting, digests, hashes, rows, entries)

    def _admit_each(
        self,
        waiting: _Waiting,
        digests: Sequence[bytes],
        hashes: list[bytes],
        rows: list[bytes],
        entries: list[bytes],
    ) -> list[bytes]:
        source, admit, index = waiting.append.rows, self._index.admit, self._index.size
        receipts: list[bytes] = []
        kept: list[tuple[bytes, bytes]] = []
        blobs: list[bytes] = []
        for place, found in enumerate(digests):
            row, leaf = source[place * ROW_BYTES : (place + 1) * ROW_BYTES], waiting.leaves[place]
            digest, flags = found, 0
            stored = admit(row, digest)
            if stored is not None and stored.conflict:
                row, leaf, blob = own_entry(row, leaf)
                digest, flags = leaf_hash(leaf), CONFLICT
                stored = admit(row, digest)
                blobs += [blob] if stored is None and blob is not None else []
            if stored is None:
                receipts.append(pack_receipt(index, flags, digest))
                hashes.append(digest)
                kept.append((row, leaf))
                index += 1
            else:
                receipts.append(pack_receipt(stored.index, flags | DUPLICATE, stored.leaf_hash))
        waiting.receipts = b"".join(receipts)
        rows += [row for row, _ in kept]
        entries.append(join_entries([leaf for _, leaf in kept]))
        return blobs

    def _roll(self, length: int) -> tuple[Path, bytes] | None:
        """Return path and header of a new segment when ``length`` more bytes do not fit the current one."""
        frontier = self._frontier
        fits = self._segment_bytes + length <= self._segment_limit
        if self._segment_bytes and (fits or frontier.size == self._segment_first):
            return None
        header = SegmentHeader(
            log_hash=self.store.log_hash,
            first=frontier.size,
            previous_first=self._segment_first,
            previous_bytes=self._segment_bytes,
            root=frontier.root(),
            chain=self._formed.chain,
            peaks=tuple(frontier.peaks),
        ).encode()
        self._segment_first, self._segment_bytes = frontier.size, len(header)
        return segment_path(self.store.directory, frontier.size), header

    def _written(self, error: IntegrityError | None) -> None:
        self._busy = False
        if error:
            self.fail(error)
        elif not self.failure:
            self._acknowledge()
            self._start()

    def _acknowledge(self) -> None:
        self.committed = self._formed
        group, self._group = self._group, []
        for waiting in group:
            self._pending_bytes -= waiting.size
            waiting.done(waiting.receipts, None)
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def fail(self, error: IntegrityError) -> None:
        """Stop for good: what waits and what comes later gets ``error``; the process should end."""
        if self.failure is None:
            self.failure = error
        stopped, self._group = [*self._group, *self._waiting], []
        self._waiting.clear()
        for waiting in stopped:
            waiting.done(b"", self.failure)
        self._wake()

    async def wait_failed(self) -> IntegrityError:
        """Return the error that stopped the log, once there is one."""
        while self.failure is None:
            await self._changed.wait()
        return self.failure

    async def wait_beyond(self, size: int) -> None:
        """Return once more than ``size`` entries are durable; raise when the log has stopped."""
        while self.committed.size <= size:
            if self.failure:
                raise self.failure
            await self._changed.wait()

    def entries(self, start: int, max_bytes: int) -> list[LoggedLeaf]:
        """Return durable entries from index ``start`` on: one if there is one, then up to ``max_bytes``."""
        return self._reader.entries(start, self.committed.size, max_bytes, self._index.hashes)

    def receipts(self, bid: bytes) -> list[tuple[int, LogReceipt]]:
        """Return line number and receipt of each durable entry of a batch that is still remembered."""
        size = self.committed.size
        return [(line, receipt) for line, receipt in self._index.batch(bid) if receipt.index < size]

    async def drain(self) -> None:
        """Take nothing more, and return once everything that waited is durable."""
        self._closing = True
        while (self._busy or self._waiting) and self.failure is None:
            await self._changed.wait()

    async def close(self) -> None:
        """Write what waits, then let the log go."""
        await self.drain()
        await asyncio.to_thread(self._writer.stop)
        self.store.close()


def _check_blobs(leaves: Sequence[bytes], blobs: Sequence[bytes]) -> None:
    """Refuse a leaf that points at a blob which did not come with it: the two become durable together."""
    wanted = [blob for leaf in leaves if (blob := blob_of(leaf))]
    if wanted and not {blob_name(blob) for blob in blobs}.issuperset(wanted):
        raise DecodeError("a leaf points at a blob that did not come with it")
