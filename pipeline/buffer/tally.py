"""Counts what waits behind cursors, from the frame headers on disk and never by subtraction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.buffer.reader import headers
from pipeline.buffer.segment import HEADER, Segment

Key = tuple[str, str]
"""Tenant and sink."""


@dataclass(slots=True)
class _Closed:
    """Records of each tenant in a closed segment, as long as its file is the same."""

    file: tuple[int, int, int]
    records: Counter[str]


class Tally:
    """Counts in one pass for all cursors; a closed segment is read once, unless a cursor lies within it."""

    def __init__(self) -> None:
        self._closed: dict[int, _Closed] = {}

    def count(self, segments: Sequence[Segment], positions: Mapping[Key, int], end: int) -> Counter[Key]:
        """Count the records behind each position.

        Args:
            segments: Of the log.
            positions: Of the cursors.
            end: Only what lies before it counts.
        """
        found: Counter[Key] = Counter()
        for number, segment in enumerate(segments):
            ends = dict(segment.ends)
            # What a cursor is past need not be looked for; what is not there although it should be is not counted.
            wanted = {key: at for key, at in positions.items() if at < min(ends.get(key[0], 0), end)}
            if not wanted:
                continue
            start = segment.first + HEADER.size
            if number + 1 < len(segments) and segment.end <= end:
                whole = [key for key, at in wanted.items() if at <= start]
                if whole:
                    records = self._records(segment)
                    found.update({key: records[key[0]] for key in whole})
                wanted = {key: at for key, at in wanted.items() if at > start}
            if wanted:
                _count_from(segment, wanted, end, found)
        kept = {segment.first for segment in segments}
        self._closed = {first: one for first, one in self._closed.items() if first in kept}
        return found

    def _records(self, segment: Segment) -> Counter[str]:
        try:
            status = segment.path.stat()
        except FileNotFoundError:
            return Counter()
        file = (status.st_ino, status.st_size, status.st_mtime_ns)
        known = self._closed.get(segment.first)
        if known is None or known.file != file:
            records: Counter[str] = Counter()
            for header, _ in headers(segment.path, segment.first, segment.first + HEADER.size, segment.end):
                records[header.tenant] += header.records
            known = self._closed[segment.first] = _Closed(file, records)
        return known.records


def _count_from(segment: Segment, wanted: Mapping[Key, int], end: int, found: Counter[Key]) -> None:
    """Count in one segment, from the first of the positions on."""
    cursors: dict[str, list[tuple[Key, int]]] = {}
    for key, at in wanted.items():
        cursors.setdefault(key[0], []).append((key, at))
    start = max(min(wanted.values()), segment.first + HEADER.size)
    for header, position in headers(segment.path, segment.first, start, min(segment.end, end)):
        for key, at in cursors.get(header.tenant, ()):
            if position >= at:
                found[key] += header.records
