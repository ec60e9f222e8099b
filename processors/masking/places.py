"""Where in a JSON text something stands: the keys and indexes that lead to it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import starmap

from processors.masking.decode import Unit, string_value

Path = tuple[str, ...]

_TOKEN = re.compile(rb'("[^"\\]*+(?:\\.[^"\\]*+)*+")(?:[ \t\r\n]*+(:))?|[\[{]|[\]}]|,', re.DOTALL)


class Places:
    """Paths of positions in units, each unit walked once.

    Args:
        units: All that hold findings, or that such ones were decoded from.
    """

    def __init__(self, units: Sequence[Unit]) -> None:
        self._units = units
        self._asked: dict[int, set[int]] = {}
        self._known: dict[int, dict[int, Path]] = {}

    def _gather(self) -> None:
        """Note every position that may be asked for, at the first question: most findings raise none."""
        for unit in self._units:
            self._asked.setdefault(id(unit), set()).update(edit.start for edit in unit.edits)
            if unit.parent is not None:
                self._asked.setdefault(id(unit.parent), set()).add(unit.start)

    def of(self, unit: Unit, position: int) -> Path:
        """Return the path of an edit's start; that of a nested document goes on where its string stands."""
        if not self._asked:
            self._gather()
        known = self._known.get(id(unit))
        if known is None:
            above = self.of(unit.parent, unit.start) if unit.parent is not None else ()
            asked = sorted(self._asked[id(unit)])
            found = _walk(unit.text, asked) if unit.is_json else [()] * len(asked)
            known = {at: above + path for at, path in zip(asked, found, strict=True)}
            self._known[id(unit)] = known
        return known[position]


def _walk(text: bytes, positions: list[int]) -> list[Path]:
    """Return the path of each position; they are sorted and begin a value, or lie in a string."""
    found: list[Path] = []
    stack: list[tuple[bool, str]] = []
    tokens = _TOKEN.finditer(text)
    token = next(tokens, None)
    for position in positions:
        while token is not None and token.start() < position:
            first = text[token.start()]
            if token[2]:
                if stack:
                    stack[-1] = (False, string_value(token[1]).decode("utf-8", "replace"))
            elif first in b"[{":
                stack.append((first == 0x5B, "0" if first == 0x5B else ""))
            elif first in b"]}" and stack:
                stack.pop()
            elif first == 0x2C and stack and stack[-1][0]:
                stack[-1] = (True, str(int(stack[-1][1]) + 1))
            token = next(tokens, None)
        found.append(tuple(starmap(lambda _, name: name, stack)))
    return found
