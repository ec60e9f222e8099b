"""Labels as pairs of strings, from what clients send."""

from __future__ import annotations

import re
from typing import Any, Final

import orjson

Labels = dict[str, str]

_NAME = r'[^\s=,{}"]+'
# Go's quoting, as Prometheus and the Loki clients write it.
_STRICT = re.compile(rf'\s*({_NAME})\s*=\s*"([^"\\]*(?:\\.[^"\\]*)*)"\s*(?:,|$)', re.DOTALL)
# python-logging-loki escapes quotes but not backslashes, so a value may end in one: its end is then
# the quote that is followed by the next pair or by the end.
_LOOSE = re.compile(rf'\s*({_NAME})\s*=\s*"(.*?)"\s*(?:,(?=\s*(?:{_NAME}\s*=\s*"|$))|$)', re.DOTALL)
_ESCAPE = re.compile(
    r"""\\(?:([abfnrtv\\'"])|x([0-9a-fA-F]{2})|([0-7]{3})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))""",
    re.DOTALL,
)
_SINGLE: Final = {
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
    "\\": "\\",
    "'": "'",
    '"': '"',
}
_LARGEST_CODE_POINT: Final = 0x10FFFF


def label_texts(pairs: dict[str, Any]) -> Labels:
    """Return values as strings; names stay as they came until they are masked (`pipeline.flow.label_names`)."""
    return {name: value if type(value) is str else _text(value) for name, value in pairs.items()}


def _text(value: object) -> str:
    """Return a JSON value as its JSON text, as Loki does with ``7``, ``true`` and ``null``."""
    return orjson.dumps(value).decode()


def parse_labels(text: str) -> Labels | None:
    """Parse ``{a="b",c="d"}``; None when it is nothing of the kind.

    Escapes are Go's (``strconv.Unquote``); a backslash that begins none stands for itself.
    """
    text = text.strip()
    if not (text.startswith("{") and text.endswith("}")):
        return None
    inner = text[1:-1]
    pairs = _pairs(_STRICT, inner)
    if pairs is None:
        pairs = _pairs(_LOOSE, inner)
    if pairs is None:
        return None
    return {name: _unquote(value) if "\\" in value else value for name, value in pairs}


def _pairs(pattern: re.Pattern[str], text: str) -> list[tuple[str, str]] | None:
    pairs: list[tuple[str, str]] = []
    position, end = 0, len(text.rstrip())
    while position < end:
        found = pattern.match(text, position, end)
        if found is None:
            return None
        pairs.append((found[1], found[2]))
        position = found.end()
    return pairs


def _unquote(value: str) -> str:
    return _ESCAPE.sub(_unescape, value)


def _unescape(found: re.Match[str]) -> str:
    single, *codes, other = found.groups()
    if single:
        return _SINGLE[single]
    if other:
        return "\\" + other
    hexadecimal, octal, short, long = codes
    code = int(octal, 8) if octal else int(hexadecimal or short or long, 16)
    if code > _LARGEST_CODE_POINT or 0xD800 <= code <= 0xDFFF:
        return "\N{REPLACEMENT CHARACTER}"
    return chr(code)
