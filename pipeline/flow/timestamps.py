"""Times as clients write them, to unix nanoseconds and the precision they were written with.

Understood: RFC 3339 (section 5.6; also a space for the ``T``, ``+0100`` and ``+01``, a comma before
the fraction), and epoch numbers in s, ms, us or ns, told apart by magnitude, as int, float or text.
A date and time without an offset is not understood: it could be any time within a day.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

Time = tuple[int, int]
"""Unix ns, and how many of the nine decimal digits of the second the writer left unused."""

MAX_NS: Final = (1 << 63) - 1
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

_seconds: dict[str, int] = {}
"""``YYYY-MM-DD hh:mm:ss`` to its unix ns as UTC; only seconds that are usable as UTC."""


def parse_time(value: object) -> Time | None:
    """Return ``(ns, unused digits)``, or None when the value is no usable time.

    A usable time lies after 1970-01-01T00:00:00Z and within 63 bits of nanoseconds (year 2262). An
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
    """Parse a column; the same as `parse_time` of each, with native calls where all have the usual form."""
    return _micros(values) or [parse_time(value) for value in values]


def _micros(values: list[Any]) -> list[Time] | None:
    """Parse a column of ``YYYY-MM-DDThh:mm:ss.ffffffZ`` in known seconds; None when one is something else."""
    try:
        text = "".join(values)
    except TypeError:
        return None
    count = len(values)
    if len(text) != _USUAL * count or set(map(len, values)) != {_USUAL} or not text.isascii():
        return None
    if text[19::_USUAL] != "." * count or text[26::_USUAL] != "Z" * count:
        return None
    if not all(text[place::_USUAL].isdigit() for place in range(20, 26)):
        return None
    known = _seconds
    try:
        return [(known[value[:19]] + int(value[20:26]) * 1000, 3) for value in values]
    except KeyError:  # a second that nobody asked for yet
        return None


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

    __slots__ = ("_next", "_taken")

    def __init__(self) -> None:
        self._taken: set[int] = set()
        self._next: dict[int, int] = {}

    def move(self, times: list[int]) -> list[int]:
        """Return the times, unix ns, of the next slice; usually the list as it is."""
        here = set(times)
        if len(here) == len(times) and here.isdisjoint(self._taken):
            self._taken |= here
            return times
        return [self._free(ns) for ns in times]

    def _free(self, ns: int) -> int:
        free = ns
        while (
            free in self._taken
        ):  # follows the moves before, so that a thousand equal times are not a million steps
            free = self._next.get(free, free + 1)
        self._taken.add(free)
        self._next[ns] = free + 1
        return free
