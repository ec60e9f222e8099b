"""Answers of the query API as a table for people; audit leaves get columns of their own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson
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
_DIGITS = 20
_SERVICE = 24
_GAP = "  "
_RIGHT = frozenset(["index", "value"])
_WHOLE = frozenset(["time", "level", "index", "value"])
"""Columns that are never folded."""
_MESSAGES = ("message", "msg")
_TIMES = frozenset(["timestamp", "time", "ts", "@timestamp", "datetime"])
_SERVICES = frozenset(["service", "service_name", "app", "application"])
_LEVEL_NAMES = frozenset(["level", "severity"])

Entry = tuple[int, Mapping[str, str], str]


@dataclass(slots=True)
class Sheet:
    """Columns and rows of an answer; nothing of it is cut, and control characters are shown, not sent."""

    columns: tuple[str, ...]
    rows: list[list[Text]] = field(default_factory=list)

    def table(self) -> Table:
        """Make a table for a terminal: what is too wide is folded."""
        table = Table(box=None, pad_edge=False, header_style="bold")
        for name in self.columns:
            table.add_column(
                name,
                no_wrap=name in _WHOLE,
                overflow="fold",
                max_width=_SERVICE if name == "service" else None,
                justify="right" if name in _RIGHT else "left",
            )
        for row in self.rows:
            table.add_row(*row)
        return table

    def lines(self) -> Iterator[str]:
        """Yield aligned lines for a file or another program: one a row, whole."""
        rows = [[Text(name) for name in self.columns], *self.rows]
        widths = [max(row[place].cell_len for row in rows) for place in range(len(self.columns))]
        last = len(self.columns) - 1
        for row in rows:
            cells = []
            for place, cell in enumerate(row):
                gap = " " * (widths[place] - cell.cell_len)
                if self.columns[place] in _RIGHT:
                    cells.append(gap + cell.plain)
                else:
                    cells.append(cell.plain if place == last else cell.plain + gap)
            yield _GAP.join(cells).rstrip()


def sheet(answer: Mapping[str, Any], *, forward: bool = False) -> Sheet:
    """Lay out a ``query_range`` or ``query`` answer.

    Log lines: time, service, level and line; of a JSON line the message first, and not again what the other
    columns say. Audit leaves: time, actor, action, target, outcome, index. Metrics: labels and samples.

    Args:
        answer: As it came.
        forward: The oldest line first, else the newest.
    """
    data = answer["data"]
    kind, result = data["resultType"], data["result"]
    if kind != "streams":
        return _samples(result)
    rows = sorted(_entries(result), key=lambda row: row[0], reverse=not forward)
    if rows and all(row[1].get("audit") == "true" for row in rows):
        return _audit(rows)
    return _lines(rows)


def _entries(streams: Iterable[Mapping[str, Any]]) -> Iterable[Entry]:
    for stream in streams:
        for ns, line, *more in stream["values"]:
            labels = dict(stream["stream"])
            for category in more[0].values() if more else ():
                labels.update(category)
            yield int(ns), labels, line


def _lines(rows: Iterable[Entry]) -> Sheet:
    made = Sheet(("time", "service", "level", "line"))
    for ns, labels, line in rows:
        service = labels.get("service_name", "")
        level = labels.get("detected_level") or labels.get("level") or ""
        style = _LEVELS.get(level.lower(), "")
        text = _readable(line, service, level)
        made.rows.append([Text(_time(ns)), plain(service), Text(_shown(level), style=style), plain(text)])
    return made


def _readable(line: str, service: str, level: str) -> str:
    """Write a JSON object as its message and ``name=value``; leave any other line as it is."""
    if not line.startswith("{"):
        return line
    body = dict(_leaf(line))
    if not body:
        return line
    message = next((body.pop(name) for name in _MESSAGES if isinstance(body.get(name), str)), None)
    said = [] if message is None else [message]
    for name, value in body.items():
        told = (
            name in _TIMES
            or (name in _SERVICES and value == service)
            or (name in _LEVEL_NAMES and str(value).lower() == level.lower())
        )
        if not told:
            said.append(f"{name}={_value(value)}")
    return " ".join(said)


def _value(value: object) -> str:
    """Write a field: a text without blanks as it is, anything else as JSON."""
    if isinstance(value, str) and value and not any(c in ' "=' for c in value):
        return value
    return orjson.dumps(value).decode()


def _audit(rows: Iterable[Entry]) -> Sheet:
    made = Sheet(("time", "actor", "action", "target", "outcome", "index"))
    for ns, labels, line in rows:
        leaf = _leaf(line)
        cells = [
            plain(_name(leaf.get(name)) or labels.get(name, "")) for name in ("actor", "action", "target")
        ]
        outcome = _name(leaf.get("outcome")) or labels.get("outcome", "")
        style = "red" if outcome.lower() in {"failure", "denied", "error"} else ""
        index = plain(labels.get("audit_index", ""))
        made.rows.append(
            [Text(_time(_happened(leaf, ns))), *cells, Text(_shown(outcome), style=style), index]
        )
    return made


def _samples(result: Iterable[Mapping[str, Any]]) -> Sheet:
    made = Sheet(("time", "series", "value"))
    for series in result:
        name = ", ".join(f'{label}="{value}"' for label, value in sorted(series["metric"].items()))
        for seconds, value in series["values"] if "values" in series else [series["value"]]:
            time = _time(round(seconds * 1000) * 1_000_000)
            made.rows.append([Text(time), plain("{" + name + "}"), plain(value)])
    return made


def _happened(leaf: Mapping[str, Any], stored: int) -> int:
    """Return when the event took place by its record; the entry's own time is when the log took it."""
    told = leaf.get("ts")
    return (
        int(told)
        if isinstance(told, str) and told.isascii() and told.isdigit() and len(told) < _DIGITS
        else stored
    )


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
