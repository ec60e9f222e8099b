"""JSON values: what is one, and what differs between two."""

from __future__ import annotations

import copy
import math
from typing import Any

from headrig import Record

_DEEPEST = 200


def why_not_json(value: Any, place: str = "body", depth: int = 0) -> str:
    """Say where a value is not JSON and why; empty when it is.

    Integers beyond 64 bits, NaN and lone surrogates are refused, because the application cannot
    encode them; so are tuples, sets, bytes and subclasses.
    """
    if value is None or type(value) is bool:
        return ""
    if type(value) is int:
        return "" if -(2**63) <= value < 2**64 else f"{place} is an integer beyond 64 bits"
    if type(value) is float:
        return "" if math.isfinite(value) else f"{place} is {value}, which JSON has no word for"
    if type(value) is str:
        return "" if _encodable(value) else f"{place} holds a lone surrogate, which UTF-8 cannot carry"
    if depth > _DEEPEST:
        return f"{place} nests deeper than {_DEEPEST}, or contains itself"
    if type(value) is list:
        return next(
            filter(None, (why_not_json(v, f"{place}[{n}]", depth + 1) for n, v in enumerate(value))), ""
        )
    if type(value) is dict:
        return _why_not_object(value, place, depth)
    return f"{place} is a {type(value).__name__}"


def _why_not_object(value: dict[Any, Any], place: str, depth: int) -> str:
    for key, inner in value.items():
        if type(key) is not str or not _encodable(key):
            return f"{place} has a key that is not text: a {type(key).__name__}"
        why = why_not_json(inner, f"{place}.{key[:40]}", depth + 1)
        if why:
            return why
    return ""


def why_not_attributes(value: Any) -> str:
    """Say why attributes are not string to string; empty when they are."""
    if type(value) is not dict:
        return f"attributes are a {type(value).__name__}, not a dict"
    for key, inner in value.items():
        if type(key) is not str or type(inner) is not str:
            return f"attribute {key!r} is a {type(inner).__name__}; attributes are str to str"
        if not _encodable(key) or not _encodable(inner):
            return f"attribute {key!r} holds a lone surrogate, which UTF-8 cannot carry"
    return ""


def exactly(one: Any, other: Any) -> bool:
    """Compare JSON values, where 1, 1.0 and true differ and NaN is itself."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(exactly(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(exactly, one, other))
    return repr(one) == repr(other)


def changed(before: dict[str, Any], after: dict[str, Any], part: str) -> list[str]:
    """Name the top-level keys that differ, as ``<part>.<key>``, sorted."""
    keys = [
        key
        for key in before.keys() | after.keys()
        if key not in before or key not in after or not exactly(before[key], after[key])
    ]
    return sorted(f"{part}.{key}" for key in keys)


def twin(record: Record) -> Record:
    """Copy a record so that nothing is shared but its resource."""
    return Record(copy.deepcopy(record.body), dict(record.attributes), record.resource, record.time_ns)


def show(value: Any, limit: int = 160) -> str:
    """Show a value of the corpus in a message, shortened."""
    text = ascii(value)
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text)} characters)"


def _encodable(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)
