"""Bytes of the audit log's write-ahead log: segment header and frames; pure. Tables: docs/formats/audit.md.

All integers are little-endian, but for the lengths of entries, which are as in a C2SP entry bundle, so
that a bundle can be cut out of frames without touching an entry.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from google_crc32c import extend as _extend_crc32c
from google_crc32c import value as _crc32c
from headrig import CorruptionError

from pipeline.audit.tlog import Frontier

if TYPE_CHECKING:
    from collections.abc import Sequence

SEGMENT_MAGIC = b"hraudit\xff"
SEGMENT_VERSION = 1
# The 0xff never occurs in UTF-8, so no leaf can hold the image of a frame.
FRAME_MAGIC = b"\xffHF\x01"
MAX_FRAME_BYTES = 64 * 1024 * 1024

MAX_INDEX = 2**63 - 1

_SEGMENT = struct.Struct("<8sIII32sQQQ32s32s")
_FRAME = struct.Struct("<4sIIQIQ32s32s")
_LINK = struct.Struct("<QIQ32s")
_ROW = struct.Struct("<16sI16s16s")
FRAME_HEADER_BYTES = _FRAME.size
ROW_BYTES = _ROW.size
LINE_CONFLICT = 1 << 31
"""Set in a row's line when the event's id was taken by another payload: `pipeline.audit.conflict`."""
_CHECKED = 8  # the CRC covers everything after itself
_SEGMENT_CHECKED = 12
pack_row = _ROW.pack
unpack_row = _ROW.unpack
iter_rows = _ROW.iter_unpack


@dataclass(frozen=True, slots=True)
class SegmentHeader:
    """First bytes of a segment.

    Attributes:
        log_hash: SHA-256 of ``log.json``: binds the segment to its log.
        first: Index of the first entry, equal to the file name.
        previous_first: ``first`` of the segment before; equal to ``first`` when there is none.
        previous_bytes: Length of the segment before.
        root: Root of the tree of the first ``first`` entries.
        chain: Chain digest of their frames, as `link` makes it.
        peaks: The frontier of that tree, so that a start needs to read the newest segments only.
    """

    log_hash: bytes
    first: int
    previous_first: int
    previous_bytes: int
    root: bytes
    chain: bytes
    peaks: tuple[bytes, ...]

    def encode(self) -> bytes:
        """Return the header's bytes."""
        peaks = b"".join(self.peaks)
        size = _SEGMENT.size + len(peaks)
        before = (self.log_hash, self.first, self.previous_first, self.previous_bytes, self.root, self.chain)
        data = _SEGMENT.pack(SEGMENT_MAGIC, 0, SEGMENT_VERSION, size, *before) + peaks
        return data[:8] + crc32c(data[_SEGMENT_CHECKED:]).to_bytes(4, "little") + data[_SEGMENT_CHECKED:]

    @property
    def length(self) -> int:
        """Its length; the first frame follows."""
        return _SEGMENT.size + len(self.peaks) * 32

    def frontier(self) -> Frontier:
        """Return the tree's right edge before the first entry."""
        return Frontier(self.first, self.peaks)


def parse_segment_header(data: bytes, file: str) -> SegmentHeader:
    """Read the header at the start of ``data``; raise `CorruptionError` naming ``file``."""
    if len(data) < _SEGMENT.size:
        raise CorruptionError(file, 0, f"{len(data)} bytes are too few for a segment header")
    magic, crc, version, size, *before = _SEGMENT.unpack_from(data)
    log_hash, first, previous_first, previous_bytes, root, chain = before
    if magic != SEGMENT_MAGIC:
        raise CorruptionError(file, 0, "not a segment of an audit log")
    if version != SEGMENT_VERSION:
        raise CorruptionError(file, 12, f"segment version {version}; this program reads {SEGMENT_VERSION}")
    expected = _SEGMENT.size + first.bit_count() * 32
    if size != expected or len(data) < size or crc32c(data[_SEGMENT_CHECKED:size]) != crc:
        raise CorruptionError(file, 8, "the checksum of the segment header is wrong")
    peaks = tuple(data[at : at + 32] for at in range(_SEGMENT.size, size, 32))
    header = SegmentHeader(log_hash, first, previous_first, previous_bytes, root, chain, peaks)
    if header.frontier().root() != root:
        raise CorruptionError(file, 8, "the frontier in the segment header does not have the root beside it")
    return header


@dataclass(frozen=True, slots=True)
class Frame:
    """One group commit.

    Attributes:
        first: Index of its first entry.
        count: Number of entries, at least 1.
        ts_ns: Time of the first entry; entry i has ``ts_ns + i``.
        root: Root of the tree once all its entries are in.
        chain: Digest over the chain before it and all of it but the entries, which the root covers.
        rows: ``count`` rows of `ROW_BYTES`: bid, line, id, mac.
        entries: The entries, each after its length as two bytes, big-endian.
        start, end: Its place in the segment, bytes.
    """

    first: int
    count: int
    ts_ns: int
    root: bytes
    chain: bytes
    rows: bytes
    entries: bytes
    start: int
    end: int

    def leaves(self) -> list[bytes]:
        """Return the entries' bytes."""
        return split_entries(self.entries, self.count)

    def link(self, before: bytes) -> bytes:
        """Return what its chain digest must be."""
        return link(before, self.first, self.count, self.ts_ns, self.root, self.rows)


def log_hash(log_json: bytes) -> bytes:
    """Return what binds segments to their log; the chain digest of a log without frames."""
    return sha256(log_json).digest()


def link(before: bytes, first: int, count: int, ts_ns: int, root: bytes, rows: bytes) -> bytes:
    """Return a frame's chain digest; ``before`` is that of the frame before it.

    The signed root covers the entries. This covers what else a start relies on: ids, macs, batch ids, times.
    """
    return sha256(before + _LINK.pack(first, count, ts_ns, root) + rows).digest()


def join_entries(leaves: Sequence[bytes]) -> bytes:
    """Return each leaf after its length, as in a C2SP entry bundle."""
    return b"".join([part for leaf in leaves for part in (len(leaf).to_bytes(2, "big"), leaf)])


def crc32c(data: bytes) -> int:
    """Return the CRC-32C (Castagnoli) of ``data``."""
    return int(_crc32c(data))


def split_entries(entries: bytes, count: int) -> list[bytes]:
    """Undo `join_entries`; raise ValueError unless there are exactly ``count`` entries."""
    leaves: list[bytes] = []
    at, size = 0, len(entries)
    for _ in range(count):
        start = at + 2
        if start > size:
            raise ValueError(f"{len(leaves)} entries where {count} are announced")
        at = start + (entries[at] << 8 | entries[at + 1])
        leaves.append(entries[start:at])
    if at != size:
        raise ValueError(f"{count} entries end at byte {at} of {size}")
    return leaves


def encode_frame(first: int, count: int, ts_ns: int, root: bytes, chain: bytes, *body: bytes) -> bytes:
    """Return a frame; ``body`` is the rows followed by the entries, in as many parts as there are."""
    size = sum(map(len, body))
    header = _FRAME.pack(FRAME_MAGIC, 0, size, first, count, ts_ns, root, chain)[_CHECKED:]
    crc = crc32c(header)
    for part in body:  # large parts are copied once, into the frame
        crc = int(_extend_crc32c(crc, part))
    return b"".join((FRAME_MAGIC, crc.to_bytes(4, "little"), header, *body))


def parse_frame(data: bytes, start: int, base: int = 0) -> Frame | None:
    """Return the frame at ``start``, or None when there is no whole valid one.

    Args:
        data: A part of a segment.
        start: Where in it.
        base: Offset of ``data`` in the segment; the frame's own place is relative to the segment.
    """
    if start + FRAME_HEADER_BYTES > len(data):
        return None
    magic, crc, length, first, count, ts_ns, root, chain = _FRAME.unpack_from(data, start)
    body = start + FRAME_HEADER_BYTES
    end = body + length
    split = body + count * ROW_BYTES
    if magic != FRAME_MAGIC or end > len(data) or count < 1 or split + 2 * count > end:
        return None
    if first + count > MAX_INDEX or crc32c(data[start + _CHECKED : end]) != crc:
        return None
    rows, entries = data[body:split], data[split:end]
    return Frame(first, count, ts_ns, root, chain, rows, entries, base + start, base + end)


def frame_length(header: bytes) -> int | None:
    """Return how many bytes the frame that starts with ``header`` has, or None when it is no frame."""
    if len(header) < FRAME_HEADER_BYTES or header[:4] != FRAME_MAGIC:
        return None
    length = int.from_bytes(header[8:12], "little")
    return FRAME_HEADER_BYTES + length if length <= MAX_FRAME_BYTES else None


def find_frame(data: bytes, start: int) -> Frame | None:
    """Return the first whole valid frame at or after ``start``, or None."""
    at = data.find(FRAME_MAGIC, start)
    while at >= 0:
        frame = parse_frame(data, at)
        if frame is not None:
            return frame
        at = data.find(FRAME_MAGIC, at + 1)
    return None
