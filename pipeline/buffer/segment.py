r"""A segment: one append-only file of frames, named by the position of its first byte.

A segment begins with 24 bytes, little-endian: magic ``HRSEG\0\0\1`` (8), first position (u64), zero (u32), CRC-32C of the
20 bytes before (u32). A frame without records for each tenant follows, so that the cumulative
counters survive the removal of everything before.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from google_crc32c import value as crc32c

from pipeline.buffer.frame import MAGIC as MAGIC_OF_FRAME
from pipeline.buffer.frame import StoredFrame, decode

HEADER = struct.Struct("<8sQII")
MAGIC = b"HRSEG\0\0\1"
_NAME = re.compile(r"(\d{20})\.seg\Z")


@dataclass(slots=True)
class Segment:
    """What the owner of a log remembers of a segment.

    Attributes:
        path: The file.
        first: Position of its first byte.
        size: Bytes written, synced or not.
        ends: Tenant to the end of its last frame with records.
        passed: Every sink is past it; its file may be gone.
    """

    path: Path
    first: int
    size: int
    ends: dict[str, int] = field(default_factory=dict)
    passed: bool = False

    @property
    def end(self) -> int:
        """Position after its last byte."""
        return self.first + self.size

    def note(self, frame: StoredFrame) -> None:
        """Remember that the segment has this frame."""
        if frame.records:
            self.ends[frame.tenant] = frame.end


def segment_path(directory: Path, first: int) -> Path:
    """Name the segment that begins at a position."""
    return directory / f"{first:020d}.seg"


def list_segments(directory: Path) -> list[tuple[int, Path]]:
    """List position and file of the segments on disk, in order."""
    matches = ((_NAME.match(path.name), path) for path in directory.iterdir())
    return sorted((int(match[1]), path) for match, path in matches if match)


def encode_header(first: int) -> bytes:
    """Return the first 24 bytes of a segment."""
    head = struct.pack("<8sQI", MAGIC, first, 0)
    crc: int = crc32c(head)
    return head + crc.to_bytes(4, "little")


def header_ok(data: bytes, first: int) -> bool:
    """Tell whether ``data`` begins with the header of a segment for this position."""
    return data[: HEADER.size] == encode_header(first)


def frames(data: bytes, first: int, start: int = HEADER.size) -> Iterator[StoredFrame]:
    """Yield frames from an offset on, until one is not whole."""
    at = start
    while frame := decode(data, at, first + at):
        yield frame
        at = frame.end - first


def find_later(data: bytes, base: int, start: int) -> int | None:
    """Return the offset of a whole frame behind ``start`` that knows ``start`` to have been durable, or None.

    Args:
        data: Part of a segment.
        base: Position of its first byte.
        start: Offset of what is not whole.
    """
    at = data.find(MAGIC_OF_FRAME, start)
    while at >= 0:
        frame = decode(data, at, base + at)
        if frame is not None and frame.durable > base + start:
            return at
        at = data.find(MAGIC_OF_FRAME, at + 1)
    return None
