"""What DuckDB may anticipate: conditions that never drop a record which the steps would keep.

Line filters are pushed whole, because no step changes the line and RE2 is the same engine; only a
pattern that DuckDB's older RE2 does not take is left to the caller. Equality of a label only becomes a cheap
prefilter, the steps decide.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import orjson

from pipeline.query.syntax import Both, Compare, Condition, Json, LabelFilter, LineFilter, Logs, Matcher


@dataclass(slots=True)
class Where:
    """SQL conditions joined by AND, with their parameters, and the line filters that are not among them."""

    sql: list[str] = field(default_factory=list)
    values: list[object] = field(default_factory=list)
    left: list[LineFilter] = field(default_factory=list)

    def add(self, sql: str, *values: object) -> None:
        """Add a condition."""
        self.sql.append(sql)
        self.values.extend(values)


def where(logs: Logs, labels: frozenset[str], takes: Callable[[str], bool]) -> Where:
    """Anticipate the steps of a query.

    Args:
        logs: The query.
        labels: Names of the stream labels that may occur.
        takes: Tells whether DuckDB understands a regular expression.
    """
    result = Where()
    parsed = False
    for step in logs.steps:
        if isinstance(step, LineFilter):
            if "~" in step.op and not all(map(takes, step.values)):
                result.left.append(step)
            else:
                _line(step, result)
        elif isinstance(step, Json):
            parsed = True
        else:
            _label(step.condition, labels, parsed, result)
    return result


def decided(logs: Logs) -> bool:
    """Tell whether the line filters decide alone which records the query keeps."""
    return not any(isinstance(step, LabelFilter) for step in logs.steps)


def _line(step: LineFilter, result: Where) -> None:
    test = "contains(line, ?)" if step.op in {"|=", "!="} else "regexp_matches(line, ?)"
    sql = " OR ".join([test] * len(step.values))
    result.add(f"NOT ({sql})" if step.op[0] == "!" else f"({sql})", *step.values)


def _label(condition: Condition, labels: frozenset[str], parsed: bool, result: Where) -> None:
    """Add what must hold in any case for ``name="value"``; anything else adds nothing."""
    if isinstance(condition, Both):
        if condition.op == "and":
            _label(condition.left, labels, parsed, result)
            _label(condition.right, labels, parsed, result)
        return
    if isinstance(condition, Compare) or condition.op != "=" or condition.value == "":
        return
    if condition.name in labels or condition.name.startswith("__error"):
        return
    _equal(condition, parsed, result)


def _equal(condition: Matcher, parsed: bool, result: Where) -> None:
    text = orjson.dumps(condition.value).decode()
    if not parsed:
        result.add("contains(metadata, ?)", text)
        return
    # In the line the value may be written with escapes; then there is a backslash.
    result.add(r"(contains(line, ?) OR contains(line, '\') OR contains(metadata, ?))", condition.value, text)
