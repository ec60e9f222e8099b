"""The embedded store and the real Loki give the same answers to the same queries on the same records."""

from __future__ import annotations

import time

import httpx
import orjson
import pytest
from archive_frames import ME, Reading
from push_frames import frame
from query_corpus import LOG_QUERIES, METRIC_QUERIES, REFUSED_BY_BOTH, START, STREAMS, S

from pipeline.query.errors import QueryError
from pipeline.sinks.archive import ArchiveSink

pytestmark = pytest.mark.loki
_HEADERS = {"X-Loki-Response-Encoding-Flags": "categorize-labels"}


@pytest.fixture(scope="module")
def base(loki):
    """A Loki that holds the records."""
    body = {"streams": [{"stream": labels, "values": values} for labels, values in STREAMS]}
    httpx.post(f"{loki}/loki/api/v1/push", json=body).raise_for_status()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        data = ask(loki, "query_range", query='{service_name=~".+"}', limit="100").json()["data"]["result"]
        if sum(len(one["values"]) for one in data) == sum(len(values) for _, values in STREAMS):
            return loki
    raise AssertionError("Loki does not show the records")


@pytest.fixture(params=["archived", "waiting", "half"])
async def reading(tmp_path, request):
    """A store that holds the records: in Parquet, in frames, or half and half."""
    reading = Reading(tmp_path)
    frames = [
        frame([(labels, values[k::2])], 2 * n + k)
        for n, (labels, values) in enumerate(STREAMS)
        for k in (0, 1)
    ]
    sink = ArchiveSink.open(reading.archive, reading.buffer)
    archived = {"archived": 4, "waiting": 0, "half": 2}[request.param]
    if archived:
        await sink.write(frames[:archived])
    await sink.close()
    reading.frames = frames
    yield reading
    reading.store.close()


def ask(base, path, headers=None, **parameters):
    """Ask Loki."""
    given = {"start": str(START - 60 * S), "end": str(START + 300 * S), **parameters}
    return httpx.get(f"{base}/loki/api/v1/{path}", params=given, headers=headers)


def plain(data):
    """An answer without statistics, streams in one order, and without the wording of errors."""
    data.pop("stats", None)
    for one in data["result"]:
        for labels in (
            one.get("stream", {}),
            *(v[2].get("parsed", {}) for v in one.get("values", []) if len(v) > 2),
        ):
            labels.pop("__error_details__", None)
    return {
        **data,
        "result": sorted(data["result"], key=lambda one: orjson.dumps(one, option=orjson.OPT_SORT_KEYS)),
    }


def mine(reading, query, *, categorize=False, **parameters):
    """Ask the embedded store."""
    given = {"start": str(START - 60 * S), "end": str(START + 300 * S), **parameters}
    return plain(reading.api.query_range(ME, {"query": query, **given}, categorize=categorize)["data"])


def test_query_log_queries_agree_with_loki(base, reading):
    """Streams, labels, order and categories are the same for every query of the table."""
    different = []
    for query in LOG_QUERIES:
        for direction in ("forward", "backward"):
            theirs = ask(base, "query_range", query=query, direction=direction)
            sorted_out = ask(base, "query_range", _HEADERS, query=query, direction=direction)
            if plain(theirs.json()["data"]) != mine(reading, query, direction=direction):
                different.append(
                    (
                        query,
                        direction,
                        plain(theirs.json()["data"]),
                        mine(reading, query, direction=direction),
                    )
                )
            if plain(sorted_out.json()["data"]) != mine(reading, query, categorize=True, direction=direction):
                different.append(
                    (
                        query,
                        "categorized",
                        plain(sorted_out.json()["data"]),
                        mine(reading, query, categorize=True, direction=direction),
                    )
                )
    assert different == []


def test_query_limits_agree_with_loki(base, reading):
    """A limit keeps the newest lines backward and the oldest forward."""
    for direction in ("forward", "backward"):
        for limit in ("1", "3", "7"):
            given = {
                "query": '{service_name=~".+"} | detected_level!=""',
                "direction": direction,
                "limit": limit,
            }
            assert plain(ask(base, "query_range", **given).json()["data"]) == mine(reading, **given)


def test_query_metric_queries_agree_with_loki(base, reading):
    """Matrices have the same series, times and values, for several steps and unaligned ranges."""
    different = []
    for query in METRIC_QUERIES:
        for given in (
            {},
            {"step": "30s"},
            {"step": "7", "start": str(START - 3 * S), "end": str(START + 131 * S + 5)},
        ):
            theirs = ask(base, "query_range", query=query, **given)
            if plain(theirs.json()["data"]) != mine(reading, query, **given):
                different.append((query, given, plain(theirs.json()["data"]), mine(reading, query, **given)))
    assert different == []


def test_query_instant_queries_agree_with_loki(base, reading):
    """Vectors have the same series and values."""
    for query in METRIC_QUERIES:
        for second in (8, 67, 125):
            given = {"query": query, "time": str(START + second * S)}
            theirs = plain(ask(base, "query", **given).json()["data"])
            assert theirs == plain(reading.api.query(ME, given)["data"]), (query, second)


def test_query_labels_and_series_agree_with_loki(base, reading):
    """Label names, values and series are the same."""
    span = {"start": str(START - 60 * S), "end": str(START + 300 * S)}
    api = reading.api
    assert ask(base, "labels").json() == api.labels(ME, span)
    assert ask(base, "label/env/values").json() == api.label_values(ME, "env", span)
    assert ask(base, "label/nope/values").json() == api.label_values(ME, "nope", span)
    query = {"query": '{service_name="cart"}'}
    assert ask(base, "labels", **query).json() == api.labels(ME, {**span, **query})
    series = api.series(ME, ['{env="prod"}'], span)
    assert ask(base, "series", **{"match[]": '{env="prod"}'}).json() == series
    everything = api.series(ME, [], span)["data"]
    theirs = ask(base, "series").json()["data"]
    assert sorted(sorted(one.items()) for one in theirs) == sorted(sorted(one.items()) for one in everything)


def test_query_refuses_what_loki_refuses(base, reading):
    """What is no LogQL, or fails on a record, is a 400 in both."""
    for query in REFUSED_BY_BOTH:
        assert ask(base, "query_range", query=query).status_code == 400, query
        with pytest.raises(QueryError) as refused:
            mine(reading, query)
        assert refused.value.status == 400
