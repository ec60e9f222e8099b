"""Counting for all tenants and sinks at once, and what a sink that came late will never see."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from buffer_frames import kill, make_frame, open_wal, segments, stored

from pipeline.buffer.cursor import cursor_path


@pytest.mark.parametrize("seed", range(3))
async def test_all_cursors_are_counted_in_one_pass(tmp_path: Path, seed: int) -> None:
    """As a naive count says, wherever the cursors are, again and again."""
    chance = random.Random(seed)
    wal = open_wal(tmp_path, segment_bytes=900)
    for number in range(60):
        await wal.append([make_frame(chance.choice("abc"), number, records=chance.randrange(4), size=100)])
        if number % 7:
            continue
        frames = stored(wal)
        places = [0, wal.end, *(frame.end for frame in frames)]
        positions = {(tenant, sink): chance.choice(places) for tenant in "abcd" for sink in ("x", "y")}
        end = chance.choice(places)
        expected = {
            key: sum(f.records for f in frames if f.tenant == key[0] and at <= f.position < end)
            for key, at in positions.items()
        }
        found = wal.waiting(positions, end)
        assert {key: found[key] for key in positions} == expected
    await wal.close()


async def test_a_closed_segment_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many tenants and sinks wait; until somebody touches its file, which shows."""
    reads: list[int] = []
    real = os.pread

    def pread(fd: int, size: int, offset: int) -> bytes:
        reads.append(os.fstat(fd).st_ino)
        return real(fd, size, offset)

    wal = open_wal(tmp_path, segment_bytes=100)
    for number in range(8):
        await wal.append([make_frame(f"t{n}", number, records=1) for n in range(5)])
    positions = {(f"t{n}", sink): 0 for n in range(5) for sink in ("x", "y")}
    files = [path.stat().st_ino for path in segments(tmp_path)]
    monkeypatch.setattr(os, "pread", pread)
    assert set(wal.waiting(positions, wal.end).values()) == {8}
    assert set(files) == set(reads)
    reads.clear()
    for _ in range(3):
        assert set(wal.waiting(positions, wal.end).values()) == {8}
    assert set(reads) == set(files[-1:])
    second = segments(tmp_path)[1]
    second.write_bytes(second.read_bytes()[:-1])
    assert wal.waiting(positions, wal.end)["t4", "x"] == 7
    assert wal.waiting(positions, wal.end)["t3", "x"] == 8
    segments(tmp_path)[0].unlink()
    assert wal.waiting(positions, wal.end)["t4", "y"] == 6
    kill(wal)


async def test_a_sink_that_comes_late_knows_what_it_will_never_see(tmp_path: Path) -> None:
    """What went before it, from the front and from the middle, is a term of its balance; for ever, and only for it."""
    wal = open_wal(tmp_path, segment_bytes=100, sinks=["loki"])
    total = {"a": 0, "b": 0}
    for number in range(6):
        tenant = "b" if number == 2 else "a"
        total[tenant] += number + 1
        end = await wal.append(
            [make_frame(tenant, number, records=number + 1, counters={"stored": total[tenant]})]
        )
    wal.cursor("a", "loki").commit(end, total["a"], {})
    wal.cursor("b", "loki")
    wal.reclaim()
    await wal.close()
    for _ in range(2):
        wal = open_wal(tmp_path, segment_bytes=100, sinks=["loki", "archive"])
        for tenant in "ab":
            for sink in ("loki", "archive"):
                cursor = wal.cursor(tenant, sink)
                assert cursor.state.gone + wal.buffered(tenant, sink) == total[tenant]
        assert wal.cursor("a", "archive").state.before == total["a"] - 6
        assert wal.cursor("b", "archive").state.before == wal.cursor("a", "loki").state.before == 0
        frames = stored(wal, "a", wal.cursor("a", "archive").position)
        if frames:
            wal.cursor("a", "archive").commit(frames[-1].end, 6, {"late": 0})
        await wal.close()


async def test_a_sink_that_comes_back_knows_what_went_meanwhile(tmp_path: Path) -> None:
    """Its cursor is still there; a cursor that got lost, though, is no new sink, and the books show it."""
    total = 0
    for sinks in (["loki", "archive"], ["loki"], ["loki", "archive"]):
        wal = open_wal(tmp_path, segment_bytes=100, sinks=sinks)
        for _ in range(3):
            total += 1
            await wal.append([make_frame("a", total, records=1, counters={"stored": total})])
        if "archive" in sinks:
            cursor = wal.cursor("a", "archive")
            assert cursor.state.gone + wal.buffered("a", "archive") == total
        frames = stored(wal, "a", wal.cursor("a", "loki").position)
        wal.cursor("a", "loki").commit(frames[-1].end, len(frames), {})
        wal.reclaim()
        await wal.close()
    assert cursor.state.before == 5
    cursor_path(tmp_path, "a", "loki").unlink()
    wal = open_wal(tmp_path, sinks=["loki", "archive"])
    assert wal.cursor("a", "loki").state.before == 0
    kill(wal)


async def test_a_frame_taken_before_anything_was_reclaimed_is_not_excused(tmp_path: Path) -> None:
    """Nothing can have gone from a log that begins at 0: what is missing there is missed by a new sink, too."""
    wal = open_wal(tmp_path, segment_bytes=100)
    for number in range(3):
        await wal.append([make_frame("a", number, records=1, counters={"stored": number + 2})])
    kill(wal)
    wal = open_wal(tmp_path)
    assert wal.cursor("a", "loki").state.gone + wal.buffered("a", "loki") == 3
    kill(wal)
