"""Loki's query API in front of the embedded store: shapes, parameters and errors."""

from __future__ import annotations

import orjson
import pytest
from archive_frames import ME, Reading, S, lines
from push_frames import NOW, entry, frame

from pipeline.query.api import categorized
from pipeline.query.errors import QueryError
from pipeline.query.parameters import backward, limit, span, step_ns, time_ns


@pytest.fixture
def reading(tmp_path):
    """A store with three records that wait."""
    reading = Reading(tmp_path)
    records = [entry(NOW + k * S, f"line {k}", detected_level="info", trace=str(k)) for k in range(3)]
    reading.frames = [frame([({"service_name": "shop", "env": "prod"}, records)], 0)]
    yield reading
    reading.store.close()


def test_query_streams_have_lokis_shape(reading):
    """Metadata is folded into the stream, times are strings of ns, and streams are sorted."""
    span = {"start": str(NOW), "end": str(NOW + S)}
    assert reading.api.query_range(ME, {"query": '{env="prod"}', **span}) == {
        "status": "success",
        "data": {
            "resultType": "streams",
            "result": [
                {
                    "stream": {"detected_level": "info", "env": "prod", "service_name": "shop", "trace": "0"},
                    "values": [[str(NOW), "line 0"]],
                }
            ],
            "stats": {},
        },
    }


def test_query_categorizes_labels_when_asked(reading):
    """With the encoding flag the stream has its own labels only, and each entry the rest."""
    assert categorized({"x-loki-response-encoding-flags": "other, categorize-labels"})
    assert not categorized({})
    given = {"query": '{env="prod"} | json | trace="2"', "start": str(NOW), "end": str(NOW + 9 * S)}
    data = reading.api.query_range(ME, given, categorize=True)["data"]
    (stream,) = data["result"]
    assert data["encodingFlags"] == ["categorize-labels"]
    assert stream["stream"] == {"env": "prod", "service_name": "shop"}
    ((_, _, rest),) = stream["values"]
    assert rest["structuredMetadata"] == {"detected_level": "info", "trace": "2"}
    assert rest["parsed"]["__error__"] == "JSONParserErr"


def test_query_end_is_exclusive_and_start_inclusive(reading):
    """Log queries take start <= time < end."""
    assert reading.found('{env="prod"}', start=str(NOW + S), end=str(NOW + 2 * S)) == ["line 1"]


def test_query_answers_the_health_check(reading):
    """Grafana's check is one sample of 2."""
    answer = reading.api.query(ME, {"query": "vector(1)+vector(1)", "time": "4000000000"})
    assert orjson.dumps(answer["data"]) == (
        b'{"resultType":"vector","result":[{"metric":{},"value":[4000000000,"2"]}],"stats":{}}'
    )


def test_query_refuses_a_log_query_at_an_instant(reading):
    """Like Loki, with the same words."""
    with pytest.raises(QueryError, match="log queries are not supported as an instant query type"):
        reading.api.query(ME, {"query": '{env="prod"}'})


def test_query_label_requests_have_lokis_shape(reading):
    """Names, values and series; without values there is no data at all."""
    span = {"start": str(NOW), "end": str(NOW + 9 * S)}
    api = reading.api
    assert api.labels(ME, span) == {"status": "success", "data": ["env", "service_name"]}
    assert api.label_values(ME, "env", span) == {"status": "success", "data": ["prod"]}
    assert api.label_values(ME, "nope", span) == {"status": "success"}
    assert api.label_values(ME, "env", {**span, "query": '{env="dev"}'}) == {"status": "success"}
    assert api.series(ME, ['{env="prod"}'], span)["data"] == [{"env": "prod", "service_name": "shop"}]
    assert api.series(ME, ['{env="dev"}'], span)["data"] == []
    assert api.labels(ME, {"start": "1", "end": "2"})["data"] == []


def test_query_label_requests_refuse_a_selector_that_takes_everything(reading):
    """Like Loki: ``{}`` and ``{a=~".*"}`` select nothing, but for series ``{}`` is all."""
    span = {"start": str(NOW), "end": str(NOW + 9 * S)}
    api = reading.api
    for query in ("{}", '{env=~".*"}'):
        for ask in (api.labels, lambda caller, given: api.label_values(caller, "env", given)):
            with pytest.raises(QueryError, match="at least one") as refused:
                ask(ME, {**span, "query": query})
            assert refused.value.status == 400
    with pytest.raises(QueryError, match="at least one"):
        api.series(ME, ['{env="prod"}', '{env=~".*"}'], span)
    assert api.series(ME, ["{}"], span) == api.series(ME, [], span)


def test_query_defaults_to_the_last_hour_and_100_lines_backward(tmp_path):
    """Without parameters: one hour, 100 lines, newest first."""
    reading = Reading(tmp_path)
    reading.frames = [lines(0, "too old"), lines(3, *(str(n) for n in range(150)))]
    reading.api._clock = lambda: NOW + 3602 * S
    data = reading.api.query_range(ME, {"query": '{service_name="shop"}'})["data"]
    assert [value[1] for value in data["result"][0]["values"]] == [str(n) for n in range(149, 49, -1)]


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("1795486689000000000", 1795486689000000000),
        ("1795486689", 1795486689 * S),
        ("1795486689.5", 1795486689 * S + S // 2),
        ("1.5e9", 1_500_000_000 * S),
        ("2026-11-24T02:18:09Z", NOW),
        ("2026-11-24T03:18:09.000000001+01:00", NOW + 1),
        ("0", 0),
    ],
)
def test_query_reads_times_as_loki_does(text, ns):
    """Integers are ns, or seconds up to ten digits; fractions are seconds; RFC 3339 keeps its ns."""
    assert time_ns(text, "start") == ns


@pytest.mark.parametrize(
    "text", ["zz", "", "1e400", "1e99", "9" * 25, "2026-13-24T02:18:09Z", "2026-11-24", "nan", "0x10", "١"]
)
def test_query_refuses_other_times(text):
    """Anything else is a 400 that names the parameter."""
    with pytest.raises(QueryError, match="'start'"):
        time_ns(text, "start")


def test_query_reads_span_step_limit_and_direction():
    """Defaults, and what each may be."""
    assert span({}, NOW) == (NOW - 3600 * S, NOW)
    assert span({"since": "5m"}, NOW) == (NOW - 300 * S, NOW)
    assert step_ns({}, 0, 3600 * S) == 14 * S
    assert step_ns({}, 0, S) == S
    assert step_ns({"step": "500ms"}, 0, S) == S // 2
    assert step_ns({"step": "0.5"}, 0, S) == S // 2
    assert limit({}) == 100
    assert limit({"limit": "5000"}) == 5000
    assert backward({}) and backward({"direction": "BACKWARD"}) and not backward({"direction": "forward"})


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"start": "2", "end": "1"}, "end timestamp"),
        ({"since": "x"}, "'since'"),
        ({"limit": "0"}, "positive"),
        ({"limit": "5001"}, "max entries limit"),
        ({"limit": "x"}, "'limit'"),
        ({"direction": "up"}, "direction"),
        ({"interval": "5s"}, "not supported by the embedded store: the parameter interval"),
        ({"query": 'rate({a="b"}[1m])', "step": "0"}, "zero or negative"),
        ({"query": 'rate({a="b"}[1m])', "step": "-5s"}, "zero or negative"),
        ({"query": 'rate({a="b"}[1m])', "step": "x"}, "'step'"),
        ({"query": 'rate({a="b"}[1m])', "step": "99y"}, "at most 30 years"),
        ({"query": 'rate({a="b"}[99y])'}, "at most 30 years"),
        ({"query": 'rate({a="b"}[1m])', "step": "1ms"}, "11,000 points"),
    ],
)
def test_query_refuses_parameters(reading, parameters, message):
    """Each is a 400 that says what to write."""
    with pytest.raises(QueryError, match=message) as refused:
        reading.api.query_range(ME, {"query": '{a="b"}', **parameters})
    assert refused.value.status == 400
