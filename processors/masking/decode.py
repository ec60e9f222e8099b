"""Decoded forms of a line: what an escape could hide is scanned unescaped.

A `Unit` is one text that is scanned: a line, the decoded text of a JSON string that held a
backslash, or a *view*: free text with its backslash and percent escapes undone. Children lie in
their parent; an edit of a child becomes an edit of the parent, so everything that is not masked
stays byte for byte as it came.

Expressions here use possessive repeats or single classes only: they cannot backtrack.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

import orjson

STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
"""One JSON string with its quotes."""
PERCENT = re.compile(rb"%[0-9A-Fa-f]{2}")
_ESCAPE = re.compile(rb"\\(?:u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2}|[\"'\\/bfnrt])|%[0-9A-Fa-f]{2}")
_SINGLE = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t"}
_BRACKETS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[\[{]|[\]}]', re.DOTALL)
"""A string or a bracket; an unterminated string runs to the end, so that no text is walked twice."""
_SPACE = b" \t\r\n"
_WORK = 64 * 1024
_WORK_PER_BYTE = 64
"""A unit may cost its confirmations so many bytes walked; ordinary text costs less than two a byte."""
LOOK = 64
"""What a confirmation costs beside the bytes it walks."""


class WorkError(Exception):
    """Confirming a text would cost more than its size allows."""


@dataclass(slots=True)
class Edit:
    """Replace ``text[start:end]`` of a unit.

    Attributes:
        start, end: Half open, in bytes of the unit.
        name: The detector.
        quoted: The placeholder needs JSON quotes: the span is a number or a container.
        text: Replacement that is not a placeholder: a string with masked parts, as JSON.
        names: The detectors behind ``text``.
        field: The value is masked because of its field's name; a shape in the same place tells more.
        action: What the policy says, as `processors.masking.actions.Action`.
        value: What was found, decoded, where the span holds it otherwise.
    """

    start: int
    end: int
    name: str
    quoted: bool = False
    text: bytes | None = None
    names: tuple[str, ...] = ()
    field: bool = False
    action: str = "redact"
    value: bytes | None = None


@dataclass(slots=True, eq=False)
class Unit:
    """One text to scan.

    Attributes:
        text: UTF-8; JSON when ``is_json``.
        is_json: Strings are tokens of their own, and keys are keys.
        row: The line it belongs to.
        level: How often it was decoded.
        parent: Where it lies, None for a line.
        start, end: Its place in the parent: the inside of the quotes, or of the viewed text.
        marks: For a view, (decoded offsets, parent offsets) where escapes begin and end.
        holes: For JSON, spans of strings with a backslash and how many escaped quotes each holds.
        edits: What will be replaced.
        done: By tag, up to where the unit was masked; later events there need no look.
        covered: The last value that was masked because of its name in free text.
        refused: By tag, up to where a long candidate was walked and refused.
        paired: Its name/value pairs were looked at.
        decoded: The decoded forms of ``holes``.
        wrapped: It was base64 or hex in its parent, and is masked whole there.
        siblings: Places of values by the place of the name beside them, when that was asked for.
        work: Bytes that confirmations walked.
    """

    text: bytes
    is_json: bool
    row: int
    level: int = 0
    parent: Unit | None = None
    start: int = 0
    end: int = 0
    marks: tuple[list[int], list[int]] | None = None
    holes: list[tuple[int, int]] = field(default_factory=list)
    edits: list[Edit] = field(default_factory=list)
    done: dict[int, int] = field(default_factory=dict)
    refused: dict[int, int] = field(default_factory=dict)
    covered: tuple[int, int] = (-1, -1)
    paired: bool = False
    decoded: list[Unit] = field(default_factory=list)
    wrapped: bool = False
    siblings: dict[int, tuple[int, ...]] | None = None
    work: int = 0

    def walk(self, size: int) -> None:
        """Count bytes that a confirmation walked; raises `WorkError` when they are too many."""
        self.work += size
        if self.work > _WORK + _WORK_PER_BYTE * len(self.text):
            raise WorkError

    def inner(self, start: int) -> Unit | None:
        """Return the decoded form of the JSON string that begins at ``start``, if it held a backslash."""
        place = bisect_left(self.holes, (start, 0))
        if place < len(self.holes) and self.holes[place][0] == start:
            return self.decoded[place]
        return None

    def parent_span(self, start: int, end: int) -> tuple[int, int]:
        """Map a span of a view to its parent, widened to whole escapes."""
        if self.marks is None:
            raise ValueError("only a view maps spans")
        here, there = self.marks
        left = bisect_right(here, start) - 1
        begin = there[left] + (0 if left % 2 else start - here[left])
        right = bisect_left(here, end) - 1
        return begin, there[right + 1] if right % 2 else there[right] + end - here[right]


def parses(text: bytes) -> bool:
    """Tell whether a text is one JSON value; a bare word of digits counts."""
    if text[:1] not in b'{["-0123456789' and text[:1] not in _SPACE:
        return False
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        if b"\\u" not in text:
            return False
        try:
            json.loads(text)  # takes lone surrogates, which orjson refuses
        except (ValueError, RecursionError):
            return False
    return True


def decode_string(token: bytes) -> bytes:
    """Decode a JSON string with its quotes; lone surrogates become their three-byte form."""
    try:
        text = orjson.loads(token)
    except orjson.JSONDecodeError:
        text = json.loads(token)
    return text.encode("utf-8", "surrogatepass")  # type: ignore[no-any-return]


def string_value(token: bytes) -> bytes:
    """Return what a JSON string with its quotes says."""
    return decode_string(token) if b"\\" in token else token[1:-1]


def encode_string(text: bytes) -> bytes:
    """Encode the inside of a JSON string, without its quotes."""
    value = text.decode("utf-8", "surrogatepass")
    try:
        return orjson.dumps(value)[1:-1]
    except (orjson.JSONEncodeError, UnicodeEncodeError):
        return json.dumps(value)[1:-1].encode()


def has_escapes(text: bytes) -> bool:
    """Tell whether a view of the text would differ from it."""
    return (b"\\" in text or b"%" in text) and _ESCAPE.search(text) is not None


def view(text: bytes, base: int) -> tuple[bytes, tuple[list[int], list[int]]]:
    """Undo backslash and percent escapes.

    Args:
        text: Part of a parent's text.
        base: Where the part begins there.

    Returns:
        The text, and marks: even ones begin plain runs, odd ones begin escapes, as decoded and
        as parent offsets.
    """
    parts: list[bytes] = []
    here, there = [0], [base]
    position = size = 0
    for found in _ESCAPE.finditer(text):
        start, end = found.span()
        decoded = _unescape(found[0])
        parts += (text[position:start], decoded)
        size += start - position
        here.append(size)
        there.append(base + start)
        size += len(decoded)
        here.append(size)
        there.append(base + end)
        position = end
    parts.append(text[position:])
    return b"".join(parts), (here, there)


def _unescape(escape: bytes) -> bytes:
    if escape[:1] == b"%":
        return bytes.fromhex(escape[1:].decode())
    kind = escape[1:2]
    if kind == b"u":
        return chr(int.from_bytes(bytes.fromhex(escape[2:].decode()))).encode("utf-8", "surrogatepass")
    if kind == b"x":
        return bytes.fromhex(escape[2:].decode())
    return _SINGLE.get(kind, kind)


def skip_space(text: bytes, position: int) -> int:
    """Return the first offset at or after ``position`` that is not JSON white space."""
    while position < len(text) and text[position] in _SPACE:
        position += 1
    return position


def value_span(text: bytes, position: int) -> tuple[int, int]:
    """Return the span of the JSON value at ``position``, quotes included; linear in the value."""
    first = text[position : position + 1]
    if first == b'"':
        found = STRING.match(text, position)
        if found is None:
            raise ValueError("a string does not end")
        return found.span()
    if first in (b"{", b"["):
        return position, _closing(text, position)
    end = position
    while end < len(text) and text[end] not in b",]} \t\r\n":
        end += 1
    return position, end


def _closing(text: bytes, position: int) -> int:
    depth = 0
    for found in _BRACKETS.finditer(text, position):
        token = found[0]
        if token in (b"{", b"["):
            depth += 1
        elif token in (b"}", b"]"):
            depth -= 1
            if depth == 0:
                return found.end()
    raise ValueError("a container does not end")


def too_deep(text: bytes, limit: int) -> bool:
    """Tell whether brackets outside strings nest deeper than ``limit``."""
    if text.count(b"{") + text.count(b"[") <= limit:
        return False
    depth = 0
    for found in _BRACKETS.finditer(text):
        token = found[0]
        if token in (b"{", b"["):
            depth += 1
            if depth > limit:
                return True
        elif token in (b"}", b"]"):
            depth -= 1
    return False


_TOKENS = re.compile(rb'("[^"\\]*+(?:\\.[^"\\]*+)*+")(?:[ \t\r\n]*+(:)[ \t\r\n]*+)?|[\[{]|[\]}]', re.DOTALL)
Members = tuple[list[tuple[bytes, bytes]], list[tuple[bytes, int]]]


def flat_objects(text: bytes) -> Iterator[Members]:
    """Walk a JSON text once and yield each object's own members.

    Yields:
        ([(key, string value)], [(key, offset of the value)]) of an object, keys and values decoded.
    """
    stack: list[Members] = []
    key: bytes | None = None
    for found in _TOKENS.finditer(text):
        first = text[found.start()]
        if first == 0x22:
            value = string_value(found[1])
            if found[2]:
                key = value
                if stack:
                    stack[-1][1].append((key, found.end()))
            elif key is not None and stack and stack[-1][1] and stack[-1][1][-1][1] == found.start():
                stack[-1][0].append((key, value))
        elif first in b"{[":
            stack.append(([], []))
        elif stack:
            yield stack.pop()
