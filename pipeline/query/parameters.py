"""Query parameters as Loki's clients write them: times, steps, limits, and their defaults."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime

from pipeline.query.errors import QueryError
from pipeline.query.lexer import duration_ns, is_duration
from pipeline.query.logql import MAX_RANGE_NS

NS = 1_000_000_000
MAX_LIMIT = 5000
MAX_STEPS = 11_000
_DEFAULT_LIMIT = 100
_HOUR = 3600 * NS
_FAR = 1 << 62
_RFC3339 = re.compile(
    r"([0-9]{4}-[0-9][0-9]-[0-9][0-9])[Tt ]([0-9][0-9]:[0-9][0-9]:[0-9][0-9])(?:\.([0-9]{1,9})[0-9]*)?([Zz]|[+-][0-9][0-9]:[0-9][0-9])\Z"
)

Parameters = Mapping[str, str]


def time_ns(text: str, name: str) -> int:
    """Read a time: integer ns (or seconds up to ten digits), seconds with a fraction, or RFC 3339.

    Raises:
        QueryError: It is none of them, or out of range.
    """
    found = (
        _number_ns(text)
        if re.fullmatch(r"-?[0-9]{1,30}(\.[0-9]*)?([eE][+-]?[0-9]{1,3})?", text)
        else _rfc3339_ns(text)
    )
    if found is None or abs(found) >= _FAR:
        raise QueryError(400, f"could not parse '{name}' parameter: write unix ns, unix seconds or RFC 3339")
    return found


def _number_ns(text: str) -> int | None:
    if re.fullmatch(r"-?[0-9]+", text):
        return int(text) * (NS if len(text) <= 10 else 1)
    try:
        return round(float(text) * NS)
    except OverflowError:
        return None


def _rfc3339_ns(text: str) -> int | None:
    match = _RFC3339.match(text)
    if match is None:
        return None
    try:
        zone = "+00:00" if match[4] in "Zz" else match[4]
        seconds = datetime.fromisoformat(f"{match[1]}T{match[2]}{zone}").astimezone(UTC).timestamp()
    except (ValueError, OverflowError):
        return None
    return int(seconds) * NS + int((match[3] or "0").ljust(9, "0"))


def span(parameters: Parameters, now_ns: int) -> tuple[int, int]:
    """Return start and end; default: the last hour, or the last ``since``.

    Raises:
        QueryError: One cannot be read, or the end lies before the start.
    """
    end = time_ns(parameters["end"], "end") if parameters.get("end") else now_ns
    since = _HOUR
    if text := parameters.get("since"):
        if not is_duration(text):
            raise QueryError(400, "could not parse 'since' parameter: write a duration such as 1h")
        since = duration_ns(text)
    start = time_ns(parameters["start"], "start") if parameters.get("start") else min(end, now_ns) - since
    if end < start:
        raise QueryError(400, "end timestamp must not be before or equal to start time")
    return start, end


def limit(parameters: Parameters) -> int:
    """Return the most lines to find; default 100.

    Raises:
        QueryError: It is no number in 1..5000.
    """
    text = parameters.get("limit") or str(_DEFAULT_LIMIT)
    if not re.fullmatch(r"-?[0-9]{1,18}", text):
        raise QueryError(400, "could not parse 'limit' parameter: write an integer")
    number = int(text)
    if number <= 0:
        raise QueryError(400, "limit must be a positive value")
    if number > MAX_LIMIT:
        raise QueryError(
            400,
            f"max entries limit per query exceeded, limit > max_entries_limit_per_query ({number} > {MAX_LIMIT})",
        )
    return number


def backward(parameters: Parameters) -> bool:
    """Tell whether the newest lines come first, which is the default.

    Raises:
        QueryError: The direction is none.
    """
    text = (parameters.get("direction") or "backward").lower()
    if text not in {"forward", "backward"}:
        raise QueryError(400, "invalid direction: write forward or backward")
    return text == "backward"


def step_ns(parameters: Parameters, start: int, end: int) -> int:
    """Return the distance of evaluation times; default a 250th of the range, at least 1 s.

    Raises:
        QueryError: It cannot be read, is not positive, or makes more than 11,000 steps.
    """
    text = parameters.get("step") or ""
    if not text:
        step = max((end - start) // NS // 250, 1) * NS
    elif is_duration(text.removeprefix("-")):
        step = duration_ns(text)
    elif re.fullmatch(r"-?[0-9]{1,12}(\.[0-9]*)?", text):
        step = round(float(text) * NS)
    else:
        raise QueryError(400, "could not parse 'step' parameter: write seconds or a duration")
    if step <= 0:
        raise QueryError(
            400, "zero or negative query resolution step widths are not accepted. Try a positive integer"
        )
    if step > MAX_RANGE_NS:
        raise QueryError(400, "the parameter step must be at most 30 years")
    if (end - start) // step > MAX_STEPS:
        raise QueryError(
            400,
            "exceeded maximum resolution of 11,000 points per time series. Try increasing the value of the step parameter",
        )
    return step
