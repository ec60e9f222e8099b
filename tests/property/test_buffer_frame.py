"""Frames of any content, damaged in any way."""

from __future__ import annotations

from buffer_frames import unplaced
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.buffer.frame import MAX_TENANT_BYTES, BidMark, Frame, decode, encode
from pipeline.buffer.segment import encode_header, find_later, frames

U32 = st.integers(0, (1 << 32) - 1)
I64 = st.integers(-(1 << 63), (1 << 63) - 1)
U64 = st.integers(0, (1 << 64) - 1)
MARKS = st.builds(BidMark, st.binary(min_size=16, max_size=16), U32, st.booleans())
FRAMES = st.builds(
    Frame,
    tenant=st.text(st.characters(codec="utf-8"), max_size=MAX_TENANT_BYTES // 4),
    records=U32,
    inflated=U32,
    min_ns=I64,
    max_ns=I64,
    bids=st.lists(MARKS, max_size=5).map(tuple),
    counters=st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=9), I64, max_size=4),
    payload=st.binary(max_size=300),
    streams=U64,
)


@given(FRAMES, U64, U64, U32, st.binary(max_size=20))
def test_any_frame_comes_back(frame: Frame, position: int, durable: int, seconds: int, before: bytes) -> None:
    """Whatever fits the types fits the format."""
    data = encode(frame, position, durable, seconds)
    found = decode(before + data, len(before), position)
    assert found is not None
    assert unplaced(found) == unplaced(frame)
    assert (found.position, found.durable, found.seconds) == (position, durable, seconds)


@given(FRAMES, st.data())
def test_no_changed_bytes_decode(frame: Frame, draw: st.DataObject) -> None:
    """Some bytes are replaced by others: that is no frame, whatever follows."""
    data = encode(frame, 0, 0, 0)
    at = draw.draw(st.integers(0, len(data) - 1))
    other = draw.draw(st.binary(min_size=1, max_size=len(data) - at))
    changed = data[:at] + other + data[at + len(other) :]
    assert (decode(changed + bytes(500), 0, 0) is not None) == (changed == data)


@given(st.binary(max_size=400), U64)
def test_noise_is_no_frame(noise: bytes, position: int) -> None:
    """Nor does it raise."""
    assert decode(noise, 0, position) is None
    assert decode(b"HRF1\1\0" + noise, 0, position) is None


@settings(max_examples=50)
@given(st.lists(FRAMES, min_size=1, max_size=5), st.data())
def test_a_cut_segment_keeps_its_whole_frames(made: list[Frame], draw: st.DataObject) -> None:
    """The frames before the cut, and not one more."""
    data = encode_header(77)
    ends = [len(data)]
    for frame in made:
        data += encode(frame, 77 + len(data), 77, 0)
        ends.append(len(data))
    size = draw.draw(st.integers(ends[0], len(data)))
    found = list(frames(data[:size], 77))
    assert len(found) == sum(end <= size for end in ends[1:])
    assert [unplaced(frame) for frame in found] == [unplaced(frame) for frame in made[: len(found)]]


@given(st.lists(FRAMES, min_size=2, max_size=4), st.data())
def test_only_a_later_write_proves_damage(made: list[Frame], draw: st.DataObject) -> None:
    """Frames of one write say nothing of one another; a frame of the next one knows all of them."""
    data = encode_header(0)
    starts = []
    for frame in made:
        starts.append(len(data))
        data += encode(frame, len(data), starts[0], 0)
    broken = draw.draw(st.sampled_from(starts))
    data = data[:broken] + b"\0" + data[broken + 1 :]
    assert find_later(data, 0, broken) is None
    later = len(data)
    data += encode(made[0], later, later, 0)
    assert find_later(data, 0, broken) == later
