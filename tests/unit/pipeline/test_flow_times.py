"""Times of a large request that is taken slice by slice."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from pipeline.flow.timestamps import Apart

SLICES = st.lists(st.lists(st.integers(10**18, 10**18 + 20), max_size=20), max_size=6)


@given(SLICES)
def test_times_are_distinct_over_all_slices(slices: list[list[int]]) -> None:
    """No two rows of a request share a nanosecond, and none moves back or further than rows there are."""
    apart = Apart()
    moved = [ns for times in slices for ns in apart.move(list(times))]
    before = [ns for times in slices for ns in times]
    assert len(set(moved)) == len(moved)
    assert all(0 <= new - old < max(len(before), 1) for new, old in zip(moved, before, strict=True))


@given(SLICES)
def test_a_time_that_did_not_come_before_stays(slices: list[list[int]]) -> None:
    """Distinct times are kept to the nanosecond."""
    distinct = list(dict.fromkeys(ns for times in slices for ns in times))
    apart = Apart()
    assert [
        ns for start in range(0, len(distinct), 7) for ns in apart.move(distinct[start : start + 7])
    ] == distinct


def test_many_equal_times_take_little_time() -> None:
    """A hundred thousand rows of one nanosecond, twice, are work of a moment and not of their square."""
    apart, start = Apart(), time.process_time()
    for ns in (10**18, 10**18 + 1):
        for _ in range(200):
            apart.move([ns] * 500)
    assert time.process_time() - start < 5
