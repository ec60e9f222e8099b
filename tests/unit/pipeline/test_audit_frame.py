"""Bytes of the write-ahead log."""

from __future__ import annotations

import pytest
from headrig import CorruptionError
from hypothesis import given
from hypothesis import strategies as st

from pipeline.audit.frame import (
    FRAME_HEADER_BYTES,
    MAX_INDEX,
    ROW_BYTES,
    SegmentHeader,
    crc32c,
    encode_frame,
    find_frame,
    frame_length,
    join_entries,
    link,
    parse_frame,
    parse_segment_header,
    split_entries,
)
from pipeline.audit.tlog import Frontier, leaf_hashes

LEAVES = st.lists(st.binary(max_size=300), min_size=1, max_size=9)


def make(first: int, leaves: list[bytes]) -> bytes:
    """Make a frame of these leaves."""
    return encode_frame(
        first, len(leaves), 77, b"r" * 32, b"c" * 32, bytes(len(leaves) * ROW_BYTES) + join_entries(leaves)
    )


def header(size: int) -> SegmentHeader:
    """Make the header of a segment that starts at ``size``."""
    frontier = Frontier()
    frontier.extend(leaf_hashes([n.to_bytes(4, "big") for n in range(size)]))
    return SegmentHeader(b"h" * 32, size, 3, 99, frontier.root(), b"c" * 32, tuple(frontier.peaks))


def test_the_checksum_is_castagnolis() -> None:
    """The check value of CRC-32C (RFC 3720 B.4)."""
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA


@given(st.integers(0, 2**40), LEAVES, st.binary(max_size=50))
def test_a_frame_comes_back(first: int, leaves: list[bytes], before: bytes) -> None:
    """Wherever it lies; and its place is relative to the segment."""
    data = before + make(first, leaves) + b"tail"
    frame = parse_frame(data, len(before), 1_000)
    assert frame is not None
    assert (frame.first, frame.count, frame.ts_ns) == (first, len(leaves), 77)
    assert (frame.root, frame.chain) == (b"r" * 32, b"c" * 32)
    assert frame.leaves() == leaves
    assert (frame.start, frame.end) == (1_000 + len(before), 1_000 + len(data) - 4)
    assert frame_length(data[len(before) :][:FRAME_HEADER_BYTES]) == frame.end - frame.start


def test_a_frame_beyond_the_largest_index_is_none() -> None:
    """A checkpoint's size has 63 bits, so nothing else has to care for larger ones."""
    assert parse_frame(make(MAX_INDEX - 1, [b"x"]), 0) is not None
    assert parse_frame(make(MAX_INDEX, [b"x"]), 0) is None
    assert parse_frame(make(2**64 - 1, [b"x"]), 0) is None


def test_the_chain_digest_covers_all_but_the_entries() -> None:
    """Any of them changed, or another chain before, is another digest."""
    fields = (b"a" * 32, 5, 2, 77, b"r" * 32, bytes(2 * ROW_BYTES))
    others = (b"b" * 32, 6, 3, 78, b"s" * 32, b"\1" + bytes(2 * ROW_BYTES - 1))
    digests = {link(*fields[:n], others[n], *fields[n + 1 :]) for n in range(6)} | {link(*fields)}
    assert len(digests) == 7


@given(LEAVES, st.data())
def test_a_frame_with_any_byte_changed_or_cut_is_none(leaves: list[bytes], data: st.DataObject) -> None:
    """One bit anywhere, or one byte less."""
    whole = make(5, leaves)
    at = data.draw(st.integers(0, len(whole) - 1))
    bit = 1 << data.draw(st.integers(0, 7))
    assert parse_frame(whole[:at] + bytes((whole[at] ^ bit,)) + whole[at + 1 :], 0) is None
    assert parse_frame(whole[:at], 0) is None


@given(st.binary(max_size=400), LEAVES)
def test_a_valid_frame_is_found_behind_rubbish(rubbish: bytes, leaves: list[bytes]) -> None:
    """Also behind false starts, and nothing is found in rubbish alone."""
    whole = make(5, leaves)
    found = find_frame(whole[:20] + rubbish + whole, 0)
    assert found is not None
    assert found.leaves() == leaves
    assert find_frame(rubbish + whole[:-1], 0) is None


@given(st.text(max_size=200))
def test_no_text_can_start_a_frame(text: str) -> None:
    """The magic holds a byte that UTF-8 never does, so a leaf cannot fake a frame."""
    with pytest.raises(UnicodeDecodeError):
        make(0, [b"x"])[:4].decode()
    assert find_frame(text.encode("utf-8", "ignore") * 3, 0) is None


@given(LEAVES)
def test_entries_split_into_what_was_joined(leaves: list[bytes]) -> None:
    """And into nothing else: one too many, one too few, one byte less are errors."""
    joined = join_entries(leaves)
    assert split_entries(joined, len(leaves)) == leaves
    for data, count in ((joined, len(leaves) + 1), (joined, len(leaves) - 1), (joined[:-1], len(leaves))):
        with pytest.raises(ValueError, match="entries"):
            split_entries(data, count)


@given(st.integers(0, 300))
def test_a_segment_header_comes_back(size: int) -> None:
    """With the frontier that lets a start begin there."""
    expected = header(size)
    data = expected.encode()
    parsed = parse_segment_header(data + b"frames", "wal/x")
    assert parsed == expected
    assert parsed.length == len(data)
    assert parsed.frontier().root() == expected.root


@given(st.integers(0, 40), st.data())
def test_a_changed_or_cut_segment_header_is_refused(size: int, data: st.DataObject) -> None:
    """The error names the file."""
    whole = header(size).encode()
    at = data.draw(st.integers(0, len(whole) - 1))
    for changed in (whole[:at], whole[:at] + bytes((whole[at] ^ 1,)) + whole[at + 1 :]):
        with pytest.raises(CorruptionError, match="wal/x"):
            parse_segment_header(changed, "wal/x")


def test_a_header_whose_frontier_has_another_root_is_refused() -> None:
    """Right checksum, wrong tree."""
    good = header(5)
    forged = SegmentHeader(good.log_hash, 5, 3, 99, b"x" * 32, good.chain, good.peaks)
    with pytest.raises(CorruptionError, match="frontier"):
        parse_segment_header(forged.encode(), "wal/x")
