"""What goes when a field is removed: the member of a JSON object, or the ``key=value`` pair of a text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from processors.masking.decode import STRING, skip_space, value_span

_SPACE = b" \t\r\n"
_KEY = re.compile(rb"[A-Za-z0-9_.\-]{1,160}")
_LONGEST_KEY = 161
_BLANKS = (b"", b" ", b"\t", b"\n", b"\r")

Span = tuple[int, int]


def member(text: bytes, start: int, end: int, *, quoted: bool) -> Span | None:
    """Find the member of a JSON object whose value, or key, is exactly what was found.

    Args:
        text: JSON.
        start, end: The inside of a string, or a number or container when ``quoted``.
        quoted: The placeholder would need quotes of its own.

    Returns:
        From the key's quote to the end of the value; None where there is no such member.
    """
    if not quoted:
        start, end = start - 1, end + 1
        whole = STRING.match(text, start) if start >= 0 and text[start] == 0x22 else None
        if whole is None or whole.end() != end:
            return None
        colon = skip_space(text, end)
        if text[colon : colon + 1] == b":":
            return start, value_span(text, skip_space(text, colon + 1))[1]
    colon = _back(text, start) - 1
    if colon < 0 or text[colon] != 0x3A:
        return None
    closing = _back(text, colon) - 1
    opening = text.rfind(b'"', 0, closing)
    while opening > 0 and _escaped(text, opening):
        opening = text.rfind(b'"', 0, opening)
    return (opening, end) if opening >= 0 else None


def pair(text: bytes, start: int, end: int, *, in_json: bool) -> Span | None:
    """Find the ``key=value`` pair, with blanks around it, whose value is exactly what was found.

    Args:
        text: Plain text, or JSON in one of whose strings it lies.
        start, end: The value without quotes.
        in_json: The string ends where its quotes are.
    """
    quote = text[start - 1 : start] if start else b""
    if not in_json and quote in (b'"', b"'") and text[end : end + 1] == quote:
        start, end = start - 1, end + 1
    if text[start - 1 : start] != b"=":
        return None
    base = max(start - 1 - _LONGEST_KEY, 0)
    window = text[base : start - 1]
    cut = max(window.rfind(blank) for blank in (b" ", b"\t", b"\n", b"\r", *([b'"'] if in_json else [])))
    if (cut < 0 and base) or not _KEY.fullmatch(window, cut + 1):
        return None
    after = text[end : end + 1]
    return (base + cut + 1, end) if after in _BLANKS or (in_json and after == b'"') else None


def closed_up(text: bytes, spans: Iterable[tuple[Span, bool]]) -> Iterator[Span]:
    """Widen what goes by the comma, or blank, that goes with it: that before it, else that behind it.

    Args:
        text: What they are removed from.
        spans: In order and apart from each other; each with whether it is a member.
    """
    edge = 0
    for span, is_member in spans:
        start, end = _with_comma(text, span, edge) if is_member else _with_blank(text, span, edge)
        edge = end
        yield start, end


def _with_comma(text: bytes, span: Span, edge: int) -> Span:
    start, end = span
    before = _back(text, start) - 1
    if before >= edge and text[before] == 0x2C:
        return before, end
    after = skip_space(text, end)
    return start, skip_space(text, after + 1) if text[after : after + 1] == b"," else end


def _with_blank(text: bytes, span: Span, edge: int) -> Span:
    start, end = span
    if start > edge and text[start - 1] in _SPACE:
        return start - 1, end
    return start, end + (end < len(text) and text[end] in _SPACE)


def _back(text: bytes, position: int) -> int:
    """Return where the white space before ``position`` begins."""
    while position > 0 and text[position - 1] in _SPACE:
        position -= 1
    return position


def _escaped(text: bytes, position: int) -> bool:
    start = position
    while start > 0 and text[start - 1] == 0x5C:
        start -= 1
    return (position - start) % 2 == 1
