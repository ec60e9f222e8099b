"""Looks for the values of keyword rules around their keywords.

Keywords are only noted while a batch is judged. They are settled together at its end, when it is known
what else is masked: that ends the neighbourhood of a keyword on its side, in this pass as in a second
one, in which a placeholder stands there. Windows of neighbouring keywords are joined, so a text is walked
once for each rule however often its keyword stands in it.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from itertools import islice
from typing import TYPE_CHECKING

from processors.masking import decode
from processors.masking.decode import LOOK, STRING, Edit, Unit, skip_space

if TYPE_CHECKING:
    from processors.masking.keywords import Keywords
    from processors.masking.placeholders import Placeholders

_DIGEST = re.compile(rb"[0-9A-Fa-f]{32,64}|[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_WORD_BEFORE = re.compile(rb"([A-Za-z0-9]{1,20})[ \t]{0,2}[:=#]?[ \t]{0,2}[\"'(]?\Z")
_IDS = frozenset(
    b"trace span request req for deployed commit commits sha sha1 sha256 sha512 md5 digest etag checksum revision rev hash"
    b" fingerprint image blob tree object version build uuid guid traceid spanid requestid correlation job run node pod"
    b" container transaction txn tx order event message msg ref branch tag layer artifact".split()
)
"""Words that tell what a digest or UUID beside a vendor's name is instead."""
NEAR = 40
"""So many bytes may stand between a keyword and its value."""
_LONGEST_BEFORE = 160
"""A value before a keyword may be so long."""
_BEGINNING = 64
"""In the string of a key that holds a keyword, values begin within so many bytes."""
_ITEMS_BELOW = 40
"""So many strings, numbers and brackets of an array or object under such a key are looked at."""
_NUMBER = re.compile(rb"-?([0-9]++)(?:\.0*+)?(?:[eE][-+]?0++)?(?![0-9.eE+\-])")
"""A JSON number that is whole as it is written."""
_ITEM = re.compile(STRING.pattern + rb"([ \t\r\n]*+:)?|[\[{]|[\]}]|-?[0-9][0-9.eE+\-]*+", re.DOTALL)
_VALUE_KEY = re.compile(rb'"(?i:value|val|v|content|data|default)"[ \t\r\n]*+:')
VALUE_KEYS = frozenset((b"value", b"val", b"v", b"content", b"data", b"default"))
NAME_KEYS = frozenset((b"name", b"key", b"field", b"header", b"param", b"parameter", b"k", b"n", b"label",
                       b"property", b"variable", b"attribute"))  # fmt: skip

Window = tuple[int, int, int, int]
"""(low, high, begin, end): values that begin or end in ``begin..end`` count, within ``low..high``."""


class Nearby:
    """Turns noted keywords into edits.

    Args:
        keywords: The rules.
        placeholders: Ours; a detector's name there is no keyword.
    """

    def __init__(self, keywords: Keywords, placeholders: Placeholders) -> None:
        self._keywords = keywords
        self._placeholders = placeholders
        self._noted: dict[Unit, list[tuple[int, int, int, int]]] = {}
        self._windows: dict[tuple[Unit, int], list[Window]] = {}
        self._masked: dict[Unit, _Masked] = {}
        self._clean = _Masked(Unit(b"", False, 0), placeholders)

    def forget(self) -> None:
        """Begin a batch."""
        self._noted = {}
        self._windows = {}
        self._masked = {}

    def note(self, unit: Unit, low: int, high: int, end: int, keyword: int) -> None:
        """Remember a keyword that ends at ``end`` in the string, or text, ``low..high`` of a unit."""
        self._noted.setdefault(unit, []).append((low, high, end, keyword))

    def settle(self) -> None:
        """Add the edits that the noted keywords lead to."""
        if not self._noted:
            return
        for unit, events in self._noted.items():
            masked = self._in(unit)
            for event in events:
                self._look(unit, masked, *event)
        # The first rule of a pack wins, whatever keyword was read first.
        for (unit, place), windows in sorted(self._windows.items(), key=lambda item: item[0][1]):
            self._search(unit, self._in(unit), place, windows)
        self.forget()

    def _in(self, unit: Unit) -> _Masked:
        """Return what of a unit was masked before any keyword was looked at."""
        masked = self._masked.get(unit)
        if masked is None:
            is_clean = not unit.edits and b"[" not in unit.text  # most are
            masked = self._clean if is_clean else _Masked(unit, self._placeholders)
            self._masked[unit] = masked
        return masked

    def _look(self, unit: Unit, masked: _Masked, low: int, high: int, end: int, tag: int) -> None:
        keyword = self._keywords.keywords[tag]
        start = max(low, end - keyword.size)
        end = min(end, high)
        unit.walk(LOOK // 4)
        if masked.holds(end - 1):
            return
        # What names a value ends with the keyword, or soon behind it.
        ends = high - end <= NEAR and masked.between(low, high, end)[1] == high
        if unit.is_json:
            self._as_name(unit, low - 1, high + 1, keyword.rules, ends=ends)
        else:
            parent = unit.parent
            if (
                parent is not None
                and unit.marks is None
                and not unit.wrapped
                and self._as_name(parent, unit.start - 1, unit.end + 1, keyword.rules, ends=ends)
            ):
                return
            low, high = _line(unit.text, low, high, start, end)
        low, high = masked.between(low, high, end)
        window = low, high, max(low, start - NEAR), min(high, end + NEAR)
        for place in keyword.rules:
            self._windows.setdefault((unit, place), []).append(window)

    def _as_name(self, unit: Unit, opening: int, after: int, rules: tuple[int, ...], *, ends: bool) -> bool:
        """Look at the value that a JSON string names; tell whether the string is a key.

        Args:
            unit: Where the string lies.
            opening, after: Its opening quote, and just behind its closing one.
            rules: What a keyword in it stands for.
            ends: The keyword stands near its end: it may name what follows.
        """
        text = unit.text
        behind = skip_space(text, after)
        if text[behind : behind + 1] == b":":
            self._value(unit, behind + 1, rules)
            return True
        if not ends:
            return False
        before = opening - 1
        while before > 0 and text[before] in b" \t\r\n":
            before -= 1
        if before < 0:
            return False
        if text[before] == 0x3A:
            if unit.holes or _key_before(text, before) in NAME_KEYS:
                for begin in _siblings(unit).get(opening, ()):
                    self._value(unit, begin, rules)
        elif text[behind : behind + 1] == b",":
            self._item_after(unit, behind + 1, rules)
        return False

    def _item_after(self, unit: Unit, position: int, rules: tuple[int, ...]) -> None:
        """Look at what follows a string in an array, as in ``["X-Api-Key", "…"]``."""
        begin = skip_space(unit.text, position)
        if unit.text[begin : begin + 1] != b'"' and unit.text[begin : begin + 1] not in b"-0123456789":
            return
        self._value(unit, begin, rules)

    def _value(self, unit: Unit, position: int, rules: tuple[int, ...]) -> None:
        text = unit.text
        begin = skip_space(text, position)
        first = text[begin : begin + 1]
        if first in (b"{", b"["):
            self._container(unit, begin, rules)
        elif first == b'"':
            found = STRING.match(text, begin)
            if found:
                self._string(unit, *found.span(), rules)
        elif first in (b"-", *(b"%d" % digit for digit in range(10))):
            self._number(unit, begin, rules)

    def _string(self, unit: Unit, start: int, stop: int, rules: tuple[int, ...]) -> None:
        """Look at the beginning of a JSON string, or of its decoded form."""
        low, high = start + 1, stop - 1
        inner = unit.inner(start)
        if inner is not None:
            unit, low, high = inner, 0, len(inner.text)
            if unit.text[:1] in (b"{", b"[") and (unit.is_json or decode.parses(unit.text)):
                self._container(unit, 0, rules)
                return
        high = self._in(unit).between(low, high, low)[1]
        window = low, high, low, min(high, low + _BEGINNING)
        for place in rules:
            self._windows.setdefault((unit, place), []).append(window)

    def _number(self, unit: Unit, begin: int, rules: tuple[int, ...]) -> None:
        """Look at a JSON number; it is replaced whole, by a string."""
        whole = _NUMBER.match(unit.text, begin)
        if whole is None:
            return
        start, stop = whole.span(1)
        unit.walk(LOOK)
        for place in rules:
            value = self._keywords.values[place]
            if next(value.find(unit.text, start, stop, start, stop), None) is not None:
                unit.edits.append(Edit(*whole.span(), value.name, quoted=True))
                return

    def _container(self, unit: Unit, begin: int, rules: tuple[int, ...]) -> None:
        """Look at the strings and numbers in a small array or object."""
        depth = 0
        end = begin
        for found in islice(_ITEM.finditer(unit.text, begin), _ITEMS_BELOW):
            first, end = found[0][:1], found.end()
            if first in (b"{", b"["):
                depth += 1
            elif first in (b"}", b"]"):
                depth -= 1
                if depth == 0:
                    break
            elif first != b'"':
                self._number(unit, found.start(), rules)
            elif not found[1]:
                self._string(unit, *found.span(), rules)
        unit.walk(LOOK + end - begin)

    def _search(self, unit: Unit, masked: _Masked, place: int, windows: list[Window]) -> None:
        """Search the joined windows of one rule."""
        value = self._keywords.values[place]
        windows.sort(key=lambda window: window[3])
        ends = [window[3] for window in windows]
        position = 0
        for begin, limit, low, high in _joined(windows):
            unit.walk(LOOK + limit - begin)
            for start, stop in value.find(unit.text, max(begin, position), limit, low, high):
                position = stop
                if (
                    _near(windows, bisect_left(ends, start), stop)
                    and not masked.touches(start, stop)
                    and not self._placeholders.only(unit.text[start:stop])
                    and not _is_other_id(unit.text, start, stop)
                ):
                    unit.edits.append(Edit(start, stop, value.name))


def _is_other_id(text: bytes, start: int, stop: int) -> bool:
    """Tell whether the word before a digest or UUID says that it is something else than a key."""
    if text[max(0, start - 7) : start].endswith((b"sha512-", b"sha384-", b"sha256-")):
        return True
    value = text[start:stop]
    if not _DIGEST.fullmatch(value):
        return False
    word = _WORD_BEFORE.search(text, max(0, start - 24), start)
    return word is not None and word[1].lower() in _IDS


def _joined(windows: list[Window]) -> list[tuple[int, int, int, int]]:
    """Return (begin, limit, low, high) of what is searched: windows that overlap become one."""
    joined: list[tuple[int, int, int, int]] = []
    for low, high, first, last in windows:
        begin = max(low, first - _LONGEST_BEFORE)
        if joined and begin <= joined[-1][1]:
            before = joined[-1]
            joined[-1] = before[0], max(last, before[1]), before[2], max(high, before[3])
        else:
            joined.append((begin, last, low, high))
    return joined


def _near(windows: list[Window], first: int, stop: int) -> bool:
    """Tell whether a value lies in a window, of those from ``first`` that do not end before it."""
    return any(high >= stop and begin <= stop for _, high, begin, _ in windows[first : first + 4])


class _Masked:
    """What of a unit is masked already, or was before.

    Args:
        unit: Its edits are known.
        placeholders: Ours.
    """

    def __init__(self, unit: Unit, placeholders: Placeholders) -> None:
        shapes = [(edit.start, edit.end) for edit in unit.edits if not edit.field]
        spans = sorted([*shapes, *placeholders.spans(unit.text)])
        self._starts = [start for start, _ in spans]
        self._ends = [end for _, end in spans]
        self._fields = sorted((edit.start, edit.end) for edit in unit.edits if edit.field)

    def holds(self, position: int) -> bool:
        """Tell whether a shape was found at a position."""
        place = bisect_right(self._starts, position) - 1
        return place >= 0 and position < self._ends[place]

    def between(self, low: int, high: int, end: int) -> tuple[int, int]:
        """Narrow ``low..high`` around a keyword that ends at ``end`` to what is not masked on either side of it.

        The value of a field still counts, since a rule tells more of it; but nothing behind it.
        """
        if not self._starts and not self._fields:
            return low, high
        place = bisect_left(self._starts, end)
        if place < len(self._starts):
            high = min(high, self._starts[place])
        if place:
            low = max(low, self._ends[place - 1])
        place = bisect_left(self._fields, (end, 0))
        if place < len(self._fields):
            high = min(high, self._fields[place][1])
        if place and self._fields[place - 1][1] < end:
            low = max(low, self._fields[place - 1][0])
        return low, high

    def touches(self, start: int, stop: int) -> bool:
        """Tell whether a span overlaps what is masked, or sticks to it."""
        place = bisect_left(self._ends, start)
        return place < len(self._starts) and self._starts[place] <= stop


def _line(text: bytes, low: int, high: int, start: int, end: int) -> tuple[int, int]:
    """Return the part of the line around a keyword that may matter."""
    far = NEAR + _LONGEST_BEFORE
    before = text.rfind(b"\n", max(low, start - far), start)
    if before >= 0:
        low = before + 1
    after = text.find(b"\n", end, high)
    return low, high if after < 0 else after


def _key_before(text: bytes, colon: int) -> bytes:
    closing = text.rfind(b'"', max(0, colon - 8), colon)
    opening = text.rfind(b'"', max(0, closing - 16), max(0, closing))
    return text[opening + 1 : closing].lower() if 0 <= opening < closing else b""


def _siblings(unit: Unit) -> dict[int, tuple[int, ...]]:
    """Return the places of an object's values by the place of its name, of all name/value pairs."""
    if unit.siblings is None:
        unit.siblings = {}
        if unit.holes or _VALUE_KEY.search(unit.text):
            unit.walk(len(unit.text))
            for _, places in decode.flat_objects(unit.text):
                values = tuple(begin for key, begin in places if key.lower() in VALUE_KEYS)
                unit.siblings.update({begin: values for key, begin in places if key.lower() in NAME_KEYS})
    return unit.siblings
