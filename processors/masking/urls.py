"""The password in a URL: ``scheme://user:password@host`` (RFC 3986 section 3.2.1), also when it was not encoded."""

from __future__ import annotations

import re

LONGEST = 2048
"""No password is longer."""
_SLASHES = 8
"""Nor holds more of them."""

_USER = re.compile(
    rb"((?:\[(?:redacted:)?[a-z0-9_\-]{1,64}+(?::[A-Za-z0-9._:\-]{4,40}+)?\]|[^\s/\"':?#<>\\\[])*+):"
)
"""A user may be an address, or was masked; a bracket else begins an IPv6 host."""
_END = re.compile(rb"[\s<>\x00-\x1f]|[\"'](?![A-Za-z0-9@])|://")
"""A quote with a letter behind it belongs to the password; another URL does not."""
_PORT = re.compile(rb"[0-9]{1,5}[/?#]")
_PATH = re.compile(rb"[/?#]")
_NO_AUTHORITY = re.compile(rb"[\s/?#\"'<>]")


def password(text: bytes, low: int, high: int, end: int) -> tuple[int, int] | None:
    """Find the password of the URL whose scheme stands before ``end``.

    It ends at the last at sign before the path, or, when there is none, at the last one before the
    next slash: a slash in a password is often not encoded.
    """
    scheme = text.rfind(b"://", max(low, end - 320), end)
    if scheme < 0:
        return None
    user = _USER.match(text, scheme + 3, min(high, scheme + 512))
    if user is None:
        return None
    start = user.end()
    limit = min(high, start + LONGEST)
    found = _END.search(text, start, limit)
    stop = found.start() if found else limit
    if _PORT.match(text, start, stop):
        return None
    position = start
    for _ in range(_SLASHES + 1):
        path = _PATH.search(text, position, stop)
        edge = path.start() if path else stop
        at = text.rfind(b"@", position, edge)
        if at >= 0:
            return (start, at) if at > start else None
        if path is None or b"@" in user[1]:
            break
        position = edge + 1
    return None


def is_password(text: bytes, low: int, start: int) -> bool:
    """Tell whether what stands at ``start`` is part of a URL's password."""
    before = text[max(low, start - 200) : start]
    scheme = before.rfind(b"://")
    if scheme < 0:
        return False
    authority = before[scheme + 3 :]
    return b":" in authority and authority[:1] != b"[" and _NO_AUTHORITY.search(authority) is None
