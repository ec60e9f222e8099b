"""The Loki sink against the real Loki 3.7.8."""

from __future__ import annotations

import asyncio
import time
import uuid

import httpx
import pytest
from push_frames import entry, frame
from real_loki import Loki

from pipeline.sinks.delivery import Delivery, UndeliveredError
from pipeline.sinks.loki.settings import LokiSettings
from pipeline.sinks.loki.sink import LokiSink
from pipeline.sinks.quarantine import Quarantine, Refused
from pipeline.sinks.redrive import Redriven, redrive

pytestmark = pytest.mark.loki
HOUR = 3_600_000_000_000


@pytest.fixture
def now() -> int:
    return time.time_ns() // 1_000_000_000 * 1_000_000_000


@pytest.fixture
def mark() -> str:
    """A label value that only this test uses."""
    return uuid.uuid4().hex[:12]


@pytest.fixture
def quarantine(tmp_path):
    held = Quarantine.open(tmp_path / "quarantine", writer="w0", max_bytes=1 << 20)
    yield held
    held.close()


@pytest.fixture
async def make_sink(loki, quarantine):
    sinks = []

    def make(**given):
        sinks.append(LokiSink(LokiSettings(**{"url": loki, "org": ""} | given), quarantine))
        return sinks[-1]

    yield make
    for sink in sinks:
        await sink.close()


@pytest.fixture
def find(loki, now):
    """Return a function: LogQL to [(labels and metadata, ns, line)], oldest first."""

    def query(logql: str) -> list[tuple[dict, int, str]]:
        params = {
            "query": logql,
            "start": now - 1000 * HOUR,
            "end": now + HOUR,
            "limit": 5000,
            "direction": "forward",
        }
        answer = httpx.get(f"{loki}/loki/api/v1/query_range", params=params, timeout=30)
        assert answer.status_code == 200, answer.text
        found = [(s["stream"], int(v[0]), v[1]) for s in answer.json()["data"]["result"] for v in s["values"]]
        return sorted(found, key=lambda each: each[1])

    return query


async def test_concatenated_frames_are_all_found(make_sink, find, now, mark):
    """Every entry of several frames, sent as one body of joined gzip members, is found once, with its metadata."""
    frames = [
        frame(
            [
                (
                    {"mark": mark, "app": a},
                    [entry(now + p * 100 + i, f"{p}.{a}.{i}", trace="t") for i in range(20)],
                )
                for a in "ab"
            ],
            p,
        )
        for p in range(5)
    ]
    assert await make_sink(alone="never").write(frames) == Delivery(200)
    found = find(f'{{mark="{mark}"}}')
    assert sorted(line for *_, line in found) == sorted(
        f"{p}.{a}.{i}" for p in range(5) for a in "ab" for i in range(20)
    )
    assert all(labels["trace"] == "t" for labels, *_ in found)


async def test_a_resend_is_folded(make_sink, find, now, mark):
    """A second delivery of the same frames, as after a crash, adds no line."""
    frames = [frame([({"mark": mark}, [entry(now + i, f"l{i}", k="v") for i in range(50)])])]
    assert await make_sink().write(frames) == Delivery(50)
    assert await make_sink().write(frames) == Delivery(50)
    assert len(find(f'{{mark="{mark}"}}')) == 50


@pytest.mark.parametrize("late_after_s", [0, 2700])
async def test_too_late_entries_land_with_the_late_label(
    make_sink, find, now, mark, late_after_s, quarantine
):
    """What is hours behind its stream is found under the hour's label, whether we knew or Loki said so."""
    sink = make_sink(late_after_s=late_after_s)
    await sink.write([frame([({"mark": mark}, [entry(now, "newest")])], 0)])
    old = [entry(now - 3 * HOUR + i * HOUR // 100, f"old{i}") for i in range(150)]
    assert await sink.write([frame([({"mark": mark}, old)], 1)]) == Delivery(150)
    found = find(f'{{mark="{mark}"}}')
    assert sorted(line for *_, line in found) == sorted(["newest", *(f"old{i}" for i in range(150))])
    for labels, ns, _ in found:
        hour = time.strftime("%Y-%m-%dT%H", time.gmtime(ns // 10**9))
        assert labels.get("late") in ({hour} if ns < now - HOUR - HOUR // 2 else {None, hour})
    assert len([1 for labels, *_ in found if "late" in labels]) >= 140
    assert not quarantine.items()


async def test_a_late_entry_before_a_good_stream_is_not_lost(make_sink, find, now, mark):
    """In this very shape Loki answers 204 and drops the late entry; the sink must not let it come to that."""
    sink = make_sink()
    a, b = {"mark": mark, "app": "a"}, {"mark": mark, "app": "b"}
    await sink.write([frame([(a, [entry(now, "a")]), (b, [entry(now, "b")])], 0)])
    await sink.write([frame([(a, [entry(now - 3 * HOUR, "late")]), (b, [entry(now + 1, "b1")])], 1)])
    assert {line for *_, line in find(f'{{mark="{mark}"}}')} == {"a", "b", "late", "b1"}


@pytest.mark.parametrize("sharding", ["true", "false"])
async def test_a_stream_over_its_rate_is_found_whole(tmp_path, quarantine, now, sharding):
    """Loki drops it, in part or whole, and says 204 for the quiet stream behind it: all of it must be found all the same."""
    limited = Loki(
        tmp_path / "limited",
        "-ingester.per-stream-rate-limit=200KB",
        "-ingester.per-stream-rate-limit-burst=300KB",
        f"-shard-streams.enabled={sharding}",
    ).start()
    sink = LokiSink(LokiSettings(url=limited.url, org=""), quarantine)
    loud, quiet = {"app": "loud"}, {"app": "quiet"}
    try:
        await sink.write([frame([(loud, [entry(now, "loud")]), (quiet, [entry(now, "quiet")])], 0)])
        frames = [
            frame(
                [
                    (loud, [entry(now + 1000 * p + i, f"{p}.{i}".ljust(850)) for i in range(200)]),
                    (quiet, [entry(now + p, f"quiet {p}")]),
                ],
                p,
            )
            for p in range(1, 6)
        ]
        delivery, tries, waited = None, 0, 0.1
        async with asyncio.timeout(60):
            while delivery is None:
                try:
                    delivery = await sink.write(frames)
                except UndeliveredError as error:
                    assert error.status == "429"
                    tries += 1
                    waited = 0.1 if error.progress else waited * 2
                    await asyncio.sleep(waited)  # Loki's buckets fill with the time of its clock
        found = limited.entries('{app=~".+"}', now - HOUR, now + HOUR)
    finally:
        await sink.close()
        limited.stop()

    assert delivery == Delivery(1005)
    assert tries
    assert len(found) == 1007
    assert not quarantine.items()


async def test_loki_hides_errors_of_all_but_the_last_stream(loki, find, now, mark):
    """The reason for all this: if this fails, Loki was mended and the sink may become simpler."""
    a, b = {"mark": mark, "app": "a"}, {"mark": mark, "app": "b"}

    def push(*streams):
        body = {"streams": [{"stream": labels, "values": values} for labels, values in streams]}
        return httpx.post(f"{loki}/loki/api/v1/push", json=body).status_code

    assert push((a, [entry(now, "a")])) == 204
    assert push((a, [entry(now - 3 * HOUR, "lost")]), (b, [entry(now, "b")])) == 204
    assert {line for *_, line in find(f'{{mark="{mark}"}}')} == {"a", "b"}
    assert push((b, [entry(now + 1, "b1")]), (a, [entry(now - 3 * HOUR, "told")])) == 400


async def test_what_loki_refuses_is_quarantined_and_neighbours_are_found(
    make_sink, find, now, mark, quarantine
):
    """Bad label name, long line, bad metadata, future time: each alone in quarantine with Loki's reason."""
    good, bad = {"mark": mark}, {"mark": mark, "a-b": "x"}
    values = [
        entry(now, "good0"),
        entry(now + 1, "z" * 300_000),
        [str(now + 2), "bad metadata name", {"": "x"}],
        entry(now + 3 * HOUR, "future"),
        entry(now + 4, "big metadata", k="v" * 70_000),
        entry(now + 5, "good1", k="v"),
    ]
    many = {"mark": mark, **{f"l{i}": "x" for i in range(20)}}
    frames = [frame([(good, values), (bad, [entry(now, "bad label")]), (many, [entry(now, "many labels")])])]
    delivery = await make_sink().write(frames)
    assert delivery == Delivery(2, {"too_large": 2, "format": 1, "too_new": 1, "labels": 2})
    assert [line for *_, line in find(f'{{mark="{mark}"}}')] == ["good0", "good1"]
    kept = {item.line[:20]: item for item in quarantine.items().values() if isinstance(item, Refused)}
    assert kept["bad label"].detail.startswith("400 couldn't parse labels")
    assert "label names; limit" in kept["many labels"].detail
    assert kept["bad metadata name"].detail.startswith("500 label name is empty")
    assert "max entry size" in kept["z" * 20].detail
    assert "timestamp too new" in kept["future"].detail
    assert "structured metadata too large" in kept["big metadata"].detail


async def test_redrive_after_the_cause_is_gone(make_sink, find, now, mark, quarantine):
    """An item of the quarantine that Loki takes now is found, and gone from the quarantine."""
    labels = {"mark": mark}
    item = Refused(
        tenant="acme",
        time_ns=now,
        reason="too_large",
        detail="",
        sink="loki",
        labels=labels,
        ts=str(now),
        line="once",
    )
    quarantine.append([item])
    assert await redrive(quarantine, make_sink(), list(quarantine.items())) == Redriven(delivered=1)
    assert [line for *_, line in find(f'{{mark="{mark}"}}')] == ["once"]
    assert not quarantine.items()
