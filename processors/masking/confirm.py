"""Judges prefilter events on the unit they lie in.

In JSON the token around an event is found by counting quotes from the event before it, so a line is
walked once, however many events it holds. Strings with a backslash are skipped: their decoded
form is a unit of its own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from processors.masking import cookies, decode, handed, values, wrapped
from processors.masking.decode import LOOK, Edit, Unit
from processors.masking.nearby import NAME_KEYS, VALUE_KEYS, Nearby
from processors.masking.placeholders import NAME
from processors.masking.timed import Timed

if TYPE_CHECKING:
    from processors.masking.fields import FieldPolicy
    from processors.masking.finders import Finder
    from processors.masking.keywords import Keywords

FIELD = 0
"""Tag of events that end behind the colon or equals sign after a sensitive name."""
PAIR = 1
"""Tag of events that end behind the name in ``{"name": "password", "value": …}``."""
BASE64 = 2
"""Tag of events `wrapped.SIZE` characters behind the beginning of what looks like text in base64."""
HEX = 3
"""The same of hex."""
LONGEST_NAME = 200
"""A longer string names nothing that follows it in a list."""
HANDED = 4
"""Tag of events behind a sensitive name whose value is handed over otherwise than by colon or equals sign."""
KEY = 5
"""Tag of events behind the first words of a private key's BEGIN or END."""
FIRST_RULE = 6

_NUMBER = b"0123456789.eE+-"
_WHOLE = re.compile(rb"-?([0-9]+)(?:\.0*)?(?:[eE][-+]?0+)?")
"""A JSON number that is whole as it is written."""
_LONG = 256
"""A refused candidate that reaches so far beyond its event is not walked again."""


class Confirmer:
    """Turns events into edits.

    Args:
        finders: (name, confirmation) of each rule with a shape, in the order of tags from `FIRST_RULE`; the
            tags of keywords and of third-party detectors follow.
        keywords: The other rules.
        policy: Judges field names.
    """

    def __init__(
        self, finders: Sequence[tuple[str, Finder]], keywords: Keywords, policy: FieldPolicy
    ) -> None:
        self._finders = finders
        self._timed = [find for _, find in finders if isinstance(find, Timed)]
        self._policy = policy
        self.placeholders = policy.placeholders
        self._nearby = Nearby(keywords, policy.placeholders)
        self._first_keyword = FIRST_RULE + len(finders)
        self._first_third = self._first_keyword + len(keywords.keywords)
        self.seen: dict[int, set[int]] = {}
        """Third-party detectors whose literals were found, by row."""
        self.unwrapped: list[Unit] = []
        """Text in base64 or hex that was found and is to be scanned."""
        self.met_key = False
        """A BEGIN or END of a private key was met."""

    def forget(self) -> None:
        """Begin a batch: what a failed one noted for third parties is void, and its time."""
        self.seen = {}
        self._nearby.forget()
        self.unwrapped = []
        self.met_key = False
        for find in self._timed:
            find.begin()

    def settle(self) -> None:
        """Add the edits of keyword rules, when the units of a batch are judged."""
        self._nearby.settle()

    def judge(self, unit: Unit, events: list[tuple[int, int]]) -> None:
        """Add the edits that the (end, tag) events of a unit lead to."""
        if self.is_json(unit):
            self._judge_json(unit, events)
            return
        high = len(unit.text)
        for end, tag in events:
            self._confirm(unit, 0, high, end, tag)

    def is_json(self, unit: Unit) -> bool:
        """Tell whether a unit is JSON; of decoded text it is found out here."""
        if not unit.is_json and unit.level and unit.marks is None:
            unit.is_json = (
                unit.text.lstrip()[:1] in (b"{", b"[") and b'"' in unit.text and decode.parses(unit.text)
            )
        return unit.is_json

    def _judge_json(self, unit: Unit, events: list[tuple[int, int]]) -> None:
        text, holes = unit.text, unit.holes
        position = hole = 0
        inside = False
        low = high = -1
        for end, tag in events:
            if tag >= self._first_third:
                self._note(unit, tag)
                continue
            at = end - 1
            while hole < len(holes) and holes[hole][1] <= at:
                inside ^= text.count(b'"', position, holes[hole][0]) & 1 == 1
                position = max(position, holes[hole][1])
                hole += 1
            if hole < len(holes) and holes[hole][0] <= at:
                continue
            if at > position:
                inside ^= text.count(b'"', position, at) & 1 == 1
                position = at
            if inside and tag == PAIR:
                self._pairs(unit)
            elif inside:
                if not low <= at <= high:
                    low, high = text.rfind(b'"', 0, at) + 1, text.find(b'"', at)
                self._confirm(unit, low, high, end, tag)
            elif tag == FIELD:
                self._key_before(unit, end)
            elif tag == HANDED:
                self._listed(unit, end)
            elif tag < self._first_keyword:
                self._confirm_number(unit, end, tag)

    def _confirm(self, unit: Unit, low: int, high: int, end: int, tag: int) -> None:
        if tag >= self._first_third:
            self._note(unit, tag)
        elif tag == FIELD:
            found = values.text_value(unit.text, low, high, end, self._policy, covered=unit.covered)
            unit.walk(LOOK if found is None else LOOK + found[1] - found[0])
            if found is not None:
                start, stop, name = found
                unit.covered = start, stop
                parts = None
                if cookies.is_header(unit.text, start):
                    parts = cookies.secrets(unit.text, start, stop, self._policy.placeholders)
                spans = [(start, stop)] if parts is None else parts
                unit.edits += [Edit(*span, name, field=True) for span in spans]
        elif tag == HANDED:
            self._handed(unit, low, high, end)
        elif tag == KEY:
            self.met_key = True
        elif tag in (BASE64, HEX):
            self._unwrap(unit, low, high, end, tag)
        elif tag >= self._first_keyword:
            self._nearby.note(unit, low, high, end, tag - self._first_keyword)
        elif tag >= FIRST_RULE:
            done = unit.done.get(tag, 0)
            if end <= done or end <= unit.refused.get(tag, 0):
                return
            name, find = self._finders[tag - FIRST_RULE]
            start, stop, seen = find(unit.text, max(low, done), high, min(end, high))
            unit.walk(LOOK + max(0, seen - end))
            if start >= 0:
                unit.done[tag] = stop
                if not self._policy.placeholders.only(unit.text[start:stop]):
                    unit.edits.append(Edit(start, stop, name))
            elif seen > end + _LONG:
                unit.refused[tag] = seen

    def _listed(self, unit: Unit, end: int) -> None:
        """Mask what follows a name, or a command, in a JSON array."""
        text = unit.text
        closing = text.rfind(b'"', max(0, end - 8), end)
        opening = text.rfind(b'"', max(0, closing - LONGEST_NAME), max(0, closing))
        if opening < 0:
            return
        name = text[opening + 1 : closing]
        if handed.in_json(text, name, opening, end, self._policy):
            self.field(unit, name.lstrip(b"-"), end)
            return
        unit.walk(LOOK)
        for start, stop in handed.arguments(unit.text, end):
            unit.walk(LOOK)
            if not self._policy.placeholders.only(unit.text[start:stop]):
                unit.edits.append(Edit(start, stop, NAME, field=True))

    def _handed(self, unit: Unit, low: int, high: int, end: int) -> None:
        if end <= unit.done.get(HANDED, 0):
            return
        found = handed.in_text(unit.text, low, high, end, self._policy)
        unit.walk(LOOK)
        if found is not None:
            start, stop, name = found
            unit.walk(stop - start)
            unit.done[HANDED] = stop
            unit.edits.append(Edit(start, stop, self._policy.detector(name), field=True))

    def _unwrap(self, unit: Unit, low: int, high: int, end: int, tag: int) -> None:
        if end <= unit.done.get(tag, 0):
            return
        child = wrapped.unwrap(unit, low, high, end, is_hex=tag == HEX)
        if child is not None:
            unit.done[tag] = child.end
            if wrapped.is_login(child.text):
                unit.edits.append(Edit(child.start, child.end, NAME, field=True))
            else:
                self.unwrapped.append(child)

    def _confirm_number(self, unit: Unit, end: int, tag: int) -> None:
        """Judge a JSON number; it is replaced whole, by a string."""
        text = unit.text
        low = high = end - 1
        while low > 0 and text[low - 1] in _NUMBER and high - low < 64:
            low -= 1
        while high < len(text) and text[high] in _NUMBER and high - low < 128:
            high += 1
        whole = _WHOLE.fullmatch(text, low, high)
        if whole is not None and tag >= FIRST_RULE:
            name, find = self._finders[tag - FIRST_RULE]
            start, stop = whole.span(1)
            unit.walk(LOOK)
            if find(text, start, stop, min(end, stop))[0] >= 0:
                unit.edits.append(Edit(low, high, name, quoted=True))

    def _key_before(self, unit: Unit, end: int) -> None:
        text = unit.text
        closing = text.rfind(b'"', 0, end)
        opening = text.rfind(b'"', 0, closing) + 1
        self.field(unit, text[opening:closing], end)

    def field(self, unit: Unit, name: bytes, position: int) -> None:
        """Mask the JSON value behind the colon at ``position`` when the name is sensitive."""
        strength = self._policy(name)
        if not strength:
            return
        if unit.edits and unit.edits[-1].start <= position < unit.edits[-1].end:
            return  # inside a container that is masked whole
        self._mask_value(unit, name, strength, position)

    def escaped_key(self, unit: Unit, name: bytes, position: int) -> None:
        """Judge a key that the prefilter could not read, by its decoded form."""
        self.field(unit, name, position)
        if name.lower() in NAME_KEYS:
            self._pairs(unit)

    def named(self, unit: Unit, name: bytes, opening: int, after: int) -> None:
        """Look for what an escaped string between ``opening`` and ``after`` may name, when it reads sensitive."""
        if unit.text[after : after + 1] == b"," and handed.in_json(
            unit.text, name, opening, after + 1, self._policy
        ):
            self.field(unit, name.lstrip(b"-"), after + 1)
        if self._policy(name):
            self._pairs(unit)

    def _mask_value(self, unit: Unit, name: bytes, strength: int, position: int) -> None:
        start, stop, quoted, secret = values.json_span(unit.text, position, name, strength, self._policy)
        unit.walk(LOOK + 2 * (stop - start))  # it may hold values that are walked again
        if not secret:
            return
        detector = self._policy.detector(name)
        parts = None
        if not quoted and name.lower().endswith(b"cookie"):
            place = unit.inner(start - 1)
            text = (place or unit).text
            span = (start, stop) if place is None else (0, len(text))
            parts = cookies.secrets(text, *span, self._policy.placeholders)
            if parts is not None:
                (place or unit).edits += [Edit(*part, detector, field=True) for part in parts]
        if parts is None:
            unit.edits.append(Edit(start, stop, detector, quoted, field=True))

    def _pairs(self, unit: Unit) -> None:
        """Mask the values of all name/value pairs of a JSON unit, in one pass over its tokens."""
        if unit.paired:
            return
        unit.paired = True
        unit.walk(len(unit.text))
        for names, places in decode.flat_objects(unit.text):
            named = [name for key, name in names if key.lower() in NAME_KEYS]
            strength, name = max(((self._policy(name), name) for name in named), default=(0, b""))
            if strength:
                for key, begin in places:
                    if key.lower() in VALUE_KEYS:
                        self._mask_value(unit, name, strength, begin)

    def _note(self, unit: Unit, tag: int) -> None:
        self.seen.setdefault(unit.row, set()).add(tag - self._first_third)
