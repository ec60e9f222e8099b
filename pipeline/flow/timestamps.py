"""Times as clients write them, to unix nanoseconds and the precision they were written with.

Understood: RFC 3339 (section 5.6; also a space for the ``T``, ``+0100`` and ``+01``, a comma before
the fraction), and epoch numbers in s, ms, us or ns, told apart by magnitude, as int, float or text.
A date and time without an offset is not understood: it could be any time within a day.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import islice
from operator import lt
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Time = tuple[int, int]
"""Unix ns, and how many of the nine decimal digits of the second the writer left unused."""

MAX_NS: Final = (1 << 63) - 1 - 10 * 10**9
"""Ten seconds below what 63 bits hold: digits are filled up to a second more, equal times are moved apart."""
_MEMO_SIZE: Final = 4096
_POWERS: Final = tuple(10**n for n in range(10))
_SECOND = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d", re.ASCII)
_TAIL = re.compile(r"(?:[.,](\d+))?(?:[Zz]|([+-])(\d\d)(?::?(\d\d))?)", re.ASCII)
_NUMBER = re.compile(r"(\d{1,19})(?:\.(\d*))?", re.ASCII)
_SMALLEST_NS_FLOAT: Final = 1e16
_NINE: Final = 9
_LAST_HOUR, _LAST_MINUTE = 23, 59

# Units by magnitude: 10**11 s is the year 5138, 10**11 ms is 1973; so 1973 to 5138 is unambiguous.
_UNITS: Final = ((10**11, 9), (10**14, 6), (10**17, 3), (MAX_NS + 1, 0))

_USUAL = 27
_COLUMN = 50
"""Rows for which numpy pays."""
_MICROS = np.array([10**8, 10**7, 10**6, 10**5, 10**4, 10**3], np.int64)
"""Nanoseconds of the six digits of a microsecond."""

_seconds: dict[str, int] = {}
"""``YYYY-MM-DD hh:mm:ss`` to its unix ns as UTC; only seconds that are usable as UTC."""


def parse_time(value: object) -> Time | None:
    """Return ``(ns, unused digits)``, or None when the value is no usable time.

    A usable time lies after 1970-01-01T00:00:00Z and at most at `MAX_NS` (year 2262). An
    epoch in ns counts as using all digits, though a writer with a float clock does not.
    """
    if type(value) is str:
        base = _seconds.get(value[:19])
        if base is None:
            return _rfc3339(value) if _SECOND.match(value) else _number(value)
        # The usual tails are ``.123456Z`` and ``.123456+00:00``; everything else takes the long way.
        digits = value[20:-1] if value[-1] == "Z" else value[20:-6] if value.endswith("+00:00") else ""
        if digits.isdigit() and value[19] == "." and len(digits) <= _NINE and value.isascii():
            unused = _NINE - len(digits)
            return base + int(digits) * _POWERS[unused], unused
        return _general(base, value[19:])
    if type(value) is int:
        return _scaled(value, "")
    if type(value) is float:
        if value >= _SMALLEST_NS_FLOAT:
            return _scaled(int(value), "") if value <= MAX_NS else None
        return _number(repr(value))
    return None


def parse_times(values: list[Any]) -> Sequence[Time | None]:
    """Parse a column: `parse_time` of each."""
    return [parse_time(value) for value in values]


def parse_micros(values: list[Any]) -> NDArray[np.int64] | None:
    """Parse a column of ``YYYY-MM-DDThh:mm:ss.ffffffZ``, the form of most clients, in a few native calls.

    Returns:
        Unix ns, with three unused digits; None when the column is short, or a value has another form.
    """
    count = len(values)
    if count < _COLUMN:
        return None
    try:
        text = "".join(values)
    except TypeError:
        return None
    if len(text) != _USUAL * count or max(map(len, values)) != _USUAL or not text.isascii():
        return None
    grid = np.frombuffer(text.encode("ascii"), np.uint8).reshape(count, _USUAL)
    digits = grid[:, 20:26] - ord("0")
    if digits.max() > _NINE or (grid[:, 19] != ord(".")).any() or (grid[:, 26] != ord("Z")).any():
        return None
    seconds = np.ascontiguousarray(grid[:, :19]).view("S19").ravel()
    firsts = np.concatenate(([0], np.flatnonzero(seconds[1:] != seconds[:-1]) + 1))
    bases = [_second(values[row]) for row in firsts]
    if None in bases:
        return None
    return np.repeat(np.array(bases, np.int64), np.diff(firsts, append=count)) + digits @ _MICROS


def _second(value: str) -> int | None:
    """Return the unix ns of the second that a time in UTC begins with."""
    base = _seconds.get(value[:19])
    if base is None and _SECOND.match(value):
        _rfc3339(value)
        base = _seconds.get(value[:19])
    return base


def _rfc3339(text: str) -> Time | None:
    """Return the time of a text that begins like a date and time whose second is not in the memo."""
    second = text[:19]
    leap = second.endswith(":60")
    try:
        moment = datetime.fromisoformat((second[:17] + "59" if leap else second).upper())
    except ValueError:
        return None
    base = (int(moment.replace(tzinfo=UTC).timestamp()) + leap) * _POWERS[_NINE]
    if 0 < base <= MAX_NS - _POWERS[_NINE]:
        if len(_seconds) >= _MEMO_SIZE:
            _seconds.clear()
        _seconds[second] = base
    return _general(base, text[19:])


def _general(base: int, tail: str) -> Time | None:
    """Return the time of a second, unix ns as if it were UTC, and what follows it: fraction and offset."""
    found = _TAIL.fullmatch(tail)
    if found is None:
        return None
    digits, sign, hours, minutes = found.groups()
    if sign is not None:
        shift = int(hours) * 3600 + int(minutes or 0) * 60
        if int(hours) > _LAST_HOUR or int(minutes or 0) > _LAST_MINUTE:
            return None
        base += (-shift if sign == "+" else shift) * _POWERS[_NINE]
    digits = (digits or "")[:_NINE]
    unused = _NINE - len(digits)
    ns = base + int(digits or 0) * _POWERS[unused]
    return (ns, unused) if 0 < ns <= MAX_NS else None


def _number(text: str) -> Time | None:
    """Return the time of an epoch number in text; its fraction tells the precision."""
    found = _NUMBER.fullmatch(text)
    if found is None:
        return None
    return _scaled(int(found[1]), found[2] or "")


def _scaled(whole: int, fraction: str) -> Time | None:
    if whole < 0:
        return None
    for limit, unused in _UNITS:
        if whole < limit:
            digits = fraction[:unused]
            left = unused - len(digits)
            ns = whole * _POWERS[unused] + int(digits or 0) * _POWERS[left]
            return (ns, left) if 0 < ns <= MAX_NS else None
    return None


class Apart:
    """Keeps the times of one large request distinct over all its slices.

    Equal lines of one nanosecond are told apart where a slice is encoded, but no slice knows the lines of the
    others, and Loki would fold what two slices put into the same nanosecond. So here every time that
    came before moves to the next nanosecond that is free, whatever its line.
    """

    __slots__ = ("_latest", "_next", "_ordered", "_taken")

    def __init__(self) -> None:
        self._ordered: list[list[int]] = []
        self._latest = 0
        self._taken: set[int] = set()
        self._next: dict[int, int] = {}

    def move(self, times: list[int]) -> list[int]:
        """Return the times, unix ns, of the next slice; usually the list as it is."""
        if times and times[0] > self._latest and all(map(lt, times, islice(times, 1, None))):
            # Later than everything before, and in order: nothing can be equal, and nobody needs the set yet.
            self._ordered.append(times)
            self._latest = times[-1]
            return times
        self._taken.update(*self._ordered)
        self._ordered.clear()
        here = set(times)
        if len(here) == len(times) and here.isdisjoint(self._taken):
            self._taken |= here
        else:
            times = [self._free(ns) for ns in times]
        self._latest = max(self._latest, *times) if times else self._latest
        return times

    def _free(self, ns: int) -> int:
        free = ns
        # Follows the moves before, so that a thousand equal times are not a million steps.
        while free in self._taken:
            free = self._next.get(free, free + 1)
        self._taken.add(free)
        self._next[ns] = free + 1
        return free
