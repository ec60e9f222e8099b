"""A decoder for Loki's ``PushRequest`` (protobuf, ``pkg/push/push.proto``), bounds-checked throughout.

::

    PushRequest { repeated Stream streams = 1; }
    Stream      { string labels = 1; repeated Entry entries = 2; uint64 hash = 3; }
    Entry       { Timestamp timestamp = 1; string line = 2; repeated Pair structuredMetadata = 3; }
    Timestamp   { int64 seconds = 1; int32 nanos = 2; }
    Pair        { string name = 1; string value = 2; }

Unknown fields are skipped, the last value of a repeated scalar wins (protobuf encoding guide).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from headrig import DecodeError, TooLargeError

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_MAX_SHIFT = 63
_MASK64 = (1 << 64) - 1
_SIGN64 = 1 << 63
_OBJECTS_PER_ENTRY = 16
_LABELS, _ENTRIES = 1, 2
_TIMESTAMP, _LINE, _METADATA = 1, 2, 3


@dataclass(slots=True)
class WireEntry:
    """One entry; ``ns`` may be negative, bytes are not yet checked to be UTF-8."""

    ns: int = 0
    line: bytes = b""
    metadata: list[tuple[bytes, bytes]] = field(default_factory=list)


@dataclass(slots=True)
class WireStream:
    """One stream; ``labels`` as sent, like ``{a="b"}``."""

    labels: bytes = b""
    entries: list[WireEntry] = field(default_factory=list)


def decode_push(data: bytes, max_entries: int) -> list[WireStream]:
    """Decode a ``PushRequest``.

    Raises:
        DecodeError: Not protobuf of this shape; the message names the byte.
        TooLargeError: More than ``max_entries`` entries, or 16 times as many streams and metadata pairs.
    """
    streams: list[WireStream] = []
    budget = _Budget(max_entries)
    for number, wire, start, end in _fields(data, 0, len(data)):
        if number == 1:
            _expect_length(wire, start)
            budget.other()
            streams.append(_stream(data, start, end, budget))
    return streams


class _Budget:
    """Bounds the objects a body can ask for: two bytes are enough for one."""

    __slots__ = ("entries", "limit", "objects")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.entries = limit
        self.objects = limit * _OBJECTS_PER_ENTRY

    def entry(self) -> None:
        self.entries -= 1
        if self.entries < 0:
            raise TooLargeError(f"more than {self.limit} records in one request", reason="records")

    def other(self) -> None:
        self.objects -= 1
        if self.objects < 0:
            limit = self.limit * _OBJECTS_PER_ENTRY
            raise TooLargeError(
                f"more than {limit} streams and metadata pairs in one request", reason="values"
            )


def _stream(data: bytes, start: int, end: int, budget: _Budget) -> WireStream:
    stream = WireStream()
    for number, wire, low, high in _fields(data, start, end):
        if number == _ENTRIES:
            _expect_length(wire, low)
            budget.entry()
            stream.entries.append(_entry(data, low, high, budget))
        elif number == _LABELS:
            _expect_length(wire, low)
            stream.labels = data[low:high]
    return stream


def _entry(data: bytes, start: int, end: int, budget: _Budget) -> WireEntry:
    entry = WireEntry()
    for number, wire, low, high in _fields(data, start, end):
        if number in (_TIMESTAMP, _LINE, _METADATA):
            _expect_length(wire, low)
            if number == _LINE:
                entry.line = data[low:high]
            elif number == _TIMESTAMP:
                entry.ns = _timestamp(data, low, high)
            else:
                budget.other()
                entry.metadata.append(_pair(data, low, high))
    return entry


def _timestamp(data: bytes, start: int, end: int) -> int:
    seconds = nanos = 0
    for number, wire, low, high in _fields(data, start, end):
        if wire == _VARINT:
            value = high - _SIGN64 * 2 if high >= _SIGN64 else high
            if number == 1:
                seconds = value
            elif number == 2:
                nanos = value
        elif number in (1, 2):
            raise DecodeError(f"protobuf: wrong type at byte {low}", reason="malformed")
    return seconds * 1_000_000_000 + nanos


def _pair(data: bytes, start: int, end: int) -> tuple[bytes, bytes]:
    name = value = b""
    for number, wire, low, high in _fields(data, start, end):
        if number in (1, 2):
            _expect_length(wire, low)
            if number == 1:
                name = data[low:high]
            else:
                value = data[low:high]
    return name, value


def _expect_length(wire: int, position: int) -> None:
    if wire != _LENGTH:
        raise DecodeError(f"protobuf: wrong type at byte {position}", reason="malformed")


def _fields(data: bytes, position: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield ``(number, wire type, start, end)`` of each field; for a varint: its place and its value."""
    while position < end:
        tag = data[position]
        position += 1
        if tag >= 0x80:
            tag, position = _varint(data, position - 1, end)
        number, wire = tag >> 3, tag & 7
        if not number:
            raise DecodeError(f"protobuf: field number 0 at byte {position}", reason="malformed")
        if wire == _LENGTH:
            size, position = _varint(data, position, end)
            if size > end - position:
                raise DecodeError(
                    f"protobuf: a field ends beyond its message at byte {position}", reason="malformed"
                )
            yield number, wire, position, position + size
            position += size
        elif wire == _VARINT:
            value, after = _varint(data, position, end)
            yield number, wire, position, value
            position = after
        elif wire in (_FIXED64, _FIXED32):
            size = 8 if wire == _FIXED64 else 4
            if size > end - position:
                raise DecodeError(f"protobuf: truncated at byte {position}", reason="malformed")
            yield number, wire, position, position + size
            position += size
        else:
            raise DecodeError(f"protobuf: wire type {wire} at byte {position}", reason="malformed")


def _varint(data: bytes, position: int, end: int) -> tuple[int, int]:
    """Return an unsigned 64-bit varint and where it ends."""
    value = shift = 0
    while position < end:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & _MASK64, position
        shift += 7
        if shift > _MAX_SHIFT:
            break
    raise DecodeError(f"protobuf: a number is cut or too long at byte {position}", reason="malformed")
