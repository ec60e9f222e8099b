"""The writer's thread: one group commit at a time, in order, and nothing after the first error."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue

from headrig import CorruptionError, IntegrityError

from pipeline import durable
from pipeline.audit.segments import relative
from pipeline.audit.store import Store


class SegmentWriter:
    """The open end of the write-ahead log. Any error leaves an unknown outcome: the caller must stop."""

    def __init__(self) -> None:
        self._fd = -1
        self._path = Path()
        self._inode = (0, 0)
        self._size = 0

    def resume(self, path: Path, size: int) -> None:
        """Go on with a segment of ``size`` bytes; what is in it is durable on return."""
        self._adopt(durable.files.open(path), path, size)
        durable.files.sync(self._fd, "audit.open.segment")

    def roll(self, path: Path, header: bytes) -> None:
        """Start a new segment; the old one must be complete."""
        self.close()
        self._adopt(durable.create(path, header, site="audit.segment"), path, len(header))

    def append(self, data: bytes) -> None:
        """Append a frame; it would survive a power cut, under its name, on return."""
        self._check()
        durable.append(self._fd, data, site="audit.append")
        self._size += len(data)
        self._check()

    def _adopt(self, fd: int, path: Path, size: int) -> None:
        self._fd, self._path, self._size = fd, path, size
        state = os.fstat(fd)
        self._inode = (state.st_dev, state.st_ino)
        self._check()

    def _check(self) -> None:
        """Refuse to go on with a file that someone unlinked, replaced, cut or wrote to."""
        state, named = os.fstat(self._fd), self._path.stat()
        if state.st_nlink == 0 or (named.st_dev, named.st_ino) != self._inode:
            raise IntegrityError(f"{relative(self._path)}: removed or replaced while the log was open")
        if state.st_size != self._size:
            raise CorruptionError(
                relative(self._path),
                self._size,
                f"the file has {state.st_size} bytes: someone else wrote to it",
            )

    def close(self) -> None:
        """Close the segment; everything in it is durable already."""
        if self._fd >= 0:
            durable.files.close(self._fd)
            self._fd = -1


@dataclass(slots=True)
class Job:
    """What is written for one group, in this order.

    Attributes:
        blobs: Lines that were too large for their leaves.
        segment: Path and header of a new segment, when the current one is full.
        frame: The group.
    """

    blobs: list[bytes] = field(default_factory=list)
    segment: tuple[Path, bytes] | None = None
    frame: bytes = b""


class WriterThread:
    """Writes jobs one after the other.

    Args:
        store: Where blobs go.
        segment: The open end of the log.
        done: Called in this thread after each job, with the error that leaves its outcome unknown, or None.
    """

    def __init__(
        self, store: Store, segment: SegmentWriter, done: Callable[[IntegrityError | None], object]
    ) -> None:
        self._store = store
        self._segment = segment
        self._done = done
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="audit-writer", daemon=True)
        self._thread.start()

    def put(self, job: Job) -> None:
        """Hand over the next job; the caller waits for ``done`` before it hands over another."""
        self._jobs.put(job)

    def stop(self) -> None:
        """End the thread and close the segment; blocking."""
        self._jobs.put(None)
        self._thread.join()
        self._segment.close()

    def _run(self) -> None:
        while job := self._jobs.get():
            error: IntegrityError | None = None
            try:
                self._write(job)
            except IntegrityError as found:
                error = found
            except BaseException as found:
                # Whatever it was: how much of the write is on disk is unknown.
                reason = found.strerror if isinstance(found, OSError) else type(found).__name__
                error = IntegrityError(f"writing the audit log: {reason}")
            self._done(error)

    def _write(self, job: Job) -> None:
        for blob in job.blobs:
            self._store.write_blob(blob)
        # A crash here leaves blobs that no leaf points at: harmless, and the retry writes them again.
        if job.segment:
            self._segment.roll(*job.segment)
        self._segment.append(job.frame)
