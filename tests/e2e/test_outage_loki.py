"""Loki is away while hours of data arrive and the number of workers changes; then everything is found."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson
import pytest
from running import Entry, Headrig, Loki, cli, need_loki

from pipeline.audit.segments import read_log
from pipeline.buffer import read_frames

HOUR = 3600 * 10**9
MS = 10**6
ORIGIN = "e2e.example/outage"
SERVICES = ("alpha", "beta", "gamma")
LATE_AFTER = 45 * 60 * 10**9
"""Older than this, a record could be too far behind its stream for Loki."""
_ID = re.compile(r"out-(\d+)")


class Feed:
    """Sends records whose times lie anywhere in the last three hours, newest and oldest mixed."""

    def __init__(self) -> None:
        self.now = time.time_ns() // MS * MS
        self.sent: dict[int, int] = {}

    def send(self, headrig: Headrig, records: int) -> None:
        """Send to all services, 100 records a request."""
        first = len(self.sent)
        for start in range(first, first + records, 100):
            body = b"\n".join(self._line(number) for number in range(start, start + 100))
            answer = headrig.post(body)
            assert (answer.status, answer.json()["accepted"]) == (200, 100)

    def _line(self, number: int) -> bytes:
        ns = self.now - number * 7_919 * 10**9 % (3 * HOUR) - number * MS
        self.sent[number] = ns
        record = {
            "timestamp": ns // MS,
            "service": f"out-{SERVICES[number % 3]}",
            "message": f"out-{number} done",
        }
        if number % 50 == 1:
            record |= {"event": "user.created", "user": "root", "target": f"u{number}"}
        return orjson.dumps(record)


def twins(headrig: Headrig, now: int, tag: str) -> None:
    """Send fifty equal lines of one millisecond; ``tag`` makes it another request."""
    line = orjson.dumps({"timestamp": now // MS, "service": "out-twins", "message": "again"})
    answer = headrig.post(b"\n".join([line] * 50), Idempotency_Key=f"twins-{tag}")
    assert (answer.status, answer.json()["accepted"]) == (200, 50)


def holders(headrig: Headrig) -> list[str]:
    """Name the buffers that hold records."""
    return sorted(path.name for path in (headrig.data / "buffer").iterdir() if any(read_frames(path)))


@dataclass
class Told:
    """What Loki tells after it came up."""

    headrig: Headrig
    feed: Feed
    entries: list[Entry]
    twins: list[Entry]
    leaves: list[Entry]


@pytest.fixture(scope="module")
def told(programs: Callable[..., Headrig], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """Two workers, then three, then one; only then Loki."""
    need_loki()
    loki = Loki(tmp_path_factory.mktemp("loki"))
    settings = {"sinks": {"loki": {"url": loki.url}}, "audit": {"origin": ORIGIN}, "drain": "500ms"}
    headrig = programs(settings, workers=2)
    feed = Feed()
    for round_, workers in enumerate((2, 3, 1)):
        headrig.workers = workers
        headrig.start()
        feed.send(headrig, 1500)
        while len(holders(headrig)) < (2, 3, 3)[round_]:  # whoever is free takes a connection: until all did
            feed.send(headrig, 100)
            assert len(feed.sent) < 20_000
        twins(headrig, feed.now, str(round_))
        if workers > 1:
            assert headrig.stop() == 0
    try:
        assert headrig.metric("headrig_records_delivered_total") == 0
        assert holders(headrig) == ["w0", "w1", "w2"]
        loki.start()
        audits = sum(number % 50 == 1 for number in feed.sent)
        headrig.await_delivery("loki", len(feed.sent) + 150 + audits, 90)
        span = (feed.now - 4 * HOUR, time.time_ns() + 10**9)
        yield Told(
            headrig,
            feed,
            loki.entries('{service_name=~"out-(alpha|beta|gamma)"}', *span),
            loki.entries('{service_name="out-twins"}', *span),
            loki.entries(f'{{audit_log="{ORIGIN}"}}', *span),
        )
        assert headrig.stop() == 0
    finally:
        loki.stop()


def test_everything_is_found_exactly_once(told: Told) -> None:
    """What three generations of workers acknowledged while Loki was away is there, nothing twice."""
    numbers = Counter(int(_ID.search(entry.line)[1]) for entry in told.entries)
    assert numbers == Counter(told.feed.sent.keys())


def test_times_are_kept_to_the_millisecond(told: Told) -> None:
    """A record's time survives; only the digits that its writer left unused were filled."""
    for entry in told.entries:
        assert entry.ns // MS == told.feed.sent[int(_ID.search(entry.line)[1])] // MS


def test_late_records_carry_their_hour(told: Told) -> None:
    """What Loki would refuse as too far behind has the label ``late`` with its UTC hour; what is recent has not."""
    late = 0
    for entry in told.entries:
        if "late" in entry.labels:
            late += 1
            assert entry.labels["late"] == datetime.fromtimestamp(entry.ns // 10**9, UTC).strftime(
                "%Y-%m-%dT%H"
            )
        else:
            assert entry.ns > told.feed.now - LATE_AFTER - 60 * 10**9
    assert len(told.entries) // 2 < late < len(told.entries)


def test_equal_lines_of_one_millisecond_survive_restarts(told: Told) -> None:
    """Equal lines sent before and after a restart, at the same time, do not fold: none is lost."""
    assert len(told.twins) == 150


def test_every_audit_event_is_found(told: Told) -> None:
    """The leaves of all generations are in Loki, in one sequence, byte for byte as in the log."""
    log = list(read_log(told.headrig.data / "audit"))
    assert len(log) == sum(number % 50 == 1 for number in told.feed.sent)
    found = sorted(told.leaves, key=lambda entry: int(entry.metadata["audit_index"]))
    assert [entry.line.encode() for entry in found] == [leaf.leaf for leaf in log]
    assert cli("verify", "log", told.headrig.data / "audit").returncode == 0


def test_nothing_is_in_quarantine(told: Told) -> None:
    """Being late is no reason to be refused."""
    done = cli("quarantine", "list", "--data", told.headrig.data)
    assert (done.returncode, done.stdout) == (0, b"the quarantine is empty\n")
    assert told.headrig.metric("headrig_records_quarantined_total") == 0


def test_the_balance_is_settled(told: Told) -> None:
    """Of adopted buffers too: nothing is missing, nothing waits."""
    assert told.headrig.metric("headrig_conservation_imbalance_records") == 0
    assert told.headrig.metric("headrig_buffered_records") == 0
