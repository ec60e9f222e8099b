"""Letting go of segments that every sink is past, also from the middle of a log; and what that means to a new sink."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Lock

from pipeline import durable
from pipeline.buffer import extent
from pipeline.buffer.cursor import Cursors
from pipeline.buffer.extent import Extent
from pipeline.buffer.frame import STORED
from pipeline.buffer.keys import KeyFiles, known_of
from pipeline.buffer.recovery import Recovery
from pipeline.buffer.segment import Segment
from pipeline.buffer.tally import Key


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
        # Those of before too: while segments go one by one, there are gaps of both.
        gaps = {*extent.gaps_between(before), *extent.gaps_between(rest)}
        extent.store(directory, Extent(end, tuple(sorted(gaps)), cursors.sinks))
    for segment in gone:
        segment.passed = True
        try:
            durable.remove(segment.path, site="buffer.reclaim")
        finally:
            if not segment.path.exists():  # also when nobody knows whether that is durable
                with guard:
                    segments.remove(segment)


def welcome_new(
    directory: Path,
    recovered: Recovery,
    cursors: Cursors,
    waiting: Callable[[Mapping[Key, int]], Mapping[Key, int]],
) -> None:
    """Tell sinks that are new, or that come back, from those whose cursor got lost: what went is no loss of theirs.

    Args:
        directory: The log, at rest.
        recovered: What it holds.
        cursors: Of the sinks that there are now.
        waiting: Counts the records behind positions.
    """
    segments, known = recovered.segments, recovered.extent
    gaps = extent.gaps_between(segments)
    if segments[0].first or gaps:  # else nothing has gone
        new = [sink for sink in cursors.sinks if sink not in known.sinks]
        found = {(tenant, sink): cursors.get(tenant, sink) for tenant in recovered.counters for sink in new}
        left = waiting({key: cursor.position for key, cursor in found.items()})
        for (tenant, sink), cursor in found.items():
            gone = recovered.counters[tenant].get(STORED, 0) - cursor.state.gone - left[tenant, sink]
            if gone > 0:
                cursor.excuse(gone)
    if sorted(known.sinks) != sorted(cursors.sinks):
        extent.store(directory, Extent(known.end, gaps, cursors.sinks))
