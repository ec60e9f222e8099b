"""Tables for people."""

from __future__ import annotations

import io

import orjson
from push_frames import NOW
from rich.console import Console

from pipeline.query.table import render


def shown(kind, result, width=100):
    """The table as text."""
    out = io.StringIO()
    Console(file=out, width=width, color_system=None).print(
        render({"data": {"resultType": kind, "result": result}}, width=width)
    )
    return out.getvalue()


def test_query_table_of_lines_is_in_order_of_time_and_cut_to_the_width():
    """Time, service, level and line; oldest first; no line is wider than the terminal."""
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
    head, first, second = shown("streams", streams).splitlines()
    assert head.split() == ["time", "service", "level", "line"]
    assert first.split() == ["2026-11-24", "02:18:09.000Z", "cart", "warn", "first"]
    assert second.split()[2:5] == ["shop", "error", "second"]
    assert len(second) <= 100 and second.rstrip().endswith("…")


def test_query_table_shows_foreign_text_as_it_is():
    """Markup is text, and control characters that a terminal would obey are shown as escapes."""
    text = shown(
        "streams",
        [{"stream": {"service_name": "[red]x"}, "values": [[str(NOW), "[bold]y\x1b[2J\r\n\u202e"]]}],
    )
    assert "[red]x" in text and r"[bold]y\x1b[2J\r\n\u202e" in text
    assert "\x1b" not in text


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
