"""Loki push on either path: JSON v1, JSON v0 and protobuf + snappy, told apart by content.

Real Loki refuses a whole push for one bad type; here only what cannot be read at all is refused (400),
a broken entry is rejected alone, and what can be repaired (label and metadata values
that are no strings, text that is not UTF-8, times in other units) is repaired.
"""

from __future__ import annotations

import json
import math
from typing import Any

import cramjam
import orjson
from headrig import DecodeError, RejectedError, Resource

from pipeline.flow.inbound import Inbound
from pipeline.receiver.body import inflate_snappy_block
from pipeline.receiver.bounds import check_values
from pipeline.receiver.limits import Limits
from pipeline.receiver.loki_protobuf import WireStream, decode_push
from pipeline.receiver.loki_push import PushColumns

_SPACE = b" \t\r\n"
_INTEGER_DIGITS = 20


def decode(data: bytes, content_type: bytes, resource: Resource, digest: bytes, limits: Limits) -> Inbound:
    """Decode a push.

    Args:
        data: The body without its content coding; protobuf still in its snappy block, or not.
        content_type: Says which reading to try first, no more.
        resource: From the credential.
        digest: See `Inbound`.
        limits: ``inflated_bytes``, ``line_bytes`` and ``records`` are used.

    Raises:
        DecodeError: Neither JSON nor protobuf of a push.
        RejectedError: No stream in it (Loki: 422).
        TooLargeError: A limit of the whole request was passed.
    """
    if not data:
        raise DecodeError("the body is empty", reason="empty_body")
    push = PushColumns(resource, digest, limits)
    if not _begins_like_json(data):
        push.add_wire(_wire_streams(data, limits))
        return push.finish()
    # A snappy block of 91 or 123 bytes begins with a bracket too; the other reading is tried then.
    wire_first = b"protobuf" in content_type
    try:
        _read(push, data, limits, wire=wire_first)
    except DecodeError as error:
        try:
            _read(push, data, limits, wire=not wire_first)
        except DecodeError:
            raise error from None
    return push.finish()


def _begins_like_json(data: bytes) -> bool:
    first = data[:1]
    if first in _SPACE:
        first = data.lstrip(_SPACE)[:1]
    return first in (b"{", b"[")


def _read(push: PushColumns, data: bytes, limits: Limits, *, wire: bool) -> None:
    """Parse all of the body before anything is added, so that a failed reading leaves no trace."""
    if wire:
        push.add_wire(_wire_streams(data, limits))
    else:
        push.add_json(_parse(data, limits))


def _parse(data: bytes, limits: Limits) -> list[Any]:
    """Return the streams of a JSON push."""
    check_values(data, limits.records)
    try:
        push = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        push = _parse_loosely(data, error.pos)
    if not isinstance(push, dict):
        raise DecodeError("the body is no JSON object", reason="malformed")
    streams = push.get("streams")
    if not streams:
        raise RejectedError("at least one valid stream is required", reason="no_streams")
    if not isinstance(streams, list):
        raise DecodeError("streams is no array", reason="malformed")
    return streams


def _parse_loosely(data: bytes, position: int) -> object:
    """Parse what only has bad characters or numbers: U+FFFD is read for the ones, as in Go, null for the others."""
    try:
        text = data.decode("utf-8", "replace")
        push = json.loads(text, parse_constant=lambda _: None, parse_float=_finite, parse_int=_integer)
        text = json.dumps(push, ensure_ascii=False)
        return orjson.loads(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
    except (ValueError, RecursionError):
        raise DecodeError(f"the body is not valid JSON at character {position}", reason="malformed") from None


def _finite(text: str) -> float | None:
    """Return a number, or null for what no double holds: ``1e999``."""
    number = float(text)
    return number if math.isfinite(number) else None


def _integer(text: str) -> float | int | None:
    return int(text) if len(text) <= _INTEGER_DIGITS else _finite(text)


def _wire_streams(data: bytes, limits: Limits) -> list[WireStream]:
    """Return the streams of a protobuf push, with or without its snappy block."""
    try:
        plain = inflate_snappy_block(data, limits.inflated_bytes)
    except cramjam.DecompressionError:
        plain = data
    streams = decode_push(plain, limits.records)
    if not streams:
        raise RejectedError("at least one valid stream is required", reason="no_streams")
    return streams
