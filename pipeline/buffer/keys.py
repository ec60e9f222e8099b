r"""Batch ids that outlive their segment: a small file per removed segment, kept for 24 hours.

A file is magic ``HRKEYS\0\1`` (8), number (u32), CRC-32C of the magic, the number and the rest (u32), then {16s id, u32 body
digest, u32 unix seconds} each. Files whose ids are all older, or come before the newest million, go.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

from google_crc32c import value as crc32c

from pipeline import durable
from pipeline.buffer.frame import BidMark
from pipeline.buffer.reader import walk
from pipeline.buffer.segment import HEADER, Segment

KEEP_SECONDS = 24 * 3600
MOST_IDS = 1 << 20
"""So many ids are worth keeping: as many as the table has slots unless configured."""
MAGIC = b"HRKEYS\0\1"
FIXED = struct.Struct("<8sII")
ROW = struct.Struct("<16sII")
_U32 = (1 << 32) - 1


class KnownIds:
    """Batch ids of stored requests with the unix seconds of their append, those of key files before those of frames; the last million.

    Packed as in a key file, 24 bytes each: as objects a million would take 200 MB.
    """

    def __init__(self) -> None:
        self._rows = bytearray()

    def __len__(self) -> int:
        return len(self._rows) // ROW.size

    def __iter__(self) -> Iterator[tuple[BidMark, int]]:
        for bid, body, seconds in ROW.iter_unpack(bytes(self._rows)):
            yield BidMark(bid, body, last=True), seconds

    def add(self, marks: Iterable[BidMark], seconds: int) -> None:
        """Add those whose request is complete."""
        self.extend(
            b"".join(
                [ROW.pack(mark.bid, mark.body, min(max(seconds, 0), _U32)) for mark in marks if mark.last]
            )
        )

    def extend(self, rows: bytes) -> None:
        """Add packed rows."""
        self._rows += rows
        if len(self) > 2 * MOST_IDS:
            self.trim()

    def trim(self) -> None:
        """Forget all but the newest million."""
        del self._rows[: max(len(self._rows) - MOST_IDS * ROW.size, 0)]

    def newest(self) -> int:
        """Unix seconds of the newest; 0 when there is none."""
        return max((seconds for _, _, seconds in ROW.iter_unpack(bytes(self._rows))), default=0)

    def encode(self) -> bytes:
        """Return a key file."""
        head = struct.pack("<8sI", MAGIC, len(self))
        crc: int = crc32c(head + self._rows)
        return head + crc.to_bytes(4, "little") + self._rows


class KeyFiles:
    """The key files of one log; `load` first.

    Args:
        directory: The log.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory / "keys"
        self._files: dict[Path, tuple[int, int]] = {}  # newest seconds and number, oldest segment first

    def load(self, now: int) -> KnownIds:
        """Return the ids that are younger than 24 hours; remove files without any that is wanted.

        A damaged file is passed over: it only costs protection against a retry of what was delivered long ago.
        """
        found = KnownIds()
        for path in sorted(self._directory.glob("*.keys")):
            rows = _rows(path.read_bytes())
            young = b"".join([ROW.pack(*row) for row in ROW.iter_unpack(rows) if now - row[2] < KEEP_SECONDS])
            found.extend(young)
            newest = max((seconds for _, _, seconds in ROW.iter_unpack(rows)), default=0)
            self._files[path] = (newest, len(young) // ROW.size)
        self._prune(now)
        return found

    def add(self, first: int, known: KnownIds, now: int) -> None:
        """Write the ids of the segment that begins at ``first``, durable on return; remove files that are too old."""
        if len(known):
            path = self._directory / f"{first:020d}.keys"
            durable.replace(path, known.encode(), site="buffer.keys")
            self._files[path] = (known.newest(), len(known))
        self._prune(now)

    def _prune(self, now: int) -> None:
        number = 0
        for path, (newest, count) in reversed(list(self._files.items())):
            if now - newest >= KEEP_SECONDS or number >= MOST_IDS:
                durable.remove(path, site="buffer.keys")
                del self._files[path]
            number += count


def known_of(segment: Segment, now: int) -> KnownIds:
    """Read the young ids of a segment that every sink is past; of a damaged one, those before the damage."""
    known = KnownIds()
    try:
        fd = os.open(segment.path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return known
    try:
        for frame in walk(fd, segment.first, segment.first + HEADER.size, segment.end):
            if now - frame.seconds < KEEP_SECONDS:
                known.add(frame.bids, frame.seconds)
    finally:
        os.close(fd)
    return known


def _rows(data: bytes) -> bytes:
    """Return the rows of a key file; none when it is damaged."""
    if len(data) < FIXED.size:
        return b""
    magic, number, crc = FIXED.unpack_from(data)
    rows = data[FIXED.size :]
    whole = magic == MAGIC and number * ROW.size == len(rows)
    return rows if whole and crc32c(data[: FIXED.size - 4] + rows) == crc else b""
