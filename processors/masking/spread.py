"""A private key that is spread over consecutive records of one request, one line of PEM in each (RFC 7468).

A record alone shows a line of base64, as harmless as any. It is the record before it that tells: one
with a BEGIN, and then every one that is nothing but the next line of the body. Where the BEGIN came in
an earlier request, the END tells, and is looked back from.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from processors.masking.decode import STRING, skip_space

EXPRESSION = rb"-----(?:BEGIN|END) [A-Z0-9 ]{0,40}PRIVATE KEY"
"""A request without it is not looked at."""
MARK = b"PRIVATE KEY"
MOST = 200
"""So many records may belong to one key."""
_BEGIN = re.compile(rb"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY[A-Z ]{0,8}-----")
_END = re.compile(rb"-----END [A-Z0-9 ]{0,40}PRIVATE KEY[A-Z ]{0,8}-----")
_FULL = re.compile(rb"((?:[A-Za-z0-9+/]|\\[/rn]){40,}+={0,2}+)(?:\\[rnt]|\s)*+\Z")
_SHORT = re.compile(rb"((?:[A-Za-z0-9+/]|\\/){2,}+={0,2}+)(?:\\[rnt]|\s)*+\Z")
_HEADER = re.compile(rb"(?:Proc-Type|DEK-Info|Version|Comment|Hash)\s?:|\s*+(?:\\[rnt]|\s)*+\Z")
_BODY = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=\\\r\n"
_LONGEST = 4096
"""A longer record is no line of a key."""

Spans = dict[int, tuple[int, int]]
"""What is to be masked, by row."""
_Place = tuple[bytes, int]
"""Key of the text in JSON, and how many words stand before the key."""
_Texts = list[tuple[int, int, bytes]]
"""The texts of a record: where each begins and ends, and its key in JSON."""


def spans(lines: Sequence[bytes]) -> Spans:
    """Return what of which lines belongs to private keys that other lines begin or end."""
    found: Spans = {}
    past = 0
    for row, line in enumerate(lines):
        if row < past or MARK not in line:
            continue
        end = _END.search(line)
        if end is not None and not _BEGIN.search(line, 0, end.start()):
            found[row] = _tail(line, end)
            _back(lines, row, end.start(), found)
        begins = list(_BEGIN.finditer(line))
        if begins and not _END.search(line, begins[-1].end()):
            past = _forth(lines, row, begins[-1].start(), found)
    return found


def _forth(lines: Sequence[bytes], first: int, begin: int, found: Spans) -> int:
    """Add the lines behind a BEGIN; return the row behind them."""
    place = _place(lines[first], begin)
    is_last = True
    for row in range(first + 1, min(len(lines), first + 1 + MOST)):
        line = lines[row]
        end = _END.search(line) if MARK in line else None
        if end is not None:
            found[row] = _tail(line, end)
            return row if _BEGIN.search(line, end.end()) else row + 1
        text = _text(line, place)
        if text is not None and _HEADER.match(line, *text):
            continue
        span = _body(line, text, _FULL, place)
        is_full = span is not None
        if span is None and not is_last:  # a short line is the last one, and stands behind full ones
            span = _body(line, text, _SHORT, place)
        if span is None:
            return row
        found[row] = span
        is_last = not is_full
    return min(len(lines), first + 1 + MOST)


def _back(lines: Sequence[bytes], last: int, at: int, found: Spans) -> None:
    """Add the lines before an END whose BEGIN is not there."""
    place = _place(lines[last], at)
    shapes = [_FULL, _SHORT]
    for row in range(last - 1, max(-1, last - 1 - MOST), -1):
        if row in found:
            return
        text = _text(lines[row], place)
        spans = (_body(lines[row], text, shape, place) for shape in shapes)
        span = next((span for span in spans if span is not None), None)
        if span is None:
            return
        found[row] = span
        shapes = [_FULL]


def _place(line: bytes, at: int) -> _Place:
    """Tell where in a record a key is spelled."""
    for start, stop, key in _texts(line):
        if start <= at < stop:
            return key, len(line[start:at].split())
    return b"", 0


def _text(line: bytes, place: _Place) -> tuple[int, int] | None:
    """Return where the text lies that has the same key in JSON, or is the whole line."""
    if len(line) > _LONGEST:
        return None
    return next(((start, stop) for start, stop, key in _texts(line) if key == place[0]), None)


def _body(
    line: bytes, text: tuple[int, int] | None, shape: re.Pattern[bytes], place: _Place
) -> tuple[int, int] | None:
    """Find a line of a key's body: the last word of a text, behind as many words as BEGIN or END."""
    if text is None:
        return None
    start, stop = text
    bare = line[start:stop].rstrip(b" \t\r\n")
    for ending in (b"\\n", b"\\r"):
        bare = bare.removesuffix(ending)
    begin = start + max(bare.rfind(blank) for blank in (b" ", b"\t", b"|", b"\n")) + 1
    found = shape.match(line, begin, stop)
    if found is None or len(line[start:begin].split()) not in (0, place[1]):
        return None
    if shape is _SHORT and len(found[1].replace(b"\\", b"")) % 4:
        return None
    return found.span(1)


def _tail(line: bytes, end: re.Match[bytes]) -> tuple[int, int]:
    """Return an END with what of the body stands before it in the same text, and the ENDs behind it."""
    stop = end.end()
    for more in _END.finditer(line, stop):
        if b'"' in line[stop : more.start()] or _BEGIN.search(line, stop, more.start()):
            break
        stop = more.end()
    return len(line[: end.start()].rstrip(_BODY)), stop


def _texts(line: bytes) -> _Texts:
    """Return the line, or the strings of JSON."""
    if line.lstrip()[:1] not in (b"{", b"[", b'"'):
        return [(0, len(line), b"")]
    texts: _Texts = []
    key = b""
    for found in STRING.finditer(line):
        after = skip_space(line, found.end())
        if line[after : after + 1] == b":":
            key = found[0][1:-1]
        else:
            texts.append((found.start() + 1, found.end() - 1, key))
    return texts
