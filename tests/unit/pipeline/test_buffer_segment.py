"""The segment's head, names and the search behind damage."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import pytest
from buffer_frames import make_frame
from running import ROOT

from pipeline.buffer import cursor, frame, idempotency, keys, segment
from pipeline.buffer.frame import encode
from pipeline.buffer.segment import (
    HEADER,
    encode_header,
    find_later,
    frames,
    header_ok,
    list_segments,
    segment_path,
)


def test_a_header_is_good_for_its_position_only() -> None:
    """A segment that was renamed or damaged is none."""
    header = encode_header(4096)
    assert len(header) == HEADER.size == 24
    assert header_ok(header + b"frames", 4096)
    assert not header_ok(header, 4097)
    assert not header_ok(header[:-1], 4096)
    for bit in range(8 * len(header)):
        broken = bytearray(header)
        broken[bit // 8] ^= 1 << bit % 8
        assert not header_ok(bytes(broken), 4096)


def test_names_sort_like_positions_and_others_are_passed_over(tmp_path: Path) -> None:
    """Twenty digits hold any position of 64 bits."""
    firsts = [0, 9, 10, (1 << 64) - 1]
    for first in reversed(firsts):
        segment_path(tmp_path, first).touch()
    for other in ("LOCK", "1.seg", "x" * 20 + ".seg", f"{5:020d}.seg.tmp", f"{5:021d}.seg"):
        (tmp_path / other).touch()
    assert [first for first, _ in list_segments(tmp_path)] == firsts
    assert len({len(path.name) for _, path in list_segments(tmp_path)}) == 1


@pytest.mark.parametrize("known", [0, 99, 100, 101])
def test_a_later_frame_must_know_the_place_to_have_been_durable(known: int) -> None:
    """What began the same write as the later frame does not count."""
    base, start = 60, 40
    data = bytes(start) + b"?" * 30 + encode(make_frame(), base + start + 30, known, 0)
    assert (find_later(data, base, start) is not None) == (known > base + start)


def test_images_of_a_magic_do_not_end_the_search() -> None:
    """Payloads may hold any bytes."""
    data = b"HRF1" * 50
    data += encode(make_frame(), len(data), len(data), 0)
    assert find_later(data, 0, 0) == 200
    assert find_later(data, 0, 200) is None
    assert list(frames(data, 0, 0)) == []


LAYOUTS = {
    "Segment header": segment.HEADER.format,
    "Frame": frame.FIXED.format,
    "Batch id in a frame": frame._BID.format,
    "Slot of a cursor": cursor._FIELDS.format,
    "Key file": keys.FIXED.format,
    "Id in a key file": keys.ROW.format,
    "Slot of the table": "<16sI3sB",
}


def documented() -> dict[str, list[tuple[str, str]]]:
    """Return offset and size of each row of the byte tables in the document."""
    tables: dict[str, list[tuple[str, str]]] = {}
    for line in (ROOT / "docs" / "formats" / "buffer.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| Offset"):
            rows = tables.setdefault(cells[2], [])
        elif line.startswith("|") and tables and not cells[0].startswith("-") and len(cells) == 3:
            if cells[0].isdigit():
                rows.append((cells[0], cells[1]))
    return tables


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_byte_tables_are_those_of_the_code(name: str) -> None:
    """Each field has the documented offset and size, and nothing fixed is left out."""
    fields = re.findall(r"\d*[a-zA-Z]", LAYOUTS[name])
    expected = []
    at = 0
    for field in fields:
        size = struct.calcsize(f"<{field}")
        expected.append((str(at), str(size)))
        at += size
    rows = documented()[name]
    assert rows[: len(expected)] == expected
    assert [offset for offset, _ in rows[len(expected) :]] in ([], [str(at)])


def test_numbers_in_the_document_are_those_of_the_code() -> None:
    """Bounds and sizes that the text names."""
    text = (ROOT / "docs" / "formats" / "buffer.md").read_text()
    assert (idempotency.SLOT, idempotency.BUCKET, idempotency.WORKERS) == (24, 32, 1 << 6)
    assert (cursor.SLOT, cursor._NAME_BYTES, frame.FIXED.size, frame._BID.size) == (512, 85, 80, 21)
    assert (frame.MAGIC, frame.VERSION, frame.MAX_BYTES, frame.MAX_TENANT_BYTES) == (
        b"HRF1",
        1,
        256 << 20,
        1024,
    )
    assert (segment.MAGIC, keys.MAGIC) == (b"HRSEG\0\0\1", b"HRKEYS\0\1")
    assert (keys.KEEP_SECONDS, keys.MOST_IDS) == (24 * 3600, 1_048_576)
    for number in (
        "two slots of 512",
        "Buckets of 32\nslots",
        "at most 256 MiB",
        "1,048,576",
        "24 hours",
        "21 × b",
        "24 × n",
        "85 bytes",
    ):
        assert number in text
