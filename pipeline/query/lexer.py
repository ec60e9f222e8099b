"""LogQL text to tokens."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from pipeline.query.errors import QueryError

_NS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
    "d": 86_400_000_000_000,
    "w": 604_800_000_000_000,
    "y": 31_536_000_000_000_000,
}
_DURATION = r"(?:[0-9]+(?:\.[0-9]+)?(?:ns|us|µs|ms|s|m|h|d|w|y))+"
_TOKEN = re.compile(
    rf"""
      (?P<space>(?:\s+|\#[^\n]*)+)
    | (?P<string>"(?:[^"\\\n]|\\.)*"|`[^`]*`)
    | (?P<duration>-?{_DURATION})(?![A-Za-z0-9_.])
    | (?P<size>[0-9]+(?:\.[0-9]+)?(?:[kKMGTPE]i?)?B)(?![A-Za-z0-9_.])
    | (?P<number>-?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)(?![A-Za-z0-9_.])
    | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<operator>\|=|\|~|\|>|!=|!~|!>|=~|==|>=|<=|[|=<>{{}}()\[\],+*/%^-])
    """,
    re.VERBOSE,
)
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ns|us|µs|ms|s|m|h|d|w|y)")
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|.)", re.DOTALL)
_SINGLE = {
    "n": "\n",
    "t": "\t",
    "r": "\r",
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "v": "\v",
    "\\": "\\",
    '"': '"',
    "'": "'",
}


@dataclass(frozen=True, slots=True)
class Token:
    """One token: its kind (string, duration, size, number, name, operator, end), text and column from 1."""

    kind: str
    text: str
    column: int


def tokens(query: str) -> list[Token]:
    """Split a query; the last token has kind "end".

    Raises:
        QueryError: A character begins no token.
    """
    found: list[Token] = []
    place = 0
    while place < len(query):
        match = _TOKEN.match(query, place)
        if match is None:
            raise QueryError(400, f"parse error at col {place + 1}: no LogQL token begins here")
        if match.lastgroup != "space":
            found.append(Token(match.lastgroup or "", match[0], place + 1))
        place = match.end()
    return [*found, Token("end", "", len(query) + 1)]


def unquoted(token: Token) -> str:
    """Return the text a string literal stands for.

    Raises:
        QueryError: An escape is none of Go's.
    """
    if token.text[0] == "`":
        return token.text[1:-1]

    def plain(match: re.Match[str]) -> str:
        code = match[1]
        try:
            if len(code) == 1:
                return _SINGLE[code]
            return chr(int(code, 8) if code[0] in "01234567" else int(code[1:], 16))
        except (KeyError, ValueError, OverflowError):
            raise QueryError(400, f"parse error at col {token.column}: invalid escape in a string") from None

    text = _ESCAPE.sub(plain, token.text[1:-1])
    if any("\ud800" <= c <= "\udfff" for c in text):
        raise QueryError(400, f"parse error at col {token.column}: a string holds half a character")
    return text


def duration_ns(text: str) -> int:
    """Return the nanoseconds of a duration such as ``1h30m``; days, weeks and years as in Prometheus."""
    sign = -1 if text.startswith("-") else 1
    return sign * round(sum(Decimal(count) * _NS[unit] for count, unit in _PART.findall(text)))


def is_duration(text: str) -> bool:
    """Tell whether the whole text is a duration."""
    return re.fullmatch(_DURATION, text) is not None
