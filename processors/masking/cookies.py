"""Cookies: their values are masked; their names and attributes (RFC 6265 section 4.1) stay."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from processors.masking.placeholders import Placeholders

_BEFORE = re.compile(rb"(?i:cookie)[\"']?[ \t]{0,4}+[:=][ \t]{0,4}+[\"']?\Z")
_PAIR = re.compile(rb"[ \t]*+([A-Za-z0-9!#$%&'*+.^_`|~\-]{1,128}+)(?:=([^;\r\n]*+))?(?:;|\Z)")
_FLAGS = frozenset((b"secure", b"httponly", b"partitioned"))
_ATTRIBUTES = {
    b"path": re.compile(rb"/[A-Za-z0-9/._~\-]{0,100}+"),
    b"domain": re.compile(rb"[A-Za-z0-9.\-]{1,100}+"),
    b"expires": re.compile(rb"[A-Za-z]{3,9},? [0-9]{1,2}[ \-][A-Za-z]{3}[ \-][0-9]{2,4} [0-9:]{5,8} [A-Z]{3}|[0-9]{1,3}"),
    b"max-age": re.compile(rb"-?[0-9]{1,12}"),
    b"samesite": re.compile(rb"[A-Za-z]{1,8}"),
    b"priority": re.compile(rb"[A-Za-z]{1,8}"),
}  # fmt: skip
_LONGEST = 16 * 1024


def is_header(text: bytes, begin: int) -> bool:
    """Tell whether the value that begins there is one of ``Cookie:`` or ``Set-Cookie:``."""
    return _BEFORE.search(text, max(0, begin - 20), begin) is not None


def secrets(text: bytes, begin: int, stop: int, placeholders: Placeholders) -> list[tuple[int, int]] | None:
    """Return the spans of the cookies' values that are not masked yet.

    Args:
        text: The unit.
        begin, stop: The value of the header.
        placeholders: Ours.

    Returns:
        None when this is no list of cookies: then it is masked whole.
    """
    spans: list[tuple[int, int]] = []
    position = begin
    if stop - begin > _LONGEST:
        return None
    while position < stop:
        found = _PAIR.match(text, position, stop)
        if found is None:
            return spans if position > begin and not text[position:stop].strip() else None
        position = found.end()
        name = found[1].lower()
        if found[2] is None:
            if name not in _FLAGS:
                return None
            continue
        shape = _ATTRIBUTES.get(name)
        value = found[2].strip()
        if shape is not None and shape.fullmatch(value):
            continue
        start = found.start(2) + len(found[2]) - len(found[2].lstrip())
        bare = value.strip(b'"')
        if bare and not placeholders.only(bare):
            start += len(value) - len(value.lstrip(b'"'))
            spans.append((start, start + len(bare)))
    return spans
