"""Keyword rules: values that mean something only beside a word, and the prefilter of those words.

The value's own shape would match everywhere, so the prefilter looks for the keywords instead. Several
rules may share one: it is one tag, and one event leads to all of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import re2

from processors.masking.finders import NUMBER, standing
from processors.masking.rules import BOUNDARIES, LONGEST_JUDGED, REACH, expression_options, matcher, none_of
from processors.masking.validators import VALIDATORS

if TYPE_CHECKING:
    from processors.masking.rules import Rule, Spans

SHORT = 4
"""A keyword of so many letters is looked for as a word of its own: ``sin``, ``taxSin``, not ``using``."""
KEYWORD = re.compile(r"[^\W_A-Z]+(?:_[^\W_A-Z]+)*")
"""Words in lower snake case."""
_GAP = rb"[ \t_.\-]?"
"""What may stand between the words of a keyword."""
_START: Any = re2._Anchor.ANCHOR_START  # noqa: SLF001 - as in `rules.matcher`
_ANYWHERE: Any = re2._Anchor.UNANCHORED  # noqa: SLF001 - as in `rules.matcher`


@dataclass(frozen=True)
class Keyword:
    """A keyword and the rules it stands for.

    Attributes:
        size: Its longest spelling in bytes, with what its boundaries take.
        rules: Places of its rules in `Keywords.values`.
    """

    size: int
    rules: tuple[int, ...]


class Value:
    """Finds the values of one keyword rule.

    Args:
        rule: A keyword rule.
    """

    def __init__(self, rule: Rule) -> None:
        self.name = rule.name
        options = expression_options(caseless=rule.caseless)
        body = b"(" + rule.value.encode() + b")"
        self._left, self._right = BOUNDARIES[rule.left], BOUNDARIES[rule.right]
        self._first, groups = matcher(body, options)
        self._later = matcher(none_of(self._left) + body, options)[0] if self._left else self._first
        self._group = min(groups, 2)
        self._accept = VALIDATORS[rule.validator] if rule.validator else None

    def find(self, text: bytes, begin: int, limit: int, low: int, high: int) -> Iterator[tuple[int, int]]:
        """Yield the spans of values that begin in ``text[begin:limit]``.

        Args:
            text: The unit.
            begin, limit: Where values are looked for; one may go on behind ``limit``.
            low, high: The part of the text that may be looked at.
        """
        position = begin
        reach = min(high, limit + REACH)
        while position < limit:
            found = self._match(text, position, low, reach)
            if found is None or found[0][0] >= limit:
                return
            if found[0][1] == reach < high:
                reach = min(high, limit + 2 * (reach - limit))
                continue
            start, stop = found[self._group]
            position = max(found[0][1], position + 1)
            if self._stands(text, stop, high) and (
                self._accept is None or self._accept(text[start : min(stop, start + LONGEST_JUDGED)])
            ):
                yield start, stop

    def _match(self, text: bytes, position: int, low: int, reach: int) -> Spans | None:
        if self._later is self._first or position == low:
            found = self._first(_ANYWHERE if self._later is self._first else _START, text, position, reach)
            if found[0][0] >= 0:
                return found
            if self._later is self._first:
                return None
        found = self._later(_ANYWHERE, text, max(low, position - 1), reach)
        return found if found[0][0] >= 0 else None

    def _stands(self, text: bytes, stop: int, high: int) -> bool:
        right = self._right
        if stop >= high or text[stop] not in right:
            return True
        return right is NUMBER and standing(text, high, stop)


class Keywords:
    """All keyword rules in force.

    Args:
        rules: They alone.

    Attributes:
        values: One for each rule.
        keywords: By tag, counted from 0.
        expressions: (prefilter expression, whether it is caseless) by tag.
    """

    def __init__(self, rules: Sequence[Rule] = ()) -> None:
        self.values = [Value(rule) for rule in rules]
        places: dict[str, list[int]] = {}
        for place, rule in enumerate(rules):
            for word in rule.keywords:
                places.setdefault(word, []).append(place)
        self.keywords: list[Keyword] = []
        self.expressions: list[tuple[bytes, bool]] = []
        for word, own in places.items():
            self.keywords.append(Keyword(len(word.encode()) + 3, tuple(own)))
            self.expressions.append(_expression(word))


def _expression(keyword: str) -> tuple[bytes, bool]:
    words = [re.escape(word.encode()) for word in keyword.split("_")]
    if sum(map(len, words)) > SHORT:
        return _GAP.join(words), True
    lower = _GAP.join(b"(?:%b|%b)" % (word, word.capitalize()) for word in words)
    upper = _GAP.join(word.upper() for word in words)
    small = b"(?:" + words[0] + lower.partition(b")")[2] + b")"
    title = b"(?:" + words[0].capitalize() + lower.partition(b")")[2] + b")"
    before = rb"(?:[^A-Za-z]%b|[^A-Z]%b)(?:[^a-z]|$)" % (small, title)
    return before + rb"|[^A-Z]%b(?:[^A-Za-z]|[A-Z][a-z]|$)" % upper, False
