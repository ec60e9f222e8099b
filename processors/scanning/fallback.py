"""The scanner where Vectorscan is missing: google-re2, one automaton for each database.

A database is one alternation of its patterns. Where that matches, a tree of smaller alternations
tells which patterns begin there, and each of them gives one event, at the earliest end of its match.
Vectorscan reports the other ends as well; confirmations need none of them, since what they find from a
later end of the same match they find from the earliest.

The search goes on one byte behind where a match began, so matches that overlap are all found. All of
it is linear while patterns are bounded: RE2 walks from one match's begin to the next one's end.

The tree is made as it is needed: most of its alternations never are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import re2

from processors.scanning.patterns import Pattern, PatternError

NAME = "re2"
_FAN = 4
"""Parts of an alternation that did match; measured, two to eight differ by less than a tenth."""
_MEMORY = 256 << 20
"""Most that the automaton of an alternation may take, in bytes."""
_SMALL_MEMORY = 16 << 20
"""The same of few patterns, which look at a match only."""
_ANYWHERE: Any = re2._Anchor.UNANCHORED  # noqa: SLF001 - the wrapper's match objects cost more than matching
_HERE: Any = re2._Anchor.ANCHOR_START  # noqa: SLF001 - as above

_Match = Callable[[Any, bytes, int, int], list[tuple[int, int]]]


class Fallback:
    """Scans buffers against several databases; see `processors.scanning.Scanner`.

    Args:
        groups: The patterns of each database.
        _cache_dir: Not used: nothing is worth keeping.

    Raises:
        PatternError: RE2 does not take a pattern.
    """

    def __init__(self, groups: Sequence[Sequence[Pattern]], _cache_dir: Path) -> None:
        for pattern in (pattern for group in groups for pattern in group):
            check(pattern)
        self._trees = [tree for group in groups for tree in _trees(group)]

    def scan(self, buffer: bytes) -> list[tuple[int, int]]:
        """Return (earliest end, tag) for each place at which a pattern begins to match, in order of end."""
        events: set[tuple[int, int]] = set()
        size = len(buffer)
        for tree in self._trees:
            match = tree.match
            start = match(_ANYWHERE, buffer, 0, size)[0][0]
            while start >= 0:
                tree.add(buffer, start, size, events)
                start = match(_ANYWHERE, buffer, start + 1, size)[0][0]
        return sorted(events)


def _trees(patterns: Sequence[Pattern]) -> list[_Node]:
    """Return one alternation, or several where one would be too large for RE2."""
    try:
        return [_Node(patterns)]
    except re2.error:
        if len(patterns) == 1:
            raise
        half = len(patterns) // 2
        return [*_trees(patterns[:half]), *_trees(patterns[half:])]


class _Node:
    """An alternation of patterns, and its parts.

    Args:
        patterns: At least one.
    """

    def __init__(self, patterns: Sequence[Pattern]) -> None:
        self.patterns = patterns
        self._parts: list[_Node] | None = None
        self.match = _compile(patterns)

    def add(self, text: bytes, start: int, size: int, events: set[tuple[int, int]]) -> None:
        """Add an event for each pattern that matches at ``start``; one of them does."""
        if len(self.patterns) == 1:
            end = self.match(_HERE, text, start, size)[0][1]
            if end >= 0:
                events.add((_earliest(self.match, text, start, end), self.patterns[0].tag))
            return
        if self._parts is None:
            step = -(-len(self.patterns) // _FAN)
            self._parts = [
                _Node(self.patterns[first : first + step]) for first in range(0, len(self.patterns), step)
            ]
        for part in self._parts:
            if len(part.patterns) == 1 or part.match(_HERE, text, start, size)[0][0] >= 0:
                part.add(text, start, size, events)


def _earliest(match: _Match, text: bytes, start: int, end: int) -> int:
    """Return the earliest end of a match that begins at ``start``, knowing that one ends at ``end``.

    RE2 judges boundaries by the whole text, whatever the limit, so a match within a limit is a true one.
    """
    low, high = start, end
    probe = end - 1  # most patterns have one length
    while low < probe:
        found = match(_HERE, text, start, probe)[0][1]
        if found >= 0:
            high = found
        else:
            low = probe
        probe = (low + high) // 2
    return high


def check(pattern: Pattern) -> None:
    """Raise `PatternError` when RE2 does not take a pattern, or it matches nothing at all."""
    try:
        empty = _compile([pattern])(_HERE, b"", 0, 0)[0][0] >= 0
    except re2.error as error:
        said = error.args[0] if error.args else error
        raise PatternError(
            pattern.tag, NAME, said.decode() if isinstance(said, bytes) else str(said)
        ) from error
    if empty:
        raise PatternError(pattern.tag, NAME, "it matches the empty text")


def _compile(patterns: Sequence[Pattern]) -> _Match:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1  # one byte, one character
    options.never_capture = True
    options.log_errors = False
    options.max_mem = _MEMORY if len(patterns) > _FAN else _SMALL_MEMORY
    expression = b"|".join(
        (b"(?i:" if pattern.caseless else b"(?:") + as_re2(pattern.expression) + b")" for pattern in patterns
    )
    return re2._Regexp(expression, options)._regexp.Match  # type: ignore[no-any-return] # noqa: SLF001


_DIFFERENT = {b"\\s": rb"\t-\r ", b"\\S": rb"\x00-\x08\x0e-\x1f!-\xff", b"\\v": rb"\n-\r\x85"}
"""Escapes that RE2 reads otherwise than Vectorscan (whose white space has the vertical tab), as ranges."""
_TOKEN = re.compile(rb"\\.|\[:\^?[a-z]+:\]|.", re.DOTALL)


def as_re2(expression: bytes) -> bytes:
    """Spell an expression of Vectorscan so that RE2 reads it alike."""
    if not any(escape in expression for escape in _DIFFERENT):
        return expression
    out: list[bytes] = []
    within = False
    opened = 0
    for place, token in enumerate(_TOKEN.findall(expression)):
        if token in _DIFFERENT:
            out.append(_DIFFERENT[token] if within else b"[" + _DIFFERENT[token] + b"]")
            continue
        if within:
            # A bracket that closes nothing yet stands for itself: []a], [^]a].
            within = token != b"]" or place == opened + 1 or (place == opened + 2 and out[-1] == b"^")
        elif token[:1] == b"[":
            within, opened = True, place
            if len(token) > 1:  # [: outside a class begins one
                raise re2.error("a named class stands outside of brackets")
        out.append(token)
    return b"".join(out)
