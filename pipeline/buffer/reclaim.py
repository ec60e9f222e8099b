"""Letting go of segments that every sink is past, also from the middle of a log."""

from __future__ import annotations

from pathlib import Path
from threading import Lock

from pipeline import durable
from pipeline.buffer import extent
from pipeline.buffer.cursor import Cursors
from pipeline.buffer.extent import Extent
from pipeline.buffer.keys import KeyFiles, known_of
from pipeline.buffer.segment import Segment


def remove_past(
    directory: Path,
    segments: list[Segment],
    guard: Lock,
    keys: KeyFiles,
    *,
    end: int,
    now: int,
    cursors: Cursors,
) -> None:
    """Remove what every sink is past; durable on return.

    A crash after the key files or the extent leaves them beside the segments, which is harmless. The last segment
    stays: without any the log would begin at 0 again.

    Args:
        directory: The log.
        segments: Shortened, under the guard.
        guard: Over ``segments``.
        keys: Get the batch ids.
        end: Of what is durable: one that ends there has nothing behind it on disk yet.
        now: Unix seconds.
        cursors: Tell whether every sink is past a segment.
    """
    with guard:
        before = tuple(segments)
    gone = [segment for segment in before[:-1] if segment.end < end and cursors.are_past(segment)]
    if not gone:
        return
    for segment in gone:
        keys.add(segment.first, known_of(segment, now), now)
    firsts = {segment.first for segment in gone}
    rest = [segment for segment in before if segment.first not in firsts]
    if gone[-1].first > rest[0].first:
        extent.store(directory, Extent(end, extent.gaps_between(rest), cursors.sinks))
    for segment in gone:
        segment.passed = True
        durable.remove(segment.path, site="buffer.reclaim")
        with guard:
            segments.remove(segment)
