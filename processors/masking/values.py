"""Values that belong to a sensitive field name: ``"password": "x"``, ``password=x``, ``token: x``."""

from __future__ import annotations

import re

from processors.masking.decode import skip_space
from processors.masking.fields import STRONG, FieldPolicy

NAME = "credential-field"
"""Detector name of everything that is masked because of its field."""

PLACEHOLDER = re.compile(rb"\[redacted:[a-z0-9_-]{1,64}\]")
_KEY = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"
_PUNCTUATION = b":=,;&{}[]"
_LONGEST_KEY = 160
_SCHEME = re.compile(
    rb"(?i:basic|bearer|digest|token|apikey|negotiate|splunk|geniekey|aws4-hmac-sha256)[ \t]{1,8}"
)
_WHOLE_LINE = (b"cookie", b"authorization")
_LIST_SCHEMES = (b"digest", b"aws4-h")
_VALUE = re.compile(rb"[^\s\"'&,;}\x00-\x1f]*+")
_LINE = re.compile(rb"[^\r\n\"]*+")
_NOTHING = frozenset((b"true", b"false", b"null", b"none", b"nil", b"undefined", b"%s", b"%v", b"?"))


def masked_already(value: bytes) -> bool:
    """Tell whether a value holds nothing to mask: empty, asterisks, or only our own placeholders."""
    return not value.strip(b"*") or not PLACEHOLDER.sub(b"", value)


def text_value(
    text: bytes, low: int, high: int, end: int, policy: FieldPolicy, *, covered: tuple[int, int] = (-1, -1)
) -> tuple[int, int] | None:
    """Find the value of a field in free text.

    Args:
        text: The unit.
        low, high: The part of it that may be looked at.
        end: Just behind the colon or equals sign.
        policy: Judges the name before it.
        covered: What was masked last in this text: a value that begins there is not walked again.

    Returns:
        The span of the value without quotes, or None when there is nothing to mask.
    """
    name = _name_before(text, low, end - 1)
    strength = policy(name)
    if not strength:
        return None
    start = end + 1 if text[end : end + 1] in (b">", b"=") else end
    if text.startswith(b"//", start):
        return None
    begin = start
    while begin < high and text[begin] in b" \t":
        begin += 1
    if covered[0] <= begin < covered[1] and covered[1] >= high:
        return None
    begin, stop = _extent(text, begin, high, name.lower(), covered)
    value = text[begin:stop]
    if (
        masked_already(value)
        or value.lower() in _NOTHING
        or (value[:2] in (b"${", b"{{") and value[-1:] == b"}")
    ):
        return None
    loose = strength < STRONG and text[end - 1] == 0x3A and begin > start
    if loose and len(value) < 16 and value.isalpha():
        return None  # prose: "token: expired"
    return begin, stop


def _name_before(text: bytes, low: int, position: int) -> bytes:
    window = text[max(low, position - _LONGEST_KEY) : position].rstrip(b" \t\r\n")
    quote = window[-1:]
    if quote in (b'"', b"'"):
        window = window[:-1]
        name = window[window.rfind(quote) + 1 :]
        if name.translate(None, _PUNCTUATION) == name:
            return name
    return window[len(window.rstrip(_KEY)) :]


def _extent(text: bytes, begin: int, high: int, name: bytes, covered: tuple[int, int]) -> tuple[int, int]:
    """Return where a value lies that begins at ``begin``; empty when it lies in what is covered."""
    if text[begin : begin + 1] in (b"b", b"u", b"r") and text[begin + 1 : begin + 2] in (b'"', b"'"):
        begin += 1
    quote = text[begin : begin + 1] if begin < high else b""
    if quote in (b'"', b"'"):
        stop = text.find(quote, begin + 1, high)
        return begin + 1, stop if stop >= 0 else high
    if quote == b"{":
        stop = text.find(b"}", begin, high)
        return begin + 1, stop if stop >= 0 else high
    scheme = _SCHEME.match(text, begin, high)
    lists = scheme is not None and scheme[0][:6].lower() in _LIST_SCHEMES
    if lists or (scheme is None and name.endswith(_WHOLE_LINE)):
        if covered[0] <= begin < covered[1] and text[covered[1] : covered[1] + 1] in (b"\n", b"\r", b'"'):
            return begin, begin
        found = _LINE.match(text, begin, high)
        return begin, found.end() if found else begin
    begin = scheme.end() if scheme else begin
    if covered[0] <= begin < covered[1]:
        return begin, begin  # it ends at the same delimiter at the latest
    found = _VALUE.match(text, begin, high)
    stop = found.end() if found else begin
    while stop > begin and text[stop - 1] in b"\\)>. \t":
        stop -= 1
    return begin, stop


def json_value(text: bytes, position: int) -> int:
    """Return where the value begins that follows a key's colon, -1 when it holds nothing to mask."""
    begin = skip_space(text, position)
    first = text[begin : begin + 1]
    if first in (b"t", b"f", b"n", b""):
        return -1
    if first in (b"{", b"["):
        inner = skip_space(text, begin + 1)
        return -1 if text[inner : inner + 1] in (b"}", b"]") else begin
    return begin
