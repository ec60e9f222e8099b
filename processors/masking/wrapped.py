"""Text that is wrapped as base64 or hex: it is unwrapped, scanned, and masked whole when a secret is in it.

Nothing marks such a run, and logs are full of hashes, ids and images in the same letters. But text is
ASCII at its beginning, so of every group of four characters (RFC 4648 section 4) the first three can
only be some: a fortieth of all groups looks so, and a group of hex digits does in one of twenty. Six
groups in a row happen once in millions of hashes. The expressions have no literal, but cost next to
nothing in the database of digit runs.
"""

from __future__ import annotations

import base64
import binascii
import re

from processors.masking.checkdigits import digits
from processors.masking.decode import Unit
from processors.masking.validators import opaque

SIZE = 24
"""Characters that the prefilter reads: text of so many is looked at."""
_FIRST = rb"[CI-Za-f]"
_SECOND = rb"[AC-HQS-Xgi-nwyz0-3]"
_THIRD = rb"[ABEFIJMNQRUVYZcdghklopstwx014589]"
_GROUP = _FIRST + _SECOND + _THIRD
BASE64 = rb"[^A-Za-z0-9+](?:%b[A-Za-z0-9+/_\-]){5}%b[A-Za-z0-9+/_=\-]" % (_GROUP, _GROUP)
HEX = rb"[^A-Za-z0-9](?:[2-7][0-9A-Fa-f]){12}"
MOST = 2
"""Wrapped text in wrapped text is followed so often."""

_BASE64_RUN = re.compile(rb"[A-Za-z0-9+/_\-]*+")
_HEX_RUN = re.compile(rb"(?:[0-9A-Fa-f]{2})*+")
_PADDING = re.compile(rb"={0,2}+")
_BREAK = re.compile(rb"[ \t]{0,8}+\r?\n[ \t]{0,8}+")
_SHORTEST_BROKEN = 60
"""Base64 in lines (RFC 2045, RFC 7468) has lines of at least so many characters."""
_TEXT = re.compile(rb"[\t\n\r\x20-\x7e]{16}")
_LOGIN = re.compile(rb"[A-Za-z0-9._%+@\-]{2,64}+:(?!//)([\x21-\x7e]{6,200}+)[\r\n]{0,2}+")
_ID = re.compile(rb"[0-9A-Fa-f\-]*+|[0-9.:/]*+")


def unwrap(unit: Unit, low: int, high: int, end: int, *, is_hex: bool) -> Unit | None:
    """Return the text that is wrapped around an event, as a child; None when it is no text.

    Args:
        unit: The text.
        low, high: The part of it that may be looked at.
        end: The event's end, `SIZE` characters behind the beginning of the run.
        is_hex: Of the expression `HEX`, else of `BASE64`.
    """
    start = end - SIZE
    if start < low or _wraps(unit) >= MOST:
        return None
    if unit.edits and unit.edits[-1].start <= start < unit.edits[-1].end:
        return None  # it is masked already
    if is_hex:
        found = _HEX_RUN.match(unit.text, start, high)
        stop = found.end() if found else start
        text = bytes.fromhex(unit.text[start:stop].decode("ascii"))
    else:
        stop = _run(unit.text, start, high)
        text = _decoded(unit.text[start:stop])
    unit.walk(stop - start)
    if not _TEXT.match(text):
        return None
    return Unit(text, False, unit.row, unit.level + 1, unit, start, stop, wrapped=True)


def is_login(text: bytes) -> bool:
    """Tell whether an unwrapped text is ``user:password`` (RFC 7617), and no id such as ``Order:1234``."""
    found = _LOGIN.fullmatch(text)
    if found is None:
        return False
    password = found[1]
    told = bool(digits(password)) or not password.isalpha() or password.lower() != password
    return told and not _ID.fullmatch(password) and opaque(password)


def _wraps(unit: Unit | None) -> int:
    count = 0
    while unit is not None:
        count += unit.wrapped
        unit = unit.parent
    return count


def _run(text: bytes, start: int, high: int) -> int:
    """Return where base64 that begins at ``start`` ends, over line breaks between lines of one length."""
    found = _BASE64_RUN.match(text, start, high)
    stop = found.end() if found else start
    size = last = stop - start
    while last == size and size >= _SHORTEST_BROKEN and size % 4 == 0:
        gap = _BREAK.match(text, stop, high)
        found = _BASE64_RUN.match(text, gap.end(), high) if gap else None
        if found is None or not 0 < len(found[0]) <= size:
            break
        last, stop = len(found[0]), found.end()
    padding = _PADDING.match(text, stop, high)
    return padding.end() if padding else stop


def _decoded(run: bytes) -> bytes:
    body = run.translate(bytes.maketrans(b"-_", b"+/"), b" \t\r\n=")
    body = body[: len(body) - (len(body) % 4 == 1)]  # it was cut
    try:
        return base64.b64decode(body + b"=" * (-len(body) % 4))
    except binascii.Error:
        return b""
