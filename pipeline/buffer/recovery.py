"""Opening a log: what is whole stays, what a crash cut off goes, what is damaged stops everything.

A crash leaves at most, and only at the end: a segment without a whole header, a part of one write, and so a request
whose last frame is missing. All of these were never acknowledged. A frame knows what was durable when it was written, so
what is not whole before that cannot come from a crash: that is damage, like a segment missing between two or a cursor
beyond the end, and nothing is touched. A segment may be missing in the middle only if the `extent` says so.

One case looks the same from both sides: the last write before a crash, damaged afterwards, with no cursor beyond. It is
cut off, counted and logged. After an orderly `Wal.close` there is no such case, for it leaves a frame behind the last write,
and outside the segments how far the log reached.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from headrig import CorruptionError

from pipeline import durable
from pipeline.buffer import extent
from pipeline.buffer.extent import Extent
from pipeline.buffer.frame import StoredFrame, follow
from pipeline.buffer.keys import KEEP_SECONDS, KnownIds
from pipeline.buffer.segment import HEADER, Segment, find_later, frames, header_ok, list_segments

_log = logging.getLogger("headrig.buffer")


@dataclass(slots=True)
class Recovery:
    """What opening found.

    Attributes:
        segments: All that are there, in order.
        bids: Batch ids younger than 24 hours, with the unix seconds of their append; the newest million.
        counters: The newest cumulative counts of each tenant.
        listed: The tenants whose counts are in the last segment.
        extent: What was known of the log outside its segments.
        truncated_bytes: Cut off the end.
        truncated_frames: Whole frames among them: of a request without its last frame.
    """

    segments: list[Segment] = field(default_factory=list)
    bids: KnownIds = field(default_factory=KnownIds)
    counters: dict[str, Mapping[str, int]] = field(default_factory=dict)
    listed: set[str] = field(default_factory=set)
    extent: Extent = field(default_factory=Extent)
    truncated_bytes: int = 0
    truncated_frames: int = 0


def recover(directory: Path, known: KnownIds, now: int, furthest: int = 0) -> Recovery:
    """Read a log, cut off what was never acknowledged, and return what it holds.

    Args:
        directory: The log; its lock is held.
        known: Batch ids of segments that are gone.
        now: Unix seconds.
        furthest: The greatest position of a cursor.

    Raises:
        CorruptionError: Names segment and offset; nothing was changed.
    """
    found = Recovery(bids=known, extent=extent.load(directory))
    listed = list_segments(directory)
    for number, (first, path) in enumerate(listed):
        previous = found.segments[-1] if found.segments else None
        gap = previous is not None and previous.end != first
        if gap and previous is not None and not found.extent.covers(previous.end, first):
            raise CorruptionError(
                path.name, 0, f"begins at {first}, the segment before ends at {previous.end}"
            )
        # What lies behind a gap was there when the gap was made.
        _read_segment(found, path, first, now, last=number == len(listed) - 1, old=gap)
    known.trim()
    end = found.segments[-1].end if found.segments else 0
    if max(furthest, found.extent.end) > end:
        name, offset = (listed[-1][1].name, end - listed[-1][0]) if listed else (directory.name, 0)
        raise CorruptionError(
            name, max(offset, 0), f"the log ends at {end}, {_reached(furthest, found.extent.end)}"
        )
    if found.truncated_bytes or len(found.segments) < len(listed):
        _cut(found, listed[-1][1])
    return found


def _reached(furthest: int, end: int) -> str:
    if furthest >= end:
        return f"a sink has taken it up to {furthest}"
    return f"it reached up to {end} before"


def _read_segment(found: Recovery, path: Path, first: int, now: int, *, last: bool, old: bool) -> None:
    data = path.read_bytes()
    if not header_ok(data, first):
        # Without a segment before it, it was there when that one went.
        if not last or old or (first and not found.segments) or find_later(data, first, 0) is not None:
            raise CorruptionError(path.name, 0, "the segment's header is damaged")
        found.truncated_bytes += len(data)
        return
    segment = Segment(path, first, HEADER.size)
    found.listed.clear()
    unfinished: set[bytes] = set()
    run: list[StoredFrame] = []  # frames of requests that go on in the next frame
    for frame in frames(data, first):
        segment.size = frame.end - first
        run.append(frame)
        follow(unfinished, frame.bids)
        if not unfinished:
            _keep(found, segment, run, now)
            run = []
    if segment.size < len(data) and (not last or find_later(data, first, segment.size) is not None):
        raise CorruptionError(path.name, segment.size, "a frame is damaged, and others follow it")
    if run:
        segment.size = run[0].position - first
        found.truncated_frames += len(run)
        if not last:
            raise CorruptionError(
                path.name, segment.size, "a request has no last frame, and others follow it"
            )
    found.truncated_bytes += len(data) - segment.size
    found.segments.append(segment)


def _keep(found: Recovery, segment: Segment, kept: list[StoredFrame], now: int) -> None:
    for frame in kept:
        segment.note(frame)
        found.counters[frame.tenant] = frame.counters
        found.listed.add(frame.tenant)
        if now - frame.seconds < KEEP_SECONDS:
            found.bids.add(frame.bids, frame.seconds)


def _cut(found: Recovery, path: Path) -> None:
    """Cut off the end; durable on return, so that a later crash cannot bring it back behind new frames."""
    segment = found.segments[-1] if found.segments else None
    kept = segment.size if segment is not None and segment.path == path else None
    _log.warning(
        "%s/%s: %d bytes of an unfinished write are cut off at byte %d, with %d whole frames of a request without its last",
        path.parent.name, path.name, found.truncated_bytes, kept or 0, found.truncated_frames,
    )  # fmt: skip
    if kept is None:
        durable.remove(path, site="buffer.unborn")
        return
    fd = durable.files.open(path)
    try:
        durable.files.truncate(fd, kept)
        durable.files.sync(fd, "buffer.truncate")
    finally:
        durable.files.close(fd)
