"""Reading a log without owning it: from a pump, a query or another process."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path

from headrig import CorruptionError

from pipeline.buffer import extent
from pipeline.buffer.frame import (
    FIXED,
    MAX_TENANT_BYTES,
    Header,
    StoredFrame,
    decode,
    decode_header,
    is_whole,
)
from pipeline.buffer.segment import HEADER, Segment, find_later, list_segments

_CHUNK = 1 << 20
_HEAD_CHUNK = 16 << 10
"""Some small frames in one read, little waste beside a large one."""
_HEAD = FIXED.size + MAX_TENANT_BYTES


class SegmentGone(Exception):  # noqa: N818 - says what happened, and is handled by starting again
    """A segment was removed while the log was read: its frames are with the sinks now."""


def read_frames(directory: Path, after: int = 0) -> Iterator[StoredFrame]:
    """Yield the frames with records that begin at or after a position, in order, until the last whole one.

    Frames may be among them that are not acknowledged yet.

    Args:
        directory: The log.
        after: 0, or the end of a frame read before.

    Raises:
        SegmentGone: Start again.
        CorruptionError: A frame that was once durable is damaged.
    """
    if not directory.is_dir():
        return
    listed = list_segments(directory)
    for number, (first, path) in enumerate(listed):
        following = listed[number + 1][0] if number + 1 < len(listed) else None
        if following is not None and following <= after:
            continue
        yield from _segment_frames(path, first, max(after, first + HEADER.size), following)


def _segment_frames(path: Path, first: int, start: int, following: int | None) -> Iterator[StoredFrame]:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise SegmentGone from None
    try:
        end = first + os.fstat(fd).st_size
        if following is not None and not (end < following and _is_gap(path, end, following)):
            end = following
        walked = walk(fd, first, start, end)
        while True:
            try:
                frame = next(walked)
            except StopIteration as stopped:
                position: int = stopped.value
                break
            if frame.records:
                yield frame
        if position < end and (following is not None or _is_damaged(fd, first, position)):
            raise CorruptionError(path.name, position - first, "a frame is damaged")
    finally:
        os.close(fd)


def _is_gap(path: Path, first: int, end: int) -> bool:
    """Tell whether what follows a segment on disk was removed from the middle of the log."""
    if extent.load(path.parent).covers(first, end):
        return True
    if (
        not path.exists()
    ):  # gaps before the oldest segment are forgotten, so only then is the answer worth nothing
        raise SegmentGone
    return False


def _is_damaged(fd: int, first: int, position: int) -> bool:
    """Tell whether what is not whole at a position of the last segment was durable once."""
    rest = os.pread(fd, os.fstat(fd).st_size, position - first)
    if find_later(rest, position, 0) is None:
        return False  # a write that goes on just now, or that a crash tore
    # The read may have overlapped with two writes. By now the first one is done.
    again = os.pread(fd, len(rest), position - first)
    return decode(again, 0, position) is None


def scan(path: Path, first: int, start: int, end: int, tenant: str | None) -> Iterator[StoredFrame]:
    """Yield the frames of a segment, all of which must be whole.

    Args:
        path: The segment.
        first: Its first position.
        start: Position of a frame.
        end: Position after the last frame.
        tenant: Only this tenant's; of others the checksum is looked at, for their headers tell where the next one is.

    Raises:
        CorruptionError: A frame is damaged.
        FileNotFoundError: The segment is gone.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        position = yield from walk(fd, first, start, end, tenant)
    finally:
        os.close(fd)
    if position < end:
        raise CorruptionError(path.name, position - first, "a frame is damaged")


def read_on(
    segments: Sequence[Segment], tenant: str | None, after: int, end: int, max_bytes: int
) -> list[StoredFrame]:
    """Return the next frames with records of the owner's segments; arguments and errors as `Wal.scan`."""
    found: list[StoredFrame] = []
    size = 0
    for segment in segments:
        stop = segment.end if tenant is None else segment.ends.get(tenant, 0)
        start = max(after, segment.first + HEADER.size)
        try:
            for frame in scan(segment.path, segment.first, start, min(stop, end), tenant):
                if not frame.records:
                    continue
                size += len(frame.payload)
                if found and size > max_bytes:
                    return found
                found.append(frame)
        except (CorruptionError, FileNotFoundError) as error:
            if found:
                break  # what is before it can still be delivered
            if isinstance(error, CorruptionError):
                raise
            if not segment.passed:
                raise CorruptionError(segment.path.name, 0, "the segment is missing") from None
    return found


def walk(
    fd: int, first: int, start: int, end: int, tenant: str | None = None
) -> Generator[StoredFrame, None, int]:
    """Yield whole frames of an open segment; return the position of the first that is not whole, at most ``end``."""
    position, size = start, _CHUNK
    while position < end:
        data = os.pread(fd, size, position - first)
        at = 0
        while header := decode_header(data, at, position):
            if position + header.length > end:
                return position
            if at + header.length > len(data):
                break
            if tenant is None or header.tenant == tenant:
                frame = decode(data, at, position)
                if frame is None:
                    return position
                yield frame
            elif not is_whole(data, at, header):
                return position
            at += header.length
            position += header.length
            if position == end:
                return end
        if at == 0 and (header is None or len(data) < size):
            return position
        # Go on at the frame that did not fit; one that is larger than a chunk is read as a whole.
        size = max(_CHUNK, header.length) if header else _CHUNK
    return position


def headers(path: Path, first: int, start: int, end: int) -> Iterator[tuple[Header, int]]:
    """Yield the header and the position of each frame between two positions; payloads are not read or checked."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        end = min(end, first + os.fstat(fd).st_size)
        position = base = start
        data = b""
        while position < end:
            if position - base + _HEAD > len(data):
                base, data = position, os.pread(fd, _HEAD_CHUNK, position - first)
            header = decode_header(data, position - base, position)
            if header is None or position + header.length > end:
                return
            yield header, position
            position += header.length
    finally:
        os.close(fd)
