"""How a rule's field name finds values in a record.

A name is a dotted path: ``user.name`` finds ``{"user": {"name": …}}``, the flat key
``{"user.name": …}``, and every mixture of the two. Arrays on the way or at the end count as
their members. A rule pack may define aliases: a name that stands for several paths, whose
values are taken together, in order. Names are compared with regard to case.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Values = Callable[[Mapping[str, Any]], list[Any]]
"""The members a field has in a record: scalars, None and objects; empty when it is absent."""

_SHAPES = 256
"""Sets of top-level keys whose starts are remembered, per field."""

MAX_SEGMENTS = 6
"""Segments of a path; every way to cut a path is tried, so their number must be small."""


class TextRecord(dict[str, Any]):
    """A plain-text line as a record: keyword tests find the text, no path can name its key."""

    def __init__(self, text: str) -> None:
        super().__init__({"": text})


def values_of(paths: tuple[str, ...]) -> Values:
    """Compile paths into a function that collects their values in order."""
    starts = starts_of(paths)
    return lambda record: gather(record, starts(record))


def gather(record: Mapping[str, Any], starts: list[Start]) -> list[Any]:
    """Collect the values of paths whose ``starts`` in the record are known."""
    found: list[Any] = []
    for _, key, below in starts:
        value = record[key]
        if below is None or type(value) in _CONTAINERS:
            _step(value, below, found)
    return found


def presence_of(paths: tuple[str, ...]) -> Callable[[Mapping[str, Any]], bool]:
    """Compile paths into a test whether one is there, be its value null or an empty array."""
    starts = starts_of(paths)

    def test(record: Mapping[str, Any]) -> bool:
        return any(below is None or _reaches(record[key], below) for _, key, below in starts(record))

    return test


def first_of(record: Mapping[str, Any], starts: list[Start], pick: Callable[[Any], Any]) -> list[Any]:
    """Collect from the first path that has any value of use.

    Args:
        record: Where to look.
        starts: Where its paths start, best first.
        pick: Makes what is wanted of a value; None where it is of no use.
    """
    for _, key, below in starts:
        value = record[key]
        if below is None and type(value) is str:
            if (one := pick(value)) is not None:
                return [one]
            continue
        found: list[Any] = []
        _step(value, below, found)
        picked = [one for value in found if (one := pick(value)) is not None]
        if picked:
            return picked
    return []


def starts_of(paths: tuple[str, ...]) -> Callable[[Mapping[str, Any]], list[Start]]:
    """Return a function that finds the top-level keys of a record where the paths may begin.

    An alias has twenty paths and a record few of them, so the keys are intersected first, once for all records of a shape.
    """
    by_key: dict[str, list[Start]] = {}
    for place, path in enumerate(paths):
        for key, below in _cuts(tuple(path.split("."))):
            by_key.setdefault(key, []).append((place, key, below))
    common = frozenset(by_key).intersection
    known: dict[tuple[str, ...], list[Start]] = {}

    def starts(record: Mapping[str, Any]) -> list[Start]:
        shape = tuple(record)
        found = known.get(shape)
        if found is None:
            if len(known) >= _SHAPES:
                known.clear()
            keys = common(shape)
            found = known[shape] = sorted([start for key in keys for start in by_key[key]], key=_rank)
        return found

    return starts


def texts_of(record: Mapping[str, Any]) -> list[str]:
    """Return every string value of a record at any depth, without the keys."""
    found: list[str] = []
    stack: list[Any] = [record]
    while stack:
        node = stack.pop()
        if isinstance(node, str):
            found.append(node)
        elif isinstance(node, dict):
            stack.extend(node.values())
        elif isinstance(node, list):
            stack.extend(node)
    return found


_CONTAINERS = (dict, list)

_Ways = tuple[tuple[str, Any], ...]
Start = tuple[int, str, Any]
"""Place of the path among its paths, top-level key, ways to go on below it (None: the end)."""


def _rank(start: Start) -> tuple[int, int]:
    return start[0], len(start[1])


def _cuts(segments: tuple[str, ...]) -> _Ways:
    """Return (key, ways to go on below it) for every first key that the path may have."""
    return tuple(
        (".".join(segments[:cut]), _cuts(segments[cut:]) if cut < len(segments) else None)
        for cut in range(1, len(segments) + 1)
    )


def _step(value: Any, below: _Ways | None, found: list[Any]) -> None:
    """Collect what ``value`` holds: itself at the end of a path, else what lies below."""
    members = _members(value) if type(value) is list else (value,)
    if below is None:
        found.extend(members)
        return
    for member in members:
        if type(member) is dict:
            for key, rest in below:
                if key in member:
                    _step(member[key], rest, found)


def _reaches(value: Any, below: _Ways) -> bool:
    members = _members(value) if type(value) is list else (value,)
    return any(
        key in member and (rest is None or _reaches(member[key], rest))
        for member in members
        if type(member) is dict
        for key, rest in below
    )


def _members(array: list[Any]) -> list[Any]:
    """Flatten nested arrays, in order."""
    if list not in map(type, array):
        return array
    found: list[Any] = []
    stack = array[::-1]
    while stack:
        value = stack.pop()
        if type(value) is list:
            stack.extend(reversed(value))
        else:
            found.append(value)
    return found
