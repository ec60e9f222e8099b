"""Masks the lines of one batch.

1. Scan the lines, joined, as they came. 2. Decode what holds an escape, join it, scan it once; once
more what was found wrapped in either. 3. Confirm each event on the unit of decoded text it lies in.
4. Put the edits back, children into
parents, and splice the lines. Lines without an event or escape are never looked at.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from processors.masking import decode, spread
from processors.masking.actions import Decision
from processors.masking.decode import Edit, Unit
from processors.masking.placeholders import NESTED
from processors.masking.splice import Masked, assemble

if TYPE_CHECKING:
    from processors.masking.confirm import Confirmer
    from processors.masking.database import Scanner
    from processors.masking.third_party import ThirdParty

MAX_LEVEL = 4
"""JSON in strings is followed so often; what is still escaped below is masked whole."""
_CONTAINERS = (b"{", b"[")
LONGEST_NAME = 200
"""An escaped string that is longer is no field name in a name/value pair."""


class DepthError(Exception):
    """JSON nests deeper than allowed where its structure matters: at an event or an escape."""


class Engine:
    """Masks lines with one set of patterns.

    Args:
        scanner: The prefilter.
        confirmer: Judges its events.
        third_party: Asked after it.
        pem: The detector of private keys, empty when it is off.
        max_depth: Deepest nesting of a line, or of JSON in a string, that is taken apart. A line
            without event and escape is scanned whole, however deep.
    """

    def __init__(
        self,
        scanner: Scanner,
        confirmer: Confirmer,
        third_party: ThirdParty,
        pem: str = "",
        max_depth: int = 64,
    ) -> None:
        self._scanner = scanner
        self._confirmer = confirmer
        self._third_party = third_party
        self._pem = pem
        self._max_depth = max_depth

    def run(
        self,
        lines: Sequence[bytes],
        buffer: bytes,
        heads: Sequence[Any] | None = None,
        decision: Decision | None = None,
        keys: spread.Spans | None = None,
    ) -> Masked:
        """Mask lines.

        Args:
            lines: UTF-8, JSON or plain text.
            buffer: The lines joined by newlines.
            heads: Not None where a line is known to be a JSON object.
            decision: What is done to findings; default: they are redacted.
            keys: What `spread_keys` says of the lines, when they are not all of a request.

        Raises:
            Exception: Any; then nothing of the batch may be used.
        """
        self._confirmer.forget()
        events = self._scanner.scan(buffer)
        if not buffer[:1].isspace():
            # Shapes that need a character before them: give the first line one.
            events = _at_start(self._scanner, lines[0] if lines else b"", events)
        units: dict[int, Unit] = {}
        children: list[Unit] = []
        marks = [mark for mark in (b"\\", b"%") if mark in buffer]
        starts = list(accumulate((len(line) + 1 for line in lines), initial=0)) if events or marks else []
        for row in _rows_with(marks, buffer, starts):
            line = lines[row]
            if decode.has_escapes(line):
                unit = units[row] = self._open(row, line, heads)
                self._expand(unit, children)
        for row, own in _by_row(events, starts):
            unit = units.get(row) or units.setdefault(row, self._open(row, lines[row], heads))
            self._confirmer.judge(unit, own)
        self._scan(children)
        if keys is None:
            keys = spread.spans(lines) if self._pem and self._confirmer.met_key else {}
        for row, (start, stop) in keys.items():
            unit = units.get(row) or units.setdefault(row, self._open(row, lines[row], heads))
            unit.edits.append(Edit(start, stop, self._pem))
        self._confirmer.settle()
        if self._third_party:
            seen = self._confirmer.seen
            self._third_party.ask(
                len(lines),
                seen,
                units,
                children,
                lambda row: self._open(row, lines[row], heads),
                self._confirmer,
            )
        return assemble(units, children, decision or Decision(self._confirmer.placeholders))

    def spread_keys(self, lines: Sequence[bytes], buffer: bytes) -> spread.Spans:
        """Return the parts of private keys that are spread over lines of one request."""
        return spread.spans(lines) if self._pem and spread.MARK in buffer else {}

    def _scan(self, children: list[Unit]) -> None:
        """Judge decoded text, and what is found wrapped in it or in the lines."""
        done = 0
        while True:
            for child in self._confirmer.unwrapped:
                children.append(child)
                self._grow(children, len(children) - 1)
            self._confirmer.unwrapped = []
            batch = children[done:]
            if not batch:
                return
            done = len(children)
            texts = [child.text for child in batch]
            starts = list(accumulate((len(text) + 1 for text in (b"", *texts)), initial=0))
            for index, own in _by_row(self._scanner.scan(b"\n" + b"\n".join(texts)), starts):
                if index:
                    self._confirmer.judge(batch[index - 1], own)

    def _open(self, row: int, line: bytes, heads: Sequence[Any] | None) -> Unit:
        if line.lstrip()[:1] in _CONTAINERS and decode.too_deep(line, self._max_depth):
            raise DepthError
        is_json = (heads is not None and heads[row] is not None) or decode.parses(line)
        return Unit(line, is_json, row)

    def _expand(self, unit: Unit, children: list[Unit]) -> None:
        """Add the decoded forms of a unit, and theirs, to ``children``."""
        first = len(children)
        self._decode(unit, children)
        self._grow(children, first)

    def _grow(self, children: list[Unit], first: int) -> None:
        """Add the decoded forms of the children from ``first`` on, and theirs."""
        while first < len(children):
            child = children[first]
            first += 1
            if decode.has_escapes(child.text):
                self._nest(child)
                if child.level >= MAX_LEVEL + (not child.is_json):
                    child.edits.append(Edit(0, len(child.text), NESTED))
                else:
                    self._decode(child, children)

    def _nest(self, child: Unit) -> None:
        """Find out whether a decoded string is JSON itself."""
        if child.marks is None and child.text.lstrip()[:1] in _CONTAINERS:
            if decode.too_deep(child.text, self._max_depth):
                raise DepthError
            child.is_json = decode.parses(child.text)

    def _decode(self, unit: Unit, children: list[Unit]) -> None:
        if not unit.is_json:
            _add_view(unit, 0, len(unit.text), children)
            return
        text = unit.text
        position = 0
        while (at := text.find(b"\\", position)) >= 0:
            opening = text.rfind(b'"', position, at)
            found = decode.STRING.match(text, opening) if opening >= 0 else None
            if found is None:
                raise ValueError("a backslash outside a string")
            start, position = found.span()
            decoded = decode.decode_string(found[0])
            unit.holes.append((start, position))
            child = Unit(decoded, False, unit.row, unit.level + 1, unit, start + 1, position - 1)
            unit.decoded.append(child)
            children.append(child)
            after = decode.skip_space(text, position)
            if text[after : after + 1] == b":":
                self._confirmer.escaped_key(unit, decoded, after + 1)
            elif len(decoded) <= LONGEST_NAME:
                self._confirmer.named(unit, decoded, start, after)
        if b"%" in text:
            self._decode_percent(unit, children)

    def _decode_percent(self, unit: Unit, children: list[Unit]) -> None:
        """Add views of strings that hold percent escapes and no backslash."""
        text = unit.text
        holes = [*unit.holes, (len(text), len(text))]
        hole = position = 0
        while (found := decode.PERCENT.search(text, position)) is not None:
            at = found.start()
            while holes[hole][1] <= at:
                hole += 1
            if holes[hole][0] < at:
                position = holes[hole][1]
                continue
            opening, closing = text.rfind(b'"', 0, at) + 1, text.find(b'"', at)
            _add_view(unit, opening, closing, children)
            position = closing


def _add_view(unit: Unit, start: int, end: int, children: list[Unit]) -> None:
    text, marks = decode.view(unit.text[start:end], start)
    children.append(Unit(text, False, unit.row, unit.level + 1, unit, start, end, marks))


def _at_start(scanner: Scanner, first: bytes, events: list[tuple[int, int]]) -> list[tuple[int, int]]:
    if first[:1] in (b"{", b"[", b'"', b""):
        return events
    more = [(end - 1, tag) for end, tag in scanner.scan(b"\n" + first[:256])]
    return sorted({*events, *more})


def _rows_with(marks: Sequence[bytes], buffer: bytes, starts: Sequence[int]) -> list[int]:
    """Return the rows in which one of the marks stands; few lines have any, so they are not asked one by one."""
    rows = set()
    for mark in marks:
        position = buffer.find(mark)
        while position >= 0:
            row = bisect_right(starts, position) - 1
            rows.add(row)
            position = buffer.find(mark, starts[row + 1])
    return sorted(rows)


def _by_row(
    events: Sequence[tuple[int, int]], starts: Sequence[int]
) -> Iterator[tuple[int, list[tuple[int, int]]]]:
    """Group (end, tag) events by the joined text they end in, with offsets in that text.

    Args:
        events: In order.
        starts: Where the texts begin, and one more would.
    """
    place, count = 0, len(events)
    while place < count:
        row = bisect_right(starts, events[place][0] - 1) - 1
        start, limit = starts[row], starts[row + 1]
        size = limit - start - 1
        own = []
        while place < count and events[place][0] <= limit:
            end, tag = events[place]
            own.append((min(end - start, size), tag))
            place += 1
        yield row, own
