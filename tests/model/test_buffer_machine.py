"""The log against a list: appends, deliveries, reclaims, kills, torn writes, restarts, in any order."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path

from buffer_frames import bid, kill, make_frame, open_wal, segments, stored, unplaced
from headrig import OverloadedError
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from power_cut import Unsynced

from pipeline import durable
from pipeline.buffer import BidMark, Frame, StoredFrame, read_frames

SINKS = ("loki", "archive")
TENANTS = st.sampled_from(["a", "b", "long-name"])
BOUND = 9000
REQUESTS = st.lists(
    st.tuples(TENANTS, st.integers(0, 3), st.integers(1, 3), st.integers(0, 400)), min_size=1, max_size=5
)


class BufferMachine(RuleBasedStateMachine):
    """The model: all frames that were acknowledged, where each cursor is, and the counts."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.base = Path(tempfile.mkdtemp())
        self.files = durable.using(Unsynced())
        self.files.__enter__()
        self.number = 0
        self.frames: list[StoredFrame] = []
        self.places: dict[tuple[str, str], int] = {}
        self.counts: dict[str, dict[str, int]] = {}
        self.bids: list[bytes] = []
        self.open()

    def open(self) -> None:
        """Open the log."""
        self.wal = open_wal(self.base / "log", segment_bytes=1500, max_bytes=BOUND, sinks=SINKS)
        assert sorted(known.bid for known, _ in self.wal.recovered.bids) == sorted(self.bids)

    def teardown(self) -> None:
        """Leave nothing behind."""
        self.runner.run(self.wal.close())
        self.runner.close()
        self.files.__exit__(None, None, None)
        shutil.rmtree(self.base)

    def make(self, tenant: str, records: int, parts: int, size: int) -> list[Frame]:
        """Make a request with the next number."""
        self.number += 1
        return [
            make_frame(
                tenant,
                self.number * 10 + part,
                records=records,
                size=size,
                marks=[BidMark(bid(self.number), 7, last=part == parts - 1)],
                counters={"stored": self.number, "part": part},
            )
            for part in range(parts)
        ]

    def reclaim(self) -> None:
        """Let go of what may go; the log may begin a segment, so that the last one can go, too."""
        self.wal.reclaim()

        async def settle() -> None:
            await asyncio.sleep(0)
            while self.wal._writing:
                await asyncio.sleep(0)

        self.runner.run(settle())
        self.wal.reclaim()
        self.only_what_waits_is_left()

    @rule(requests=REQUESTS)
    def append(self, requests: list[tuple[str, int, int, int]]) -> None:
        """Append concurrently: the first alone, the others as one group; some may find the log full."""
        made = [self.make(*request) for request in requests]

        async def run() -> list[object]:
            return await asyncio.gather(*map(self.wal.append, made), return_exceptions=True)

        end, used = self.wal.end, self.wal.statistics().bytes
        answers = self.runner.run(run())
        kept = [frames for frames, answer in zip(made, answers, strict=True) if isinstance(answer, int)]
        refused = [answer for answer in answers if not isinstance(answer, int)]
        assert all(isinstance(answer, OverloadedError) for answer in refused)
        if not kept:
            assert (self.wal.end, self.wal.statistics().bytes) == (end, used)
        flat = [frame for frames in kept for frame in frames]
        new = [frame for frame in read_frames(self.base / "log", end)]
        assert [unplaced(f) for f in new] == [unplaced(f) for f in flat if f.records]
        self.frames += new
        self.counts |= {frame.tenant: dict(frame.counters) for frame in flat}
        self.bids += [frame.bids[0].bid for frame in flat if frame.bids[0].last]

    @rule(tenant=TENANTS, sink=st.sampled_from(SINKS), size=st.integers(0, 2000), reclaim=st.booleans())
    def deliver(self, tenant: str, sink: str, size: int, *, reclaim: bool) -> None:
        """A pump moves a cursor, and perhaps reclaims."""
        cursor = self.wal.cursor(tenant, sink)
        found = self.wal.scan(tenant, cursor.position, max_bytes=size)
        expected = [
            f for f in self.frames if f.tenant == tenant and f.position >= self.places.get((tenant, sink), 0)
        ]
        assert found == expected[: len(found)]
        assert bool(found) == bool(expected)
        if found:
            cursor.commit(found[-1].end, sum(frame.records for frame in found), {})
            self.places[tenant, sink] = found[-1].end
        if reclaim:
            self.reclaim()

    @rule(slow=TENANTS, fast=TENANTS, rolls=st.integers(0, 3))
    def all_but_one(self, slow: str, fast: str, rolls: int) -> None:
        """One tenant's sink is slow while segments of another come; then all others are delivered."""
        if rolls:
            self.append([(slow, 1, 1, 10)])
        for _ in range(rolls):
            self.append([(fast, 1, 2, 400)] * 2)
        for tenant in {frame.tenant for frame in self.frames} - {slow}:
            for sink in SINKS:
                self.deliver(tenant, sink, 1 << 20, reclaim=False)
        self.reclaim()

    def waits(self, frame: StoredFrame) -> bool:
        """Tell whether some sink has not taken a frame yet."""
        return any(frame.position >= self.places.get((frame.tenant, sink), 0) for sink in SINKS)

    def kept(self) -> list[StoredFrame]:
        """Return the frames whose segment is there."""
        ranges = [(int(path.stem), path.stat().st_size) for path in segments(self.base / "log")]
        return [f for f in self.frames if any(0 <= f.position - first < size for first, size in ranges)]

    def only_what_waits_is_left(self) -> None:
        """A segment that every sink is past goes, wherever it lies; only the last one stays."""
        *closed, _ = segments(self.base / "log")
        for path in closed:
            end = int(path.stem) + path.stat().st_size
            assert any(self.waits(f) for f in self.frames if int(path.stem) <= f.position < end)

    @rule()
    def restart(self) -> None:
        """End in order, and come back."""
        self.runner.run(self.wal.close())
        self.open()
        assert self.wal.recovered.truncated_bytes == 0

    @rule(
        torn=st.binary(max_size=200),
        request=st.none() | st.tuples(TENANTS, st.integers(1, 3), st.integers(2, 3), st.integers(0, 99)),
    )
    def die(self, torn: bytes, request: tuple[str, int, int, int] | None) -> None:
        """Be killed in the middle of a write: of a request, or of anything."""
        before = self.wal.end
        if request is not None:
            self.wal._space.max_bytes += 10_000
            self.runner.run(self.wal.append(self.make(*request)))
        kill(self.wal)
        path = segments(self.base / "log")[-1]
        size = path.stat().st_size
        with path.open("r+b") as file:
            if request is not None and before > int(path.stem):
                file.truncate(max(before - int(path.stem), size - 1 - len(torn)))
            elif request is not None:
                file.truncate(size - 1 - len(torn) // 4)
            else:
                file.seek(0, 2)
                file.write(b"?" + torn)
        self.open()
        assert self.wal.recovered.truncated_bytes > 0 or request is not None

    @invariant()
    def everything_acknowledged_is_there(self) -> None:
        """What some sink lacks is on disk, and counted; the counts are those of the newest frames."""
        kept = self.kept()
        assert stored(self.wal) == list(read_frames(self.base / "log")) == kept
        assert {f.position for f in self.frames if self.waits(f)} <= {f.position for f in kept}
        for tenant in {frame.tenant for frame in self.frames}:
            for sink in SINKS:
                place = self.places.get((tenant, sink), 0)
                behind = [f for f in self.frames if f.tenant == tenant and f.position >= place]
                assert self.wal.buffered(tenant, sink) == sum(frame.records for frame in behind)
        assert {tenant: dict(self.wal.counters(tenant)) for tenant in self.wal.tenants()} == self.counts

    @invariant()
    def the_bound_holds(self) -> None:
        """On disk and in the books."""
        used = sum(path.stat().st_size for path in segments(self.base / "log"))
        assert used == self.wal.statistics().bytes <= BOUND + 1000  # what `close` leaves comes on top


TestBuffer = BufferMachine.TestCase
TestBuffer.settings = settings(max_examples=30, stateful_step_count=25, deadline=None)
