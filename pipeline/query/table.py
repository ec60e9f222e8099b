"""Answers of the query API as a table for people; audit leaves get columns of their own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
from rich import get_console
from rich.table import Table
from rich.text import Text

_LEVELS = {
    "error": "red",
    "critical": "red",
    "fatal": "red",
    "warn": "yellow",
    "warning": "yellow",
    "debug": "dim",
}
_NS = 1_000_000_000
_TIME = 24
_GAP = 1


def render(answer: Mapping[str, Any], *, width: int | None = None) -> Table:
    """Make a table of a ``query_range`` or ``query`` answer, cut to ``width`` columns (default: the terminal's).

    Log lines: time, service, level, line. Audit leaves: time, actor, action, target, outcome, index.
    Metrics: labels and samples. Nothing in it is read as markup, and control characters are shown, not sent.
    """
    width = width or get_console().width
    data = answer["data"]
    kind, result = data["resultType"], data["result"]
    if kind == "streams":
        rows = sorted(_entries(result), key=lambda row: row[0])
        if rows and all(row[1].get("audit") == "true" for row in rows):
            return _audit(rows, width)
        return _lines(rows, width)
    return _samples(result, width)


def _entries(streams: Iterable[Mapping[str, Any]]) -> Iterable[tuple[int, Mapping[str, str], str]]:
    for stream in streams:
        for ns, line, *more in stream["values"]:
            labels = dict(stream["stream"])
            for category in more[0].values() if more else ():
                labels.update(category)
            yield int(ns), labels, line


def _table(**columns: int) -> Table:
    """Make an empty table: a time, and columns of at most so many characters."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("time", no_wrap=True, min_width=_TIME)
    for name, most in columns.items():
        right = name in {"index", "value"}
        table.add_column(
            name,
            no_wrap=True,
            overflow="ellipsis",
            max_width=max(most, 8),
            justify="right" if right else "left",
        )
    return table


def _lines(rows: Sequence[tuple[int, Mapping[str, str], str]], width: int) -> Table:
    service = min(max((len(labels.get("service_name", "")) for _, labels, _ in rows), default=0), 24)
    table = _table(service=service, level=8, line=width - _TIME - max(service, 8) - 8 - 3 * _GAP)
    for ns, labels, line in rows:
        level = labels.get("detected_level") or labels.get("level") or ""
        table.add_row(
            _time(ns),
            plain(labels.get("service_name", "")),
            Text(_shown(level), style=_LEVELS.get(level.lower(), "")),
            plain(line),
        )
    return table


def _audit(rows: Iterable[tuple[int, Mapping[str, str], str]], width: int) -> Table:
    share = (width - _TIME - 10 - 5 * _GAP) // 4
    table = _table(actor=share, action=share, target=share, outcome=share, index=10)
    for ns, labels, line in rows:
        leaf = _leaf(line)
        cells = [
            plain(_name(leaf.get(name)) or labels.get(name, "")) for name in ("actor", "action", "target")
        ]
        outcome = _name(leaf.get("outcome")) or labels.get("outcome", "")
        style = "red" if outcome.lower() in {"failure", "denied", "error"} else ""
        table.add_row(
            _time(ns), *cells, Text(_shown(outcome), style=style), plain(labels.get("audit_index", ""))
        )
    return table


def _samples(result: Iterable[Mapping[str, Any]], width: int) -> Table:
    table = _table(series=width - _TIME - 24 - 2 * _GAP, value=24)
    for series in result:
        name = ", ".join(f'{label}="{value}"' for label, value in sorted(series["metric"].items()))
        for seconds, value in series["values"] if "values" in series else [series["value"]]:
            table.add_row(_time(round(seconds * 1000) * 1_000_000), plain("{" + name + "}"), plain(value))
    return table


def _leaf(line: str) -> Mapping[str, Any]:
    try:
        leaf = orjson.loads(line)
    except ValueError:
        return {}
    return leaf if isinstance(leaf, dict) else {}


def _name(value: object) -> str:
    """Give the short form of an actor or target: a text, or the name or id in an object."""
    if isinstance(value, Mapping):
        for key in ("name", "email", "uid", "id", "type"):
            if value.get(key):
                return _name(value[key])
        return orjson.dumps(value).decode()
    return "" if value is None else str(value)


def plain(text: str) -> Text:
    """Make a cell of foreign text: no markup, no control characters that a terminal would obey."""
    return Text(_shown(text))


def _shown(text: str) -> str:
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _time(ns: int) -> str:
    seconds, rest = divmod(ns, _NS)
    try:
        day = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, ValueError, OSError):
        return str(ns)
    return f"{day}.{rest // 1_000_000:03d}Z"
