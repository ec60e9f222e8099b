"""The archive as a sink: frames become Parquet files, listed in a manifest before the cursor moves.

The order of one write, and what a crash leaves behind:

1. the Parquet file: written, synced, renamed, its directory synced. A crash leaves a file that no
   manifest lists; `ArchiveSink.open` removes it and the pump sends the frames again;
2. the manifest: swapped by rename, synced. From here the frames are archived. A crash before the
   cursor moves sends them again, and they are skipped, because the manifest covers them;
3. the return, on which the pump moves its cursor and frames may go.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import orjson
from headrig import IntegrityError, RetryableError

from pipeline import durable
from pipeline.archive_format import ArchiveFile, Manifest, data_path, read_manifest
from pipeline.archive_format.fragments import Row
from pipeline.sinks.archive import compact, retention
from pipeline.sinks.archive.columns import encode
from pipeline.sinks.archive.manifest import claim_writer, locked, swap
from pipeline.sinks.archive.retention import Bounds
from pipeline.sinks.delivery import Delivery, StoredFrame
from pipeline.sinks.quarantine import Quarantine, Refused

_UNENCODABLE = "unencodable"
_log = logging.getLogger("headrig.archive")


def _ignore(_tenant: str, _records: int) -> None:
    return None


@dataclass(slots=True)
class ArchiveSink:
    """Archives the frames of one buffer directory (or of the audit log).

    All work runs in one thread of its own, one file at a time, so memory stays within a portion.

    Attributes:
        name: The sink's name.
        batch_bytes: The pump gathers so many inflated bytes before a write, about 90,000 lines and more,
        linger_seconds: or waits at most so long.
    """

    directory: Path
    writer: str
    audit: bool = False
    bounds: Bounds = field(default_factory=Bounds)
    clock: Callable[[], int] = time.time_ns
    on_expired: Callable[[str, int], None] = _ignore
    name: str = "archive"
    batch_bytes: int = 48 << 20
    linger_seconds: float = 2.0
    quarantine: Quarantine | None = None
    _thread: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(max_workers=1, thread_name_prefix="archive"), repr=False
    )
    _upkeep: asyncio.Future[None] | None = None
    _swapping: bool = False
    _broken: bool = False

    @classmethod
    def open(
        cls,
        directory: Path,
        buffer: Path,
        *,
        audit: bool = False,
        bounds: Bounds | None = None,
        clock: Callable[[], int] = time.time_ns,
        on_expired: Callable[[str, int], None] = _ignore,
        linger_seconds: float = 2.0,
        quarantine: Quarantine | None = None,
    ) -> ArchiveSink:
        """Open the archive for the frames of ``buffer``; the caller owns that directory's lock.

        Args:
            directory: The archive, shared by all writers.
            buffer: Whose frames will come; remembers its writer id in a file.
            audit: The frames are audit leaves and their positions leaf indices.
            bounds: What to keep.
            clock: Unix ns.
            on_expired: Called with tenant and records when retention removed some.
            linger_seconds: How long the pump may gather frames for one file.
            quarantine: Takes records that fit into no column; None: they hold the archive up.
        """
        durable.make_dir(directory / "files", site="archive")
        writer = claim_writer(buffer, buffer.name)
        sink = cls(
            directory, writer, audit, bounds or Bounds(), clock, on_expired,
            linger_seconds=linger_seconds, quarantine=quarantine,
        )  # fmt: skip
        compact.sweep(directory, writer)
        return sink

    async def write(self, frames: Sequence[StoredFrame]) -> Delivery:
        """Archive frames; those that a manifest covers already are skipped, and count as delivered.

        A record that no column can hold goes to quarantine.

        Raises:
            RetryableError: The disk is full, and nothing was listed; send the same frames again.
            IntegrityError: A frame or manifest does not decode, or the outcome of a sync is unknown: no
                write succeeds until the archive is opened again.
        """
        loop = asyncio.get_running_loop()
        refused = await loop.run_in_executor(self._thread, self._store, list(frames))
        if self._upkeep is None or self._upkeep.done():
            self._upkeep = loop.run_in_executor(self._thread, self.upkeep)
        return Delivery(
            sum(frame.records for frame in frames) - refused, {_UNENCODABLE: refused} if refused else {}
        )

    async def check(self) -> None:
        """Raise `RetryableError` when the archive's directory is not there."""
        if not (self.directory / "files").is_dir():
            raise RetryableError("archive: its directory is gone")

    async def close(self) -> None:
        """Finish what runs and end the thread."""
        if self._upkeep is not None:
            await asyncio.wait([self._upkeep])
        await asyncio.to_thread(self._thread.shutdown)

    def upkeep(self) -> None:
        """Merge small files and remove what is over the bounds; blocks. Errors wait for the next time."""
        try:
            compact.merge(self.directory, self.writer)
            for tenant, records in retention.expire(self.directory, self.bounds, self.clock()).items():
                self.on_expired(tenant, records)
        except (OSError, IntegrityError) as error:
            _log.warning("archive upkeep failed", extra={"error": type(error).__name__})

    def _store(self, frames: Sequence[StoredFrame]) -> int:
        """Archive; return how many records went to quarantine."""
        if self._broken:
            raise IntegrityError("archive: the outcome of an earlier write is unknown; open it again")
        try:
            return self._archive(frames)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT) and not self._swapping:
                raise RetryableError("archive: the disk is full", retry_after=5.0) from error
            # The kernel may have dropped what a failed sync left; a second sync would "succeed".
            self._broken = True
            raise IntegrityError(
                f"archive: a write failed ({error.strerror}); its outcome is unknown"
            ) from error
        finally:
            self._swapping = False

    def _archive(self, frames: Sequence[StoredFrame]) -> int:
        manifest = read_manifest(self.directory, self.writer) or Manifest(self.writer, self.audit)
        new: dict[str, list[tuple[StoredFrame, int]]] = defaultdict(list)
        for frame in frames:
            skip, size = manifest.skipped(frame.tenant, frame.position, frame.end), frame.end - frame.position
            if skip and size not in {skip, frame.records}:
                raise IntegrityError(f"archive: the frame at {frame.position} is archived in part")
            if skip < size:
                new[frame.tenant].append((frame, skip))
        if not new:
            return 0
        refused: list[Refused] = []
        files = [self._file(tenant, portion, refused) for tenant, portion in new.items()]
        if refused:
            if self.quarantine is None:
                raise IntegrityError(f"archive: {len(refused)} records fit into no column")
            self.quarantine.append(refused)  # before the manifest: a crash between quarantines them once more
        ends = {tenant: portion[-1][0].end for tenant, portion in new.items()}
        with locked(self.directory):
            self._swapping = True
            empty = Manifest(self.writer, self.audit)
            swap(self.directory, empty, lambda before: _extended(before, files, ends))
        return len(refused)

    def _file(
        self, tenant: str, frames: Sequence[tuple[StoredFrame, int]], refused: list[Refused]
    ) -> ArchiveFile | None:
        """Write a file; None when no record is left for one."""

        def refuse(tenant: str, rows: Sequence[tuple[bytes, Row]]) -> None:
            refused.extend(_refused(tenant, labels, row, self.clock()) for labels, row in rows)

        encoded = encode(frames, refuse)
        if encoded is None:
            return None
        data, lines, low, high = encoded
        (first, skip), (last, _) = frames[0], frames[-1]
        start, end = first.position + skip, last.end
        name = f"{self.writer}-{start}-{end}.parquet"
        durable.replace(data_path(self.directory, name), data, site="archive.file")
        return ArchiveFile(name, tenant, start, end, lines, len(data), low, high, self.clock())


def _refused(tenant: str, labels: bytes, row: Row, now_ns: int) -> Refused:
    metadata = orjson.loads(bytes(row.metadata).decode("utf-8", "replace"))
    return Refused(
        tenant=tenant,
        time_ns=now_ns,
        reason=_UNENCODABLE,
        detail="its time does not fit into 64 bits, or its metadata is no UTF-8",
        sink="archive",
        labels=orjson.loads(labels),
        ts=str(row.ts),
        line=row.line,
        metadata=metadata,
    )


def _extended(manifest: Manifest, files: Sequence[ArchiveFile | None], ends: Mapping[str, int]) -> Manifest:
    for file in files:
        if file is not None:
            manifest = manifest.extended(file)
    for tenant, end in ends.items():
        manifest = manifest.covering(tenant, end)
    return manifest
