"""Detectors as data: one prefilter expression and one confirmation each.

The prefilter (Vectorscan) must match wherever the confirmation could; it ends after a fixed number
of characters, so one finding makes one event near its beginning. The confirmation (google-re2 on
bytes: linear) looks at the one decoded text around the event.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import re2

from processors.masking import timed
from processors.masking.finders import ALNUM, FINDERS, NOTHING, NUMBER, Finder, Found, standing
from processors.masking.timed import Timed
from processors.masking.validators import VALIDATORS

REACH = 256
"""How far a confirmation looks beyond the event at first; doubled while a match touches the end."""
LONGEST_JUDGED = 4096
"""A validator sees no more of a candidate than this."""

Spans = list[tuple[int, int]]
"""Of the match and its groups; `_NOWHERE` for what did not match."""
Matcher = Callable[[Any, bytes, int, int], Spans]
"""``(anchor, text, low, high) -> spans``."""
_START: Any = re2._Anchor.ANCHOR_START  # noqa: SLF001 - as in `matcher`
_ANYWHERE: Any = re2._Anchor.UNANCHORED  # noqa: SLF001 - as in `matcher`
_NOWHERE = (-1, -1)
_NONE: Spans = [_NOWHERE]

BOUNDARIES: dict[str, frozenset[int]] = {
    "any": frozenset(),
    "alnum": ALNUM,
    "word": ALNUM | frozenset(b"_"),
    "encoded": ALNUM | frozenset(b"_-+/"),
    "padded": ALNUM | frozenset(b"_-+/="),
    "base64": ALNUM | frozenset(b"+/"),
    "digit": frozenset(b"0123456789"),
    "number": NUMBER,
    "address": ALNUM | frozenset(b"_:-"),
}
"""Bytes that may not stand beside a finding. A full stop or dash behind a number may end a sentence."""


@dataclass(frozen=True)
class Rule:
    """One detector.

    Attributes:
        name: Kebab case; stands in placeholders and metrics.
        category: As in the catalogue: cloud, vcs, saas, payment, db-url, auth-header, private-key, pii,
            network, generic.
        pattern: Prefilter expression.
        caseless: Of prefilter and confirmation.
        confirm: RE2 expression; its group 1, if it has one, is what is masked.
        finder: Name of hand-written code in place of ``confirm``.
        validator: Name of a judgement on the masked span, or empty.
        left, right: Names of `BOUNDARIES`.
        engine: Of ``confirm``: ``re2``, or ``regex`` for what RE2 cannot say, within a time.
        timeout_ms: What ``regex`` may take for one record, in milliseconds of processor time.
        back: How far before the event's end a finding may begin.
        database: Which patterns it is scanned with, one of `processors.masking.database.OWN`; ``addresses`` are off
            unless the configuration enables the rule.
        keywords: Of a keyword rule, lower snake case; one stands beside the value. It has no ``pattern``.
        value: Of a keyword rule: RE2 expression of the value; its group 1, if it has one, is what is masked.
    """

    name: str
    category: str
    pattern: str = ""
    confirm: str = ""
    finder: str = ""
    engine: str = "re2"
    timeout_ms: int = timed.DEFAULT_MS
    validator: str = ""
    caseless: bool = False
    left: str = "any"
    right: str = "any"
    back: int = 64
    database: str = "main"
    keywords: tuple[str, ...] = ()
    value: str = ""
    confidence: str = "high"
    source: str = ""
    positive: tuple[str, ...] = ()
    negative: tuple[str, ...] = ()

    def compile(self) -> Finder:
        """Return the confirmation.

        Raises:
            ValueError: The finder, validator or boundary is unknown.
            re2.error, regex.error: ``confirm`` is wrong.
        """
        if self.finder:
            return FINDERS[self.finder]
        if self.engine == timed.ENGINE:
            return _timed(self)
        return _expression(self)


def _timed(rule: Rule) -> Timed:
    return Timed(
        rule.confirm.encode(),
        caseless=rule.caseless,
        back=rule.back,
        left=BOUNDARIES[rule.left],
        right=BOUNDARIES[rule.right],
        accept=VALIDATORS[rule.validator] if rule.validator else None,
        limit=rule.timeout_ms / 1000,
    )


def _expression(rule: Rule) -> Finder:
    options = expression_options(caseless=rule.caseless)
    left, right, back = BOUNDARIES[rule.left], BOUNDARIES[rule.right], rule.back
    body = b"(" + rule.confirm.encode() + b")"
    first, groups = matcher(body, options)
    later = matcher(none_of(left) + body, options)[0] if left else first
    group = min(groups, 2)
    accept = VALIDATORS[rule.validator] if rule.validator else None

    def find(text: bytes, low: int, high: int, end: int) -> Found:
        found = _covering(first, later, text, max(low, end - back), low, high, end)
        if found is None:
            return NOTHING
        start, stop = found[group]
        if stop < high and text[stop] in right and not (right is NUMBER and standing(text, high, stop)):
            return -1, -1, stop
        if accept is not None and not accept(text[start : min(stop, start + LONGEST_JUDGED)]):
            return -1, -1, stop
        return start, stop, stop

    return find


def expression_options(*, caseless: bool) -> Any:
    """Return RE2 options for bytes: one byte, one character."""
    options = re2.Options()
    options.case_sensitive = not caseless
    options.log_errors = False
    options.encoding = re2.Options.Encoding.LATIN1
    return options


def matcher(expression: bytes, options: Any) -> tuple[Matcher, int]:
    """Return the matching function of an expression, and how many groups it has.

    The wrapper's match objects cost several times what matching in a window costs, so it is left out.
    """
    regex: Any = re2.compile(expression, options)
    return regex._regexp.Match, regex.groups  # noqa: SLF001 - see above; the version is pinned


def none_of(boundary: frozenset[int]) -> bytes:
    """Return the class of all other bytes."""
    return b"[^" + b"".join(b"\\x%02x" % byte for byte in sorted(boundary)) + b"]"


def _covering(
    first: Matcher, later: Matcher, text: bytes, position: int, low: int, high: int, end: int
) -> Spans | None:
    """Return the first match that reaches the event; the window grows while a match touches its end.

    Args:
        first: The expression, for a match at the very ``low``.
        later: The same, behind a byte that may stand before a match: it is looked at before a run of
            any length is walked. It is ``first`` when any byte may.
        text, position: Where a match may begin.
        low, high: The part of the text that may be looked at.
        end: The event.
    """
    before = later is not first
    limit = min(high, end + REACH)
    while True:
        found = first(_START, text, low, limit) if before and position == low else _NONE
        if found[0] == _NOWHERE:
            found = later(_ANYWHERE, text, position - 1 if before and position > low else position, limit)
        if found[0] == _NOWHERE:
            return None
        stop = found[0][1]
        if stop == limit < high:
            limit = min(high, end + 2 * (limit - end))
        elif stop >= end:
            return found
        else:
            position = stop
