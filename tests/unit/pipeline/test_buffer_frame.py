"""The frame's bytes: what goes in comes out, at its place only, and nothing that was changed."""

from __future__ import annotations

import pytest
from buffer_frames import make_frame, mark, unplaced

from pipeline.buffer.frame import (
    FIXED,
    MAX_BYTES,
    MAX_TENANT_BYTES,
    BidMark,
    Frame,
    decode,
    decode_header,
    encode,
    prepare,
)

FRAME = make_frame("acme", 7, records=3, marks=[mark(1), mark(2, last=False)], counters={"stored": 9})
AT = 1_000


def test_a_frame_comes_back_as_it_went_in() -> None:
    """Each field survives, and the place is added."""
    data = encode(FRAME, AT, 900, 55)
    frame = decode(b"before" + data + b"behind", 6, AT)
    assert frame is not None
    assert unplaced(frame) == unplaced(FRAME)
    assert (frame.position, frame.end, frame.durable, frame.seconds) == (AT, AT + len(data), 900, 55)


def test_the_length_is_known_before_the_place() -> None:
    """The bound of the log is checked with the exact size."""
    assert prepare(FRAME).length == len(encode(FRAME, AT, 0, 0))


def test_a_frame_is_valid_at_its_position_only() -> None:
    """A stale frame of a former life, or a copy from elsewhere, is no frame."""
    data = encode(FRAME, AT, 0, 0)
    assert decode(data, 0, AT + 1) is None
    assert decode_header(data, 0, 0) is None


@pytest.mark.parametrize("bit", range(8))
def test_a_flipped_bit_anywhere_is_seen(bit: int) -> None:
    """Each bit of each byte counts, in the fixed part, too."""
    data = encode(FRAME, AT, 0, 55)
    for offset in range(len(data)):
        broken = bytearray(data)
        broken[offset] ^= 1 << bit
        assert decode(bytes(broken) + bytes(300), 0, AT) is None, offset


def test_no_part_of_a_frame_is_a_frame() -> None:
    """Cut anywhere it is not whole; and its header is not read without the tenant's whole name."""
    data = encode(FRAME, AT, 0, 55)
    for size in range(len(data)):
        assert decode(data[:size], 0, AT) is None
        header = decode_header(data[:size], 0, AT)
        assert (header is not None) == (size >= FIXED.size + len("acme"))


@pytest.mark.parametrize("length", [0, 1, FIXED.size - 1, MAX_BYTES + 1, (1 << 32) - 1])
def test_a_length_out_of_bounds_is_no_frame(length: int) -> None:
    """Nobody allocates what a damaged length asks for, or stands still at 0."""
    data = bytearray(encode(FRAME, AT, 0, 55))
    data[12:16] = length.to_bytes(4, "little")
    assert decode_header(bytes(data), 0, AT) is None


@pytest.mark.parametrize(
    "frame",
    [
        make_frame("t" * (MAX_TENANT_BYTES + 1)),
        make_frame(records=1 << 32),
        make_frame(records=-1),
        make_frame(counters={"n": 1 << 64}),
        Frame("\ud800", 1, 1, 0, 0, (), {}, b""),
        make_frame(marks=[BidMark(b"short", 0, True)]),
        make_frame(marks=[BidMark(bytes(17), 0, True)]),
        make_frame(marks=[BidMark(bytes(16), 1 << 32, True)]),
        Frame("acme", 1, 1, -(1 << 63) - 1, 0, (), {}, b""),
        Frame("acme", 1, 1, 0, 0, (), {}, b"", streams=1 << 64),
    ],
)
def test_what_does_not_fit_is_refused_before_it_has_a_place(frame: Frame) -> None:
    """Once frames have positions nothing may fail any more."""
    with pytest.raises(ValueError, match="bytes|fit"):
        prepare(frame)


def test_a_frame_that_no_reader_would_take_is_refused() -> None:
    """A reader passes over frames beyond the bound, so none is written."""

    class Huge(bytes):
        def __len__(self) -> int:
            return MAX_BYTES

    with pytest.raises(ValueError, match="at most"):
        prepare(Frame("acme", 1, 1, 0, 0, (), {}, Huge()))


@pytest.mark.parametrize(("clock", "seconds"), [(-5, 0), (1 << 40, (1 << 32) - 1)])
def test_a_wild_clock_does_not_stop_the_log(clock: int, seconds: int) -> None:
    """The wall clock may be anything; 32 bits are kept."""
    frame = decode(encode(FRAME, AT, 0, clock), 0, AT)
    assert frame is not None
    assert frame.seconds == seconds
