r"""How far a log reached, which segments are gone from its middle, and for which sinks: a small file beside the segments.

``extent`` is magic ``HREXT\0\0\1`` (8), end (u64), number (u32), CRC-32C of the 20 bytes before and of the rest (u32), then
{u64 first, u64 end} for each gap, in order, one perhaps within another, little-endian, then a JSON array of the sinks' names. The log never ends before ``end`` again: what was there was durable.
Between two segments nothing may be missing but what lies within a gap.

A sink that is not among the names is new: what went before is no loss of its.

It is replaced when the sinks change, before segments go from the middle, and at an orderly end. A crash in between leaves segments within a gap, which are
as good as any: every sink is past them, and they go again.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import orjson
from google_crc32c import value as crc32c
from headrig import CorruptionError

from pipeline import durable
from pipeline.buffer.segment import Segment

NAME = "extent"
MAGIC = b"HREXT\0\0\1"
FIXED = struct.Struct("<8sQII")
GAP = struct.Struct("<QQ")


class Extent(NamedTuple):
    """What is known of a log outside its segments.

    Attributes:
        end: The log ended there, or later.
        gaps: First position, and position after the last one, of what is gone from its middle.
        sinks: Whose cursors everything that is gone lies behind.
    """

    end: int = 0
    gaps: tuple[tuple[int, int], ...] = ()
    sinks: tuple[str, ...] = ()

    def covers(self, first: int, end: int) -> bool:
        """Tell whether everything between two positions may be gone."""
        return any(low <= first and end <= high for low, high in self.gaps)


def load(directory: Path) -> Extent:
    """Read the extent of a log; one that has no such file may end and begin anywhere, without gaps.

    Raises:
        CorruptionError: The file is damaged.
    """
    try:
        data = (directory / NAME).read_bytes()
    except FileNotFoundError:
        return Extent()
    if len(data) >= FIXED.size:
        magic, end, number, crc = FIXED.unpack_from(data)
        rest, middle = data[FIXED.size :], number * GAP.size
        if magic == MAGIC and middle <= len(rest) and crc32c(data[:20] + rest) == crc:
            return Extent(end, tuple(GAP.iter_unpack(rest[:middle])), tuple(orjson.loads(rest[middle:])))
    raise CorruptionError(NAME, 0, "the extent of the log is damaged")


def store(directory: Path, extent: Extent) -> None:
    """Replace the extent of a log; durable on return."""
    rest = b"".join([GAP.pack(*gap) for gap in extent.gaps]) + orjson.dumps(extent.sinks)
    head = struct.pack("<8sQI", MAGIC, extent.end, len(extent.gaps))
    crc: int = crc32c(head + rest)
    durable.replace(directory / NAME, head + crc.to_bytes(4, "little") + rest, site="buffer.extent")


def gaps_between(segments: Sequence[Segment]) -> tuple[tuple[int, int], ...]:
    """Return what is gone between segments."""
    return tuple(
        (before.end, after.first) for before, after in pairwise(segments) if before.end != after.first
    )
