"""Trace context of a record: W3C Trace Context level 1, section 3.2, or plain id fields."""

from __future__ import annotations

from typing import Any

TRACEPARENT_FIELD = "traceparent"
TRACE_FIELDS = ("trace_id", "traceId", "trace.id")
SPAN_FIELDS = ("span_id", "spanId", "span.id")

_LOWER = "0123456789abcdef"
_HEX = _LOWER + "ABCDEF"


def identifiers(column: list[Any], digits: int) -> list[str | None]:
    """Return each value in lower-case hex, or None where it is not an id of so many hex digits.

    All zero is no id. A column in which all is well, the usual case, costs a few native calls.
    """
    try:
        joined = "".join(column)
    except TypeError:
        return [_identifier(value, digits) for value in column]
    # strip() of the whole alphabet is the cheapest "only hex digits" there is.
    if set(map(len, column)) != {digits} or joined.strip(_LOWER) or "0" * digits in column:
        return [_identifier(value, digits) for value in column]
    return column


def parse_traceparent(value: object) -> tuple[str, str] | None:
    """Return (trace id, span id) of a ``traceparent``, or None when it is not valid.

    The form of version 00 is ``00-<32 hex>-<16 hex>-<2 hex>``, lower case. A later version may
    append fields after another dash; version ff is forbidden.
    """
    if not isinstance(value, str) or len(value) < 55:
        return None
    version, trace, span, flags = value[:2], value[3:35], value[36:52], value[53:55]
    if value[2] != "-" or value[35] != "-" or value[52] != "-":
        return None
    if version == "ff" or (version + trace + span + flags).strip(_LOWER):
        return None
    if len(value) > 55 and (version == "00" or value[55] != "-"):
        return None
    if not trace.strip("0") or not span.strip("0"):
        return None
    return trace, span


def _identifier(value: object, digits: int) -> str | None:
    if not isinstance(value, str) or len(value) != digits or value.strip(_HEX) or not value.strip("0"):
        return None
    return value.lower()
