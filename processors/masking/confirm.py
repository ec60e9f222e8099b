"""Judges prefilter events on the unit they lie in.

In JSON the token around an event is found by counting quotes from the event before it, so a line is
walked once, however many events it holds. Strings with a backslash are skipped: their decoded
form is a unit of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from processors.masking import decode, values
from processors.masking.decode import Edit, Unit

if TYPE_CHECKING:
    from headrig import Detector

    from processors.masking.fields import FieldPolicy
    from processors.masking.rules import Finder

FIELD = 0
"""Tag of events that end behind the colon or equals sign after a sensitive name."""
PAIR = 1
"""Tag of events that end behind the name in ``{"name": "password", "value": …}``."""
FIRST_RULE = 2

_NUMBER = b"0123456789.eE+-"
_VALUE_KEYS = frozenset((b"value", b"val", b"v", b"content", b"data", b"default"))
_NAME_KEYS = frozenset((b"name", b"key", b"field", b"header", b"param", b"parameter", b"k", b"n", b"label",
                        b"property", b"variable", b"attribute"))  # fmt: skip


class Confirmer:
    """Turns events into edits.

    Args:
        finders: (name, confirmation) of each rule, in the order of tags from `FIRST_RULE`.
        policy: Judges field names.
        plugins: (name, detector, literals) of third parties; their tags follow the rules'.
    """

    def __init__(
        self,
        finders: Sequence[tuple[str, Finder]],
        policy: FieldPolicy,
        plugins: Sequence[tuple[str, Detector, tuple[str, ...]]] = (),
    ) -> None:
        self._finders = finders
        self._policy = policy
        self.plugins = plugins
        self._first_plugin = FIRST_RULE + len(finders)
        self._seen: dict[int, set[int]] = {}

    def forget(self) -> None:
        """Begin a batch: what a failed one noted for plugins is void."""
        self._seen = {}

    def judge(self, unit: Unit, events: list[tuple[int, int]]) -> None:
        """Add the edits that the (end, tag) events of a unit lead to."""
        if unit.is_json or (unit.level and self._is_nested(unit)):
            self._judge_json(unit, events)
            return
        high = len(unit.text)
        for end, tag in events:
            self._confirm(unit, 0, high, end, tag)

    def _is_nested(self, unit: Unit) -> bool:
        unit.is_json = (
            unit.marks is None
            and unit.text.lstrip()[:1] in (b"{", b"[")
            and b'"' in unit.text
            and decode.parses(unit.text)
        )
        return unit.is_json

    def _judge_json(self, unit: Unit, events: list[tuple[int, int]]) -> None:
        text, holes = unit.text, unit.holes
        position = hole = 0
        inside = False
        low = high = -1
        for end, tag in events:
            if tag >= self._first_plugin:
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
            else:
                self._confirm_number(unit, end, tag)

    def _confirm(self, unit: Unit, low: int, high: int, end: int, tag: int) -> None:
        if tag >= self._first_plugin:
            self._note(unit, tag)
        elif tag == FIELD:
            span = values.text_value(unit.text, low, high, end, self._policy, covered=unit.covered)
            if span is not None:
                unit.covered = span
                unit.edits.append(Edit(*span, values.NAME))
        elif tag >= FIRST_RULE:
            done = unit.done.get(tag, 0)
            if end <= done:
                return
            name, find = self._finders[tag - FIRST_RULE]
            span = find(unit.text, max(low, done), high, min(end, high))
            if span is not None:
                unit.done[tag] = span[1]
                unit.edits.append(Edit(*span, name))

    def _confirm_number(self, unit: Unit, end: int, tag: int) -> None:
        """Judge a JSON number; it is replaced whole, by a string."""
        text = unit.text
        low = high = end - 1
        while low > 0 and text[low - 1] in _NUMBER and high - low < 64:
            low -= 1
        while high < len(text) and text[high] in _NUMBER and high - low < 128:
            high += 1
        if low < high and tag >= FIRST_RULE:
            name, find = self._finders[tag - FIRST_RULE]
            if find(text, low, high, min(end, high)) is not None:
                unit.edits.append(Edit(low, high, name, quoted=True))

    def _key_before(self, unit: Unit, end: int) -> None:
        text = unit.text
        closing = text.rfind(b'"', 0, end)
        opening = text.rfind(b'"', 0, closing) + 1
        self.field(unit, text[opening:closing], end)

    def field(self, unit: Unit, name: bytes, position: int) -> None:
        """Mask the JSON value behind the colon at ``position`` when the name is sensitive."""
        if not self._policy(name):
            return
        if unit.edits and unit.edits[-1].start <= position < unit.edits[-1].end:
            return  # inside a container that is masked whole
        begin = values.json_value(unit.text, position)
        if begin >= 0:
            self._mask_value(unit, begin)

    def named(self, unit: Unit, name: bytes) -> None:
        """Look for name/value pairs when an escaped string reads like a sensitive name."""
        if self._policy(name):
            self._pairs(unit)

    def _mask_value(self, unit: Unit, begin: int) -> None:
        start, stop = decode.value_span(unit.text, begin)
        if unit.text[start] != 0x22:
            unit.edits.append(Edit(start, stop, values.NAME, quoted=True))
        elif not values.masked_already(unit.text[start + 1 : stop - 1]):
            unit.edits.append(Edit(start + 1, stop - 1, values.NAME))

    def _pairs(self, unit: Unit) -> None:
        """Mask the values of all name/value pairs of a JSON unit, in one pass over its tokens."""
        if unit.paired:
            return
        unit.paired = True
        for names, places in decode.flat_objects(unit.text):
            named = [name for key, name in names if key.lower() in _NAME_KEYS]
            if any(self._policy(name) for name in named):
                for key, begin in places:
                    if key.lower() in _VALUE_KEYS and values.json_value(unit.text, begin) >= 0:
                        self._mask_value(unit, values.json_value(unit.text, begin))

    def _note(self, unit: Unit, tag: int) -> None:
        self._seen.setdefault(unit.row, set()).add(tag - self._first_plugin)

    def ask_plugins(
        self,
        lines: Sequence[bytes],
        units: dict[int, Unit],
        children: Sequence[Unit],
        make: Callable[[int], Unit],
    ) -> None:
        """Show lines to third-party detectors: each string of a JSON line, or the text."""
        seen, self._seen = self._seen, {}
        always = {index for index, (_, _, literals) in enumerate(self.plugins) if not literals}
        rows = range(len(lines)) if always else sorted(seen)
        decoded: dict[int, list[Unit]] = {}
        for child in children:
            if child.level == 1 and child.marks is None:
                decoded.setdefault(child.row, []).append(child)
        for row in rows:
            unit = units.get(row) or units.setdefault(row, make(row))
            for index in sorted(always | seen.get(row, set())):
                self._ask(index, unit, decoded.get(row, []))

    def _ask(self, index: int, unit: Unit, decoded: list[Unit]) -> None:
        name, detector, _ = self.plugins[index]
        if not unit.is_json:
            _point(name, detector, unit, 0, len(unit.text))
            return
        for child in decoded:
            _point(name, detector, child, 0, len(child.text))
        for token in decode.STRING.finditer(unit.text):
            if b"\\" not in token[0]:
                _point(name, detector, unit, token.start() + 1, token.end() - 1)


def _point(name: str, detector: Detector, unit: Unit, start: int, stop: int) -> None:
    text = unit.text[start:stop].decode("utf-8", "surrogatepass")
    for span in detector.find(text):
        if not 0 <= span.start <= span.end <= len(text):
            raise ValueError("a detector pointed outside the text")
        begin = start + len(text[: span.start].encode("utf-8", "surrogatepass"))
        size = len(text[span.start : span.end].encode("utf-8", "surrogatepass"))
        if size and not values.masked_already(unit.text[begin : begin + size]):
            unit.edits.append(Edit(begin, begin + size, name))
