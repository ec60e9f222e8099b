"""What a query's steps do to one record; this is the meaning, and SQL may only anticipate it.

Labels are Loki's: stream labels first, then structured metadata, then what ``| json`` found. A name
that is taken gets ``_extracted``. An error does not drop a record, it sets ``__error__``; a field of that
name in a line is shown, but it is no error and no filter sees it.
"""

from __future__ import annotations

import json
import math
import operator
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import orjson

from pipeline.query.lexer import duration_ns, is_duration
from pipeline.query.logql import pattern
from pipeline.query.syntax import Compare, Condition, Json, LabelFilter, LineFilter, Matcher, Step

Labels = Mapping[str, str]
LineTest = Callable[[str], bool]
_UNSAFE = re.compile(r"[^a-zA-Z0-9_]")
_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
ERROR, DETAILS = "__error__", "__error_details__"
_ERRORS = frozenset([ERROR, DETAILS])


class Found:
    """The labels of one record while the steps run: stream labels, metadata and parsed ones, and its error."""

    __slots__ = ("base", "details", "error", "metadata", "parsed")

    def __init__(self, base: Labels, metadata: Labels) -> None:
        self.base = base
        self.metadata = metadata
        self.parsed: dict[str, str] = {}
        self.error = self.details = ""

    def fail(self, error: str, details: str) -> None:
        """Set the record's error."""
        self.error, self.details = error, details
        self.parsed[ERROR], self.parsed[DETAILS] = error, details

    def get(self, name: str) -> str | None:
        """Return a label's value; None when it has none."""
        if name in _ERRORS:
            return (self.error if name == ERROR else self.details) or None
        value = self.parsed.get(name)
        if value is None:
            value = self.metadata.get(name)
            if value is None:
                value = self.base.get(name)
        return value

    def all(self) -> dict[str, str]:
        """Return every label."""
        return {**self.base, **self.metadata, **self.parsed}

    def categories(self) -> dict[str, dict[str, str]]:
        """Return the labels that are not the stream's, by category, as ``categorize-labels`` has them."""
        metadata = {name: value for name, value in self.metadata.items() if name not in self.parsed}
        both = {"structuredMetadata": metadata, "parsed": self.parsed}
        return {category: labels for category, labels in both.items() if labels}


@lru_cache(4096)
def label_set(text: str) -> Labels:
    """Decode a stream's labels from their JSON."""
    return {name: str(value) for name, value in orjson.loads(text).items()}


@lru_cache(4096)
def metadata_of(text: str, labels: str) -> Labels:
    """Decode structured metadata from its JSON, named as Loki names it beside these stream labels."""
    base = label_set(labels)
    named = {}
    for name, value in orjson.loads(text).items():
        safe = _safe(name)
        named[f"{safe}_extracted" if safe in base else safe] = str(value)
    return named


def line_test(filters: list[LineFilter]) -> LineTest | None:
    """Compile line filters into one test; None when there are none."""
    tests = [_line_filter(one) for one in filters]
    if not tests:
        return None
    if len(tests) == 1:
        return tests[0]
    return lambda line: all(test(line) for test in tests)


def _line_filter(one: LineFilter) -> LineTest:
    if one.op in {"|=", "!="}:
        values = one.values
        found: LineTest = (
            (lambda line, value=values[0]: value in line)  # type: ignore[misc]
            if len(values) == 1
            else (lambda line: any(value in line for value in values))
        )
    else:
        searches = [pattern(value).search for value in one.values]
        found = lambda line: any(search(line) is not None for search in searches)  # noqa: E731
    if one.op[0] == "!":
        return lambda line: not found(line)
    return found


def matches(matcher: Matcher) -> Callable[[str], bool]:
    """Compile a label matcher into a test of the label's value; a missing label is the empty string."""
    if matcher.op == "=":
        return lambda value: value == matcher.value
    if matcher.op == "!=":
        return lambda value: value != matcher.value
    match = pattern(matcher.value, whole=True).match
    if matcher.op == "=~":
        return lambda value: match(value) is not None
    return lambda value: match(value) is None


def selector(matchers: tuple[Matcher, ...]) -> Callable[[Labels], bool]:
    """Compile a stream selector."""
    tests = [(matcher.name, matches(matcher)) for matcher in matchers]
    return lambda labels: all(test(labels.get(name, "")) for name, test in tests)


def steps(chain: tuple[Step, ...]) -> Callable[[Found, str], bool]:
    """Compile the steps that are not line filters; the result fills ``parsed`` and says whether to keep."""
    run: list[Callable[[Found, str], bool]] = []
    for step in chain:
        if isinstance(step, Json):
            run.append(_json)
        elif isinstance(step, LabelFilter):
            test = _condition(step.condition)
            run.append(lambda found, _line, test=test: test(found))  # type: ignore[misc]
    return lambda found, line: all(one(found, line) for one in run)


def _condition(condition: Condition) -> Callable[[Found], bool]:
    if isinstance(condition, Matcher):
        name, test = condition.name, matches(condition)
        return lambda found: test(found.get(name) or "")
    if isinstance(condition, Compare):
        return _compare(condition)
    left, right = _condition(condition.left), _condition(condition.right)
    if condition.op == "and":
        return lambda found: left(found) and right(found)
    return lambda found: left(found) or right(found)


def _compare(condition: Compare) -> Callable[[Found], bool]:
    name, number = condition.name, condition.number
    test = _COMPARE[condition.op]
    read = _number if condition.unit == "number" else _seconds

    def run(found: Found) -> bool:
        text = found.get(name)
        if text is None:
            return False
        if found.error:
            return True  # else only a test of __error__ removes a record with an error
        value = read(text)
        if value is None:
            found.fail("LabelFilterErr", f"{name} is no {condition.unit}")
            return True
        return test(value, number)

    return run


def _number(text: str) -> float | None:
    try:
        return float(text) if "_" not in text and text == text.strip() else None
    except ValueError:
        return None


def _seconds(text: str) -> float | None:
    if is_duration(text):
        return duration_ns(text) / 1e9
    return 0.0 if text == "0" else None


def _first_wins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        found = {}
        for name, value in pairs:
            found.setdefault(name, value)
    return found


def _refuse(_text: str) -> Any:
    raise ValueError


# Numbers stay the text they are: 1.50 is "1.50", and 2^53 + 1 keeps its last digit.
_DECODER = json.JSONDecoder(
    parse_float=str, parse_int=str, parse_constant=_refuse, object_pairs_hook=_first_wins, strict=False
)


def _json(found: Found, line: str) -> bool:
    try:
        start = len(line) - len(line.lstrip())
        if line[start : start + 1] != "{":
            raise ValueError
        body, _ = _DECODER.raw_decode(line, start)
        _flatten(body, "", found)
    except (ValueError, RecursionError):
        found.fail("JSONParserErr", "the line is no JSON object")
    return True


def _flatten(body: dict[str, Any], prefix: str, found: Found) -> None:
    base, metadata, parsed = found.base, found.metadata, found.parsed
    for name, value in body.items():
        key = _key(prefix, name)
        if value.__class__ is dict:
            _flatten(value, key, found)
            continue
        if value is True:
            text = "true"
        elif value is False:
            text = "false"
        elif value.__class__ is str:
            text = value
        else:
            continue  # null and arrays make no label
        if not key:
            continue
        if key in base or key in metadata:
            key += "_extracted"
        parsed.setdefault(key, text)


@lru_cache(4096)
def _key(prefix: str, name: str) -> str:
    """Name the label of a field: blanks around it go, and a name of nothing else adds nothing to the outer one."""
    name = name.strip()
    if not prefix:
        return _safe(name)
    return f"{prefix}_{_UNSAFE.sub('_', name)}" if name else prefix


@lru_cache(4096)
def _safe(name: str) -> str:
    safe = _UNSAFE.sub("_", name)
    return f"_{safe}" if safe[:1].isdigit() else safe


def format_number(value: float) -> str:
    """Write a sample as Prometheus does: shortest, never with an exponent below 1e21."""
    if math.isfinite(value) and value == int(value) and abs(value) < 1e21:
        return str(int(value))
    text = repr(value)
    if "e" not in text:
        return text
    from decimal import Decimal

    return format(Decimal(text), "f")
