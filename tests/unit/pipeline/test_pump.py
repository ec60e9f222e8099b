"""The pump: order, retries, hold, discovery, stopping and draining."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from dataclasses import asdict, dataclass

import pytest
from headrig import IntegrityError, RetryableError
from push_frames import NOW, TestFrame, entry, frame

from pipeline.sinks.delivery import Delivery, HeldError, UndeliveredError
from pipeline.sinks.pump import Pump, PumpSettings, Turns


@dataclass(frozen=True)
class Received(TestFrame):
    """A frame that notes when it was received."""

    seconds: int = 0


class MemoryLog:
    """Frames in memory, as a feed of tenants."""

    def __init__(self) -> None:
        self.frames: dict[str, list] = {}
        self.committed: dict[str, list] = {}
        self.reclaimed = 0
        self.changed = asyncio.Condition()
        self.broken_reads = 0
        self.broken_reclaims = 0

    async def put(self, tenant: str, *lines: str) -> None:
        frames = self.frames.setdefault(tenant, [])
        for line in lines:
            frames.append(frame([({"app": "a"}, [entry(NOW, line)])], len(frames), tenant))
        async with self.changed:
            self.changed.notify_all()

    def tenants(self):
        return list(self.frames)

    def source(self, tenant):
        return MemorySource(self, tenant)

    async def wait_tenants(self, known):
        async with self.changed:
            await self.changed.wait_for(lambda: len(self.frames) > known)


class MemorySource:
    """One tenant of a `MemoryLog`."""

    def __init__(self, log, tenant) -> None:
        self.log = log
        self.tenant = tenant

    @property
    def position(self):
        commits = self.log.committed.get(self.tenant)
        return commits[-1][0] if commits else 0

    async def next(self, after, max_bytes):
        if self.log.broken_reads:
            self.log.broken_reads -= 1
            raise OSError(5, "the disk")
        found, size = [], 0
        for each in self.log.frames[self.tenant][after:]:
            if found and size + len(each.payload) > max_bytes:
                break
            found.append(each)
            size += len(each.payload)
        return found

    async def wait_beyond(self, position):
        async with self.log.changed:
            await self.log.changed.wait_for(lambda: len(self.log.frames[self.tenant]) > position)

    def commit(self, position, delivered, refused):
        self.log.committed.setdefault(self.tenant, []).append((position, delivered, dict(refused)))

    def reclaim(self):
        if self.log.broken_reclaims:
            self.log.broken_reclaims -= 1
            raise OSError(28, "no space")
        self.log.reclaimed += 1


class ListSink:
    """Keeps what it gets; raises what the script says first."""

    name = "list"

    def __init__(self, *script) -> None:
        self.script = list(script)
        self.got: dict[str, list[str]] = {}
        self.tries: list = []
        self.busy: Counter[str] = Counter()
        self.blocked: set[str] = set()
        self.event = asyncio.Event()

    async def write(self, frames):
        tenant = frames[0].tenant
        self.busy[tenant] += 1
        assert self.busy[tenant] == 1, "writes of one tenant overlap"
        try:
            await asyncio.sleep(0)
            if tenant in self.blocked:
                await asyncio.Event().wait()
            self.tries.append([each.payload for each in frames])
            if self.script:
                step = self.script.pop(0)
                if isinstance(step, Exception):
                    raise step
                if step is not None:
                    return step
            self.got.setdefault(tenant, []).extend(each.position for each in frames)
            return Delivery(sum(each.records for each in frames))
        finally:
            self.busy[tenant] -= 1
            self.event.set()

    async def check(self):
        pass

    async def close(self):
        pass


class Notes:
    """Notes what the pump tells."""

    def __init__(self) -> None:
        self.told: list[tuple] = []

    def __getattr__(self, kind):
        return lambda *values: self.told.append((kind, *values))

    def of(self, kind):
        return [values[1:] for values in self.told if values[0] == kind]


class Waits:
    """Waits no time, and remembers how long it should have."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        await asyncio.sleep(0)


async def until(condition) -> None:
    """Let the loop turn until something holds; the test's time-out bounds it."""
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0)


@pytest.fixture
async def run():
    pumps = []

    def start(log, sink, **given):
        values = {"wait": Waits(), "jitter": lambda: 1.0, "settings": PumpSettings(linger_s=0.0)} | given
        pumps.append(Pump(log, sink, **values))
        pumps[-1].start()
        return pumps[-1]

    yield start
    for pump in pumps:
        await pump.stop()


async def test_frames_go_in_order_and_the_cursor_follows(run):
    """Everything of every tenant arrives oldest first; the cursor counts it."""
    log, sink, notes = MemoryLog(), ListSink(), Notes()
    await log.put("a", *"12345")
    await log.put("b", "6")
    run(log, sink, observer=notes, settings=PumpSettings(max_bytes=150, linger_s=0.0))
    await until(lambda: sum(records for *_, records in notes.of("delivered")) == 6)
    assert sink.got == {"a": [0, 1, 2, 3, 4], "b": [0]}
    assert log.committed["a"][-1][0] == 5
    assert len(log.committed["a"]) > 1
    assert sum(delivered for _, delivered, _ in log.committed["a"]) == 5


async def test_what_comes_later_goes_too_and_new_tenants_are_found(run):
    """A pump at rest wakes for new frames and for a tenant it never saw."""
    log, sink = MemoryLog(), ListSink()
    await log.put("a", "1")
    run(log, sink)
    await until(lambda: sink.got == {"a": [0]})
    await log.put("a", "2")
    await log.put("new", "1")
    await until(lambda: sink.got == {"a": [0, 1], "new": [0]})


async def test_a_slow_tenant_stops_nobody_else(run):
    """A write that never ends holds its own tenant only."""
    log, sink = MemoryLog(), ListSink()
    sink.blocked = {"slow"}
    await log.put("slow", "1")
    await log.put("quick", "1", "2")
    run(log, sink)
    await until(lambda: sink.got.get("quick") == [0, 1])
    assert "slow" not in log.committed


async def test_a_fault_is_retried_with_growing_jittered_waits(run):
    """The same frames go again after waits that double up to a bound, times the jitter; never given up."""
    faults = [UndeliveredError("down", status="503") for _ in range(10)]
    log, sink, notes, waits = MemoryLog(), ListSink(*faults), Notes(), Waits()
    await log.put("a", "1")
    run(log, sink, observer=notes, wait=waits, jitter=lambda: 0.5)
    await until(lambda: log.committed.get("a"))
    assert waits.seconds[:10] == [0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0, 15.0]
    assert notes.of("retry") == [("list", "503")] * 10
    assert all(tried == sink.tries[0] for tried in sink.tries)


async def test_what_the_sink_asks_for_is_the_least_wait(run):
    """Retry-After wins over a shorter back-off."""
    log, waits = MemoryLog(), Waits()
    sink = ListSink(
        UndeliveredError("slow down", status="429", retry_after=9.0), RetryableError("x", retry_after=3.0)
    )
    await log.put("a", "1")
    run(log, sink, wait=waits)
    await until(lambda: log.committed.get("a"))
    assert waits.seconds[:2] == [9.0, 3.0]


@pytest.mark.parametrize("error", [HeldError("blocked", status="260"), IntegrityError("disk")])
async def test_what_needs_an_operator_is_held_and_told(run, error):
    """Held frames are tried at long intervals; the observer hears when it starts and when it ends."""
    log, sink, notes, waits = MemoryLog(), ListSink(*[error] * 14), Notes(), Waits()
    await log.put("a", "1")
    run(log, sink, observer=notes, wait=waits)
    await until(lambda: log.committed.get("a"))
    status = getattr(error, "status", "IntegrityError")
    assert notes.of("held") == [("a", "list", status)] * 14 + [("a", "list", "")]
    assert max(waits.seconds) == 300.0


async def test_an_unexpected_error_does_not_end_the_pump_nor_quote_content(run, caplog):
    """A bug in a sink is logged by its type, counted and tried again."""
    log, sink, notes = MemoryLog(), ListSink(ValueError("s3cret line")), Notes()
    await log.put("a", "1")
    with caplog.at_level(logging.WARNING, "headrig.pump"):
        run(log, sink, observer=notes)
        await until(lambda: log.committed.get("a"))
    assert notes.of("retry") == [("list", "ValueError")]
    assert "ValueError" in caplog.text
    assert "s3cret" not in caplog.text


async def test_a_failing_disk_does_not_end_the_pump(run):
    """A read that fails is tried again from the durable cursor."""
    log, sink = MemoryLog(), ListSink()
    log.broken_reads = 3
    await log.put("a", "1")
    run(log, sink)
    await until(lambda: sink.got.get("a") == [0])


async def test_refused_records_are_committed_and_told(run):
    """What went to quarantine moves the cursor and is counted by reason."""
    log, sink, notes = MemoryLog(), ListSink(Delivery(0, {"labels": 1})), Notes()
    await log.put("a", "1")
    run(log, sink, observer=notes)
    await until(lambda: log.committed.get("a"))
    assert log.committed["a"] == [(1, 0, {"labels": 1})]
    await until(lambda: notes.of("refused") == [("a", "list", "labels", 1)])


async def test_small_writes_wait_for_company(run):
    """After a small write the pump lingers, so that many small frames become one write."""
    log, sink, gate = MemoryLog(), ListSink(), asyncio.Event()

    async def wait(seconds):
        assert seconds == 0.25
        await gate.wait()

    await log.put("a", "1")
    run(log, sink, wait=wait, settings=PumpSettings(linger_s=0.25))
    await until(lambda: log.committed.get("a"))
    await log.put("a", "2")
    await log.put("a", "3")
    gate.set()
    await until(lambda: len(sink.got["a"]) == 3)
    assert [len(tried) for tried in sink.tries] == [1, 2]


async def test_drain_delivers_what_is_there(run):
    """Drain ends when all is delivered, and says so."""
    log, sink = MemoryLog(), ListSink(UndeliveredError("busy", status="503"))
    pump = run(log, sink)
    await log.put("a", *"123")
    assert await pump.drain(5.0)
    assert sink.got == {"a": [0, 1, 2]}
    assert log.committed["a"][-1][0] == 3


async def test_drain_gives_up_at_its_deadline(run):
    """A sink that does not answer cannot hold the end of the program."""
    log, sink = MemoryLog(), ListSink()
    sink.blocked = {"a"}
    await log.put("a", "1")
    pump = run(log, sink)
    assert not await pump.drain(0.01)
    assert "a" not in log.committed


async def test_stop_ends_a_pump_that_backs_off(run):
    """Stop does not wait for a back-off or a write."""
    log, sink, waiting = MemoryLog(), ListSink(HeldError("x", status="403")), asyncio.Event()

    async def wait(_seconds):
        waiting.set()
        await asyncio.Event().wait()

    await log.put("a", "1")
    pump = run(log, sink, wait=wait)
    await waiting.wait()
    async with asyncio.timeout(5):
        await pump.stop()
    assert "a" not in log.committed


async def test_lag_is_the_age_of_the_oldest_frame_the_sink_lacks(run):
    """It grows while the sink is away, stays above zero after a success while more waits, and ends at zero."""
    log, notes, now = MemoryLog(), Notes(), [NOW]

    class Late(ListSink):
        async def write(self, frames):
            now[0] += 10 * 10**9
            return await super().write(frames)

    sink = Late(UndeliveredError("down", status="503"))
    await log.put("a", "1", "2", "3")
    run(log, sink, observer=notes, now=lambda: now[0], settings=PumpSettings(max_bytes=1, linger_s=0.0))
    await until(lambda: len(log.committed.get("a", [])) == 3 and notes.of("lag_seconds")[-1][2] == 0)

    assert notes.of("lag_seconds") == [("list", "a", lag) for lag in (0, 10, 20, 30, 0)]


async def test_lag_counts_from_the_receipt_not_from_the_records_time(run):
    """Records can be of any time; what lies in the buffer notes when it came."""
    log, sink, notes = MemoryLog(), ListSink(), Notes()
    await log.put("a", "1")
    log.frames["a"][0] = Received(**asdict(log.frames["a"][0]), seconds=NOW // 10**9 + 60)
    run(log, sink, observer=notes, now=lambda: NOW + 65 * 10**9)
    await until(lambda: log.committed.get("a"))

    assert notes.of("lag_seconds")[0] == ("list", "a", 5.0)


async def test_pumps_of_one_process_take_turns_for_a_tenant(run):
    """A buffer that was adopted holds the same streams: never are two pushes of one stream under way."""
    logs, sink, turns = [MemoryLog(), MemoryLog()], ListSink(), Turns()
    sink.script = [UndeliveredError("busy", status="503"), None, UndeliveredError("busy", status="503")]
    for log in logs:
        await log.put("a", *"123")
        await log.put("b", *"123")
        run(log, sink, turns=turns, settings=PumpSettings(max_bytes=1, linger_s=0.0))
    await until(lambda: all(len(log.committed.get(t, [])) == 3 for log in logs for t in "ab"))

    assert sorted(sink.got["a"]) == [0, 0, 1, 1, 2, 2]


async def test_segments_are_reclaimed_once_more_before_the_pump_rests(run):
    """However many commits a second brings, nothing delivered stays: a full log gets no frame that would do it."""
    log, sink = MemoryLog(), ListSink()
    await log.put("a", "1", "2", "3")
    run(log, sink, clock=lambda: 0.0, settings=PumpSettings(max_bytes=1, linger_s=0.0))
    await until(lambda: log.reclaimed)
    assert len(log.committed["a"]) == 3
    assert log.reclaimed == 1


async def test_what_a_dead_process_left_is_reclaimed_and_what_failed_again(run):
    """A log full of delivered segments gets its room back with nothing to deliver, whatever went wrong before."""
    log = MemoryLog()
    await log.put("t")
    log.frames["t"] = []
    log.broken_reclaims = 2
    run(log, ListSink(), wait=Waits())
    await until(lambda: log.reclaimed)
    assert log.broken_reclaims == 0


async def test_segments_are_reclaimed_while_there_is_work(run):
    """A pump that never rests reclaims with a commit once a second."""
    log, sink, now = MemoryLog(), ListSink(), [0.0]
    await log.put("a", "1", "2", "3", "4", "5")

    def clock() -> float:
        now[0] += 0.4
        return now[0]

    run(log, sink, clock=clock, settings=PumpSettings(max_bytes=1, linger_s=0.0))
    await until(lambda: len(log.committed.get("a", [])) == 5)
    assert 0 < log.reclaimed < 5
