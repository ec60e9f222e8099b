"""Which encoded rows share a frame."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from pipeline.flow.frames import FRAME_BYTES, group_fragments
from pipeline.streams import Fragment, Fragments


def fragments(*pieces: tuple[int, int]) -> Fragments:
    """Pieces of (stream, bytes), a record each."""
    made = [Fragment(b"x" * size, 1, 1, 2, frozenset((mark,))) for mark, size in pieces]
    return Fragments(made, len(made), 1, 2)


SIZES = st.sampled_from([1, 1000, 40_000, 70_000, 600_000, FRAME_BYTES, FRAME_BYTES + 1])


@given(st.lists(st.lists(st.tuples(st.integers(0, 3), SIZES), min_size=1, max_size=6), max_size=6))
def test_frames_are_bounded_and_hold_every_piece_once(batches):
    """However many requests come together, a frame is at most 1 MiB inflated unless one piece is larger."""
    given_in = [fragments(*pieces) for pieces in batches]
    groups = group_fragments(given_in)

    for group in groups:
        assert len(group) == 1 or sum(len(piece.data) for piece in group) + len(group) - 1 <= FRAME_BYTES
    found = Counter(id(piece) for group in groups for piece in group)
    assert found == Counter(id(piece) for batch in given_in for piece in batch.pieces)


def test_a_large_stream_has_frames_of_its_own_and_small_ones_share():
    """What is large goes to Loki as it lies in the buffer; one frame for each small stream would cost too much."""
    groups = group_fragments([fragments((1, 40_000), (2, 10), (3, 20)), fragments((1, 40_000), (2, 10))])

    assert [[(sum(piece.marks), len(piece.data)) for piece in group] for group in groups] == [
        [(1, 40_000), (1, 40_000)],
        [(2, 10), (2, 10), (3, 20)],
    ]
