"""Bodies of pushes: texts cut and joined without parsing hold what parsing finds."""

from __future__ import annotations

import gzip
import json
from dataclasses import asdict, dataclass, replace

import orjson
import pytest
from headrig import CorruptionError
from hypothesis import given
from hypothesis import strategies as st
from push_frames import NOW, TestFrame, entry, frame

from pipeline.sinks.loki.bisect import narrow, reason_of
from pipeline.sinks.loki.client import Answer
from pipeline.sinks.loki.known import Known, Names
from pipeline.sinks.loki.plan import Planner
from pipeline.sinks.loki.push import (
    HOUR_NS,
    Stream,
    decode,
    name_of,
    names_in,
    of_frames,
    of_late,
    of_stream,
    parts_of,
)
from pipeline.sinks.loki.settings import LokiSettings

HARD = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        [
            '{"stream":{',
            '},"values":[',
            "]}",
            '],["1',
            '"late":',
            '\\"',
            "\\",
            '{"stream":{"a":"b"},"values":[["1","x"]]},',
        ]
    ),
).filter(lambda text: not any("\ud800" <= c <= "\udfff" for c in text))
LABELS = st.dictionaries(st.sampled_from(["app", "env", "stream", "values"]), HARD, max_size=3)
TIMES = st.integers(NOW - 5 * HOUR_NS, NOW)
VALUES = st.lists(
    st.builds(
        lambda ns, line, metadata: entry(ns, line, **metadata),
        TIMES,
        HARD,
        st.dictionaries(st.sampled_from("abc"), HARD, max_size=2),
    ),
    min_size=1,
    max_size=6,
)
STREAMS = st.lists(st.tuples(LABELS, VALUES), min_size=1, max_size=4)


@dataclass(frozen=True)
class MarkedFrame(TestFrame):
    """A frame of the buffer, with the mark of its streams."""

    streams: int = 0


def marked(streams, mark, position=0):
    return MarkedFrame(**asdict(frame(streams, position)), streams=mark)


def sent(pushes) -> list[tuple[str, str, str, str]]:
    """All that pushes hold: (labels without late, ns, line, metadata)."""
    found = []
    for push in pushes:
        for stream in json.loads(gzip.decompress(push.body()))["streams"]:
            labels = {name: value for name, value in stream["stream"].items() if name != "late"}
            for ns, line, *metadata in stream["values"]:
                found.append(
                    (json.dumps(labels, sort_keys=True), ns, line, json.dumps(metadata, sort_keys=True))
                )
    return sorted(found)


def given_in(streams) -> list[tuple[str, str, str, str]]:
    """The same of what was put in."""
    return sorted(
        (json.dumps(labels, sort_keys=True), ns, line, json.dumps(metadata, sort_keys=True))
        for labels, values in streams
        for ns, line, *metadata in values
    )


@given(STREAMS)
def test_cutting_text_finds_what_parsing_finds(streams):
    """Markers inside lines, labels and metadata fool neither names nor parts."""
    text = orjson.dumps([{"stream": labels, "values": values} for labels, values in streams])[1:-1]
    assert list(names_in(text)) == [name_of(labels) for labels, _ in streams]
    parts = list(parts_of(text))
    assert [orjson.loads(b"{" + name + b"}") for name, _ in parts] == [labels for labels, _ in streams]
    assert [orjson.loads(b"[" + values + b"]") for _, values in parts] == [values for _, values in streams]


@given(
    st.lists(STREAMS, min_size=1, max_size=4),
    st.sampled_from(["busy", "always", "never"]),
    st.integers(0, 20_000),
)
def test_a_plan_holds_every_entry_once(frames, alone, late_after):
    """Whatever is late, new or sent alone: the pushes of a plan hold exactly the frames' entries."""
    planner = Planner(LokiSettings(url="http://x", alone=alone, late_after_s=late_after), lambda: NOW)
    made = [frame(streams, position) for position, streams in enumerate(frames)]
    plan = planner.plan(made)
    assert sent(plan.todo) == given_in([each for streams in frames for each in streams])
    assert plan.records == sum(each.records for each in made)
    assert plan.key == (0, len(made))


@given(STREAMS)
def test_late_streams_span_less_than_an_hour(streams):
    """So that nothing in them can be too far behind."""
    planner = Planner(LokiSettings(url="http://x", late_after_s=1), lambda: NOW + HOUR_NS)
    pushes = planner.plan([frame(streams)]).todo
    for push in pushes:
        for stream in json.loads(gzip.decompress(push.body()))["streams"]:
            hours = {int(value[0]) // HOUR_NS for value in stream["values"]}
            assert len(hours) == 1
            assert "late" in stream["stream"]


@given(STREAMS, st.booleans())
def test_narrowing_loses_nothing(streams, late):
    """Pushes cut after a refusal and entries given up hold together what was refused."""
    push = of_frames([frame(streams)])
    for text in ("max entry size", "entry too far behind", "couldn't parse labels", "what?"):
        todo, bad = [push], []
        for _ in range(200):
            if not todo:
                break
            narrowed = narrow(todo.pop(), Answer(400, text), sure=True)
            todo += narrowed.again
            bad += [(each.labels, each.values) for each in narrowed.bad]
        assert not todo
        unlate = [({k: v for k, v in labels.items() if k != "late"}, values) for labels, values in bad]
        assert given_in(unlate) == given_in(streams)


def test_a_body_is_the_same_each_time():
    """Two encodings of the same stream are byte-identical: nothing of the clock is in a gzip header."""
    stream = Stream({"app": "a"}, [entry(NOW, "x")])
    assert of_stream(stream).body() == of_stream(stream).body()


def test_late_streams_are_named_by_their_utc_hour():
    """The label's value is the hour of the entries, in UTC."""
    pushes = of_late(Stream({"app": "a"}, [entry(NOW - HOUR_NS, "x"), entry(NOW, "y")]))
    assert [push.stream.labels["late"] for push in pushes] == ["2026-11-24T01", "2026-11-24T02"]


def test_entries_of_one_stream_come_in_order_of_time():
    """Decoding joins a stream that occurs twice and sorts its entries."""
    text = orjson.dumps([{"stream": {"a": "b"}, "values": [entry(NOW + i, "x")]} for i in (2, 1)])[1:-1]
    (stream,) = decode(text)
    assert [value[0] for value in stream.values] == [str(NOW + 1), str(NOW + 2)]


@pytest.mark.parametrize("text", [b'{"stream":{"a":"b"}', b'{"stream":{"a":"b"},"values":[["1","x"]', b"[]"])
def test_what_is_no_stream_object_is_corruption(text):
    """A payload that is not what a frame holds stops delivery; it is never guessed at."""
    with pytest.raises(CorruptionError):
        list(parts_of(text))
        decode(text)


def test_known_streams_are_forgotten_in_time():
    """A stream that Loki may have let go is new again, and shares no push."""
    known = Known(10)
    known.add("t", b"a", 1, 100)

    assert known.quiet("t", b"a", 1, 109)
    assert not known.quiet("t", b"b", 1, 109)
    assert not known.quiet("t", b"a", 1, 110)
    assert not known.quiet("other", b"a", 1, 100)


def test_a_stream_is_quiet_while_what_it_gets_stays_small():
    """64 KiB at once and 16 KiB a second; a stream that was busy is quiet again after seconds."""
    known, second = Known(1000 * 10**9), 10**9
    known.add("t", b"a", 1000, 0)
    quiet = [known.quiet("t", b"a", 16 << 10, n * second) for n in range(100)]
    busy = [known.quiet("t", b"a", 64 << 10, (100 + n) * second) for n in range(20)]

    assert all(quiet)
    assert not any(busy[1:])
    assert not known.quiet("t", b"a", 1, 120 * second)
    assert known.quiet("t", b"a", 1, 125 * second)


def test_what_is_remembered_of_streams_is_bounded():
    """Neither many streams nor long labels fill the memory; what is used stays."""
    known = Known(10**9)
    for number in range(50_000):
        known.add("t", b"%d" % number, 1, 1)
    names = Names()
    frames = [marked([({"app": "x" * 100_000 + str(n)}, [entry(NOW, "x")])], n + 1) for n in range(100)]
    for each in frames:
        names.only(each)
        assert names.only(frames[0]) == name_of({"app": "x" * 100_000 + "0"})

    assert len(known) <= 20_000
    assert known.quiet("t", b"49999", 1, 2)
    assert len(names) < 50
    assert names.size <= 4 << 20


def test_a_frame_with_a_known_mark_is_not_inflated():
    """One look at the first frame with the same streams is enough."""
    names = Names()
    first = marked([({"app": "a"}, [entry(NOW, "x")])], 7)

    assert names.only(first) == name_of({"app": "a"})
    assert names.only(replace(first, payload=b"")) == name_of({"app": "a"})
    assert names.only(replace(first, tenant="other")) == name_of({"app": "a"})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "entry with timestamp 2026-11-23 ignored, reason: 'entry too far behind, entry timestamp is: x'",
            "too_late",
        ),
        (
            "entry for stream '{app=\"a\"}' has timestamp too old: x, oldest acceptable timestamp is: y",
            "too_late",
        ),
        ("entry for stream '{app=\"a\"}' has timestamp too new: x", "too_new"),
        (
            "max entry size '262144' bytes exceeded for stream '{app=\"c\"}' while adding an entry with length '3' bytes",
            "too_large",
        ),
        (
            "stream '{app=\"c\"}' has structured metadata too large: '70001' bytes, limit: '65536' bytes.",
            "too_large",
        ),
        ("stream '{app=\"c\"}' has too many structured metadata labels: '200', limit: '128'.", "metadata"),
        ("entry for stream '{a=\"x\"}' has 17 label names; limit 15", "labels"),
        ("couldn't parse labels: 1:3: parse error: unexpected character inside braces: '-'", "labels"),
        ("stream '{app=\"c\"}' has label value too long: 'yyy'", "labels"),
        ("loghttp.PushRequest.Streams: []loghttp.LogProtoStream: unmarshalerDecoder: …", "format"),
        ("max entry size '1' bytes exceeded for stream '{app=\"has timestamp too old\"}' while", "too_large"),
        ("something new", "other"),
    ],
)
def test_loki_reasons_are_understood(text, reason):
    """The texts of 3.7.8, and a label that tries to look like another reason."""
    assert reason_of(Answer(400, text)) == reason
