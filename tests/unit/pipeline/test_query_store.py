"""The embedded store over real Parquet files and frames: exactly once, per tenant, within bounds."""

from __future__ import annotations

import pytest
from archive_frames import ME, Reading, S, lines
from headrig import CorruptionError
from push_frames import NOW, entry, frame
from query_corpus import START, STREAMS

from pipeline.archive_format import read_manifest
from pipeline.query.errors import QueryError
from pipeline.query.recent import Caller, Log
from pipeline.query.store import Store
from pipeline.sinks.archive import ArchiveSink, Bounds, retention


@pytest.fixture
async def stored(tmp_path):
    """A store of which one half is archived and the other waits."""
    reading = Reading(tmp_path)
    frames = [
        frame([(labels, values[k::2])], 2 * n + k)
        for n, (labels, values) in enumerate(STREAMS)
        for k in (0, 1)
    ]
    sink = ArchiveSink.open(reading.archive, reading.buffer)
    await sink.write(frames[:2])
    await sink.close()
    reading.frames = frames
    yield reading
    reading.store.close()


@pytest.mark.parametrize(
    ("query", "seconds"),
    [
        ('{service_name="shop"}', [1, 2, 3, 4, 5, 6, 65, 66]),
        ('{service_name=~"ca.*"} |= "order" != "1234"', [120, 121]),
        ('{service_name="cart"} |~ "order 12(34|x5)"', [90, 121]),
        ('{service_name="cart"} !~ "o" | detected_level="info"', [9]),
        ('{env="", service_name!=""} | code="7"', [7]),
        ('{service_name="shop"} | json | user="alice"', [4, 65]),
        ('{service_name="shop"} | json | took > 1s | __error__=""', [65]),
        ('{service_name="shop"} | json | a <= 1 and detected_level!="warn" | __error__=""', [1]),
        ('{service_name="shop"} |= "two\\nlines"', [6]),
        ('{service_name="absent"}', []),
    ],
)
def test_query_log_results(stored, query, seconds):
    """Each query of the table finds exactly its records, each once, wherever they lie."""
    for direction, expected in (("forward", seconds), ("backward", seconds[::-1])):
        result = stored.answer(query, direction=direction)["result"]
        times = [int(value[0]) for stream in result for value in stream["values"]]
        assert sorted(times, reverse=direction == "backward") == [START + second * S for second in expected]
        for stream in result:
            own = [int(value[0]) for value in stream["values"]]
            assert own == sorted(own, reverse=direction == "backward")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ('sum(count_over_time({service_name="cart"}[1m]))', {"": {60: "3", 120: "2", 180: "1"}}),
        ('sum(count_over_time({service_name="cart"}[2m]))', {"": {60: "3", 120: "5", 180: "3", 240: "1"}}),
        (
            'sum(rate({service_name="cart"} |= "order" [1m]))',
            {"": {120: "0.03333333333333333", 180: "0.016666666666666666"}},
        ),
        (
            'sum by (detected_level) (count_over_time({service_name="shop"}[1m]))',
            {"info": {60: "5"}, "error": {60: "1"}, "warn": {120: "2"}},
        ),
        (
            'sum by (user) (count_over_time({service_name="shop"} | json | user!="" [1m]))',
            {"alice": {60: "1", 120: "1"}, "bob": {120: "1"}},
        ),
    ],
)
def test_query_metric_results(stored, query, expected):
    """Each metric query of the table has exactly its samples: a record at t counts in (t - range, t]."""
    data = stored.answer(query, start=str(START), end=str(START + 240 * S), step="60")
    found = {
        "".join(one["metric"].values()): {int(s) - START // S: value for s, value in one["values"]}
        for one in data["result"]
    }
    assert found == expected


async def test_query_finds_frames_at_once_and_archived_ones_once(tmp_path):
    """A line is found before, while and after it goes from the buffer to the archive, always once."""
    reading = Reading(tmp_path)
    reading.frames = [lines(0, "a"), lines(1, "b")]
    query = '{service_name="shop"}'
    assert reading.found(query) == ["a", "b"]
    sink = ArchiveSink.open(reading.archive, reading.buffer)
    await sink.write(reading.frames[:1])
    assert reading.found(query) == ["a", "b"]
    await sink.write(reading.frames)
    assert reading.found(query) == ["a", "b"]
    reading.frames = []
    assert reading.found(query) == ["a", "b"]
    await sink.close()


async def test_query_sees_a_frame_once_that_is_archived_while_it_reads(tmp_path):
    """Frames are read before the manifests, so one that moves meanwhile is neither lost nor doubled."""
    reading = Reading(tmp_path)
    reading.frames = [lines(0, "a"), lines(1, "b")]
    sink = ArchiveSink.open(reading.archive, reading.buffer)

    def read(after):
        for one in list(reading.frames):
            yield one
            sink._store([one])
        reading.frames = []

    store = Store(reading.archive, lambda: [Log(reading.buffer, read)])
    reading.api._store = store
    assert reading.found('{service_name="shop"}') == ["a", "b"]
    assert reading.found('{service_name="shop"}') == ["a", "b"]
    store.close()
    await sink.close()


class GoneError(Exception):
    """A segment went."""


async def test_query_starts_again_when_a_segment_goes(tmp_path):
    """A segment that vanishes while it is read makes a new snapshot, and in the end an error, not a wrong answer."""
    reading = Reading(tmp_path)
    tries = []

    def read(after):
        tries.append(after)
        if len(tries) < 3:
            raise GoneError
        return [lines(0, "a")]

    reading.api._store = Store(reading.archive, lambda: [Log(reading.buffer, read)], gone=(GoneError,))
    assert reading.found('{service_name="shop"}') == ["a"]
    tries[:] = [0] * -1000
    reading.api._store = Store(
        reading.archive, lambda: [Log(reading.buffer, lambda _: 1 / 0)], gone=(ZeroDivisionError,)
    )
    with pytest.raises(QueryError, match="changed 5 times") as refused:
        reading.found('{service_name="shop"}')
    assert refused.value.status == 503


async def test_query_starts_again_when_a_file_goes(tmp_path):
    """A file that retention removes behind a snapshot is not an error, and its records are gone."""
    reading = Reading(tmp_path)
    sink = ArchiveSink.open(reading.archive, reading.buffer, clock=lambda: NOW)
    await sink.write([lines(0, "a")])
    await sink.write([lines(1, "b")])
    (first, second) = read_manifest(reading.archive, sink.writer).files
    asked = reading.store._files.label_sets
    expired = []

    def label_sets(file):
        if not expired:
            expired.append(retention.expire(reading.archive, Bounds(max_bytes=second.size), NOW))
        return asked(file)

    reading.store._files.label_sets = label_sets
    assert reading.found('{service_name="shop"}') == ["b"]
    assert expired == [{"acme": 1}]
    await sink.close()


async def test_query_shows_a_tenant_only_its_own(tmp_path):
    """Records of another tenant are found neither in frames nor in files, nor are its labels."""
    reading = Reading(tmp_path)
    sink = ArchiveSink.open(reading.archive, reading.buffer)
    frames = [
        lines(0, "mine"),
        lines(1, "theirs", tenant="other", labels={"service_name": "shop", "secret": "x"}),
        lines(2, "mine too"),
        lines(3, "theirs too", tenant="other", labels={"service_name": "shop", "hidden": "x"}),
    ]
    await sink.write(frames[:2])
    await sink.close()
    reading.frames = frames
    assert reading.found('{service_name="shop"}') == ["mine", "mine too"]
    assert reading.found('{service_name="shop"}', Caller("other")) == ["theirs", "theirs too"]
    span = {"start": str(NOW - S), "end": str(NOW + 10 * S)}
    assert reading.api.labels(ME, span)["data"] == ["service_name"]
    assert reading.api.labels(Caller("other"), span)["data"] == ["hidden", "secret", "service_name"]
    counted = reading.answer(
        'sum(count_over_time({service_name="shop"}[1h]))', start=str(NOW + 60 * S), end=str(NOW + 60 * S)
    )
    assert counted["result"][0]["values"][0][1] == "2"


@pytest.mark.parametrize("archived", [True, False])
async def test_query_shows_audit_leaves_to_auditors_only(tmp_path, archived):
    """Leaves are seen with the scope audit, of the caller's tenant or of all, wherever they lie."""
    reading = Reading(tmp_path)
    leaves = [
        entry(NOW + k, f'{{"tenant":"{name}","actor":"{name}"}}') for k, name in enumerate(["acme", "other"])
    ]
    made = frame([({"audit": "true", "audit_log": "log"}, leaves)], 0, "audit")
    reading.leaves = [type(made)(**{**made.__dict__, "end": 2})]
    if archived:
        sink = ArchiveSink.open(reading.archive, reading.audit, audit=True)
        await sink.write(reading.leaves)
        await sink.close()
    query = '{audit="true"}'
    mine, theirs = leaves[0][1], leaves[1][1]
    assert reading.found(query) == []
    assert reading.found(query, Caller("audit")) == []
    assert reading.found(query, Caller("acme", audit=True)) == [mine]
    assert reading.found(query, Caller("audit", audit=True)) == []
    assert reading.found(query, Caller("acme", audit=True, every_tenant=True)) == [mine, theirs]
    span = {"start": str(NOW), "end": str(NOW + S)}
    assert reading.api.labels(ME, span)["data"] == []
    assert reading.api.labels(Caller("acme", audit=True), span)["data"] == ["audit", "audit_log"]


async def test_query_keeps_equal_lines_and_the_order_of_arrival(tmp_path):
    """A thousand equal lines of one time are a thousand results; equal times keep their order."""
    reading = Reading(tmp_path)
    same = frame([({"service_name": "shop"}, [entry(NOW, f"{k % 2}") for k in range(1000)])], 0)
    sink = ArchiveSink.open(reading.archive, reading.buffer)
    for _ in range(2):
        reading.frames = [same]
        result = reading.answer('{service_name="shop"}', direction="forward")["result"]
        assert [value[1] for value in result[0]["values"]] == [f"{k % 2}" for k in range(1000)]
        result = reading.answer('{service_name="shop"}', limit="999")["result"]
        assert [value[1] for value in result[0]["values"]] == [f"{k % 2}" for k in range(999, 0, -1)]
        await sink.write([same])
    await sink.close()


async def test_query_stops_at_the_newest_lines(tmp_path):
    """With many files the limit takes the newest lines of all, not of the first file."""
    reading = Reading(tmp_path)
    sink = ArchiveSink.open(reading.archive, reading.buffer)
    for position in (3, 1, 2, 0):
        sink._store([lines(position, *(f"{position}-{k}" for k in range(10)))])
        sink.writer += "x"
    await sink.close()
    assert reading.found('{service_name="shop"}', limit="12", direction="backward") == [
        "2-8", "2-9", *(f"3-{k}" for k in range(10)),
    ]  # fmt: skip
    assert reading.found('{service_name="shop"}', limit="12") == [
        *(f"0-{k}" for k in range(10)),
        "1-0",
        "1-1",
    ]


def test_query_refuses_too_many_series(tmp_path):
    """More than 500 series are an error that says what to do."""
    reading = Reading(tmp_path)
    entries = [entry(NOW + k, "x", trace=str(k)) for k in range(501)]
    reading.frames = [frame([({"service_name": "shop"}, entries)], 0)]
    with pytest.raises(QueryError, match="sum by"):
        reading.answer('count_over_time({service_name="shop"}[1h])', step="1h")


def test_query_ends_at_its_deadline(tmp_path):
    """A query that takes too long is told so."""
    reading = Reading(tmp_path)
    sink = ArchiveSink.open(reading.archive, reading.buffer)
    sink._store([lines(0, "a")])
    ticks = iter(range(0, 1000, 40))
    reading.api._store = Store(reading.archive, list, seconds=30, clock=lambda: next(ticks))
    with pytest.raises(QueryError) as refused:
        reading.found('{service_name="shop"}')
    assert refused.value.status == 504
    reading.api._store.close()


async def test_query_database_reads_nothing_but_the_archive(tmp_path):
    """DuckDB is locked into the archive's directory, whatever SQL might be smuggled in."""
    import duckdb

    reading = Reading(tmp_path)
    (tmp_path / "secret.csv").write_text("a\n1\n")
    cursor = reading.store._files._cursor()
    with pytest.raises(duckdb.PermissionException):
        cursor.execute(f"SELECT * FROM read_csv('{tmp_path}/secret.csv')")
    with pytest.raises(duckdb.Error):
        cursor.execute("SET enable_external_access = true")
    reading.store.close()


@pytest.mark.parametrize("needle", ["' OR true --", '"', "\\", "%", "_", "\x00", "é", "}{", "?"])
async def test_query_literals_are_only_literals(tmp_path, needle):
    """Text in a query is never SQL, JSON or a pattern, in files and in frames."""
    reading = Reading(tmp_path)
    hit = f"a{needle}b"
    reading.frames = [lines(0, "other", hit)]
    query = '{service_name="shop"} |= ' + "".join(['"', hit.replace("\\", "\\\\").replace('"', '\\"'), '"'])
    assert reading.found(query) == [hit]
    sink = ArchiveSink.open(reading.archive, reading.buffer)
    await sink.write(reading.frames)
    await sink.close()
    assert reading.found(query) == [hit]
    reading.store.close()


@pytest.mark.parametrize("pattern", ["(?<x>plain)", "((plain))(?<y>)|no"])
async def test_query_pattern_that_duckdb_refuses_finds_the_same(tmp_path, pattern):
    """What Loki's RE2 takes and DuckDB's does not is looked for all the same, in frames and in files."""
    reading = Reading(tmp_path)
    reading.frames = [lines(0, "a plain line", "other", "plain too"), lines(1, "plain")]
    query = f'{{service_name="shop"}} |~ `{pattern}`'
    counted = f'sum(count_over_time({{service_name="shop"}} |~ `{pattern}` [1h]))'
    unlike = f'{{service_name="shop"}} !~ `{pattern}` |= "o"'
    moment = {"start": str(NOW + 60 * S), "end": str(NOW + 60 * S)}
    sink = ArchiveSink.open(reading.archive, reading.buffer)
    for _ in range(2):
        assert reading.found(query) == ["a plain line", "plain too", "plain"]
        assert reading.found(query, limit="2", direction="backward") == ["plain too", "plain"]
        assert reading.found(unlike) == ["other"]
        assert reading.answer(counted, **moment)["result"][0]["values"][0][1] == "3"
        await sink.write(reading.frames)
    await sink.close()
    reading.store.close()


async def test_query_of_a_damaged_file_is_corruption_only_without_a_pattern(tmp_path):
    """A file that is no Parquet is named as damaged; with a pattern in the SQL nothing is accused."""
    reading = Reading(tmp_path)
    sink = ArchiveSink.open(reading.archive, reading.buffer)
    await sink.write([lines(0, "a")])
    await sink.close()
    assert reading.found('{service_name="shop"}') == ["a"]
    [path] = (reading.archive / "files").iterdir()
    path.write_bytes(b"PAR1 no more of it PAR1")

    with pytest.raises(CorruptionError):
        reading.found('{service_name="shop"} |= "a"')
    with pytest.raises(QueryError, match="cannot run the query"):
        reading.found('{service_name="shop"} |~ "a"')
    reading.store.close()
