"""Tables for people."""

from __future__ import annotations

import io
from datetime import datetime, timedelta

import orjson
from push_frames import NOW
from rich.console import Console

from pipeline.query.table import sheet


def shown(kind, result, width=100):
    """The table as a terminal shows it."""
    out = io.StringIO()
    made = sheet({"data": {"resultType": kind, "result": result}}, forward=True)
    Console(file=out, width=width, color_system=None).print(made.table())
    return out.getvalue()


def stream(*values, **labels):
    """One stream."""
    return {"stream": labels, "values": [[str(NOW + k), value] for k, value in enumerate(values)]}


def test_query_table_of_lines_is_in_order_of_time_and_folded_to_the_width():
    """Time, service, level and line; nothing is cut, and no line is wider than the terminal."""
    streams = [
        {
            "stream": {"service_name": "shop", "detected_level": "error"},
            "values": [[str(NOW + 10**9), "second " + "x" * 500]],
        },
        {
            "stream": {"service_name": "cart"},
            "values": [[str(NOW), "first", {"structuredMetadata": {"detected_level": "warn"}}]],
        },
    ]
    head, first, *second = shown("streams", streams).splitlines()
    assert head.split() == ["time", "service", "level", "line"]
    assert first.split() == ["2026-11-24", "02:18:09.000Z", "cart", "warn", "first"]
    assert second[0].split()[2:4] == ["shop", "error"]
    assert "".join(second).count("x") == 500
    assert max(map(len, second)) <= 100


def test_query_table_shows_foreign_text_as_it_is():
    """Markup is text, and control characters that a terminal would obey are shown as escapes."""
    text = shown(
        "streams",
        [{"stream": {"service_name": "[red]x"}, "values": [[str(NOW), "[bold]y\x1b[2J\r\n\u202e"]]}],
    )
    assert "[red]x" in text and r"[bold]y\x1b[2J\r\n\u202e" in text
    assert "\x1b" not in text


def test_query_table_of_leaves_tells_when_it_happened():
    """A leaf that came late is shown at the time of its record, not at the one at which the log took it."""
    hour = 3600 * 10**9
    values = [
        [str(NOW), orjson.dumps({"actor": "ann", "ts": str(NOW - hour)}).decode()],
        [str(NOW), '{"actor":"bob"}'],
    ]
    text = shown("streams", [{"stream": {"audit": "true"}, "values": values}])
    told = {
        line.split()[2]: " ".join(line.split()[:2])
        for line in text.splitlines()
        if "ann" in line or "bob" in line
    }

    ago = datetime.fromisoformat(told["bob"].removesuffix("Z")) - datetime.fromisoformat(
        told["ann"].removesuffix("Z")
    )
    assert ago == timedelta(hours=1)


def test_query_table_of_leaves_has_the_auditors_columns():
    """Audit leaves show actor, action, target, outcome and index."""
    leaf = {
        "actor": {"name": "alice"},
        "action": "delete",
        "target": "user:7",
        "outcome": "failure",
        "tenant": "acme",
    }
    stream = {
        "stream": {"audit": "true", "audit_log": "x", "audit_index": "12"},
        "values": [[str(NOW), orjson.dumps(leaf).decode()]],
    }
    head, row = shown("streams", [stream]).splitlines()
    assert head.split() == ["time", "actor", "action", "target", "outcome", "index"]
    assert row.split()[2:] == ["alice", "delete", "user:7", "failure", "12"]
    broken = {**stream, "values": [[str(NOW), "no json"], [str(NOW), "[1]"]]}
    assert len(shown("streams", [broken]).splitlines()) == 3


def test_query_table_of_metrics_shows_every_sample():
    """A matrix and a vector show time, series and value."""
    matrix = shown(
        "matrix", [{"metric": {"a": "b"}, "values": [[NOW // 10**9, "1"], [NOW / 10**9 + 0.5, "2"]]}]
    )
    assert [line.split() for line in matrix.splitlines()[1:]] == [
        ["2026-11-24", "02:18:09.000Z", '{a="b"}', "1"],
        ["2026-11-24", "02:18:09.500Z", '{a="b"}', "2"],
    ]
    assert shown("vector", [{"metric": {}, "value": [0, "7"]}]).splitlines()[1].split() == [
        "1970-01-01",
        "00:00:00.000Z",
        "{}",
        "7",
    ]


LINE = orjson.dumps(
    {
        "timestamp": "2026-11-24T02:18:09Z",
        "level": "warn",
        "service": "shop",
        "password": "[redacted:credential-field]",
        "message": "card [redacted:card] was charged twice",
        "http": {"path": "/a b"},
        "count": 3,
        "note": "two words",
    }
).decode()


def test_query_table_of_json_lines_begins_with_the_message():
    """The message comes first, then what the other columns do not say already; what was masked is in sight."""
    answer = {"data": {"resultType": "streams", "result": [stream(LINE, service_name="shop", level="warn")]}}
    _, row = sheet(answer).lines()
    assert row == (
        "2026-11-24 02:18:09.000Z  shop     warn   card [redacted:card] was charged twice"
        ' password=[redacted:credential-field] http={"path":"/a b"} count=3 note="two words"'
    )
    folded = shown("streams", answer["data"]["result"], width=80)
    assert "[redacted:card]" in folded
    assert max(map(len, folded.splitlines())) <= 80


def test_query_lines_for_a_pipe_are_whole():
    """What is no terminal gets one line a row, however long, without blanks behind it."""
    result = [stream("x" * 4000, "", "{broken", "[1]", service_name="shop"), stream("y", service_name="日本")]
    _, *rows = sheet({"data": {"resultType": "streams", "result": result}}, forward=True).lines()
    assert [row.split()[2:] for row in rows] == [
        ["shop", "x" * 4000], ["日本", "y"], ["shop"], ["shop", "{broken"], ["shop", "[1]"],
    ]  # fmt: skip
    assert not any(row.endswith(" ") for row in rows)


def test_query_table_is_in_the_order_that_was_asked_for():
    """Newest first; oldest first with ``forward``."""
    answer = {"data": {"resultType": "streams", "result": [stream("a", "b", "c")]}}
    assert [row.split()[-1] for row in [*sheet(answer).lines()][1:]] == ["c", "b", "a"]
    assert [row.split()[-1] for row in [*sheet(answer, forward=True).lines()][1:]] == ["a", "b", "c"]
