"""Counting what waits, and letting go of what every sink has."""

from __future__ import annotations

import asyncio
import random
import threading
from pathlib import Path

import pytest
from buffer_frames import (
    kill,
    make_frame,
    make_request,
    mark,
    open_wal,
    segments,
    stored,
)

from pipeline import durable
from pipeline.buffer import Frame, Wal


@pytest.mark.parametrize("seed", range(3))
async def test_buffered_is_what_a_naive_count_says(tmp_path: Path, seed: int) -> None:
    """Behind any cursor, over segments, frames of counts and other tenants."""
    chance = random.Random(seed)
    wal = open_wal(tmp_path, segment_bytes=1200, sinks=["loki", "archive"])
    for number in range(80):
        tenant = chance.choice("abc")
        await wal.append(
            [make_frame(tenant, number, records=chance.randrange(5), size=chance.randrange(2000))]
        )
        if number % 9 == 0:
            tenant, sink = chance.choice("abc"), chance.choice(["loki", "archive"])
            cursor = wal.cursor(tenant, sink)
            frames = wal.scan(tenant, cursor.position, max_bytes=chance.randrange(4000))
            if frames:
                cursor.commit(frames[-1].end, 0, {})
            wal.reclaim()
        for tenant in "abc":
            for sink in ("loki", "archive"):
                position = wal.cursor(tenant, sink).position
                expected = sum(f.records for f in stored(wal, tenant) if f.position >= position)
                assert wal.buffered(tenant, sink) == expected
    await wal.close()


async def test_a_segment_goes_when_every_sink_is_past_it_for_every_tenant(tmp_path: Path) -> None:
    """Not before, not out of order, and never the last one's content; a tenant without a cursor keeps it."""
    wal = open_wal(tmp_path, segment_bytes=100, sinks=["loki", "archive"])
    for number in range(4):
        await wal.append([make_frame("a", number), make_frame("b", number)])
    ends = {f.tenant: f.end for f in stored(wal) if f.position < int(segments(tmp_path)[2].stem)}
    names = [path.name for path in segments(tmp_path)]
    for tenant, sink in (("a", "loki"), ("a", "archive"), ("b", "loki")):
        wal.cursor(tenant, sink).commit(ends[tenant], 2, {})
        wal.reclaim()
        assert [path.name for path in segments(tmp_path)] == names
    wal.cursor("b", "archive").commit(ends["b"] - 1, 1, {})
    wal.reclaim()
    assert [path.name for path in segments(tmp_path)] == names[1:]
    wal.cursor("b", "archive").commit(ends["b"], 1, {})
    wal.reclaim()
    assert [path.name for path in segments(tmp_path)] == names[2:]
    assert stored(wal, "a", 0) == stored(wal, "a", ends["a"])
    kill(wal)


async def test_a_sink_that_comes_later_begins_at_the_oldest_frame(tmp_path: Path) -> None:
    """From then on nothing goes without it; one that left keeps nothing."""
    wal = open_wal(tmp_path, segment_bytes=100, sinks=["loki"])
    for number in range(3):
        await wal.append(make_request(number, 1))
    first = stored(wal)[0]
    wal.cursor("acme", "loki").commit(first.end, 1, {})
    wal.reclaim()
    await wal.close()
    wal = open_wal(tmp_path, segment_bytes=100, sinks=["archive"])
    cursor = wal.cursor("acme", "archive")
    assert cursor.position == int(segments(tmp_path)[0].stem) > 0
    assert [f.bids for f in stored(wal, "acme", cursor.position)] == [(mark(1),), (mark(2),)]
    wal.reclaim()
    assert len(segments(tmp_path)) == 2
    cursor.commit(wal.end, 2, {})
    wal.reclaim()
    assert len(segments(tmp_path)) == 1
    await wal.close()


async def test_counts_are_carried_into_each_segment(tmp_path: Path) -> None:
    """A tenant that is silent for long loses its frames to the sinks, not its counts."""
    wal = open_wal(tmp_path, segment_bytes=300)
    await wal.append([make_frame("silent", counters={"received": 7, "rejected.size": 2})])
    await wal.append([Frame("rejected", 0, 0, 0, 0, (), {"received": 5}, b"")])
    for number in range(9):
        end = await wal.append(make_request(number, 1))
    wal.cursor("silent", "loki").commit(end, 1, {})
    wal.cursor("acme", "loki").commit(end, 9, {})
    wal.reclaim()
    assert len(segments(tmp_path)) == 1
    await wal.close()
    again = open_wal(tmp_path)
    assert again.recovered.counters == {
        "silent": {"received": 7, "rejected.size": 2},
        "rejected": {"received": 5},
        "acme": {"stored": 800},
    }
    assert sorted(again.tenants()) == ["acme", "rejected", "silent"]
    assert stored(again, "rejected") == []
    kill(again)


async def test_a_delivered_segment_that_is_gone_or_damaged_does_not_stop_reclaiming(tmp_path: Path) -> None:
    """Every sink has it; what is lost is a part of the batch ids."""
    wal = open_wal(tmp_path, segment_bytes=100)
    for number in range(4):
        end = await wal.append(make_request(number, 1))
    wal.cursor("acme", "loki").commit(end, 4, {})
    first, second, *_ = segments(tmp_path)
    first.unlink()
    second.write_bytes(second.read_bytes()[:-1])
    wal.reclaim()
    assert len(segments(tmp_path)) == 1
    await wal.close()
    again = open_wal(tmp_path)
    assert [known.bid for known, _ in again.recovered.bids] == [mark(2).bid, mark(3).bid]
    kill(again)


async def test_opening_a_cursor_does_not_hold_up_the_loop(tmp_path: Path) -> None:
    """It syncs a new file; meanwhile records are taken."""

    class Slow(durable.Files):
        def sync(self, fd: int, site: str) -> None:
            if site == "buffer.cursor.replace":
                assert held.wait(10)
            super().sync(fd, site)

    held = threading.Event()
    wal = open_wal(tmp_path, segment_bytes=100)
    with durable.using(Slow()):
        opening = asyncio.create_task(asyncio.to_thread(wal.cursor, "acme", "loki"))
        for number in range(3):
            await wal.append(make_request(number, 1))
            assert wal.statistics().segments == number + 1
            assert len(await asyncio.to_thread(stored, wal)) == number + 1
        held.set()
        assert (await opening).position == 0
    await wal.close()


async def test_a_closed_log_can_be_opened_by_another_loop(tmp_path: Path) -> None:
    """Nothing of a loop that is gone is called."""
    wal: Wal = open_wal(tmp_path, segment_bytes=100)
    await asyncio.to_thread(asyncio.run, wal.append(make_request(1, 1)))
    wal.cursor("acme", "loki").commit(wal.end, 1, {})
    wal.reclaim()
    await wal.append(make_request(2, 1))
    await wal.close()
