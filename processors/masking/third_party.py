"""Shows decoded text to third-party detectors and turns what they point at into edits."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from processors.masking import decode
from processors.masking.decode import Edit, Unit

if TYPE_CHECKING:
    from headrig import Detector

    from processors.masking.confirm import Confirmer
    from processors.masking.placeholders import Placeholders

Third = tuple[str, "Detector", tuple[str, ...]]
"""(name, detector, literals)."""

_TOKEN = re.compile(decode.STRING.pattern + rb"|-?[0-9][0-9.eE+\-]*+", re.DOTALL)
"""A JSON string or number."""


class ThirdParty:
    """Third-party detectors, asked after ours.

    Args:
        detectors: One with literals sees only the lines in which the prefilter found one of them.
        placeholders: Ours; what is masked already is not masked again.
    """

    def __init__(self, detectors: Sequence[Third], placeholders: Placeholders) -> None:
        self._detectors = detectors
        self._placeholders = placeholders
        self._always = {place for place, (_, _, literals) in enumerate(detectors) if not literals}

    def __bool__(self) -> bool:
        return bool(self._detectors)

    def ask(
        self,
        rows: int,
        seen: dict[int, set[int]],
        units: dict[int, Unit],
        children: Sequence[Unit],
        make: Callable[[int], Unit],
        confirmer: Confirmer,
    ) -> None:
        """Show lines: each string and number of JSON, other text whole; of every decoded form.

        Args:
            rows: How many lines there are.
            seen: The detectors whose literals were found, by row.
            units: The lines that were opened already.
            children: The decoded forms of parts of lines.
            make: Opens a line.
            confirmer: Tells whether decoded text is JSON.
        """
        below: dict[int, list[Unit]] = {}
        for child in children:
            below.setdefault(child.row, []).append(child)
        for row in range(rows) if self._always else sorted(seen):
            unit = units.get(row) or units.setdefault(row, make(row))
            for place in sorted(self._always | seen.get(row, set())):
                self._show(place, unit, is_json=unit.is_json)
                for child in below.get(row, ()):
                    self._show(place, child, is_json=confirmer.is_json(child))

    def _show(self, place: int, unit: Unit, *, is_json: bool) -> None:
        name, detector, _ = self._detectors[place]
        if not is_json:
            self._point(name, detector, unit, 0, len(unit.text))
            return
        for token in _TOKEN.finditer(unit.text):
            start, stop = token.span()
            if unit.text[start] != 0x22:
                if next(iter(detector.find(token[0].decode())), None) is not None:
                    unit.edits.append(Edit(start, stop, name, quoted=True))
            elif b"\\" not in token[0]:  # else its decoded form is shown
                self._point(name, detector, unit, start + 1, stop - 1)

    def _point(self, name: str, detector: Detector, unit: Unit, start: int, stop: int) -> None:
        text = unit.text[start:stop].decode("utf-8", "surrogateescape")
        for span in detector.find(text):
            if not 0 <= span.start <= span.end <= len(text):
                raise ValueError("a detector pointed outside the text")
            begin = start + len(text[: span.start].encode("utf-8", "surrogateescape"))
            size = len(text[span.start : span.end].encode("utf-8", "surrogateescape"))
            if size and not self._placeholders.only(unit.text[begin : begin + size]):
                unit.edits.append(Edit(begin, begin + size, name))
