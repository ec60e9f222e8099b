"""The default: no other server. What was acknowledged is found at once, from any worker, and stays."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable

import orjson
import pytest
from running import Entry, Headrig, Loki, cli, connect, wait_until

from pipeline.buffer import read_frames
from pipeline.samples import canary

S = 10**9
ORIGIN = "e2e.example/embedded"


def record(number: int, service: str = "emb", **fields: object) -> bytes:
    """One record of now."""
    return orjson.dumps({"service": service, "message": f"emb-{number:04d}", "level": "info", **fields})


def recent(headrig: Headrig, selector: str, filters: str = "") -> list[Entry]:
    """All of the last hour."""
    now = time.time_ns()
    return headrig.entries(selector, now - 3600 * S, now + S, filters)


@pytest.fixture(scope="module")
def headrig(programs: Callable[..., Headrig]) -> Headrig:
    """Two workers on the embedded store; small gathers so that the archive is written within the test."""
    settings = {"sinks": {"archive": {"linger": "1s"}}, "audit": {"origin": ORIGIN}}
    return programs(settings, workers=2).start()


def test_an_acknowledged_line_is_found_at_once(headrig: Headrig) -> None:
    """A query right after the answer finds the line, whichever worker took it and whichever is asked."""
    number = 0
    while number < 30 or holders(headrig) != ["w0", "w1"]:
        assert headrig.post(record(number, "once")).status == 200
        now = time.time_ns()
        answer = headrig.read(
            "query_range",
            query=f'{{service_name="once"}} |= "emb-{number:04d}"',
            start=now - 60 * S,
            end=now + S,
        )
        [stream] = answer.json()["data"]["result"]
        assert len(stream["values"]) == 1
        number += 1
        assert number < 300, "a worker took nothing"


def holders(headrig: Headrig) -> list[str]:
    """Name the buffers that hold records."""
    return sorted(path.name for path in (headrig.data / "buffer").iterdir() if any(read_frames(path)))


def test_every_worker_sees_what_the_other_took(headrig: Headrig) -> None:
    """Of two connections that stay open at a time each is with another worker; both answer for both."""
    connections = [connect(headrig.url), connect(headrig.url)]
    path = "/loki/api/v1/query_range?query=%7Bservice_name%3D%22pair%22%7D"
    for number, connection in enumerate(connections):
        connection.request("POST", "/v1/logs", record(number, "pair"))
        assert connection.getresponse().read()
    counts = []
    for connection in connections:
        connection.request("GET", path)
        result = json.loads(connection.getresponse().read())["data"]["result"]
        counts.append(sum(len(stream["values"]) for stream in result))
        connection.close()
    assert counts == [2, 2]


def test_the_way_into_the_archive_shows_each_line_once(headrig: Headrig) -> None:
    """While frames become Parquet a query sees every line exactly once, at any moment."""
    body = b"\n".join(record(number, "moving", timestamp=time.time_ns() + number) for number in range(2000))
    before = headrig.metric("headrig_records_delivered_total", sink="archive")
    assert headrig.post(body).json()["accepted"] == 2000
    expected = Counter(f"emb-{number:04d}" for number in range(2000))
    looks = 0

    def archived() -> bool:
        nonlocal looks
        done = headrig.metric("headrig_records_delivered_total", sink="archive") >= before + 2000
        found = Counter(
            json.loads(entry.line)["message"] for entry in recent(headrig, '{service_name="moving"}')
        )
        assert found == expected
        looks += 1
        return done

    wait_until(archived, 30, "the archive")
    assert looks > 1
    assert any((headrig.data / "archive").rglob("*.parquet"))


def test_labels_values_and_series_name_the_streams(headrig: Headrig) -> None:
    """The catalogue routes answer as Loki's do."""
    assert headrig.post(record(1, "named", env="prod")).status == 200
    now = time.time_ns()
    span = {"start": now - 3600 * S, "end": now + S}
    assert {"env", "service_name"} <= set(headrig.read("labels", **span).json()["data"])
    assert "named" in headrig.read("label/service_name/values", **span).json()["data"]
    series = headrig.read("series", **span, **{"match[]": '{service_name="named"}'}).json()
    assert series == {"status": "success", "data": [{"env": "prod", "service_name": "named"}]}


def test_metric_queries_count(headrig: Headrig) -> None:
    """``count_over_time`` and ``rate`` with ``sum by`` answer on both query routes, also over ``| json``."""
    lines = [record(number, "counted", code=200 if number % 4 else 500) for number in range(40)]
    assert headrig.post(b"\n".join(lines)).json()["accepted"] == 40
    now = time.time_ns() + S
    query = 'sum by (code) (count_over_time({service_name="counted"} | json [5m]))'
    vector = headrig.read("query", query=query, time=now).json()["data"]
    assert vector["resultType"] == "vector"
    assert {one["metric"]["code"]: one["value"][1] for one in vector["result"]} == {"200": "30", "500": "10"}
    matrix = headrig.read(
        "query_range", query='sum(rate({service_name="counted"}[5m]))', start=now - 10 * S, end=now, step="5s"
    ).json()["data"]
    assert matrix["resultType"] == "matrix"
    assert float(matrix["result"][0]["values"][-1][1]) == pytest.approx(40 / 300)


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ('{a="b"} | logfmt', "logfmt"),
        ('{a="b"} | line_format "{{.x}}"', "line_format"),
        ('topk(3, rate({a="b"}[5m]))', "topk"),
        ('bytes_rate({a="b"}[5m])', "bytes_rate"),
        ('sum(rate({a="b"}[5m])) > 2', ">"),
    ],
)
def test_what_is_not_supported_is_named(headrig: Headrig, query: str, named: str) -> None:
    """LogQL beyond the subset is a 400 in plain text that says what is not supported."""
    answer = headrig.read("query_range", query=query)
    assert answer.status == 400
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert "not supported by the embedded store" in answer.body.decode()
    assert named in answer.body.decode()


def test_headrig_query_prints_a_table(headrig: Headrig) -> None:
    """People get a readable table, masked, on standard output; no result says so and exits 0."""
    assert (
        headrig.post(record(7, "table", password=canary(70_007), event="user.login", user="bob")).status
        == 200
    )
    done = cli("query", '{service_name="table"} |= "emb-0007"', "--url", headrig.url)
    assert done.returncode == 0, done.stderr
    assert b"emb-0007" in done.stdout
    assert b"[redacted:" in done.stdout
    assert canary(70_007).encode() not in done.stdout
    events = cli("query", '{audit="true"} |= "bob"', "--url", headrig.url)
    assert b"bob" in events.stdout
    assert b"login" in events.stdout
    nothing = cli("query", '{service_name="nobody"}', "--url", headrig.url)
    assert (nothing.returncode, nothing.stdout) == (0, b"")
    assert b"no results" in nothing.stderr


def test_a_query_that_is_wrong_is_a_usage_error(headrig: Headrig) -> None:
    """``headrig query`` with what the store does not do exits 64 and passes the reason on."""
    done = cli("query", '{a="b"} | logfmt', "--url", headrig.url)
    assert done.returncode == 64
    assert b"logfmt" in done.stderr


def test_everything_is_still_there_after_a_restart(headrig: Headrig) -> None:
    """Lines and audit leaves survive SIGTERM and a start, each once."""
    assert headrig.post(record(1, "stays", event="user.deleted", user="root", target="x")).status == 200
    before = recent(headrig, '{service_name=~".+"}')
    assert headrig.stop() == 0
    headrig.start()
    assert Counter(map(repr, recent(headrig, '{service_name=~".+"}'))) == Counter(map(repr, before))
    leaves = [json.loads(entry.line) for entry in recent(headrig, '{audit="true"}', '|= "stays"')]
    # Asking is an event itself, and names what it looks for.
    assert [leaf["action"] for leaf in leaves if leaf["action"] != "read_audit"] == ["delete_user"]


def test_replay_gives_a_new_loki_the_same_bytes(headrig: Headrig, loki: Loki) -> None:
    """``headrig replay`` sends lines, nanoseconds and metadata as they are, audit leaves included; twice is once."""
    ours = [*recent(headrig, '{service_name=~".+"}'), *recent(headrig, '{audit="true"}')]
    assert headrig.stop() == 0  # which also archives what was waiting
    for _ in range(2):
        done = cli("replay", "--config", headrig.config, "--loki", loki.url, "--from", "2h")
        assert done.returncode == 0, done.stderr
        assert int(done.stdout.split()[1]) >= len(ours)
    services = "|".join(
        sorted({entry.labels["service_name"] for entry in ours if "audit" not in entry.labels})
    )
    now = time.time_ns()
    theirs = [
        entry
        for selector in [f'{{service_name=~"{services}"}}', f'{{audit_log="{ORIGIN}"}}']
        for entry in loki.entries(selector, now - 7200 * S, now + S)
    ]
    found = Counter(map(identity, theirs))
    assert found >= Counter(map(identity, ours))
    assert max(found.values()) == 1


def identity(entry: Entry) -> str:
    """What must be the same; Loki adds a ``service_name`` to the audit stream, and its guess of a level."""
    labels = {
        name: value
        for name, value in entry.labels.items()
        if (name, value) != ("service_name", "unknown_service")
    }
    metadata = {
        name: value
        for name, value in entry.metadata.items()
        if name != "detected_level" or "audit" not in labels
    }
    return json.dumps([labels, entry.ns, entry.line, metadata], sort_keys=True)
