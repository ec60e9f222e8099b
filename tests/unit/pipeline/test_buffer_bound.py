"""The bound of a log: told to the byte, and never a trap."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from buffer_frames import (
    Gate,
    kill,
    make_frame,
    make_request,
    mark,
    on_disk,
    open_wal,
    stored,
    turn,
)
from headrig import OverloadedError

from pipeline import durable
from pipeline.buffer.frame import prepare


async def settled(done: Callable[[], bool]) -> None:
    """Let other threads work until something holds."""
    async with asyncio.timeout(10):
        while not done():
            await asyncio.sleep(0)


async def test_a_full_log_stores_nothing_and_counts_nothing(tmp_path: Path) -> None:
    """Not one byte more on disk, and the counts are those of the last frame that was stored."""
    wal = open_wal(tmp_path, max_bytes=4000)
    number = 0
    while wal.has_room(sum(prepare(frame).length for frame in make_request(number, 2))):
        await wal.append(make_request(number, 2))
        number += 1
    before = (on_disk(tmp_path), wal.statistics(), wal.end, wal.counters("acme"), len(stored(wal)))
    for _ in range(3):
        with pytest.raises(OverloadedError) as caught:
            await wal.append(make_request(number, 2))
        assert caught.value.retry_after > 0
    assert (on_disk(tmp_path), wal.statistics(), wal.end, wal.counters("acme"), len(stored(wal))) == before
    assert before[1].bytes == before[0] > 3000
    assert before[3] == {"stored": (number - 1) * 100 + 1}
    await wal.close()
    again = open_wal(tmp_path, max_bytes=4000)
    assert again.counters("acme") == before[3]
    kill(again)


@pytest.mark.parametrize("seed", range(5))
async def test_room_is_told_to_the_byte(tmp_path: Path, seed: int) -> None:
    """What has room goes in, what has none does not, and the disk never holds more than the bound."""
    chance = random.Random(seed)
    bound = 6000
    wal = open_wal(tmp_path, max_bytes=bound, segment_bytes=700)
    refused = 0
    for number in range(60):
        frame = make_frame(
            f"tenant{chance.randrange(4)}",
            number,
            size=chance.randrange(400),
            marks=[mark(n) for n in range(chance.randrange(9))],
            counters={f"reason{n}": n for n in range(chance.randrange(9))},
        )
        room = wal.has_room(prepare(frame).length)
        try:
            await wal.append([frame])
        except OverloadedError:
            refused += 1
            assert not room
        else:
            assert room
        assert wal.statistics().bytes == on_disk(tmp_path) <= bound
    assert refused > 10
    await wal.close()


async def test_what_waits_counts_against_the_bound(tmp_path: Path) -> None:
    """Memory is bounded by the same number, before anything is written."""
    gate = Gate()
    with durable.using(gate):
        wal = open_wal(tmp_path, max_bytes=2000)
        gate.opened.clear()
        tasks = [asyncio.create_task(wal.append(make_request(n, 1, size=300))) for n in range(10)]
        await turn()
        full = [task for task in tasks if task.done() and isinstance(task.exception(), OverloadedError)]
        assert 10 - len(full) == 4
        gate.opened.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert len(stored(wal)) == 4
        assert on_disk(tmp_path) <= 2000
        await wal.close()


@pytest.mark.parametrize("segment_bytes", [500, 1 << 20])
async def test_a_log_that_was_full_takes_records_again_once_they_are_delivered(
    tmp_path: Path, segment_bytes: int
) -> None:
    """Also when all of it is one segment, which only a new one can end, and the new one has no frames to hold."""
    wal = open_wal(tmp_path, max_bytes=3000, segment_bytes=segment_bytes)
    await wal.append(make_request(1, 1, size=2400))
    with pytest.raises(OverloadedError):
        await wal.append(make_request(2, 1, size=900))
    wal.cursor("acme", "loki").commit(wal.end, 1, {})
    await asyncio.to_thread(wal.reclaim)
    await settled(lambda: wal.has_room(1100))
    await wal.append(make_request(2, 1, size=900))
    assert [frame.bids for frame in stored(wal)] == [(mark(2),)]
    await wal.close()
    again = open_wal(tmp_path)
    assert len(again.recovered.bids) == 2
    assert again.counters("acme") == {"stored": 200}
    kill(again)


async def test_a_delivered_segment_as_large_as_the_log_makes_room_after_a_restart(tmp_path: Path) -> None:
    """It is closed and goes although nothing new can be appended that would close it."""
    wal = open_wal(tmp_path, segment_bytes=4000, max_bytes=4000)
    number = 0
    while wal.has_room(900):
        await wal.append([make_frame("acme", number, size=500, counters={"stored": number + 1})])
        number += 1
    wal.cursor("acme", "loki").commit(stored(wal)[-1].end, number, {})
    kill(wal)
    again = open_wal(tmp_path, segment_bytes=4000, max_bytes=4000)
    again.attend()
    await asyncio.to_thread(again.reclaim)
    while not again.has_room(900):
        await turn()
    assert stored(again) == []
    await again.append([make_frame("acme", number, size=500)])
    await again.close()
