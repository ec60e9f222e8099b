"""Detectors as data: one prefilter expression and one confirmation each.

The prefilter (Vectorscan) must match wherever the confirmation could; it ends after a fixed number
of characters, so one finding makes one event near its beginning. The confirmation (google-re2 on
bytes: linear) looks at the one decoded text around the event.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import re2

from processors.masking import validators

REACH = 256
"""How far a confirmation looks beyond the event at first; doubled while a match touches the end."""

_ALNUM = frozenset(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_DIGIT = frozenset(b"0123456789")
BOUNDARIES: dict[str, frozenset[int]] = {
    "any": frozenset(),
    "alnum": _ALNUM,
    "word": _ALNUM | frozenset(b"_"),
    "digit": _DIGIT,
    "number": _ALNUM | frozenset(b"_.-+"),
}
"""Bytes that may not stand beside a finding."""

Finder = Callable[[bytes, int, int, int], tuple[int, int] | None]
"""``(text, low, high, end) -> span``: confirm an event that ended at ``end`` within ``text[low:high]``."""


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
        back: How far before the event's end a finding may begin.
        database: ``main`` or ``digits``.
    """

    name: str
    category: str
    pattern: str
    confirm: str = ""
    finder: str = ""
    validator: str = ""
    caseless: bool = False
    left: str = "any"
    right: str = "any"
    back: int = 64
    database: str = "main"
    confidence: str = "high"
    source: str = ""
    positive: tuple[str, ...] = ()
    negative: tuple[str, ...] = ()

    def compile(self) -> Finder:
        """Return the confirmation; raises `ValueError` for an unknown finder, validator or boundary."""
        if self.finder:
            return FINDERS[self.finder]
        return _expression(self)


def _expression(rule: Rule) -> Finder:
    options = re2.Options()
    options.case_sensitive = not rule.caseless
    options.log_errors = False
    regex: Any = re2.compile(rule.confirm.encode(), options)
    group = 1 if regex.groups else 0
    accept = validators.VALIDATORS[rule.validator] if rule.validator else None
    left, right, back = BOUNDARIES[rule.left], BOUNDARIES[rule.right], rule.back

    def find(text: bytes, low: int, high: int, end: int) -> tuple[int, int] | None:
        found = _covering(regex, text, max(low, end - back), high, end)
        if found is None:
            return None
        start, stop = found.span(group)
        if (start > low and text[start - 1] in left) or (stop < high and text[stop] in right):
            return None
        if accept is not None and not accept(text[start:stop]):
            return None
        return start, stop

    return find


def _covering(regex: Any, text: bytes, position: int, high: int, end: int) -> Any:
    """Return the first match that reaches the event; the window grows while a match touches its end."""
    limit = min(high, end + REACH)
    while True:
        found = regex.search(text, position, limit)
        if found is None:
            return None
        stop = found.end()
        if stop == limit < high:
            limit = min(high, end + 2 * (limit - end))
        elif stop >= end:
            return found
        else:
            position = stop


_BEGIN = re2.compile(rb"-----BEGIN[A-Z0-9 ]{0,40}PRIVATE KEY[A-Z ]{0,8}-----")
_END = b"-----END"
_DASHES = b"-----"


def _pem(text: bytes, low: int, high: int, end: int) -> tuple[int, int] | None:
    """Mask from BEGIN to the end of the END line, or of the text when the block is cut (RFC 7468)."""
    found = _BEGIN.search(text, max(low, end - 80), min(high, end + 32))
    if found is None:
        return None
    start, after = found.span()
    close = text.find(_END, after, high)
    if close < 0:
        return start, high
    close = text.find(_DASHES, close + len(_END), min(high, close + 80))
    return start, close + len(_DASHES) if close >= 0 else high


_RUN = re2.compile(rb"[0-9]+")
_CARD = frozenset(b"0123456789 -")


def _card(text: bytes, low: int, high: int, end: int) -> tuple[int, int] | None:
    """Confirm a PAN: the whole run of digits with single separators, neither decimal nor part of an id."""
    run = _RUN.match(text, end, min(high, end + 24))
    stop = run.end() if run else end
    begin = (
        end - len(text[max(low, end - 20) : end]) + len(text[max(low, end - 20) : end].rstrip(b"0123456789"))
    )
    if stop == high or text[stop] not in b" -":
        # One run of digits: nearly every candidate.
        alone = stop - begin >= 13 and _standing(text, low, high, begin, stop)
        if not alone and begin > low and text[begin - 1] not in b" -":
            return None
        if alone and validators.payment_card(text[begin:stop]):
            return begin, stop
    start = end - 1
    while start > low and text[start - 1] in _CARD and end - start < 24:
        start -= 1
    stop = end
    while stop < high and text[stop] in _CARD and stop - start < 48:
        stop += 1
    groups = _digit_groups(text, start, stop)
    for first in range(len(groups)):
        for last in range(first, min(first + 5, len(groups))):
            begin, finish = groups[first][0], groups[last][1]
            if (
                begin < end <= finish
                and _standing(text, low, high, begin, finish)
                and _card_layout(groups[first : last + 1])
                and validators.payment_card(text[begin:finish])
            ):
                return begin, finish
    return None


def _digit_groups(text: bytes, start: int, stop: int) -> list[tuple[int, int]]:
    groups = []
    position = start
    while position < stop:
        if text[position] in _DIGIT:
            begin = position
            while position < stop and text[position] in _DIGIT:
                position += 1
            groups.append((begin, position))
        else:
            position += 1
    return groups


def _card_layout(groups: list[tuple[int, int]]) -> bool:
    """Accept one run, groups of four, or 4-6-5 and 4-6-4, one separator between."""
    if any(after[0] - before[1] != 1 for before, after in pairwise(groups)):
        return False
    sizes = [stop - start for start, stop in groups]
    return (
        len(sizes) == 1
        or sizes in ([4, 6, 5], [4, 6, 4])
        or (all(size == 4 for size in sizes[:-1]) and len(sizes) > 2 and 1 <= sizes[-1] <= 4)
    )


def _standing(text: bytes, low: int, high: int, start: int, stop: int) -> bool:
    """Tell whether a number stands alone: no letter, digit, dot or dash sticks to it."""
    number = BOUNDARIES["number"]
    if start > low and text[start - 1] in number:
        return False
    if stop < high and text[stop] in number:
        return text[stop] in b".-" and not (stop + 1 < high and text[stop + 1] in _ALNUM)
    return True


_IBAN = re2.compile(rb"[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]){11,30}")


def _iban(text: bytes, low: int, high: int, end: int) -> tuple[int, int] | None:
    """Confirm an IBAN: its length follows from its country, so text after it does not matter."""
    found = _covering(_IBAN, text, max(low, end - 18), high, end)
    if found is None:
        return None
    start, limit = found.span()
    size = validators.IBAN_LENGTHS.get(text[start : start + 2], 0)
    stop = start
    while stop < limit and size:
        size -= text[stop] != 0x20
        stop += 1
    if size or (start > low and text[start - 1] in _ALNUM) or (stop < high and text[stop] in _ALNUM):
        return None
    return (start, stop) if validators.iban(text[start:stop]) else None


_JOSE = re2.compile(rb"ey[IJ][A-Za-z0-9_\-]{14,}(?:\.[A-Za-z0-9_\-]*){2,4}")
_JOSE_PREFIX = 17
_BASE64URL = _ALNUM | frozenset(b"_-")


def _jwt(text: bytes, low: int, high: int, end: int) -> tuple[int, int] | None:
    """Confirm a JWS or JWE in compact form (RFC 7515 section 7.1), of any length."""
    start = end - _JOSE_PREFIX
    if start < low or (start > low and text[start - 1] in _BASE64URL):
        return None
    found = _JOSE.match(text, start, high)
    if found is None or not validators.jose(found[0]):
        return None
    span: tuple[int, int] = found.span()
    return span


_LOCAL = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._%+'-" + bytes(range(128, 256))
_DOMAIN = re2.compile(rb"(?:[A-Za-z0-9\-\x80-\xff]{1,63}\.)+[A-Za-z]{2,24}")


def _email(text: bytes, low: int, high: int, end: int) -> tuple[int, int] | None:
    """Confirm an address (RFC 5321 section 4.1.2, dot-atoms); a URL's ``user:password@`` is none."""
    at = text.rfind(b"@", max(low, end - 330), end)
    found = _DOMAIN.match(text, at + 1, min(high, at + 256)) if at >= 0 else None
    if found is None or found.end() < end:
        return None
    window = text[max(low, at - 64) : at]
    start, stop = at - len(window) + len(window.rstrip(_LOCAL)), found.end()
    while text[start] in b".'-%+":
        start += 1
    if text[start] == 0x40 or not validators.email(text[start:stop]):
        return None
    before = text[max(low, start - 200) : start]
    scheme = before.rfind(b"://")
    if scheme >= 0 and before[-1:] == b":" and b"/" not in before[scheme + 3 :]:
        return None
    return start, stop


FINDERS: dict[str, Finder] = {"pem": _pem, "card": _card, "iban": _iban, "email": _email, "jwt": _jwt}
