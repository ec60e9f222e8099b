"""The write-ahead log of one worker: append, read back, reclaim."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

from headrig import IntegrityError, OverloadedError

from pipeline import durable
from pipeline.buffer import extent, reader
from pipeline.buffer.counts import Counts
from pipeline.buffer.cursor import Cursor, Cursors, furthest
from pipeline.buffer.extent import Extent
from pipeline.buffer.frame import Frame, StoredFrame, check_whole, place, prepare
from pipeline.buffer.group import Job, Queue, Waiting, Watchers, fail, succeed
from pipeline.buffer.keys import KeyFiles
from pipeline.buffer.lock import take_lock
from pipeline.buffer.reclaim import remove_past, welcome_new
from pipeline.buffer.recovery import Recovery, recover
from pipeline.buffer.segment import HEADER, Segment, encode_header, segment_path
from pipeline.buffer.space import Room, Space, Statistics
from pipeline.buffer.tally import Tally


class Wal:
    """One log. Its methods belong to the event loop but for `scan`, `buffered`, `reclaim` and cursors, which block.

    Use `open`. One fdatasync is in flight, in a thread of its own; appends that come meanwhile share the next.
    """

    def __init__(
        self,
        directory: Path,
        lock: int,
        recovered: Recovery,
        keys: KeyFiles,
        *,
        segment_bytes: int,
        max_bytes: int,
        sinks: Sequence[str],
        clock: Callable[[], int],
    ) -> None:
        self.directory = directory
        self.recovered = recovered
        self._keys = keys
        self._lock_fd = lock
        self._segment_bytes = segment_bytes
        self._space = Space(directory, max_bytes, lambda: self._used() + self._counts.head_bytes)
        self._tally = Tally()
        self._clock = clock
        self._segments = recovered.segments
        self._guard = threading.Lock()  # over `_segments`
        self._reclaiming = threading.Lock()  # each sink has a pump, and each pump reclaims
        self._cursors = Cursors(directory, sinks, self._segments)
        self._counting = threading.Lock()
        self._counts = Counts(recovered.counters)
        self._written: dict[str, Mapping[str, int]] = dict(recovered.counters)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="wal")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pending = Queue()
        self._writing = False
        self._idle: asyncio.Future[None] | None = None
        self._closed = False
        self._poison: IntegrityError | None = None
        self._fd = -1
        self._watchers = Watchers()
        self.end = 0
        """Position after the last durable frame."""
        self._next = 0
        self._sealed = 0

    @classmethod
    def open(
        cls,
        directory: Path,
        *,
        segment_bytes: int,
        max_bytes: int,
        sinks: Sequence[str],
        clock: Callable[[], int] = lambda: int(time.time()),
    ) -> Wal:
        """Take a log, recover it, and make it ready to append. Blocks.

        Args:
            directory: Made when it is missing.
            segment_bytes: A segment is closed once it is so large.
            max_bytes: Bound of all segments together, which includes room for the head of the next one.
            sinks: Names of the sinks that must be past a segment before it goes.
            clock: Unix seconds.

        Raises:
            ConfigError: Another process holds the log.
            CorruptionError: It is damaged; nothing was changed.
        """
        durable.make_dir(directory, site="buffer")
        for name in ("cursors", "keys"):  # durable with the names of the first segments, in `_begin`
            (directory / name).mkdir(mode=0o700, exist_ok=True)
        lock = take_lock(directory)
        try:
            keys = KeyFiles(directory)
            recovered = recover(directory, keys.load(clock()), clock(), furthest(directory, sinks))
            wal = cls(
                directory,
                lock,
                recovered,
                keys,
                segment_bytes=segment_bytes,
                max_bytes=max_bytes,
                sinks=sinks,
                clock=clock,
            )
            wal._begin()
            welcome_new(directory, recovered, wal._cursors, lambda places: wal.waiting(places, wal.end))
        except BaseException:
            os.close(lock)
            raise
        return wal

    def _begin(self) -> None:
        if not self._segments:
            self._run(self._roll_job())
            self.end = self._next
            return
        last = self._segments[-1]
        self._fd = durable.files.open(last.path)
        # A crash may have come between write and sync: what recovery kept must be durable before it counts.
        durable.files.sync(self._fd, "buffer.reopen")
        durable.files.sync_dir(self.directory, "buffer.reopen-dir")
        durable.files.sync_dir(self.directory / "cursors", "buffer.reopen-cursors")
        self.end = self._next = self._sealed = last.end
        lost = [tenant for tenant in self._counts.tenants() if tenant not in self.recovered.listed]
        if lost:
            # A crash tore the segment's head. Without these, counts would go with the segments before.
            durable.append(self._fd, self._encode_counts(lost), site="buffer.append")
            last.size = self._next - last.first
            self.end = self._next

    def attend(self) -> None:
        """Let the log close a segment that is delivered while nothing is appended; call in the running loop."""
        self._loop = asyncio.get_running_loop()

    # Appending

    def has_room(self, size: int) -> bool:
        """Tell whether ``size`` more bytes stay within ``max_bytes``, and the disk has them."""
        return self._space.has_room(size)

    def reserve(self, size: int) -> AbstractContextManager[Room]:
        """Set room aside until `put` takes it or the block ends, so that work in between is not in vain.

        Raises:
            OverloadedError: There is none.
        """
        return self._space.reserve(size)

    async def append(self, frames: Sequence[Frame]) -> int:
        """Append the frames of one or more whole requests, one behind the other; errors as `put`.

        Returns:
            The position after them, once they would survive a power cut.
        """
        # Cancelling the caller must not cancel the write it shares with others.
        return await asyncio.shield(self.put(frames))

    def put(self, frames: Sequence[Frame], room: Room | None = None) -> asyncio.Future[int]:
        """Take the frames of whole requests for the next write.

        Args:
            frames: To be written one behind the other.
            room: Set aside for them; used up.

        Returns:
            What `append` waits for; shield it. Its error is an IntegrityError: the outcome of the write is unknown.

        Raises:
            OverloadedError: ``max_bytes`` would be passed, or the log is closed; nothing was taken.
            IntegrityError: A write before had an unknown outcome; nothing is taken until the log is opened again.
            ValueError: A field of a frame does not fit the format, or a request lacks its last frame; nothing was taken.
        """
        if self._poison is not None:
            raise self._poison.with_traceback(None)
        if self._closed:
            raise OverloadedError("the buffer is closed", retry_after=5.0)
        check_whole(frames)
        prepared = [prepare(frame) for frame in frames]
        size = sum(frame.length for frame in prepared)
        self._space.take(size, room)
        self._loop = asyncio.get_running_loop()
        done: asyncio.Future[int] = self._loop.create_future()
        self._pending.add(Waiting(prepared, size, done))
        if not self._writing:
            self._start()
        return done

    def _start(self) -> None:
        group = self._pending.take()
        roll = self._segments[-1].size >= self._segment_bytes
        self._submit(group, self._form(group, self._roll_job() if roll else Job(None, b"", 0)))

    def _submit(self, group: Sequence[Waiting], job: Job) -> None:
        self._writing = True
        future = asyncio.get_running_loop().run_in_executor(self._thread, self._run, job)
        future.add_done_callback(lambda done: self._finished(group, job, done))

    def _form(self, group: Sequence[Waiting], job: Job) -> Job:
        segment = self._segments[-1]
        seconds, before = self._clock(), self._next
        pieces = []
        for waiting in group:
            for prepared in waiting.frames:
                pieces.append(place(prepared, self._next, before, seconds))
                self._next += prepared.length
                if prepared.frame.records:
                    segment.ends[prepared.frame.tenant] = self._next
                self._counts.take(prepared)
        job.data = b"".join(pieces)
        job.end = self._next
        segment.size = self._next - segment.first
        return job

    def _roll_job(self) -> Job:
        """Begin a segment: header, then the newest counters of every tenant."""
        first = self._next
        self._next += HEADER.size
        data = encode_header(first) + self._encode_counts(self._counts.tenants())
        path = segment_path(self.directory, first)
        with self._guard:
            self._segments.append(Segment(path, first, len(data)))
        return Job((path, data), b"", self._next)

    def _encode_counts(self, tenants: Iterable[str]) -> bytes:
        data = self._counts.encode(tenants, self._next, self.end, self._clock())
        self._next += len(data)
        return data

    def _run(self, job: Job) -> None:
        """Write and sync, in the log's thread. A crash here leaves a tail that recovery cuts off or keeps whole."""
        if job.roll is not None:
            path, header = job.roll
            before, self._fd = self._fd, durable.create(path, header, site="buffer")
            if before >= 0:
                durable.files.close(before)
        if job.data:
            durable.append(self._fd, job.data, site="buffer.append")

    def _finished(self, group: Sequence[Waiting], job: Job, future: asyncio.Future[None]) -> None:
        self._writing = False
        error = asyncio.CancelledError() if future.cancelled() else future.exception()
        if error is not None:
            self._poison = IntegrityError(
                f"buffer: a write failed ({type(error).__name__}); its outcome is unknown"
            )
            fail([*group, *self._pending.clear()], self._poison)
        else:
            self.end = job.end
            for waiting in group:
                for prepared in waiting.frames:
                    self._written[prepared.frame.tenant] = prepared.frame.counters
            succeed(group, job.end)
            self._watchers.wake()
            if self._pending:
                self._start()
            elif not group:
                self._thread.submit(self.reclaim)
        if self._idle is not None and not self._writing:
            self._idle.set_result(None)

    # Reading

    def scan(self, tenant: str | None, after: int, *, max_bytes: int) -> list[StoredFrame]:
        """Return the next durable frames with records at or after a position, oldest first. Blocks.

        Args:
            tenant: Only this tenant's; None for all.
            after: Position to read on from.
            max_bytes: Bound of their payloads together; at least one frame comes back if there is one.

        Raises:
            CorruptionError: A frame is damaged or gone; raised once all before it have been read.
        """
        end = self.end
        with self._guard:
            segments = [s for s in self._segments if after < s.end and s.first < end]
        return reader.read_on(segments, tenant, after, end, max_bytes)

    async def wait_beyond(self, position: int) -> None:
        """Return when something durable lies beyond ``position``."""
        while self.end <= position:
            await self._watchers.wait()

    def tenants(self) -> list[str]:
        """Name the tenants that ever had frames here."""
        return list(self._written)

    def counters(self, tenant: str) -> Mapping[str, int]:
        """Return the newest durable cumulative counts of a tenant."""
        return self._written.get(tenant, {})

    def cursor(self, tenant: str, sink: str) -> Cursor:
        """Return the cursor of one sink and tenant; may read and write the disk."""
        return self._cursors.get(tenant, sink)

    def buffered(self, tenant: str, sink: str) -> int:
        """Count the records behind a cursor, from the frame headers on disk. Blocks."""
        key = (tenant, sink)
        return self.waiting({key: self.cursor(tenant, sink).position}, self.end)[key]

    def waiting(self, positions: Mapping[tuple[str, str], int], end: int) -> Mapping[tuple[str, str], int]:
        """Count the records between each position and the end, from the frame headers on disk. Blocks.

        Args:
            positions: Of cursors, by tenant and sink.
            end: Of what was durable when the positions were known.
        """
        with self._counting:
            return self._tally.count(tuple(self._segments), positions, end)

    def statistics(self) -> Statistics:
        """Return what the log holds now."""
        return Statistics(self._used(), len(self._segments))

    def _used(self) -> int:
        # A copy, for a reclaim in another thread shortens the list.
        return sum([segment.size for segment in tuple(self._segments)]) + self._pending.size

    # Reclaiming

    def reclaim(self) -> None:
        """Remove segments that every sink is past; their batch ids stay for 24 hours. Blocks."""
        with self._reclaiming:
            remove_past(
                self.directory,
                self._segments,
                self._guard,
                self._keys,
                end=self.end,
                now=self._clock(),
                cursors=self._cursors,
            )
            last, most = self._segments[-1], self._space.max_bytes // 2
            if last.ends and last.size >= min(self._segment_bytes, most) and self._cursors.are_past(last):
                self._ask_to_roll(last)

    def _ask_to_roll(self, segment: Segment) -> None:
        """Else a delivered segment could fill the log, with no room for the frames that would end it."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nothing comes any more
                self._loop.call_soon_threadsafe(self._roll_idle, segment.end)

    def _roll_idle(self, end: int) -> None:
        busy = self._writing or self._closed or self._poison is not None
        if not busy and self.end == end:
            self._submit((), self._roll_job())

    async def close(self) -> None:
        """Finish the writes that wait, and let the log go; a second call does nothing."""
        if self._closed:
            return
        self._closed = True
        if self._writing:
            self._idle = asyncio.get_running_loop().create_future()
            await self._idle
        self._thread.shutdown(wait=True)
        if self._fd >= 0:
            self._seal()
            self._remember_end()
            durable.files.close(self._fd)
            self._fd = -1
        os.close(self._lock_fd)

    def _seal(self) -> None:
        """Leave a frame that knows all before it to be durable. It needs no sync: nothing is lost with it."""
        if self._poison is None and self.end > self._sealed:
            with contextlib.suppress(OSError):
                durable.files.write(self._fd, self._encode_counts(self._counts.tenants()[-1:]))

    def _remember_end(self) -> None:
        """Note where the log ends, outside its last segment, so that no frame can be taken off while nobody looks."""
        if self._poison is None:
            with self._reclaiming, contextlib.suppress(OSError):
                extent.store(
                    self.directory, Extent(self.end, extent.gaps_between(self._segments), self._cursors.sinks)
                )
