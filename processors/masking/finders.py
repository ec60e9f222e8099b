"""Confirmations in code: shapes that one expression does not describe.

Each looks at a bounded window or walks a run once, so its work is linear in what it returns. Windows
are looked at with ``re``, by expressions that cannot backtrack; what has no bound is walked by RE2.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import Any

import re2

from processors.masking import credentials, urls, validators

Found = tuple[int, int, int]
"""(start, stop, seen): the span to mask, or -1, -1; and up to where a candidate was walked and refused."""
Finder = Callable[[bytes, int, int, int], Found]
"""``(text, low, high, end) -> found``: confirm an event that ended at ``end`` within ``text[low:high]``."""
NOTHING: Found = (-1, -1, 0)

ALNUM = frozenset(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
NUMBER = ALNUM | frozenset(b"_.-+")


def latin1(expression: bytes) -> Any:
    """Compile an expression of which one character is one byte."""
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    return re2.compile(expression, options)


_BEGIN = latin1(rb"-----BEGIN[A-Z0-9 +]{0,40}PRIVATE[ +]KEY[A-Z +]{0,8}-----")
_END = b"-----END"
_DASHES = b"-----"


def _pem(text: bytes, low: int, high: int, end: int) -> Found:
    """Mask from BEGIN to the end of the END line, or of the text when the block is cut (RFC 7468)."""
    found = _BEGIN.search(text, max(low, end - 80), min(high, end + 32))
    if found is None:
        return NOTHING
    start, after = found.span()
    close = text.find(_END, after, high)
    if close >= 0:
        close = text.find(_DASHES, close + len(_END), min(high, close + 80))
    stop = close + len(_DASHES) if close >= 0 else high
    return start, stop, stop


_DIGIT = frozenset(b"0123456789")
_RUN = re.compile(rb"[0-9]++")
_SEPARATOR = b" -+"
_CARD = _DIGIT | frozenset(_SEPARATOR)


def _card(text: bytes, low: int, high: int, end: int) -> Found:
    """Confirm a PAN: the whole run of digits with single separators, neither decimal nor part of an id."""
    run = _RUN.match(text, end, min(high, end + 24))
    stop = run.end() if run else end
    near = text[max(low, end - 20) : end]
    begin = end - len(near) + len(near.rstrip(b"0123456789"))
    if stop == high or text[stop] not in _SEPARATOR:
        # One run of digits: nearly every candidate.
        alone = stop - begin >= 13 and _alone(text, low, high, begin, stop)
        if alone and validators.lone_card(text[begin:stop]):
            return begin, stop, stop
        if begin == low or text[begin - 1] not in _SEPARATOR:
            return NOTHING
    start = end - 1
    while start > low and text[start - 1] in _CARD and end - start < 24:
        start -= 1
    stop = end
    while stop < high and text[stop] in _CARD and stop - start < 48:
        stop += 1
    for begin, finish in _layouts([run.span() for run in _RUN.finditer(text, start, stop)], end):
        accept = validators.lone_card if text[begin:finish].isdigit() else validators.payment_card
        if _alone(text, low, high, begin, finish) and accept(text[begin:finish]):
            return begin, finish, finish
    return NOTHING


def _layouts(groups: list[tuple[int, int]], end: int) -> list[tuple[int, int]]:
    """Return the spans around ``end`` of one run, of groups of four, or of 4-6-5 and 4-6-4."""
    spans = []
    for first, (begin, _) in enumerate(groups):
        if begin >= end:
            break
        sizes: list[int] = []
        last = begin - 1
        for start, stop in groups[first : first + 5]:
            if start - last != 1:
                break  # more than one separator between
            sizes.append(stop - start)
            last = stop
            if stop >= end and _is_layout(sizes):
                spans.append((begin, stop))
    return spans


def _is_layout(sizes: list[int]) -> bool:
    return (
        len(sizes) == 1
        or sizes in ([4, 6, 5], [4, 6, 4])
        or (len(sizes) > 2 and 1 <= sizes[-1] <= 4 and sizes[:-1] == [4] * (len(sizes) - 1))
    )


def standing(text: bytes, high: int, stop: int) -> bool:
    """Tell whether what follows a number only ends a sentence: a full stop or dash, and no more of it."""
    return text[stop] in b".-" and not (stop + 1 < high and text[stop + 1] in ALNUM)


def _alone(text: bytes, low: int, high: int, start: int, stop: int) -> bool:
    """Tell whether a number stands alone: no letter, digit, dot or dash sticks to it."""
    if start > low and text[start - 1] in NUMBER:
        return False
    return stop == high or text[stop] not in NUMBER or standing(text, high, stop)


_IBAN = latin1(rb"[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]){11,30}")


def _iban(text: bytes, low: int, high: int, end: int) -> Found:
    """Confirm an IBAN: its length follows from its country, so text after it does not matter."""
    position = max(low, end - 18)
    while (found := _IBAN.search(text, position, min(high, end + 64))) is not None and found.end() < end:
        position = found.end()
    if found is None:
        return NOTHING
    start, limit = found.span()
    size = validators.IBAN_LENGTHS.get(text[start : start + 2], 0)
    stop = start
    while stop < limit and size:
        size -= text[stop] != 0x20
        stop += 1
    if size or (start > low and text[start - 1] in ALNUM) or (stop < high and text[stop] in ALNUM):
        return NOTHING
    return (start, stop, stop) if validators.iban(text[start:stop]) else NOTHING


_JOSE = latin1(rb"ey[IJ][A-Za-z0-9_\-]{14,}(?:\.[A-Za-z0-9_\-]*){2,4}")
_JOSE_PREFIX = 17
_BASE64URL = ALNUM | frozenset(b"_-")


def _jwt(text: bytes, low: int, high: int, end: int) -> Found:
    """Confirm a JWS or JWE in compact form (RFC 7515 section 7.1), of any length."""
    start = end - _JOSE_PREFIX
    if start < low or (start > low and text[start - 1] in _BASE64URL):
        return NOTHING
    found = _JOSE.match(text, start, high)
    if found is None:
        return NOTHING
    return (start, found.end(), found.end()) if validators.jose(found[0]) else (-1, -1, found.end())


_LOCAL = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._%+'-" + bytes(range(128, 256))
_LONGEST_LOCAL = 64
_UNSPACED = "\u0e00"
"""Scripts from here on are mostly written without spaces: such letters end before an ASCII name."""
_DOMAIN = re.compile(rb"(?:[A-Za-z0-9\-\x80-\xff]{1,63}+\.)+[A-Za-z]{2,24}")


def _email(text: bytes, low: int, high: int, end: int) -> Found:
    """Confirm an address (RFC 5321 section 4.1.2, dot-atoms); a URL's ``user:password@`` is none."""
    at = text.rfind(b"@", max(low, end - 330), end)
    found = _DOMAIN.match(text, at + 1, min(high, at + 256)) if at >= 0 else None
    if found is None or found.end() < end:
        return NOTHING
    window = text[max(low, at - _LONGEST_LOCAL) : at]
    name = window[len(window.rstrip(_LOCAL)) :]
    if not name.isascii():
        name = _local(name)
    name = name.lstrip(b".'-%+")
    start, stop = at - len(name), found.end()
    if not name or not validators.email(text[start:stop]):
        return NOTHING
    if text[max(low, start - 3) : start] == b"://" and credentials.url_token(name):
        return NOTHING  # a token before a host is no address, and a finding of its own
    return NOTHING if urls.is_password(text, low, start) else (start, stop, stop)


def _local(run: bytes) -> bytes:
    """Cut what a name before an at sign cannot hold: half a character, punctuation, unspaced text.

    Args:
        run: Bytes before the at sign, from anywhere within a character.
    """
    name = run.decode("utf-8", "surrogateescape")
    ascii_end = name[-1:].isascii()
    start = len(name)
    while start and (name[start - 1].isascii() or _joins(name[start - 1], unspaced=not ascii_end)):
        start -= 1
    return name[start:].encode("utf-8", "surrogateescape")


def _joins(letter: str, *, unspaced: bool) -> bool:
    return unicodedata.category(letter)[0] in "LMNS" and (unspaced or letter < _UNSPACED)


def _url(text: bytes, low: int, high: int, end: int) -> Found:
    span = urls.password(text, low, high, end)
    if span is None or not validators.url_password(text[slice(*span)]):
        return NOTHING
    return *span, span[1]


FINDERS: dict[str, Finder] = {
    "pem": _pem,
    "card": _card,
    "iban": _iban,
    "email": _email,
    "jwt": _jwt,
    "url": _url,
    **credentials.FINDERS,
}
