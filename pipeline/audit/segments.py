"""Reading the write-ahead log of an audit log, from any process, while another one writes it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING

from headrig import CorruptionError

from pipeline.audit.entry import LoggedLeaf
from pipeline.audit.frame import (
    FRAME_HEADER_BYTES,
    Frame,
    SegmentHeader,
    frame_length,
    parse_frame,
    parse_segment_header,
)
from pipeline.audit.tlog import leaf_hashes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_CHUNK = 1024 * 1024
_DIGITS = 20
_MAX_HEADER = 4_096


def segment_path(directory: Path, first: int) -> Path:
    """Return the path of the segment whose first entry is ``first``."""
    return directory / "wal" / f"{first:0{_DIGITS}d}.wal"


def segment_first(path: Path) -> int | None:
    """Return the index in a segment's name, or None when it is no segment's name."""
    digits = path.name.removesuffix(".wal")
    named = path.name.endswith(".wal") and len(digits) == _DIGITS and digits.isascii() and digits.isdigit()
    return int(digits) if named else None


def list_segments(directory: Path) -> list[Path]:
    """Return the segments in index order."""
    wal = directory / "wal"
    return sorted(path for path in wal.iterdir() if segment_first(path) is not None) if wal.is_dir() else []


def relative(path: Path) -> str:
    """Return a segment's name as messages give it."""
    return f"wal/{path.name}"


def read_header(path: Path) -> SegmentHeader:
    """Read a segment's header; raise `CorruptionError` when it is damaged or does not fit the name."""
    with path.open("rb") as file:
        header = parse_segment_header(file.read(_MAX_HEADER), relative(path))
    if header.first != segment_first(path):
        raise CorruptionError(relative(path), 0, f"the header says that it starts at index {header.first}")
    return header


def read_frames(path: Path, offset: int) -> Iterator[Frame]:
    """Yield valid frames from ``offset`` on; end at the first that is damaged or still being written."""
    want = _CHUNK
    with path.open("rb") as file:
        while True:
            file.seek(offset)
            data = file.read(want)
            at = 0
            while frame := parse_frame(data, at, offset):
                at = frame.end - offset
                yield frame
            if at:
                offset, want = offset + at, _CHUNK
                continue
            length = frame_length(data[:FRAME_HEADER_BYTES])
            if length is None or length <= len(data) or len(data) < want:
                return
            want = length  # a frame larger than what was read


Hashes = Callable[[int, int], list[bytes] | None]
"""The leaf hashes of so many entries from an index on, from one who knows them already, or None."""


def unfold(frame: Frame, start: int = 0, hashes: Hashes | None = None) -> list[LoggedLeaf]:
    """Return a frame's entries with index ``start`` or above."""
    skip = max(0, start - frame.first)
    leaves = frame.leaves()[skip:]
    known = hashes(frame.first + skip, len(leaves)) if hashes else None
    digests = known or leaf_hashes(leaves)
    first, ts_ns = frame.first + skip, frame.ts_ns + skip
    return list(map(LoggedLeaf, count(first), count(ts_ns), leaves, digests))


class LogReader:
    """Reads entries in index order and remembers where it was, so that reading on costs no search."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        # Where the frame lies that was read last: its first index, the one after its last, segment, offset.
        self._place: tuple[int, int, Path, int] | None = None

    def frames(self, start: int) -> Iterator[Frame]:
        """Yield the frames that hold index ``start`` and above, across segments, as far as they are whole."""
        place = self._find(start)
        while place:
            index, path, offset = place
            for frame in read_frames(path, offset):
                index = frame.first + frame.count
                if index > start:
                    self._place = (frame.first, index, path, frame.start)
                    yield frame
            following = segment_path(self._directory, index)
            moves = following != path and following.exists()
            place = (index, following, read_header(following).length) if moves else None

    def entries(
        self, start: int, size: int, max_bytes: int, hashes: Hashes | None = None
    ) -> list[LoggedLeaf]:
        """Return entries from index ``start`` on, none at or above ``size``.

        At least one when there is one; then as many as fit ``max_bytes`` of leaves. ``hashes`` spares hashing
        what is hashed already; what is on disk is checked by the publisher.
        """
        found: list[LoggedLeaf] = []
        held = 0
        if start >= size:
            return found
        for frame in self.frames(start):
            entries = unfold(frame, start, hashes)
            if frame.first + frame.count <= size and held + len(frame.entries) <= max_bytes:
                found += entries
                held += len(frame.entries)
                continue
            for entry in entries:
                if entry.index >= size or (found and held + len(entry.leaf) > max_bytes):
                    return found
                found.append(entry)
                held += len(entry.leaf)
            if held >= max_bytes or frame.first + frame.count >= size:
                return found
        return found

    def _find(self, start: int) -> tuple[int, Path, int] | None:
        if self._place and self._place[0] <= start <= self._place[1]:
            first, _, path, offset = self._place
            return first, path, offset
        before = [path for path in list_segments(self._directory) if (segment_first(path) or 0) <= start]
        if not before:
            return None
        header = read_header(before[-1])
        return header.first, before[-1], header.length


def read_log(directory: Path, start: int = 0) -> Iterator[LoggedLeaf]:
    """Yield the entries from index ``start`` on, read-only, from any process; ends at a torn tail."""
    for frame in LogReader(directory).frames(start):
        yield from unfold(frame, start)
